/* SPDX-License-Identifier: Apache-2.0
 *
 * Timers of a worker: a pairing heap through the control blocks, so that a
 * deadline needs no allocation. Smallest wake_ns on top; adding is O(1), taking
 * out O(log n) amortised. Only the worker's thread touches it.
 * Invariant: *co->heap_slot == co for every coroutine in the heap.
 */
#include "coroutine/internal.h"

static cira_coro_t *meld(cira_coro_t *a, cira_coro_t *b) {
  if (!a || !b) {
    return a ? a : b;
  }
  if (b->wake_ns < a->wake_ns) {
    cira_coro_t *c = a;
    a = b;
    b = c;
  }
  b->heap_sibling = a->heap_child;
  if (b->heap_sibling) {
    b->heap_sibling->heap_slot = &b->heap_sibling;
  }
  b->heap_slot = &a->heap_child;
  a->heap_child = b;
  return a;
}

/* Melds a chain of siblings into one heap: in pairs from the left, then the
 * pairs from the right. Without recursion: chains can be long. */
static cira_coro_t *meld_chain(cira_coro_t *first) {
  cira_coro_t *pairs = NULL;
  while (first) {
    cira_coro_t *a = first;
    cira_coro_t *b = a->heap_sibling;
    first = b ? b->heap_sibling : NULL;
    a->heap_sibling = NULL;
    if (b) {
      b->heap_sibling = NULL;
    }
    a = meld(a, b);
    a->heap_sibling = pairs;
    pairs = a;
  }
  cira_coro_t *root = NULL;
  while (pairs) {
    cira_coro_t *next = pairs->heap_sibling;
    pairs->heap_sibling = NULL;
    root = meld(root, pairs);
    pairs = next;
  }
  return root;
}

static void root_set(cira__worker_t *w, cira_coro_t *root) {
  w->timers = root;
  if (root) {
    root->heap_slot = &w->timers;
    root->heap_sibling = NULL;
  }
}

void cira__timer_add(cira__worker_t *w, cira_coro_t *co) {
  co->heap_child = NULL;
  co->heap_sibling = NULL;
  root_set(w, meld(w->timers, co));
}

void cira__timer_remove(cira__worker_t *w, cira_coro_t *co) {
  if (!co->heap_slot) {
    return;
  }
  bool top = w->timers == co;
  *co->heap_slot = co->heap_sibling;
  if (co->heap_sibling) {
    co->heap_sibling->heap_slot = co->heap_slot;
  }
  co->heap_slot = NULL;
  cira_coro_t *rest = meld_chain(co->heap_child);
  co->heap_child = NULL;
  co->heap_sibling = NULL;
  root_set(w, top ? rest : meld(w->timers, rest));
}
