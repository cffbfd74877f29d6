# SPDX-License-Identifier: Apache-2.0
"""Random C programs of loops over index arrays.

Every array of indices lies right in front of a page that cannot be read, and,
in a second run, right behind one. A loop mixes: the types of index and element,
how the index becomes an address (masked, hashed, through a second array, with a
field), how the loop counts (up, down, by steps, by pointers, inside another),
and what it does (sums, branches, updates, turns over a small array, early ends, calls, chains, writing where
a generator of random numbers says). What it
has computed goes into a checksum.
"""
import random

PER_PROGRAM = 25

HEAD = r"""
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { table_count = 1 << 12, page = 4096 };
struct node { uint32_t key; struct node *next; char pad[PAD]; uint16_t tail; };
static uint64_t sum;
static struct node nodes[table_count];
static struct node *heads[table_count];
static struct node *all[table_count];
static uint8_t t8[table_count];
static uint16_t t16[table_count];
static uint32_t t32[table_count];
static uint64_t t64[table_count];
static double tf[table_count];
static uint32_t other[table_count];

/* bytes with a page behind (or in front) that cannot be read */
static void *fenced(size_t bytes, int behind) {
  size_t whole = (bytes + page - 1) / page * page;
  char *p = mmap(NULL, whole + 2 * page, PROT_NONE,
                 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED ||
      (whole && mprotect(p + page, whole, PROT_READ | PROT_WRITE) != 0)) {
    exit(3);
  }
  return behind ? p + page + whole - bytes : p + page;
}

__attribute__((noinline)) static int opaque(uint64_t x) {
  static uint64_t calls;
  return (int)((x ^ ++calls) & 1);
}

static void reset(void) {
  for (uint32_t i = 0; i < table_count; i++) {
    uint32_t h = i * 2654435761u;
    t8[i] = (uint8_t)(h >> 11), t16[i] = (uint16_t)(h >> 9);
    t32[i] = h >> 7, t64[i] = (uint64_t)h * h, tf[i] = (double)(h >> 20);
    other[i] = (h >> 13) % table_count;
    nodes[i].key = h >> 8, nodes[i].tail = (uint16_t)(h >> 3);
    nodes[i].next = h & 0x300 ? NULL : &nodes[(i * 7 + 1) % table_count];
    all[i] = &nodes[(h >> 12) % table_count];
    heads[i] = h & 0x10 ? &nodes[(h >> 5) % table_count] : NULL;
  }
}
"""


def kernel(r, number):
    """(definition, type of the index, need of the index array)."""
    index = r.choice(["uint8_t", "uint16_t", "uint32_t", "int32_t", "uint64_t",
                      "int64_t"])
    counter = r.choice(["size_t", "int", "unsigned", "long", "uint16_t"])
    step = r.choice([1, 1, 1, 2, 3])
    at = r.choice(["b[i]", "b[i]", "(b[i] & 1023)",
                   "((b[i] * 40503u) >> 3 & (table_count - 1))",
                   "other[b[i]]", "other[other[b[i]]]",
                   "((b[i] ^ (uint64_t)i) % table_count)",
                   "(b[i] / 2 + 1)"])
    place = r.choice([f"t8[{at}]", f"t16[{at}]", f"t32[{at}]", f"t64[{at}]",
                      f"tf[{at}]", f"nodes[{at}].key", f"nodes[{at}].tail",
                      f"all[{at}]->key", f"all[{at}]->tail"])
    test = f"(uint64_t){place} {r.choice(['& 1', '% 3 == 0', '> 100'])}"
    body = r.choice([
        f"s += (uint64_t){place};",
        f"if ({test}) {{ s = s * 3 + i; out[c++ & 63] = s; }}",
        f"if ({test}) {{ s ^= (uint64_t){place}; }} else {{ out[i & 63] += s; }}",
        f"{place} += 3;",
        f"{place} = (uint8_t)(i * 5); s++;",
        f"if ({test}) {{ {place} = 7; s++; }}",
        # by the counter alone, which needs no test, beside one that does
        f"if (t64[((uint64_t)i * 2654435761u >> 9) & 4095] & 1) {{ s += 3; "
        f"out[s & 63] ^= i; }} if ({test}) {{ out[i & 63] += s; }}",
        f"if (i & 1) {{ if ({test}) {{ s += 5; out[s & 63]++; }} }}",
        f"if ({test}) {{ if (s > 1000000) {{ break; }} s += 11; }}",
        f"if ({test} && opaque(s)) {{ s += i; }}",
        f"if ({test}) {{ b[i] = (b[i] + 1) & 15; s++; }}",
        f"if ({test}) {{ other[i & 63] = (uint32_t)s % table_count; s += 2; }}",
        f"for (struct node *p = heads[{at}]; p; p = p->next) {{ "
        f"if (p->key & 1) {{ s += p->tail; out[s & 63]++; }} "
        "if (s % 19 == 0) { s++; break; } }",
        f"for (struct node *p = heads[{at}]; p; p = p->next) {{ s += p->key; "
        "if (p->key & 2) { break; } }",
        # where it writes follows from iteration to iteration
        "h = (h << 1) ^ ((int64_t)h < 0 ? 7 : 0); t64[h & 4095] ^= h;",
        f"h = h * 6364136223846793005u + 1442695040888963407u; "
        f"t32[h >> 52]++; {place} += 3;",
        "uint64_t x = h ^ (h << 23); h = g; g = x ^ g ^ (x >> 18) ^ (g >> 5); "
        "t16[(h + g) & 4095] += 5;",
        f"h = h * 31 + b[i]; t8[h & 4095]++; if (h & {step}) {{ s += h; }}",
        f"switch ((uint64_t){place} & 3) {{ case 0: s++; break; "
        "case 1: out[s & 63] ^= i; break; case 2: continue; default: s *= 5; }",
    ])
    up = f"for ({counter} i = 0; i < ({counter})n; i += {step})"
    loop = r.choice([
        f"{up} {{ {body} }}",
        f"{up} {{ {body} }}",
        f"for ({counter} i = ({counter})n; i-- > 0;) {{ {body} }}",
        f"{counter} i = 0; if (n > 0) do {{ {body} }} while (++i < ({counter})n);"
        if "continue" not in body else f"{up} {{ {body} }}",
        f"{index} *e = b + n; unsigned i = 0; for (; b != e; b++) "
        f"{{ {body.replace('b[i]', '*b')} i++; }}"
        if "continue" not in body else f"{up} {{ {body} }}",
        f"for (int k = 0; k < 3; k++) {{ {up} {{ {body} }} }}",
        f"for (size_t o = 0; o < n; o += 7) {{ for (size_t i = o; "
        f"i < (o + 7 < n ? o + 7 : n); i++) {{ {body} }} }}",
    ])
    if r.randrange(10) == 0:  # behind the last iteration comes the first
        turns = r.choice([2, 150, 200, 200, 1000, 4000])
        change = r.choice(["b[i] * 5 + 1", "b[i] ^ (b[i] >> 1) ^ 3", "b[i] + i"])
        loop = f"""for (size_t k = 0; k < (n < {turns} ? 0 : n % 19 + 1); k++) {{
    for ({counter} i = {r.choice(["0", "0", "1"])}; i < {turns}; i++) {{
      b[i] = ({index})({change});
      {r.choice(["t64[b[i] & 1023] ^= s + b[i];", "t16[(b[i] + (k & K)) & 4095]++;",
                 "s += t32[(b[i] * 7u) & 4095];"]).replace("K", r.choice("01"))} s += k;
    }}
  }}"""
    if r.randrange(12) == 0:  # what lies ahead is no index before its time
        loop = f"""for (size_t k = 1; k < n; k++) b[k] = ({index})-99999999;
  for (size_t i = 0; i < n; i++) {{
    if ({r.choice(["t32", "t64", "tf"])}[other[b[i]]] > 100) {{ out[c++ & 63] += i; s++; }}
    if (i + 1 < n) {{ b[i + 1] = ({index})(i * 7 & 127); }}
  }}"""
    return (f"__attribute__((noinline)) static uint64_t loop{number}("
            f"{index} *b, size_t n, uint64_t *out) {{\n"
            f"  uint64_t s = {number}, c = 0, h = 77 + n, g = 9;\n  {loop}\n"
            f"  return s + c + h * 3 + g;\n}}\n", index)


def program(seed, loops=PER_PROGRAM):
    r = random.Random(seed)
    text = HEAD.replace("PAD", str(r.choice([1, 40, 100])))
    calls = ""
    for number in range(loops):
        definition, index = kernel(r, number)
        text += definition
        calls += f"""
  for (int k = 0; k < 10; k++) {{
    static const size_t sizes[] = {{0, 1, 2, 3, 17, 64, 200, 1000, 4097, {r.randrange(5000)}}};
    uint64_t out[64] = {{0}};
    size_t n = sizes[k];
    {index} *b = fenced(n * sizeof *b, k & 1 ? 1 : (int)(n & 1));
    reset();
    for (size_t i = 0; i < n; i++) {{
      b[i] = ({index})(i * 2654435761u >> 7 & (sizeof *b == 1 ? 127 : table_count - 1));
    }}
    sum = sum * 31 + loop{number}(b, n, out);
    for (int i = 0; i < 64; i++) {{
      sum = sum * 31 + out[i];
    }}
    for (int i = 0; i < table_count; i++) {{
      sum = sum * 31 + t8[i] + t16[i] + t32[i] + t64[i] + (uint64_t)tf[i] + other[i] +
            nodes[i].key + nodes[i].tail;
    }}
  }}
  printf("{number} %llx\\n", (unsigned long long)sum);
"""
    return text + "int main(void) {" + calls + "  return 0;\n}\n"
