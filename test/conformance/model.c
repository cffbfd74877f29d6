/* SPDX-License-Identifier: Apache-2.0
 *
 * Random operations, many under way at once, against a model: because the
 * requests of a connection are applied in the order posted, what a read must
 * return is known when it is posted. Fixed seed.
 */
#include "suite.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ARENA_BYTES (300000u) /* small, so that operations overlap */
#define UNDER_WAY 32u
#define STEPS 4000u
#define READ_MAX_BYTES 9000u

typedef struct {
  cira_fabric_op_t op;
  bool used;
  bool is_atomic;
  uint64_t bytes;
  uint64_t old;
  uint8_t got[READ_MAX_BYTES];
  uint8_t want[READ_MAX_BYTES];
} slot_t;

typedef struct {
  place_t *p;
  uint64_t seed;
  uint8_t *arena;
  slot_t slot[UNDER_WAY];
} model_t;

static uint64_t roll(model_t *m, uint64_t below) {
  m->seed = m->seed * 6364136223846793005ull + 1442695040888963407ull;
  return (m->seed >> 33) % below;
}

static void settle(model_t *m, slot_t *s) {
  if (!s->used) {
    return;
  }
  MUST(cira_fabric_wait(m->p->f, &s->op));
  assert_memory_equal(s->got, s->want, s->bytes);
  if (s->is_atomic) {
    assert_int_equal(s->op.result, s->old);
  }
  s->used = false;
}

static void step_read(model_t *m, slot_t *s) {
  s->bytes = 1 + roll(m, READ_MAX_BYTES - 1);
  uint64_t at = roll(m, ARENA_BYTES - s->bytes);
  memcpy(s->want, m->arena + at, s->bytes);
  MUST(m->p->f->ops->post_read(m->p->f, m->p->region, at, s->got, s->bytes, 0,
                               &s->op));
}

static void step_write(model_t *m, slot_t *s) {
  cira_fabric_seg_t seg[8];
  uint8_t data[8][700];
  uint32_t count = 1 + (uint32_t)roll(m, 8);
  for (uint32_t i = 0; i < count; i++) {
    uint64_t n = roll(m, sizeof(data[0])) + 1;
    uint64_t at = roll(m, ARENA_BYTES - n);
    memset(data[i], (int)roll(m, 256), n);
    seg[i] = (cira_fabric_seg_t){.offset = at, .src = data[i], .bytes = n};
    memcpy(m->arena + at, data[i], n);
  }
  MUST(m->p->f->ops->post_write(m->p->f, m->p->region, seg, count, 0, &s->op));
  memset(data, 0xdd, sizeof(data));
}

static void step_atomic(model_t *m, slot_t *s) {
  uint64_t at = roll(m, ARENA_BYTES / 8) * 8;
  uint64_t operand = roll(m, 1u << 30);
  uint64_t value;
  memcpy(&value, m->arena + at, 8);
  uint64_t compare = roll(m, 2) ? value : 0;
  cira_fabric_atomic_t kind = (cira_fabric_atomic_t)roll(m, 3);
  s->is_atomic = true;
  s->old = value;
  value = kind == CIRA_FABRIC_ADD    ? value + operand
          : kind == CIRA_FABRIC_SWAP ? operand
          : value == compare         ? operand
                                     : value;
  memcpy(m->arena + at, &value, 8);
  MUST(m->p->f->ops->post_atomic(m->p->f, m->p->region, kind, at, operand,
                                 compare, 0, &s->op));
}

static void step_discard(model_t *m, slot_t *s) {
  uint64_t n = roll(m, 20000);
  uint64_t at = roll(m, ARENA_BYTES - n);
  memset(m->arena + at, 0, n);
  MUST(m->p->f->ops->post_discard(m->p->f, m->p->region, at, n, 0, &s->op));
}

void test_model(void **state) {
  model_t *m = calloc(1, sizeof(*m));
  uint8_t *whole = malloc(ARENA_BYTES);
  m->p = *state;
  m->seed = 20240601;
  m->arena = calloc(1, ARENA_BYTES);
  for (unsigned i = 0; i < STEPS; i++) {
    slot_t *s = &m->slot[roll(m, UNDER_WAY)];
    settle(m, s);
    *s = (slot_t){.used = true};
    uint64_t what = roll(m, 16);
    if (what < 8) {
      step_read(m, s);
    } else if (what < 13) {
      step_write(m, s);
    } else if (what < 15) {
      step_atomic(m, s);
    } else {
      step_discard(m, s);
    }
  }
  for (unsigned i = 0; i < UNDER_WAY; i++) {
    settle(m, &m->slot[i]);
  }
  MUST(cira_fabric_read(m->p->f, m->p->region, 0, whole, ARENA_BYTES));
  assert_memory_equal(whole, m->arena, ARENA_BYTES);
  free(whole);
  free(m->arena);
  free(m);
}
