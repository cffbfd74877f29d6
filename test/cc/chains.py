# SPDX-License-Identifier: Apache-2.0
"""Random C programs of loops whose iterations follow chains.

Lists, trees, hash buckets, binary searches, B-tree nodes with a scan inside,
lists of lists and links by index; started from arrays, hashed keys or a root,
under conditions or not; with sums of every kind, early ends, several exits and
depth limits; with effects behind the chain that must keep their order, and with
writes that do reach the chains, keys or heads of later iterations. What a loop
has computed, and all it may have written, goes into a checksum.
"""
import random

PER_PROGRAM = 20

HEAD = r"""
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { count = 1 << 10, mask = count - 1 };
typedef struct node {
  uint32_t key; uint16_t tag; uint8_t leaf; float weight;
  struct node *next, *left, *right; char pad[PAD]; uint64_t value; double real;
} node;
typedef struct page { uint32_t used, leaf; uint32_t keys[7]; struct page *down[8]; } page;
typedef struct list { struct list *next; node *first; uint32_t id; } list;
static node *nodes; static page *pages; static list *lists;
static uint64_t sum;

__attribute__((noinline)) static int opaque(uint64_t x) {
  static uint64_t calls;
  return (int)((x ^ ++calls) & 1);
}

static uint32_t mix(uint32_t i) { i *= 2654435761u; return i ^ i >> 13; }

static node *insert(node *root, node *n) {
  n->left = n->right = NULL;
  node **at = &root;
  while (*at) at = n->key < (*at)->key ? &(*at)->left : &(*at)->right;
  *at = n;
  return root;
}

static page *fill(int depth, uint32_t low, uint32_t step, int *next) {
  page *p = &pages[(*next)++];
  p->used = 3 + (low >> 3) % 5, p->leaf = depth == 0;
  for (uint32_t k = 0; k < p->used; k++) p->keys[k] = low + (k + 1) * step;
  for (uint32_t k = 0; depth && k <= p->used; k++) p->down[k] = fill(depth - 1, low + k * step, step / 8, next);
  return p;
}

typedef struct data {
  uint32_t *keys; uint64_t *sorted; node **heads; node *root; page *top; list **outer;
  int32_t *links; uint32_t *starts; uint64_t *out; uint32_t *hist; double *reals;
} data;

static data d;
static void reset(void) {
  d.root = NULL;
  int next = 0;
  d.top = fill(2, 0, 64, &next);
  for (uint32_t i = 0; i < count; i++) {
    uint32_t h = mix(i);
    nodes[i] = (node){.key = h >> 22, .tag = (uint16_t)h, .leaf = (uint8_t)(h >> 28 == 0), .weight = (float)(h >> 24),
                      .value = (uint64_t)h * h, .real = (double)(h >> 9) / 7};
    nodes[i].next = (h & 0x700) == 0 ? NULL : &nodes[i + 1 + (h >> 12) % 9 < count ? i + 1 + (h >> 12) % 9 : 0];
    if (nodes[i].next == &nodes[0]) nodes[i].next = NULL;
  }
  for (uint32_t i = 0; i < count; i++) d.root = insert(d.root, &nodes[(i * 413) & mask]);
  for (uint32_t i = 0; i < count; i++) {
    uint32_t h = mix(i + 77);
    d.keys[i] = h >> 21, d.sorted[i] = i * 3, d.heads[i] = h & 0x30 ? &nodes[h >> 22] : NULL;
    d.links[i] = i + 1 + (h >> 8) % 5 < count && h & 0x70000 ? (int32_t)(i + 1 + (h >> 8) % 5) : -1;
    d.starts[i] = h >> 22;
    lists[i] = (list){.next = h & 0x7000 && i + 3 < count ? &lists[i + 1 + (h & 1)] : NULL,
                      .first = h & 0x100 ? &nodes[h >> 22] : NULL, .id = h >> 7};
    d.outer[i] = h & 0x60 ? &lists[h >> 22] : NULL;
    d.out[i] = i, d.hist[i] = i & 3, d.reals[i] = i;
  }
}
"""


def chain(r):
    """(before, the chain with BODY in it, what a step has found as x, result,
    the statement that ends the chain early)"""
    start = r.choice(["d->heads[i & mask]", "d->heads[k & mask]",
                      "d->heads[(k * 40503u >> 3) & mask]",
                      "d->heads[d->starts[(k ^ i) & mask]]",
                      "(k & 1 ? d->heads[k & mask] : d->heads[k * 7 & mask])",
                      "(k % 5 ? d->heads[k & mask] : NULL)", "&nodes[k & mask]"])
    key = r.choice(["k", "d->keys[i & mask]"])
    field = r.choice(["n->key", "n->tag", "n->value", "n->leaf", "(uint64_t)n->real"])
    kind = r.randrange(12)
    if kind <= 2:
        loop = r.choice([
            f"for (node *n = {start}; n; n = n->next) {{ uint64_t x = {field}; BODY }}",
            f"node *n = {start}; while (n) {{ uint64_t x = {field}; n = n->next; BODY }}",
            f"node *n = {start}; if (n) do {{ uint64_t x = {field}; BODY n = n->next; }} while (n && n->key != {key});",
            f"int left = 6; for (node *n = {start}; n && left > 0; n = n->next, left--) {{ uint64_t x = {field}; BODY }}",
            f"for (node *n = {start}; n; n = n->leaf ? n->left : n->next) {{ uint64_t x = {field}; BODY }}",
            f"for (node *n = {start}, *m = n; n; m = n, n = n->next) {{ uint64_t x = {field} + m->tag; BODY }}",
        ])
    elif kind <= 4:
        loop = r.choice([
            f"for (node *n = d->root; n; n = {key} < n->key ? n->left : n->right) {{ uint64_t x = {field}; BODY }}",
            f"node *n = d->root; while (n && n->key != {key}) {{ uint64_t x = {field}; n = {key} < n->key ? n->left : n->right; BODY }} if (n) y ^= n->value;",
            f"node *n = d->root; for (;n;) {{ uint64_t x = {field}; if (n->key == {key}) {{ y += 5; break; }} BODY if ({key} < n->key) n = n->left; else n = n->right; }}",
        ])
    elif kind <= 6:
        loop = r.choice([
            f"size_t lo = 0, hi = count; while (lo < hi) {{ size_t m = lo + (hi - lo) / 2; uint64_t x = d->sorted[m]; if (x < {key}) lo = m + 1; else hi = m; BODY }} y += lo;",
            f"size_t lo = 0, hi = count; while (lo < hi) {{ size_t m = (lo + hi) >> 1; uint64_t x = d->sorted[m]; if (x == {key}) {{ y += 9; break; }} if (x < {key}) lo = m + 1; else hi = m; BODY }}",
            f"uint64_t *p = d->sorted; for (size_t n = count; n > 1; n -= n / 2) {{ uint64_t x = p[n / 2]; p += x <= {key} ? n / 2 : 0; BODY }} y += *p;",
        ])
    elif kind == 7:
        # of its own: the body counts by c
        loop = (f"page *p = d->top; while (p) {{ uint32_t e = 0; while (e < p->used && p->keys[e] < {key}) e++; uint64_t x = e; "
                f"if (e < p->used && p->keys[e] == {key}) {{ y += p->keys[e]; break; }} BODY p = p->leaf ? NULL : p->down[e]; }}")
    elif kind == 8:
        loop = r.choice([
            f"for (int32_t n = (int32_t)(k & mask); n >= 0; n = d->links[n]) {{ uint64_t x = d->keys[n]; BODY }}",
            f"for (int32_t n = d->links[k & mask]; n >= 0; n = d->links[n]) {{ uint64_t x = (uint32_t)n; BODY }}",
        ])
    elif kind == 9:
        loop = (f"for (list *o = d->outer[k & mask]; o; o = o->next) {{ for (node *n = o->first; n; n = n->next) "
                f"{{ uint64_t x = {field}; {r.choice(['', 'if (x % 7 == 3) break; '])}BODY }} {r.choice(['', 'y += o->id;'])} }}")
    elif kind == 10:
        loop = (f"for (list *o = d->outer[i & mask]; o; o = o->next) {{ if (!o->first) continue; uint64_t x = o->first->key; BODY }}")
    else:
        loop = (f"for (node *n = {start}; n; n = n->next) {{ uint64_t x = {field}; BODY }} "
                f"for (node *n = d->heads[(k + 5) & mask]; n; n = n->next) {{ uint64_t x = n->value; BODY }}")
    return loop


def body(r, sums):
    simple = ["s += x;", "s ^= x * 3;", "if (x & 1) s += x;", "s = s > x ? s : x;", "c++;", "s -= x;", "m = x < m ? x : m;",
              "s |= x;", "t += (uint32_t)x;", "y += x;", "y = y * 31 + x;", "f += (double)x;", "if (x % 3 == 0) { s += 2; c++; } else s += x;",
              "w *= (uint16_t)x | 1;", "s &= x | 0xffff;", "g = (int)x < g ? (int)x : g;", "last = x;",
              "if (x & 4) { y++; s += y; }", "v += d->reals[x & mask] > 3;", "y += d->keys[x & mask];"]
    crossing = ["F += (double)x;", "s = s * 31 + x;", "if (s & 1) s += x;", "s += x; if (s > 100000) c++;"]
    ends = ["", "", "", "if (x % 11 == 4) break;", "if (x > k) break;", "if (x == 17) { y = 1; break; }", "if (x % 13 == 1) goto out@;",
            "if (y > 1000) break;"]
    parts = [r.choice(simple) for _ in range(r.choice([1, 1, 2, 3]))]
    if r.randrange(12) == 0:
        parts.append(r.choice(crossing))
    parts.insert(r.randrange(len(parts) + 1), r.choice(ends))
    if not sums:
        parts = [p.replace("s ", "y ").replace("c++", "y++") for p in parts]
    return " ".join(parts)


def kernel(r, number):
    counter = r.choice(["size_t", "int", "unsigned", "long", "uint32_t"])
    text = chain(r)
    text = text.replace("BODY", body(r, r.randrange(4) > 0).replace("@", str(number)))
    late = ["", "s += y;", "out[i & mask] = y;", "out[c++ & mask] = y;", "F = F * 0.5 + (double)y;", "F += f;", "hist[y & mask]++;",
            "if (y & 1) out[c++ & mask] = y + i;", "out[i & mask] += k; hist[k & mask] ^= 1;", "if (y & 2) s += y; else s ^= i;",
            "s = s * 33 + y;", "for (int j = 0; j < (int)(y & 3); j++) hist[j] += (uint32_t)y;", "reals[i & mask] = f;",
            "memcpy(out + (i & 511), &y, sizeof y);", "last = y;"]
    reach = ["d->keys[(i + 1) & mask] ^= 5;", "nodes[y & mask].tag ^= 3;", "d->heads[(i + 3) & mask] = &nodes[y & mask];",
             "d->starts[(k + 1) & mask] = y & mask;", "d->sorted[0] = y & 1;", "nodes[i & mask].next = NULL;", "s += opaque(y);",
             "if (opaque(y)) out[0]++;", "if (y == 12345) return s;", "d->links[i & mask] = -1;", "k += y;"]
    epilogue = " ".join(r.choice(late) for _ in range(r.choice([1, 2, 2])))
    if r.randrange(5) == 0:
        epilogue += " " + r.choice(reach)
    top = r.choice([""] * 6 + ["out[i & mask] = 0;", "hist[i & mask]++;", "s += 3;", "if (i % 3 == 1) continue;", "if (d->keys[i & mask] == 3) continue;"])
    key = r.choice(["d->keys[i & mask]", "d->keys[i & mask]", "(uint32_t)(i * 2654435761u >> 7)", "(rnd = rnd * 1664525u + 1013904223u) >> 9",
                    "d->starts[d->keys[i & mask] & mask]", "(carry = carry / 2 + i)"])
    init = "uint64_t y = 0, last = 1; double f = 0; int g = 77; (void)f; (void)last; (void)g;"
    if r.randrange(6) == 0:
        init = init.replace("y = 0", "y = k")
    keep = r.choice(["", "s += last + (uint64_t)(int64_t)g;", "s ^= (uint64_t)g;"])
    inner = (f"uint32_t k = {key}; {init} {top} {text} out{number}: {epilogue} {keep}").replace(
        f"out{number}: ", f"out{number}:; " if f"goto out{number}" in text else "")
    step = r.choice([1, 1, 1, 2, 3])
    pragma = r.choice([""] * 9 + ["_Pragma(\"clang loop unroll(disable)\") "])
    loop = r.choice([
        f"{pragma}for ({counter} i = 0; i < ({counter})n; i += {step}) {{ {inner} }}",
        f"{pragma}for ({counter} i = 0; i < ({counter})n; i += {step}) {{ {inner} }}",
        f"for ({counter} i = ({counter})n; i-- > 0;) {{ {inner} }}",
        f"for (int pass = 0; pass < 2; pass++) {{ for ({counter} i = 0; i < ({counter})n; i++) {{ {inner} }} }}" if "goto" not in inner else
        f"for ({counter} i = 0; i < ({counter})n; i++) {{ {inner} }}",
        f"const {counter} end = ({counter})n; for ({counter} i = 0; i != end; i++) {{ {inner} }}",
    ])
    restrict = r.choice(["restrict ", "restrict ", ""])
    unread = restrict if "d->reals" not in loop else ""
    return (f"__attribute__((noinline)) static uint64_t loop{number}(const data *d, size_t n, uint64_t *{restrict}out, "
            f"uint32_t *{restrict}hist, double *{unread}reals) {{\n"
            f"  uint64_t s = {number}, c = 0, m = 999, v = 0; uint32_t t = 1, rnd = {number}, carry = 0; uint16_t w = 1; double F = 1;\n"
            f"  {loop}\n  uint64_t bits; memcpy(&bits, &F, 8);\n"
            f"  return s + c * 3 + m * 5 + v * 7 + t * 11 + w * 13 + bits + rnd + carry;\n}}\n")


def program(seed, loops=PER_PROGRAM):
    r = random.Random(seed)
    text = HEAD.replace("PAD", str(r.choice([1, 40, 100])))
    calls = ""
    for number in range(loops):
        text += kernel(r, number)
        calls += f"""
  for (int k = 0; k < 8; k++) {{
    static const size_t sizes[] = {{0, 1, 2, 5, 33, 256, 700, {r.randrange(1000)}}};
    reset();
    sum = sum * 31 + loop{number}(&d, sizes[k], d.out, d.hist, d.reals);
    for (int i = 0; i < count; i++) {{
      uint64_t bits; memcpy(&bits, &d.reals[i], 8);
      sum = sum * 31 + d.out[i] + d.hist[i] * 3 + bits + d.keys[i] + nodes[i].tag + nodes[i].key + d.starts[i] +
            (d.heads[i] ? d.heads[i]->key : 7) + (uint64_t)d.links[i] + d.sorted[i];
    }}
  }}
  printf("{number} %llx\\n", (unsigned long long)sum);
"""
    setup = ("  nodes = calloc(count, sizeof *nodes), pages = calloc(1000, sizeof *pages), lists = calloc(count, sizeof *lists);\n"
             "  d = (data){calloc(count, 4), calloc(count, 8), calloc(count, 8), NULL, NULL, calloc(count, 8), calloc(count, 4),\n"
             "             calloc(count, 4), calloc(count, 8), calloc(count, 4), calloc(count, 8)};\n")
    return text + "int main(void) {\n" + setup + calls + "  return 0;\n}\n"
