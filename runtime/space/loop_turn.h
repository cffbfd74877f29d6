/* SPDX-License-Identifier: Apache-2.0
 *
 * Which version of a loop runs next: the plain one, to which pages come by
 * faults and stay, or the one that finds far bytes where they are
 * (cira/loop.h). Nobody knows before: what is used over and over is better off
 * here once it has come, if there is room for it; so time decides. Of a site (a
 * place in the program that begins a loop) it is known how long an iteration
 * took in either version when it last ran.
 *
 *   FAR_STAYS    looks up. What this costs is paid to a bank; at several times
 *                the price of filling the local memory once, plain is tried
 *   PLAIN_TRIED  until it is about as fast, or has taken as long as that
 *                filling; if it is, looking up is tried once more, to be sure
 *   PLAIN_STAYS  now and then looking up is tried again, for a few periods, and
 *                when it gets slower than it was
 *   FAR_TRIED    for a few periods, mixed with plain ones
 *
 * A trial of plain that failed makes the next one dearer, twice each time. All
 * that looking up can save is faults: plain stays where they take little of the
 * time. A loop that walks in its plain version, too, begins with that: what
 * streams does not fault.
 *
 * Invariant: no result depends on anything here.
 * Threads: a site belongs to one.
 * Reading order: the types, cira__loop_turn, cira__loop_ran.
 */
#ifndef CIRA_SPACE_LOOP_TURN_H
#define CIRA_SPACE_LOOP_TURN_H

#include <stdbool.h>
#include <stdint.h>

#define CIRA__LOOP_RATES 4u

typedef enum { FAR_STAYS, PLAIN_TRIED, PLAIN_STAYS, FAR_TRIED } loop_state_t;

/* All zero: nothing is known. Rates are ns per 256 iterations. */
typedef struct {
  uintptr_t loop; /* where it calls from */
  loop_state_t state;
  uint32_t rests;        /* runs to come that are not timed */
  uint32_t fails, holds; /* trials in a row that changed nothing */
  uint32_t periods;      /* of this state */
  uint32_t chance;       /* FAR_TRIED: whose turn it is */
  uint32_t turns[2];
  uint64_t sum[2], most[2];         /* of its rates, plain and looking up */
  uint32_t runs;                    /* of the period at work */
  bool is_long;                     /* runs last long enough for a slow clock */
  uint64_t ns, work, away_ns;       /* of the period at work */
  uint64_t wait_ns;                 /* of this state */
  uint64_t rates[CIRA__LOOP_RATES]; /* of the last periods */
  uint64_t known[2];                /* plain, looking up; 0: unknown */
  uint64_t bank_ns;                 /* spent in this state */
} cira__loop_site_t;

/* What to do next. */
typedef struct {
  bool timed, finds; /* not timed: plain */
  bool is_long; /* to be timed by a clock that only this thread's work moves, at
                   the price of a system call */
  int64_t left; /* iterations */
} cira__loop_turn_t;

/* What was done. */
typedef struct {
  uint64_t ns;
  uint64_t work;     /* iterations; 0: not counted */
  uint64_t away_ns;  /* faults that it has saved */
  uint64_t wait_ns;  /* of faults */
  uint64_t trial_ns; /* what filling the local memory takes */
  bool cut;          /* it goes on: what was dealt out is done */
} cira__loop_run_t;

/* The next turn of the loop that calls from there; `near`: its plain version
 * finds what it walks, and it may change soon. */
cira__loop_turn_t cira__loop_turn(cira__loop_site_t *t, uintptr_t loop,
                                  bool near);

/* A turn has ended. */
void cira__loop_ran(cira__loop_site_t *t, bool finds, cira__loop_run_t run);

/* Nothing is known of this thread's loops any more. */
void cira__loops_forget(void);

#endif /* CIRA_SPACE_LOOP_TURN_H */
