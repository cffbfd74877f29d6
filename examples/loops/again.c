/* SPDX-License-Identifier: Apache-2.0
 *
 * One list is walked ten times while it hardly changes. The first walk under
 * cira-cc writes its order down, the later ones ask for nodes far ahead of
 * themselves.
 *   cira-cc -O3 -fcira=all -Rpass=cira again.c && ./a.out 10000000
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct node {
  struct node *next;
  uint64_t weight;
  char rest[48];
} node_t;

__attribute__((noinline)) static uint64_t walk(const node_t *n) {
  uint64_t sum = 0;
  for (; n; n = n->next) {
    sum += n->weight;
  }
  return sum;
}

/* The nodes in an order that has nothing to do with where they are. */
static node_t *link_up(node_t *nodes, size_t n) {
  size_t *order = malloc(n * sizeof *order);
  uint64_t x = 1;
  if (!order) {
    exit(1);
  }
  for (size_t i = 0; i < n; i++) {
    order[i] = i;
  }
  for (size_t i = n; i-- > 1;) {
    x = x * UINT64_C(6364136223846793005) + 1;
    size_t other = (x >> 33) % (i + 1), kept = order[i];
    order[i] = order[other];
    order[other] = kept;
  }
  for (size_t i = 0; i < n; i++) {
    nodes[order[i]].next = i + 1 < n ? &nodes[order[i + 1]] : NULL;
    nodes[order[i]].weight = i;
  }
  node_t *head = &nodes[order[0]];
  free(order);
  return head;
}

int main(int argc, char **argv) {
  size_t n = argc > 1 ? strtoull(argv[1], NULL, 10) : 100000;
  n = n < 2 || n > UINT32_MAX ? 2 : n;
  node_t *nodes = malloc(n * sizeof *nodes);
  if (!nodes) {
    return 1;
  }
  node_t *head = link_up(nodes, n);
  uint64_t sum = 0;
  for (int i = 0; i < 10; i++) {
    sum += walk(head);
    head->next->weight++;
  }
  printf("sum %llu\n", (unsigned long long)sum);
  free(nodes);
  return 0;
}
