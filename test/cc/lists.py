# SPDX-License-Identifier: Apache-2.0
"""Random C programs of walks along linked lists.

Each list is walked several times, so that tables of its order are written and
used. A walk mixes: where the links are in a node, how the list ends (null, a
sentinel, its own head again, a value), what it does at a node (sums, branches,
updates, puts nodes in behind, takes nodes out and frees them, walks another
list or the same one, ends early, calls). Between walks the list is added to at
its head, its end or anywhere, loses nodes, is shuffled, or freed and built anew
at other places; some walks are done by two threads at a time. Freed nodes are
given back to the system at times: whoever reads one ends with a fault.
"""
import random

PER_PROGRAM = 12

HEAD = r"""
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

struct node { BEFORE struct node *next; uint64_t key; AFTER uint32_t tail; };
enum { room = 1 << 15 };
static uint64_t sum, state = SEED;
static struct node *pool, *unused;
static uint32_t taken;
static struct node ring; /* the sentinel, where there is one */

static uint32_t rnd(uint32_t n) {
  state = state * 6364136223846793005u + 1442695040888963407u;
  return (uint32_t)(state >> 33) % n;
}
/* other memory for the nodes; the old is not there any more */
static void renew(void) {
  static char *at = (char *)0x200000000000;
  if (pool) { munmap(pool, room * sizeof *pool); }
  at += (room * sizeof *pool + 0xffff) / 0x1000 * 0x1000;
  pool = mmap(at, room * sizeof *pool, PROT_READ | PROT_WRITE,
              MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
  if (pool == MAP_FAILED) { exit(3); }
  unused = NULL; taken = 0;
}
static struct node *get(uint64_t key) {
  struct node *n = unused;
  if (n) { unused = n->next; } else { n = &pool[taken++]; }
  if (n == pool + room) { exit(4); }
  n->key = key; n->tail = (uint32_t)key * 40503u; n->next = NULL;
  return n;
}
static void put(struct node *n) {
  memset(n, 0x5a, sizeof *n);
  n->next = unused; unused = n;
}
__attribute__((noinline)) static int opaque(uint64_t x) {
  static _Thread_local uint64_t calls;
  return (int)((x ^ ++calls) & 1);
}
/* n nodes in any order in memory, behind *end */
static void build(struct node **end, struct node *last, uint32_t n) {
  static struct node *all[room];
  for (uint32_t i = 0; i < n; i++) { all[i] = get(rnd(1000)); }
  for (uint32_t i = n; i > 1; i--) {
    uint32_t k = rnd(i);
    struct node *t = all[i - 1]; all[i - 1] = all[k]; all[k] = t;
  }
  for (uint32_t i = 0; i < n; i++) { *end = all[i]; end = &all[i]->next; }
  *end = last;
}
static struct node **somewhere(struct node **at, struct node *last) {
  for (uint32_t k = rnd(3000); k && *at != last; k--) { at = &(*at)->next; }
  return at;
}
static void change(struct node **head, struct node *last, uint32_t n) {
  struct node *t, **at = head;
  switch (rnd(9)) {
  case 0: break;
  case 1: for (int k = 0; k < 3; k++) { t = get(k); t->next = *head; *head = t; } break;
  case 2: for (uint32_t k = rnd(400); k && *head != last; k--) {
            t = *head; *head = t->next; put(t); } break;
  case 3: for (int k = 0; k < 20; k++) { at = somewhere(head, last);
            t = get(k); t->next = *at; *at = t; } break;
  case 4: for (int k = 0; k < 20; k++) { at = somewhere(head, last);
            if (*at != last) { t = *at; *at = t->next; put(t); } } break;
  case 5: while (*at != last) { at = &(*at)->next; } build(at, last, 700); break;
  case 6: at = somewhere(head, last); while (*at != last) {
            t = *at; *at = t->next; put(t); } break;
  default: renew(); *head = last; build(head, last, n); break;
  }
}
"""


def kernel(r, number):
    """(definition, is it one that two threads may do at once)."""
    end = r.choice(["null", "null", "ring", "key"])
    test = {"null": "p", "ring": "p != last", "key": "p && p->key < 998"}[end]
    threads, body = r.choice([
        (True, "s += p->key;"),
        (True, "s += p->tail; if (p->key % 3 == 0) { s ^= p->key; }"),
        (True, "if (p->key > 500) { s = s * 3 + p->tail; }"),
        (True, "s += p->key; if (opaque(p->key)) { s += 7; }"),
        (True, "if (s % 4001 == 4000) { s++; break; } s += p->key;"),
        (True, "c++; if (p->key == 77) { return s + c; } s ^= p->key;"),
        (True, "uint64_t k = 0; for (const struct node *q = p; q && q != last "
               "&& k < 3; q = q->next) { k++; s += q->key; }"),
        (True, "if (c++ % 1024 == 5) { for (const struct node *q = head; "
               f"{test.replace('p', 'q')}; q = q->next) {{ s += q->key; }} }} "
               "s += c;"),
        (True, "if (p->key & 1) { continue; } s += p->key;"),
        (False, "p->key += 3; p->tail ^= (uint32_t)s; s++;"),
        (False, "p->tail++; s += p->tail;"),
        (False, "if (p->key % 97 == 5 && p->next && p->next != last) { struct "
                "node *t = p->next; p->next = t->next; s += t->key; put(t); }"),
        (False, "if (p->key % 97 == 6) { struct node *t = get(7); t->next = "
                "p->next; p->next = t; } s += p->key;"),
    ])
    step = "p = p->next"
    loop = r.choice([
        f"for (struct node *p = head; {test}; {step}) {{ {body} }}",
        f"struct node *p = head; while ({test}) {{ {body} {step}; }}"
        if "continue" not in body else
        f"for (struct node *p = head; {test}; {step}) {{ {body} }}",
        f"struct node *p = head; if ({test}) do {{ {body} {step}; }} while ({test});"
        if "continue" not in body else
        f"for (struct node *p = head; {test}; {step}) {{ {body} }}",
        f"for (int k = 0; k < 2; k++) {{ for (struct node *p = head; {test}; "
        f"{step}) {{ {body} }} }}",
    ])
    return (f"__attribute__((noinline)) static uint64_t walk{number}("
            f"struct node *head, struct node *last) {{\n"
            f"  uint64_t s = {number}, c = 0; (void)last;\n  {loop}\n"
            f"  return s + c;\n}}\n"
            f"static void *thread{number}(void *head) {{\n"
            f"  uint64_t s = 0;\n"
            f"  for (int i = 0; i < 3; i++) {{ s += walk{number}(head, "
            f"{'&ring' if end == 'ring' else 'NULL'}); }}\n"
            f"  return (void *)(uintptr_t)s;\n}}\n"), threads, end == "ring"


def program(seed, loops=PER_PROGRAM):
    r = random.Random(seed)
    text = (HEAD.replace("BEFORE", r.choice(["", "char pad0[24];",
                                             "char pad0[104];"]))
            .replace("AFTER", r.choice(["", "char pad1[80];"]))
            .replace("SEED", str(seed * 2 + 1)))
    calls = ""
    for number in range(loops):
        definition, threads, ring = kernel(r, number)
        text += definition
        last = "&ring" if ring else "NULL"
        sizes = ", ".join(str(n) for n in (
            r.choice([0, 1, 7]), r.choice([255, 256, 257, 300]),
            r.choice([511, 512, 513, 800]), 2000 + r.randrange(3000)))
        two = f"""
      pthread_t a, b; void *x = NULL, *y = NULL;
      if (w == 2 && (pthread_create(&a, NULL, thread{number}, head) || pthread_create(&b, NULL, thread{number}, head) ||
          pthread_join(a, &x) || pthread_join(b, &y))) {{ exit(5); }}
      sum = sum * 31 + (uintptr_t)x + (uintptr_t)y;""" if threads else ""
        calls += f"""
  static const uint32_t sizes{number}[] = {{{sizes}}};
  for (int k = 0; k < 4; k++) {{
    struct node *head = {last}, *last = {last};
    renew();
    build(&head, last, sizes{number}[k]);
    for (int w = 0; w < 7; w++) {{
      sum = sum * 31 + walk{number}(head, last);
      sum = sum * 31 + walk{number}(head, last);{two}
      change(&head, last, sizes{number}[k]);
    }}
  }}
  printf("{number} %llx\\n", (unsigned long long)sum);
"""
    return text + "int main(void) {" + calls + "  return 0;\n}\n"
