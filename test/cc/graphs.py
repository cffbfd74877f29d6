# SPDX-License-Identifier: Apache-2.0
"""Random C programs of loops that follow queues and visit rows.

Queue, row bounds, entries and states each lie between two pages that cannot be
read, right behind the one in front or right in front of the one behind; what
is in them and not in use is no index. A loop mixes: how rows are given (bounds
in one array, in two, as pointers), the types, a queue that grows while it is
followed, levels, stacks, buckets that are moved by realloc, rows in order, in
part or through a list, early ends, calls, arrays that are one and the same, and
index arrays without a known end. What it has computed goes into a checksum.
"""
import random

PER_PROGRAM = 12

HEAD = r"""
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { page = 4096 };
typedef ROW row_t;
typedef ID id_t_;
typedef struct { EDGE } edge_t;
typedef struct { id_t_ *at; size_t count, room; } bucket_t;
struct graph {
  uint32_t n;
  row_t *row, *end;
  edge_t *edge;
};
static uint64_t sum, random_state;

static uint64_t next_random(void) {
  random_state = random_state * 6364136223846793005u + 1442695040888963407u;
  return random_state >> 33;
}

/* bytes with a page that cannot be read on both sides */
static void *fenced(size_t bytes, int behind) {
  size_t whole = (bytes + page - 1) / page * page;
  char *p = mmap(NULL, whole + 2 * page, PROT_NONE,
                 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED ||
      (whole && mprotect(p + page, whole, PROT_READ | PROT_WRITE) != 0)) {
    exit(3);
  }
  memset(p + page, 0xA5, whole); /* what is not used is no index */
  return behind ? p + page + whole - bytes : p + page;
}

static void unfence(void *p, size_t bytes) {
  size_t whole = (bytes + page - 1) / page * page;
  munmap((void *)((uintptr_t)p & ~(uintptr_t)(page - 1)), whole ? whole : page);
}

__attribute__((noinline)) static int opaque(uint64_t x) {
  static uint64_t calls;
  return (int)((x ^ ++calls) & 1);
}

static int push(bucket_t *b, id_t_ v) {
  if (b->count == b->room) {
    size_t room = b->room ? 2 * b->room : 4;
    id_t_ *grown = realloc(b->at, room * sizeof *grown);
    if (!grown) {
      return 0;
    }
    b->at = grown;
    b->room = room;
  }
  b->at[b->count++] = v;
  return 1;
}

/* n vertices with up to `most` edges, rows in order or not, in fenced memory;
 * more room than needed is filled with what is no edge */
static void build(struct graph *g, uint32_t n, uint32_t most, int behind) {
  uint64_t edges = 0;
  uint32_t *degree = calloc(n + 1, sizeof *degree);
  for (uint32_t v = 0; v < n; v++) {
    degree[v] = next_random() % 7 == 0 ? (uint32_t)(next_random() % (5 * most + 1))
                : next_random() % 5 == 0 ? 0 : (uint32_t)(next_random() % (most + 1));
    edges += degree[v];
  }
  g->n = n;
  g->row = fenced((n + 1) * sizeof *g->row, behind);
  g->end = fenced((n + 1) * sizeof *g->end, !behind);
  g->edge = fenced((edges + 1) * sizeof *g->edge, behind);
  uint64_t at = 0;
  for (uint32_t v = 0; v <= n; v++) {
    SET_ROW
    at += degree[v];
  }
  for (uint64_t e = 0; e < edges; e++) {
    g->edge[e].to = (id_t_)(next_random() % n);
    WEIGHT
  }
  free(degree);
}
"""

MOVE = r"""
/* copies the entries to another place; bytes: those of the old one, which is
 * given back */
__attribute__((noinline)) static size_t move(struct graph *g, size_t bytes, int behind) {
  edge_t *old = g->edge;
  size_t size = bytes;
  if (!bytes) {
    for (uint32_t v = 0; v < g->n; v++) {
      size_t end = (size_t)ENDOF;
      size = end > size ? end : size;
    }
    size = (size + 1) * sizeof *old;
  }
  g->edge = fenced(size, behind != 0);
  memcpy(g->edge, old, size);
  if (bytes) {
    unfence(old, bytes);
  }
  return size;
}
"""

KERNELS = [
    # a queue that grows
    ("""
  size_t head = 0, tail = 0;
  queue[tail++] = 0;
  state[0] = 0;
  while (head < tail) {
    id_t_ u = queue[head++];
    ROWLOOP {
      id_t_ v = e->to;
      if (state[v] < 0) {
        state[v] = (int32_t)u;
        queue[tail++] = v;
      }
      MORE
    }
  }
  s += tail;""", "n"),
    # an unsigned counter, levels
    ("""
  uint32_t head = 0, tail = 1, stop;
  queue[0] = (id_t_)(g->n - 1);
  state[g->n - 1] = 7;
  while (head < tail) {
    for (stop = tail; head < stop; head++) {
      id_t_ u = queue[head];
      ROWLOOP {
        if (state[e->to] == -1) {
          state[e->to] = (int32_t)stop;
          queue[tail++] = e->to;
          s += degree_of(g, e->to);
        }
        MORE
      }
    }
  }""", "n"),
    # a stack: what comes next is known last
    ("""
  size_t top = 0;
  queue[top++] = 0;
  state[0] = 1;
  while (top) {
    id_t_ u = queue[--top];
    ROWLOOP {
      if (state[e->to] < 0) { state[e->to] = (int32_t)s; queue[top++] = e->to; s++; }
      MORE
    }
  }""", "n"),
    # from the last to the first
    ("""
  for (uint32_t i = 0; i < g->n; i++) { queue[i] = (id_t_)((i * 7u) % g->n); }
  for (uint32_t i = g->n; i-- > 0;) {
    id_t_ u = queue[i];
    double d = 0;
    ROWLOOP { if (state[e->to] != 3) { d += state[e->to] + 1.5; } MORE }
    state[u] = (int32_t)((int64_t)d & 0xffff);
  }""", "n"),
    # buckets that move
    ("""
  bucket_t bucket[4] = {{0}};
  int ok = push(&bucket[0], 0);
  uint64_t work = 0;
  for (uint32_t level = 0, empty = 0; ok && empty < 4; level++) {
    bucket_t *b = &bucket[level % 4];
    empty = b->count ? 0 : empty + 1;
    for (size_t i = 0; i < b->count; i++) {
      id_t_ u = b->at[i];
      if (state[u] >= 0 && (uint32_t)state[u] + 2 < level) { continue; }
      ROWLOOP {
        int32_t to = (int32_t)(level + 1 + e->to % 3);
        if (state[e->to] < 0 && work++ < 20000) {
          state[e->to] = to;
          ok &= push(&bucket[to % 4], e->to);
        }
        MORE
      }
    }
    if (level % 3 == 1) { free(b->at); b->at = NULL; b->room = 0; }
    b->count = 0;
  }
  for (int i = 0; i < 4; i++) { free(bucket[i].at); }
  s += work;""", "0"),
    # rows in order
    ("""
  for (int k = 0; k < 3; k++) {
    for (uint32_t u = 0; u < g->n; u++) {
      double d = 0;
      ROWLOOP { d += (double)state[e->to] * 0.25; MORE }
      other[u] = (uint32_t)(int64_t)d;
      if (d < -900000) { break; }
    }
  }""", "0"),
    # rows in order, in part
    ("""
  for (uint32_t u = 0; u < g->n; u++) {
    if (state[u] >= 5) { continue; }
    ROWLOOP {
      if (state[e->to] & 1) { state[u] = (int32_t)(u % 9); s++; break; }
      MORE
    }
  }""", "0"),
    # rows of what has not been found, against a bitmap, pass by pass
    ("""
  size_t words = g->n / 64 + 1;
  uint64_t *front = calloc(words, 8), *later = calloc(words, 8);
  for (size_t i = 0; i < words; i++) { front[i] = next_random() & next_random(); }
  for (int k = 0; k < 4; k++) {
    memset(later, 0, words * sizeof *later);
    for (uint32_t u = 0; u < g->n; u++) {
      if (state[u] >= 0) { continue; }
      ROWLOOP {
        if (front[e->to / 64] >> e->to % 64 & 1) {
          state[u] = (int32_t)(u % 9);
          later[u / 64] |= UINT64_C(1) << u % 64;
          s++;
          break;
        }
        MORE
      }
    }
    uint64_t *swap = front;
    front = later;
    later = swap;
  }
  free(front);
  free(later);""", "0"),
    # labels that point on
    ("""
  int again = 1;
  for (uint32_t u = 0; u < g->n; u++) { other[u] = u; }
  for (int k = 0; again && k < 5; k++) {
    again = 0;
    for (uint32_t u = 0; u < g->n; u++) {
      ROWLOOP {
        uint32_t root = other[e->to];
        if (other[u] < root && root == other[root]) { other[root] = other[u]; again = 1; }
        MORE
      }
    }
    for (uint32_t u = 0; u < g->n; u++) {
      while (other[u] != other[other[u]]) { other[u] = other[other[u]]; }
    }
  }""", "0"),
    # rows through a list, counted
    ("""
  for (uint32_t i = 0; i < g->n; i++) { queue[i] = (id_t_)(next_random() % g->n); }
  for (uint32_t i = 0; i < g->n / 2; i++) {
    id_t_ u = queue[i];
    ROWLOOP { state[e->to] += (int32_t)(i & 3); MORE }
  }""", "n"),
    # an index array that may end at any time
    ("""
  for (uint32_t i = 0; i < g->n; i++) { queue[i] = (id_t_)(next_random() % g->n); }
  queue[g->n - 1] = 0;
  state[0] = INT32_MAX;
  for (size_t i = 0;; i++) {
    if (state[queue[i]] & 1) {
      out[s++ & 63] += i;
      if (state[queue[i]] == INT32_MAX || EXIT) { break; }
    }
  }""", "n"),
    # the same through a second array, and a pointer
    ("""
  for (uint32_t i = 0; i < g->n; i++) {
    queue[i] = (id_t_)(next_random() % g->n);
    other[i] = (uint32_t)(next_random() % g->n);
  }
  for (id_t_ *p = queue; p != queue + g->n; p++) {
    uint32_t m = other[*p];
    if (state[m] & 1) { other[*p] = m / 2; s += m; }
    if (s > 100000 && EXIT) { break; }
  }""", "n"),
    # in steps that only the program knows, forth and back
    ("""
  for (uint32_t i = 0; i < g->n; i++) { queue[i] = (id_t_)(next_random() % g->n); }
  ptrdiff_t step = opaque(s) ? 3 : 1;
  for (const id_t_ *p = queue; p < queue + g->n; p += step) {
    if (state[*p] & 1) { s += *p; state[*p] += EXIT ? 1 : 3; }
  }
  step = -step;
  for (ptrdiff_t i = (ptrdiff_t)g->n - 1; i >= 0; i += step) {
    if (state[queue[i]] & 1) { s ^= (uint64_t)i; other[queue[i]] ^= 1; }
  }""", "n"),
    # the entries move to another place while the queue is followed
    ("""
  struct graph own = *g;
  size_t bytes = move(&own, 0, 0);
  size_t head = 0, tail = 0;
  queue[tail++] = 0;
  state[0] = 0;
  while (head < tail) {
    id_t_ u = queue[head++];
    if (__builtin_expect((head & 31) == 9, 0)) { move(&own, bytes, head & 32); }
    OWNROWLOOP {
      if (state[e->to] < 0) { state[e->to] = (int32_t)u; queue[tail++] = e->to; }
      MORE
    }
  }
  s += tail;
  unfence(own.edge, bytes);""", "0"),
    # the memory of the queue goes away, and another one comes
    ("""
  for (int k = 0; k < 4; k++) {
    size_t room = (size_t)(g->n + 1) >> k;
    id_t_ *own = fenced(room * sizeof *own, k & 1);
    size_t head = 0, tail = 0;
    for (; tail < room / 2; tail++) { own[tail] = (id_t_)(next_random() % g->n); }
    while (head < tail) {
      id_t_ u = own[head++];
      ROWLOOP {
        if (state[e->to] != k && tail < room) { state[e->to] = k; own[tail++] = e->to; }
        MORE
      }
    }
    s += tail;
    unfence(own, room * sizeof *own);
  }""", "0"),
]


def row_loop(r, rows):
    if rows == "pointers":
        return r.choice([
            "for (const edge_t *e = g->edge + g->row[u]; e < g->edge + g->end[u]; e++)",
            "for (const edge_t *e = &g->edge[g->row[u]], *f = &g->edge[g->end[u]]; e != f; e++)"])
    end = "g->row[u + 1]" if rows == "one" else "g->end[u]"
    kind = r.choice(["uint64_t", "row_t"])
    return r.choice([
        f"for ({kind} k_ = g->row[u]; k_ < {end}; k_++) for (const edge_t *e = "
        "&g->edge[k_], *once = e; once; once = NULL)",
        f"for ({kind} k_ = g->row[u], f_ = {end}; k_ != f_; k_++) for (const edge_t *e = "
        "&g->edge[k_], *once = e; once; once = NULL)"])


def kernel(r, number, rows):
    text, _ = r.choice(KERNELS)
    more = r.choice(["", "", "", "s += (uint64_t)e->to;", "if (opaque(s)) { s++; }",
                     "if (e->to % 97 == 5) { s += 3; }"])
    text = text.replace(
        "OWNROWLOOP", row_loop(r, rows).replace("g->", "own.")).replace(
            "ROWLOOP", row_loop(r, rows)).replace("MORE", more)
    text = text.replace("EXIT", r.choice(["0", "i > 500", "opaque(s)"])
                        if "size_t i = 0;;" in text else r.choice(["0", "opaque(s)"]))
    restrict = r.choice(["", "", "restrict "])
    if "break; }\n" in text and "k_" in text:
        text = text.replace("break; }\n      MORE", "MORE")
    return (f"__attribute__((noinline)) static uint64_t graph{number}("
            f"const struct graph *g, int32_t *{restrict}state, id_t_ *{restrict}queue, "
            f"uint32_t *{restrict}other, uint64_t *out) {{\n"
            f"  uint64_t s = {number};{text}\n  return s + out[5];\n}}\n", bool(restrict))


def program(seed, loops=PER_PROGRAM):
    r = random.Random(seed)
    rows = r.choice(["one", "one", "two", "pointers"])
    weight = r.choice(["", "uint32_t weight;", "double a, b;"])
    text = (HEAD.replace("ROW", r.choice(["uint64_t", "uint32_t", "int64_t"]), 1)
            .replace("ID", r.choice(["uint32_t", "int32_t", "uint64_t", "uint32_t"]), 1)
            .replace("EDGE", r.choice([f"id_t_ to; {weight}", f"{weight} id_t_ to;"]), 1)
            .replace("WEIGHT", "", 1)
            .replace("SET_ROW", "g->row[v] = (row_t)at; g->end[v] = (row_t)(at + degree[v]);"
                     if rows == "one" else
                     "g->row[v] = (row_t)at; g->end[v] = (row_t)(at + degree[v]); "
                     "if (v == n) { g->row[v] = (row_t)-77777; g->end[v] = (row_t)-99999; }"))
    end = "g->row[u + 1]" if rows == "one" else "g->end[u]"
    text += (f"static inline uint64_t degree_of(const struct graph *g, id_t_ u) "
             f"{{ return (uint64_t)({end} - g->row[u]); }}\n")
    text += MOVE.replace("ENDOF", "g->row[v + 1]" if rows == "one" else "g->end[v]")
    calls = ""
    for number in range(loops):
        definition, restrict = kernel(r, number, rows)
        text += definition
        other = "other" if restrict or r.randrange(4) else "(uint32_t *)state"
        calls += f"""
  for (int k = 0; k < 5; k++) {{
    static const uint32_t sizes[] = {{1, 3, 40, 700, {r.randrange(800, 4000)}}};
    uint64_t out[64] = {{0}};
    uint32_t n = sizes[k];
    struct graph g;
    random_state = {seed * 100 + number} + (uint64_t)k;
    build(&g, n, {r.choice([1, 3, 8, 30])}, (k + {number}) & 1);
    int32_t *state = fenced(n * sizeof *state, k & 1);
    id_t_ *queue = fenced(n * sizeof *queue, !(k & 1));
    uint32_t *other = fenced(n * sizeof *other, k & 1);
    memset(state, 0xff, n * sizeof *state);
    memset(other, 0, n * sizeof *other);
    memset(queue, 0x77, n * sizeof *queue);
    sum = sum * 31 + graph{number}(&g, state, queue, {other}, out);
    for (uint32_t i = 0; i < n; i++) {{
      sum = sum * 31 + (uint64_t)state[i] + (uint64_t)queue[i] * 3 + other[i];
    }}
    for (int i = 0; i < 64; i++) {{
      sum = sum * 31 + out[i];
    }}
    unfence(state, n * sizeof *state);
    unfence(queue, n * sizeof *queue);
    unfence(other, n * sizeof *other);
    unfence(g.row, (n + 1) * sizeof *g.row);
    unfence(g.end, (n + 1) * sizeof *g.end);
    munmap((void *)((uintptr_t)g.edge & ~(uintptr_t)(page - 1)), page);
  }}
  printf("{number} %llx\\n", (unsigned long long)sum);
"""
    return text + "int main(void) {" + calls + "  return 0;\n}\n"


if __name__ == "__main__":
    import sys
    print(program(int(sys.argv[1])))
