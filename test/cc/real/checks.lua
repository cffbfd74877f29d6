-- SPDX-License-Identifier: Apache-2.0
-- Each part of the language and of its libraries once, the results printed.
-- The output is the same wherever Lua is right: no addresses, no times.
local function say(...) print(...) end

-- numbers
say(7 // 2, -7 // 2, 7 % -3, 7.5 // 2, 2^10, 1e15, 10 / 2, 3 | 4, 5 ~ 1, ~0, 1 << 62, 1 >> 1)
say(math.maxinteger + 1 == math.mininteger, math.type(3), math.type(3.0), 0x.8p1, 1e308 * 10)
say(string.format("%5.2f|%-8s|%08x|%q|%g|%a", 3.14159, "ab", 48879, "a\nb\0c", 1e20, 0.5))
say(tostring(1e100), tonumber("0x1p4"), tonumber("z", 36), tonumber("8", 8), math.tointeger(4.0))
say(pcall(function() return 1 // 0 end), 1.0 // 0, -1 % math.huge)

-- strings and patterns
local text = ("the quick brown fox jumps over the lazy dog "):rep(20)
say(#text, text:find("fox"), text:match("(%a+) dog"), select(2, text:gsub("%f[%a]the", "THE")))
say(("key = value"):match("^(%w+)%s*=%s*(%w+)$"), ("%bxy"):gsub("%%", "#"), ("(a(b)c)"):match("%b()"))
say(("x"):rep(3, ","), ("abc"):reverse(), ("AbC"):lower(), ("abc"):byte(1, -1))
say(string.pack("<i4z", 100, "hi"):byte(1, -1))
say(string.unpack("<d", string.pack("<d", math.pi)) == math.pi, utf8.char(228, 8364), utf8.len("äö€"))
local words = {}
for w in text:gmatch("%a+") do words[w] = (words[w] or 0) + 1 end
local names = {}
for w in pairs(words) do names[#names + 1] = w end
table.sort(names)
for _, w in ipairs(names) do io.write(w, "=", words[w], " ") end
print()

-- tables
local t = {}
for i = 1, 5000 do t[i] = (i * 7919) % 5003 end
table.sort(t, function(a, b) return a > b end)
say(t[1], t[2500], t[5000], #t, select("#", table.unpack(t, 1, 100)))
table.move(t, 1, 100, 50)
say(t[149], table.remove(t, 1), #t, table.concat(t, ",", 1, 5))
local sparse = setmetatable({}, {__index = function(_, k) return k * 2 end,
  __newindex = function(s, k, v) rawset(s, k, v + 1) end, __len = function() return 42 end,
  __call = function(_, x) return x + 1 end, __concat = function() return "cat" end,
  __eq = function() return true end, __lt = function() return true end,
  __close = function() print("closed") end})
sparse[1] = 1
say(sparse[1], sparse[21], #sparse, sparse(9), sparse .. "x")
do local held <close> = sparse end

-- functions, closures, coroutines
local function counter() local n = 0; return function() n = n + 1; return n end end
local a, b = counter(), counter()
say(a(), a(), b(), (function(...) return select("#", ...) end)(nil, nil))
local function walk(n) if n > 0 then walk(n - 1); coroutine.yield(n); walk(n - 1) end end
local sum, steps = 0, 0
for n in coroutine.wrap(function() walk(12) end) do sum = sum + n * (steps % 7); steps = steps + 1 end
say(sum, steps)
local co = coroutine.create(function(x) local y = coroutine.yield(x + 1); error({code = y}) end)
say(coroutine.resume(co, 1))
say(select(2, coroutine.resume(co, 5)).code, coroutine.status(co))
local function deep(n) if n == 0 then return "bottom" end return deep(n - 1) end
say(deep(200000), pcall(string.rep))
say(select(2, pcall(error, "message", 0)), select(2, xpcall(function() local x = nil; return x.y end,
  function(m) return (m:gsub("^.-:%d+: ", "")) end)))
for i = 10, 1, -3 do
  for j = 1, 3 do
    if j == 2 then goto continue end
    io.write(i, ":", j, " ")
    ::continue::
  end
end
print()

-- what the collector must keep and may take
collectgarbage("generational")
local keep = {}
for round = 1, 20 do
  local weak = setmetatable({}, {__mode = "k"})
  for i = 1, 2000 do
    local key = {i}
    weak[key] = i
    if i % 500 == 0 then keep[#keep + 1] = key end
  end
end
collectgarbage("incremental")
collectgarbage()
local total = 0
for _, key in ipairs(keep) do total = total + key[1] end
say(#keep, total)
local finalised = 0
for _ = 1, 100 do setmetatable({}, {__gc = function() finalised = finalised + 1 end}) end
collectgarbage()
say(finalised)

-- code made while it runs
say(load("return ... * 2")(21), load("return +", "=chunk"))
local f = load(string.dump(function(n) local s = 0; for i = 1, n do s = s + i end return s end))
say(f(1000), debug.getinfo(1, "l").currentline, os.time({year = 2001, month = 9, day = 9, hour = 12}))
