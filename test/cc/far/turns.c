/* SPDX-License-Identifier: Apache-2.0
 *
 * Functions of cira/loop.h for a program without far memory: loops change
 * between their versions all the time, every few iterations where they may, and
 * walk in blocks of any size. Ends with a line unless each begin has its end.
 * One thread only.
 */
#include "cira/loop.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint32_t words[1];
static uint32_t seen[16];
static uint64_t chance = 88172645463325252u;
static uint64_t begun, finds, ended;

static uint64_t pick(uint64_t below) {
  chance ^= chance << 13;
  chance ^= chance >> 7;
  chance ^= chance << 17;
  return chance % below;
}

static void check(void) {
  if (begun != ended || finds == 0 || finds == begun) {
    fprintf(stderr, "turns: begun %lu, looking up %lu, ended %lu\n",
            (unsigned long)begun, (unsigned long)finds, (unsigned long)ended);
    _Exit(3);
  }
}

uint32_t cira_loop_begin(cira_loop_view_t *view) {
  static int once;
  if (once++ == 0) {
    atexit(check);
  }
  bool near = (view->timed & CIRA_LOOP_NEAR) != 0;
  view->left = INT64_MAX;
  view->timed = 0;
  if (pick(8) == 0) {
    return 0;
  }
  begun++;
  uint32_t found = (uint32_t)pick(near ? 3 : 2);
  if (found != 0) {
    finds++;
    *view = (cira_loop_view_t){.words = words,
                               .mask = UINT32_MAX,
                               .match = 1,
                               .seen = seen,
                               .seen_mask = 15,
                               .work = view->work};
  }
  view->left = 1 + (int64_t)pick(5);
  view->timed = 1;
  return found;
}

void cira_loop_end(const cira_loop_view_t *view) {
  ended += view->timed;
}

void cira_loop_put(void *p, uint64_t value, uint32_t bytes) {
  memcpy(p, &value, bytes);
}

uint64_t cira_loop_walk(cira_loop_walk_t *walks, uint32_t n, uint64_t left) {
  uint64_t k = 1 + pick(left < 700 ? left : 700);
  for (uint32_t i = 0; i < n; i++) {
    walks[i].at += k * (uint64_t)walks[i].stride;
    walks[i].delta = 0;
  }
  return k;
}

void cira_loop_walk_end(void) {}
