/* SPDX-License-Identifier: Apache-2.0
 *
 * Loops over the heap for cira-cc -fcira=far: arrays that are walked up, down,
 * by fields and in place, that overlap, that are written where they are read,
 * indices, rows, lists, early ends, allocation, and halves of one array in two
 * threads. Prints checksums. loops ELEMENTS ROUNDS
 */
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#define LOOP __attribute__((noinline))

struct node {
  struct node *next;
  uint32_t key;
  uint16_t small;
  int8_t tiny;
};

static uint64_t state = 1;

static uint32_t next(uint32_t below) {
  state = state * UINT64_C(6364136223846793005) + 1442695040888963407u;
  return (uint32_t)((state >> 33) % below);
}

LOOP static void triad(double *a, const double *b, const double *c, size_t n) {
  for (size_t i = 0; i < n; i++) {
    a[i] = b[i] + 3 * c[i];
  }
}

LOOP static void backwards(uint32_t *a, const uint32_t *b, size_t n) {
  for (size_t i = n; i-- > 0;) {
    a[i] = b[n - 1 - i] + 7;
  }
}

/* a and b may overlap, by less than a page or by more. */
LOOP static void shifted(uint64_t *a, const uint64_t *b, size_t n) {
  for (size_t i = 0; i < n; i++) {
    a[i] = b[i] * 3 + 1;
  }
}

LOOP static void stencil(double *a, size_t n) {
  for (size_t i = 1; i + 1 < n; i++) {
    a[i] = (a[i - 1] + a[i] + a[i + 1]) / 3;
  }
}

LOOP static uint64_t gather(const uint64_t *v, const uint32_t *index,
                            size_t n) {
  uint64_t sum = 0;
  for (size_t i = 0; i < n; i++) {
    sum += v[index[i]];
  }
  return sum;
}

LOOP static void count(uint32_t *counts, const uint32_t *index, size_t n) {
  for (size_t i = 0; i < n; i++) {
    counts[index[i]]++;
  }
}

LOOP static size_t choose(uint32_t *out, const uint64_t *v,
                          const uint32_t *index, size_t n) {
  size_t found = 0;
  for (size_t i = 0; i < n; i++) {
    if (v[index[i]] % 3 == 0) {
      out[found++] = index[i];
    }
  }
  return found;
}

/* What is written may be what is read. */
LOOP static void permute(uint32_t *a, const uint32_t *index, size_t n) {
  for (size_t i = 0; i < n; i++) {
    a[index[i]] = a[i] ^ index[i];
  }
}

/* Stores of bytes, and of more than an element, into what is read. */
LOOP static void nibble(uint8_t *in, const uint32_t *index, size_t n) {
  for (size_t i = 0; i < n; i++) {
    in[(size_t)index[i] * 4] ^= 1;
  }
}

typedef uint64_t __attribute__((may_alias)) wide_t;

LOOP static void widen(wide_t *in, const uint16_t *index, size_t n) {
  for (size_t i = 0; i < n; i++) {
    in[index[i]] += UINT64_C(1) << 48;
  }
}

/* Rows whose entries change while they are read. */
LOOP static uint64_t settle(const uint32_t *row, uint32_t *column, uint32_t *to,
                            size_t n) {
  uint64_t changes = 0;
  for (size_t u = 0; u < n; u++) {
    for (uint32_t e = row[u]; e < row[u + 1]; e++) {
      uint32_t v = column[e];
      if (to[v] > to[u]) {
        to[v] = to[u];
        changes++;
      }
    }
  }
  return changes;
}

/* What is written passes by; where it is from is anywhere. */
LOOP static void place(uint64_t *to, const uint64_t *v, const uint32_t *index,
                       size_t n) {
  for (size_t i = 0; i < n; i++) {
    to[i] = v[index[i]] + i;
  }
}

LOOP static void place_down(uint16_t *to, const uint32_t *index, size_t n) {
  for (size_t i = n; i-- > 0;) {
    to[i] = (uint16_t)(index[index[i]] + to[i]);
  }
}

LOOP static void rows(const uint32_t *row, const uint32_t *column,
                      const double *x, double *y, size_t n) {
  for (size_t i = 0; i < n; i++) {
    double sum = 0;
    for (uint32_t e = row[i]; e < row[i + 1]; e++) {
      sum += x[column[e]];
    }
    y[i] = sum / (row[i + 1] - row[i] + 1);
  }
}

LOOP static uint64_t find(const uint64_t *v, size_t n, uint64_t what) {
  for (size_t i = 0; i < n; i++) {
    if (v[i] == what) {
      return i;
    }
  }
  return n;
}

LOOP static uint64_t list(struct node *n) {
  uint64_t sum = 0;
  for (; n; n = n->next) {
    sum = sum * 31 + n->key + n->small + (uint64_t)n->tiny;
    n->small ^= (uint16_t)n->key;
    n->tiny++;
  }
  return sum;
}

LOOP static void fields(struct node *n, size_t count_of, uint32_t by) {
  for (size_t i = 0; i < count_of; i++) {
    n[i].key += by;
  }
}

LOOP static void bytes(uint8_t *a, const uint8_t *b, size_t n) {
  for (size_t i = 0; i < n; i++) {
    a[i] = (uint8_t)(a[i] + b[i] * 5);
  }
}

/* Allocates, grows and frees between its accesses. */
LOOP static uint64_t buckets(uint32_t *const *from, const uint32_t *index,
                             size_t n) {
  uint32_t *grown = NULL, **many = calloc(n, sizeof *many);
  size_t room = 0, used = 0;
  uint64_t sum = 0;
  for (size_t i = 0; i < n; i++) {
    uint32_t x = (*from)[index[i]];
    if (used == room) {
      room = room ? 2 * room : 16;
      grown = realloc(grown, room * sizeof *grown);
    }
    grown[used++] = x;
    if (x % 5 == 0) {
      many[i] = malloc(4096 + x % 4096);
      *many[i] = x;
    }
    if (i > 200 && many[i - 200]) {
      sum += *many[i - 200] + grown[used / 2];
      free(many[i - 200]);
      many[i - 200] = NULL;
    }
  }
  for (size_t i = 0; i < n; i++) {
    sum = sum * 3 + grown[i];
    free(many[i]);
  }
  free(many);
  free(grown);
  return sum;
}

static uint64_t hash(const void *data, size_t size) {
  const uint8_t *p = data;
  uint64_t h = size;
  for (size_t i = 0; i + 8 <= size; i += 8) {
    uint64_t w;
    memcpy(&w, p + i, 8);
    h = (h ^ w) * UINT64_C(0x9E3779B97F4A7C15);
    h ^= h >> 29;
  }
  return h;
}

static void show(const char *name, const void *data, size_t size) {
  printf("%s %016llx\n", name, (unsigned long long)hash(data, size));
}

/* ---- threads: halves that meet within a page ----------------------------- */

struct half {
  double *a, *b, *c;
  uint32_t *index, *counts;
  size_t n, rounds;
};

static void *half_run(void *argument) {
  struct half *h = argument;
  for (size_t r = 0; r < h->rounds; r++) {
    triad(h->a, h->b, h->c, h->n);
    triad(h->b, h->c, h->a, h->n);
    stencil(h->c, h->n);
    count(h->counts, h->index, h->n);
  }
  return NULL;
}

static void two_threads(double *x, double *y, double *z, uint32_t *index,
                        uint32_t *counts, size_t n, size_t rounds) {
  size_t cut = n / 2 + 13;
  struct half h[2] = {
      {x, y, z, index, counts, cut, rounds},
      {x + cut, y + cut, z + cut, index + cut, counts + n, n - cut, rounds}};
  pthread_t thread[2];
  for (int i = 0; i < 2; i++) {
    pthread_create(&thread[i], NULL, half_run, &h[i]);
  }
  for (int i = 0; i < 2; i++) {
    pthread_join(thread[i], NULL);
  }
}

/* ---- signals that come while loops run ------------------------------------
 */

static volatile sig_atomic_t ticks;
static uint32_t *ticked; /* far */

static void tick(int signo) {
  (void)signo;
  ticks++;
  ticked[ticks % 1024]++;
}

int main(int argc, char **argv) {
  size_t n = argc > 1 ? strtoul(argv[1], NULL, 10) : 100000;
  size_t rounds = argc > 2 ? strtoul(argv[2], NULL, 10) : 2;
  double *x = calloc(n + 1, 8), *y = calloc(n + 1, 8), *z = calloc(n + 1, 8);
  uint64_t *v = calloc(2 * n, 8);
  uint32_t *index = calloc(n, 4), *a = calloc(n, 4), *b = calloc(2 * n, 4);
  uint32_t *row = calloc(n + 1, 4), *counts = calloc(2 * n, 4);
  uint16_t *halves = calloc(4 * n + (4u << 16), 2);
  uint32_t *a_index = calloc(n, 4), *steps = calloc(n + 1, 4);
  struct node *nodes = calloc(n, sizeof *nodes), *head = NULL;
  uint8_t *small = calloc(n, 1), *other = calloc(n, 1);
  ticked = calloc(1024, 4);
  for (size_t i = 0; i < n; i++) {
    x[i] = next(1000);
    y[i] = next(1000) / 8.0;
    z[i] = next(1000) / 4.0;
    v[i] = v[n + i] = next(1u << 30);
    index[i] = next((uint32_t)(n & ~(size_t)1));
    a_index[i] = next((uint32_t)n);
    halves[i] = (uint16_t)next((uint32_t)(n < 32768 ? n : 32768));
    steps[i + 1] = i < n / 600 ? steps[i] + 600 : 0;
    b[i] = next(1u << 30);
    row[i + 1] = (uint32_t)(i * 4 / 5);
    other[i] = (uint8_t)i;
    nodes[i].key = next(1u << 20);
  }
  for (size_t i = 0; i < n; i++) { /* a list in no order */
    struct node *at = &nodes[(i * 7919 + 3) % n];
    if (!at->next && at != head) {
      at->next = head;
      head = at;
    }
  }
  signal(SIGALRM, tick);
  struct itimerval often = {{0, 2000}, {0, 2000}};
  setitimer(ITIMER_REAL, &often, NULL);
  for (size_t r = 0; r < rounds; r++) {
    triad(x, y, z, n);
    triad(x, x, z, n);
    stencil(x, n);
    backwards(a, b, n);
    shifted(v + 3, v, n);
    shifted(v, v + 700, n);
    shifted(v + 700, v, n / 2);
    printf("gather %llu\n", (unsigned long long)gather(v, index, n));
    count(counts, index, n);
    printf("choose %zu\n", choose(b, v, index, n));
    permute(a, index, n);
    nibble((uint8_t *)index, index, n & ~(size_t)1);
    widen((wide_t *)halves, halves, n);
    settle(row, a_index, counts, n);
    settle(steps, a_index, a_index, n / 600);
    place(v, v + n, index, n);
    place(v + 1, v, index, n);
    place_down(halves + n / 2, index, n);
    rows(row, index, y, z, n);
    printf("buckets %llu\n", (unsigned long long)buckets(&a, index, n));
    printf("find %llu\n", (unsigned long long)find(v, n, v[n - 1]));
    printf("list %llu\n", (unsigned long long)list(head));
    fields(nodes, n, 11);
    bytes(small, other, n);
    bytes(small + 1, small, n - 1);
    two_threads(x, y, z, index, counts, n, 2);
  }
  setitimer(ITIMER_REAL, &(struct itimerval){{0, 0}, {0, 0}}, NULL);
  show("x", x, 8 * n);
  show("y", y, 8 * n);
  show("z", z, 8 * n);
  show("v", v, 16 * n);
  show("a", a, 4 * n);
  show("b", b, 8 * n);
  show("counts", counts, 8 * n);
  show("index", index, 4 * n);
  show("halves", halves, 8 * n);
  show("a_index", a_index, 4 * n);
  show("small", small, n);
  uint64_t sum = 0;
  for (size_t i = 0; i < n; i++) {
    sum = sum * 3 + nodes[i].key + nodes[i].small;
  }
  printf("nodes %llu\n", (unsigned long long)sum);
  return 0;
}
