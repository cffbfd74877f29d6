/* SPDX-License-Identifier: Apache-2.0
 *
 * How requests of cira/async.h end, and what hangs on that: a function to call,
 * a combination above, those who wait. A combination that is done takes its
 * name off the parts that are not, under the lock, so that it may be used again
 * as soon as somebody has awaited it.
 */
#include "async/future.h"

static cira_lock_t links;

void cira__async_fail(cira_async_t *a, cira_status_t status) {
  cira_status_t ok = CIRA_OK;
  (void)__atomic_compare_exchange_n(&a->status, &ok, status, false,
                                    __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

void cira__async_done(cira_async_t *a, uint32_t n) {
  /* pairs with: the same of other pieces; the last one sees what all wrote */
  if (__atomic_fetch_sub(&a->left, n, __ATOMIC_ACQ_REL) == n) {
    cira__async_finish(a);
  }
}

/* ---- finishing ----------------------------------------------------------- */

/* Lock held. */
static void parts_let_go(cira_async_t *combination) {
  for (uint32_t i = 0; i < combination->count; i++) {
    if (combination->parts[i]->parent == combination) {
      combination->parts[i]->parent = NULL;
    }
  }
}

static uint32_t part_index(const cira_async_t *combination,
                           const cira_async_t *part) {
  uint32_t i = 0;
  while (combination->parts[i] != part) {
    i++;
  }
  return i;
}

/* Marks a request as finished. Returns the combination that is done by it, or
 * NULL. Lock held. */
static cira_async_t *finish_locked(cira_async_t *a) {
  cira_async_t *up = a->parent;
  if ((a->kind & ASYNC_CANCELLED) != 0) {
    a->status = CIRA_E_CANCELLED;
  }
  __atomic_store_n(&a->state, ASYNC_FINISHED, __ATOMIC_RELEASE);
  a->parent = NULL;
  if (up == NULL) {
    return NULL;
  }
  if (a->status != CIRA_OK && up->status == CIRA_OK) {
    up->status = a->status;
  }
  if ((up->kind & ASYNC_KIND) == ASYNC_ANY) {
    up->value = part_index(up, a);
    up->status = a->status;
  } else if (--up->left > 0) {
    return NULL;
  }
  parts_let_go(up);
  return up;
}

/* Its last step: afterwards it may be used again. */
static void publish(cira_async_t *a) {
  cira_async_fn_t fn = a->fn;
  if (fn != NULL) {
    fn(a->argument, a->status, a->value);
  }
  (void)cira_waitable_set(&a->done);
}

/* Takes the lock over. */
static void finish_unlock(cira_async_t *a) {
  cira_async_t *chain = NULL, **end = &chain;
  while (a != NULL) { /* up through the combinations that are done by it */
    cira_async_t *up = finish_locked(a);
    a->next = NULL;
    *end = a;
    end = &a->next;
    a = up;
  }
  cira__unlock(&links);
  while (chain != NULL) {
    cira_async_t *next = chain->next;
    publish(chain);
    chain = next;
  }
}

void cira__async_finish(cira_async_t *a) {
  cira__lock(&links);
  finish_unlock(a);
}

/* Makes a COPY request a finished one. */
static void settle(cira_async_t *a) {
  uint32_t copy = ASYNC_COPY;
  /* pairs with: other threads that look at the same request */
  if (__atomic_compare_exchange_n(&a->state, &copy, ASYNC_FLYING, false,
                                  __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
    cira__async_copy(a);
    cira__async_finish(a);
  }
}

/* ---- combinations -------------------------------------------------------- */

static bool under_way(const cira_async_t *a) {
  uint32_t state = async_state(a);
  return state == ASYNC_FLYING || state == ASYNC_FINISHED;
}

static cira_status_t combine_check(const cira_async_t *c,
                                   cira_async_t *const *parts, uint32_t count,
                                   const char *call) {
  if (c == NULL || parts == NULL || count == 0) {
    return cira__fail(CIRA_E_INVALID, "async_%s: NULL, or no parts", call);
  }
  if (async_state(c) != ASYNC_IDLE) {
    return cira__fail(CIRA_E_BUSY, "async_%s: the combination is under way",
                      call);
  }
  for (uint32_t i = 0; i < count; i++) {
    if (parts[i] == NULL || parts[i] == c) {
      return cira__fail(CIRA_E_INVALID,
                        "async_%s: part %u is NULL or the combination itself",
                        call, i);
    }
    settle(parts[i]);
    if (!under_way(parts[i])) {
      return cira__fail(CIRA_E_INVALID, "async_%s: part %u is not under way",
                        call, i);
    }
  }
  return CIRA_OK;
}

/* Hangs the parts under c. Lock held. Returns false, with nothing changed, when
 * one belongs to another combination. */
static bool parts_take(cira_async_t *c) {
  for (uint32_t i = 0; i < c->count; i++) {
    cira_async_t *part = c->parts[i];
    if (part->parent != NULL) {
      parts_let_go(c);
      return false;
    }
    part->parent = c;
  }
  return true;
}

/* Counts the parts that are finished already, and lets them go. Lock held. */
static void parts_count(cira_async_t *c) {
  bool any = (c->kind & ASYNC_KIND) == ASYNC_ANY;
  for (uint32_t i = 0; i < c->count; i++) {
    cira_async_t *part = c->parts[i];
    if (async_state(part) != ASYNC_FINISHED) {
      continue;
    }
    part->parent = NULL;
    if (any && c->left == c->count) { /* the first of them */
      c->value = i;
      c->status = part->status;
    } else if (!any && c->status == CIRA_OK) {
      c->status = part->status;
    }
    c->left--;
  }
}

static cira_status_t combine(cira_async_t *c, uint32_t kind,
                             cira_async_t *const *parts, uint32_t count,
                             const char *call, const void *ip) {
  uint64_t began = async_watch();
  cira_status_t status = combine_check(c, parts, count, call);
  if (status != CIRA_OK) {
    return status;
  }
  *c = (cira_async_t){
      .kind = kind, .left = count, .count = count, .parts = parts};
  cira__lock(&links);
  if (!parts_take(c)) {
    cira__unlock(&links);
    return cira__fail(
        CIRA_E_BUSY, "async_%s: a part belongs to a combination already", call);
  }
  parts_count(c);
  __atomic_store_n(&c->state, ASYNC_FLYING, __ATOMIC_RELEASE);
  bool done = kind == ASYNC_ANY ? c->left < count : c->left == 0;
  if (done) {
    parts_let_go(c);
    __atomic_store_n(&c->state, ASYNC_FINISHED, __ATOMIC_RELEASE);
  }
  cira__unlock(&links);
  if (done) {
    (void)cira_waitable_set(&c->done);
  }
  if (CIRA_UNLIKELY(began != 0)) {
    cira__async_noted(c, CIRA_PROFILE_COMBINE, began, ip, count, 0, true);
  }
  return CIRA_OK;
}

cira_status_t cira_async_when_all(cira_async_t *all, cira_async_t *const *parts,
                                  uint32_t count) {
  return combine(all, ASYNC_ALL, parts, count, "when_all",
                 __builtin_return_address(0));
}

cira_status_t cira_async_when_any(cira_async_t *any, cira_async_t *const *parts,
                                  uint32_t count) {
  return combine(any, ASYNC_ANY, parts, count, "when_any",
                 __builtin_return_address(0));
}

cira_status_t cira_async_then(cira_async_t *a, cira_async_fn_t fn,
                              void *argument) {
  if (a == NULL || fn == NULL) {
    return cira__fail(CIRA_E_INVALID, "async_then: NULL");
  }
  settle(a);
  if (!under_way(a)) {
    return cira__fail(CIRA_E_CLOSED,
                      "async_then: the request is not under way");
  }
  cira__lock(&links);
  bool busy = a->fn != NULL || (a->kind & ASYNC_CALLED) != 0;
  bool now = async_state(a) == ASYNC_FINISHED;
  if (!busy && now) {
    (void)__atomic_fetch_or(&a->kind, ASYNC_CALLED, __ATOMIC_RELAXED);
  } else if (!busy) {
    a->fn = fn; /* read by whoever finishes it, after this lock */
    a->argument = argument;
  }
  cira__unlock(&links);
  if (busy) {
    return cira__fail(CIRA_E_BUSY, "async_then: it has a function already");
  }
  if (now) {
    fn(argument, a->status, a->value);
  }
  return CIRA_OK;
}

/* ---- giving up ----------------------------------------------------------- */

cira_status_t cira_async_cancel(cira_async_t *a) {
  if (a == NULL) {
    return cira__fail(CIRA_E_INVALID, "async_cancel: NULL");
  }
  uint32_t copy = ASYNC_COPY;
  if (__atomic_compare_exchange_n(&a->state, &copy, ASYNC_FLYING, false,
                                  __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
    (void)__atomic_fetch_or(&a->kind, ASYNC_CANCELLED, __ATOMIC_RELAXED);
    cira__async_finish(a);
    return CIRA_OK;
  }
  if (!under_way(a)) {
    return async_state(a) == ASYNC_IDLE
               ? cira__fail(CIRA_E_CLOSED,
                            "async_cancel: the request is not under way")
               : cira__fail(CIRA_E_INVALID, "async_cancel: no request");
  }
  cira__lock(&links);
  bool flying = async_state(a) == ASYNC_FLYING;
  bool combination = (a->kind & ASYNC_KIND) >= ASYNC_ALL;
  if (flying) {
    (void)__atomic_fetch_or(&a->kind, ASYNC_CANCELLED, __ATOMIC_RELAXED);
  }
  if (flying && combination) {
    parts_let_go(a);
    finish_unlock(a);
  } else {
    cira__unlock(&links);
  }
  return CIRA_OK;
}
