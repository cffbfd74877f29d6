-- SPDX-License-Identifier: Apache-2.0
-- work.lua [FACTOR]: what interpreters are measured by. Trees, hash tables,
-- sorting, strings, floating point, closures; prints a check of each.
local factor = tonumber(arg and arg[1]) or 1

local function trees(depth)
  local function make(d) return d == 0 and {} or {make(d - 1), make(d - 1)} end
  local function count(t) return t[1] and 1 + count(t[1]) + count(t[2]) or 1 end
  local long, sum = make(depth), 0
  for d = 4, depth, 4 do
    for _ = 1, 1 << (depth - d) do sum = sum + count(make(d)) end
  end
  return sum + count(long)
end

local function tables(n)
  local t, state, hits = {}, 42, 0
  for i = 1, n do
    state = (state * 1103515245 + 12345) % 2147483648
    t[state % (4 * n)] = i
  end
  for i = 1, 4 * n do if t[i] then hits = hits + t[i] % 3 end end
  local names = {}
  for i = 1, n // 4 do names["key" .. i * 7 % n] = i end
  for i = 1, n do hits = hits + (names["key" .. i] or 0) % 5 end
  return hits
end

local function sorting(n)
  local t, state = {}, 7
  for i = 1, n do
    state = (state * 48271) % 2147483647
    t[i] = state
  end
  table.sort(t)
  table.sort(t, function(a, b) return a % 1000 < b % 1000 or a % 1000 == b % 1000 and a < b end)
  return t[1] + t[n // 2] + t[n]
end

local function strings(n)
  local parts, sum = {}, 0
  for i = 1, n do parts[i] = string.format("%d:%s", i, string.rep("x", i % 13)) end
  local all = table.concat(parts, ";")
  for number, xs in all:gmatch("(%d+):(x*)") do sum = sum + #xs + number % 10 end
  return sum + #all:gsub("xx", "y")
end

local function spectral(n)
  local function entry(i, j) return 1 / ((i + j) * (i + j + 1) / 2 + i + 1) end
  local v = {}
  for i = 0, n - 1 do v[i] = 1 end
  for _ = 1, 6 do
    local w = {}
    for i = 0, n - 1 do
      local s = 0
      for j = 0, n - 1 do s = s + entry(i, j) * v[j] end
      w[i] = s
    end
    v = w
  end
  return string.format("%.9f", v[0] / v[1])
end

local function queens(n)
  local columns, up, down, found = {}, {}, {}, 0
  local function place(row)
    if row > n then found = found + 1 return end
    for c = 1, n do
      if not (columns[c] or up[row + c] or down[row - c + n]) then
        columns[c], up[row + c], down[row - c + n] = true, true, true
        place(row + 1)
        columns[c], up[row + c], down[row - c + n] = nil, nil, nil
      end
    end
  end
  place(1)
  return found
end

print("trees", trees(12 + factor))
print("tables", tables(100000 * factor))
print("sorting", sorting(30000 * factor))
print("strings", strings(40000 * factor))
print("spectral", spectral(100 * factor))
print("queens", queens(7 + factor))
