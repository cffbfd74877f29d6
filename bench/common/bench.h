/* SPDX-License-Identifier: Apache-2.0
 *
 * What the benches in C share: their options, the table they print and the
 * JSON they write, and a cira-memd of their own. One bench per process, one
 * thread: bench_begin, a bench_row for each result, bench_end. Whatever goes
 * wrong ends the process with one line and status 1, a wrong option with 2.
 */
#ifndef CIRA_BENCH_BENCH_H
#define CIRA_BENCH_BENCH_H

#include "base/base.h"

#include <jansson.h>

#define BENCH_REPEAT_MAX 101u

typedef struct {
  const char *program; /* for messages */
  const char *about;   /* for --help: what it measures, and in which unit */
  const char *counts;  /* what --count counts; NULL without that option */
  uint32_t repeat;     /* --repeat, 1 .. BENCH_REPEAT_MAX */
  uint64_t count;      /* --count; 0: the bench has no such option */
  uint64_t count_least;
  const char *json_file; /* --json */
  const char *only;      /* --only */
  const char *memd;      /* --memd */
} bench_settings_t;

/* A further option with a number. */
typedef struct {
  const char *name;
  uint64_t *value;
  uint64_t least, most; /* less than least means least, more is refused */
  const char *what;     /* for --help */
} bench_option_t;

/* Takes the defaults in *s and the command line; --help ends the process. */
void bench_begin(int argc, char **argv, bench_settings_t *s,
                 const bench_option_t *more, uint32_t more_count);
/* The root of the JSON, for what is not a row. */
json_t *bench_root(void);
/* Adds to "results" of the JSON; takes the reference. */
void bench_result(json_t *result);
/* Prints and adds the median, least and most of v, which it sorts.
 *   place  NULL: the bench has none. */
void bench_row(const char *place, const char *what, double *v, uint32_t count);
/* Writes --json. */
void bench_end(void);

/* Does --only want this? It lists parts of names, with commas in between. */
bool bench_wants(const char *name);
_Noreturn void bench_die(const char *what);
/* Ends the process on an error (progress is none). */
void bench_check(cira_status_t status, const char *what);
/* Puts the calling thread onto one CPU. */
void bench_pin(int cpu);
/* Sorts v. */
double bench_median(double *v, uint32_t count);

typedef struct {
  int pid, life;
  char dir[40];
  char shm_url[300], unix_url[300], tcp_url[300];
} bench_memd_t;

/* --memd, or NULL. */
const char *bench_memd_path(void);
/* Starts a cira-memd (--memd, else the one beside this program). It ends with
 * this process at the latest.
 *   polls    on CPU 1 alone, without ever sleeping, where there are two.
 *   args     further ones, NULL at the end; NULL: none. */
void bench_memd_start(bench_memd_t *m, bool polls, const char *const *args);
void bench_memd_stop(bench_memd_t *m);

#endif
