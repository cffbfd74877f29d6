/* SPDX-License-Identifier: Apache-2.0
 * The choice, while a program runs, between a loop as it was and the same loop
 * as cira-cc changed it. Whether a change gains depends on where the data are,
 * which nobody knows when a program is compiled; so both versions are there,
 * and time decides.
 *
 * A loop has a site. Its iterations are dealt out in periods, each of one
 * version: short ones by turns, which are timed (samples), then a long one of
 * the version that was faster, then samples again. Periods go on across
 * executions of the loop, so loops that run 30 times each are learned from too.
 * The longer the slower version was, the longer the period behind: looking
 * again costs less than a hundredth.
 *
 * This is compiled to LLVM IR when cira is built, and the plug-in puts the IR
 * into each module that has a site (bridge/clang/Choice.cpp), so that objects
 * link without any library. Passes call it by codegen/llvm_choice.h.
 *
 * Invariants: no result of a program depends on anything here. Nothing is
 * called; there are no thread-local variables, and no divisions of 64 bits.
 * Names end in the version of the layout (1): objects of two versions may meet
 * in a program.
 * Threading: any; signal handlers too. Threads whose stacks lie apart use
 * different stripes of a site; those that meet in one disturb each other's
 * samples and nothing else.
 * Reading order: this, choice.c. */
#ifndef CIRA_CC_CHOICE_H
#define CIRA_CC_CHOICE_H

#include "cc/cc.h"

enum {
  cira__choice_stripes = 16,
  cira__choice_fixed_old = 1, /* for tests: what the choice is fixed to */
  cira__choice_fixed_changed = 2,
  cira__choice_fixed_alternate = 3 /* periods of a few iterations, by turns */
};

/* What is known, for threads whose stacks hash alike. All zero: nothing. Rates
 * are times per iteration. */
typedef struct cira__choice_stripe {
  uint32_t quick;   /* iterations left of the long period; 0: samples */
  uint32_t changed; /* the version of the long period */
  uint32_t length;  /* of the last long period */
  uint32_t stage;   /* samples done; odd: the next is of the changed loop */
  uint32_t need;    /* iterations of the sample at work; 0: not begun */
  uint32_t done;    /* so far */
  uint32_t time;    /* in 16 ticks */
  uint32_t guess;   /* 16th of a tick that an old iteration takes; 0: unknown */
  uint32_t sum[2], worst[2]; /* rates of the samples, by version */
  /* Executions that may take the plain loop at once (of a loop whose iterations
   * are known when it begins: iterations). */
  uint32_t plain;
  uint32_t size;  /* iterations of an execution, about; 0: unknown */
  uint32_t until; /* when plain executions have gone on long enough */
  uint32_t
      doubt; /* the last decision was for the old loop, against the samples */
} cira__choice_stripe_t;
_Static_assert(sizeof(cira__choice_stripe_t) == 64, "a line of its own");

/* One for each loop; a variable of the module, on a line of its own. */
typedef struct cira__choice_site {
  cira__choice_stripe_t stripes[cira__choice_stripes];
  uint32_t fixed; /* 0, or one of cira__choice_fixed_* */
} cira__choice_site_t;

/* The period at work; a variable of the function that has the loop. */
typedef struct cira__choice_period {
  cira__choice_stripe_t *stripe;
  uint64_t start; /* 0: not timed */
  uint64_t run;   /* iterations of the periods before, of this execution */
  uint32_t given, stage, unit, floor;
  uint32_t open; /* nobody knows how many iterations are to come */
} cira__choice_period_t;
_Static_assert(sizeof(cira__choice_period_t) <= 48, "llvm_choice.c says so");

/* In front of everything: a third copy of the loop, which counts nothing and
 * asks for nothing, is what clang makes of it. Is it to run, from the beginning
 * to the end of this execution? If not, the other two are entered. Inlined.
 *   left   iterations to come, 1 or more; cira_choice1_open if nobody knows.
 *   least  for fewer it is the plain loop, and nothing is learned. */
_Bool cira_choice1_plain(cira__choice_site_t *site,
                         cira__choice_period_t *period, uint64_t left,
                         uint64_t least);
_Bool cira_choice1_open(cira__choice_site_t *site,
                        cira__choice_period_t *period);
/* The same, once what the stripe allows at once is used up. */
CIRA_CC_CALL _Bool cira_choice1_rest(cira__choice_site_t *site,
                                     cira__choice_period_t *period,
                                     uint64_t left);

/* The first period of an execution of the loop. These two are inlined.
 *   left   iterations to come, 1 or more; UINT64_MAX: unknown.
 *   least  for fewer it is the old loop, and nothing is learned.
 *   unit   iterations after which a sample of the changed loop is fair.
 *   floor  16th of ticks that an iteration of the changed loop takes at the
 * very least: where the old one takes less, nothing is tried. Returns the
 * iterations after which cira_choice1_next is to be called, unless the loop has
 * ended, and 2^32 more if they are for the changed loop. */
uint64_t cira_choice1_enter(cira__choice_site_t *site,
                            cira__choice_period_t *period, uint64_t left,
                            uint64_t least, uint32_t unit, uint32_t floor);

/* The next one, once a period is used up; otherwise as above. */
CIRA_CC_CALL uint64_t cira_choice1_next(cira__choice_site_t *site,
                                        cira__choice_period_t *period,
                                        uint64_t left);

/* In front of cira_choice1_next, of a loop that cannot end a period after any
 * iteration: so many more than it was to do were done. Inlined. */
void cira_choice1_more(cira__choice_site_t *site, cira__choice_period_t *period,
                       uint64_t more);

/* The loop has ended, `unused` iterations early (0 where `left` was known); as
 * a number with a sign: negative after more than were given. Inlined. */
void cira_choice1_leave(cira__choice_site_t *site,
                        cira__choice_period_t *period, uint64_t unused);
CIRA_CC_CALL void cira_choice1_end(cira__choice_site_t *site,
                                   cira__choice_period_t *period,
                                   uint64_t unused);

#endif /* CIRA_CC_CHOICE_H */
