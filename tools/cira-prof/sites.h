/* SPDX-License-Identifier: Apache-2.0
 *
 * sites: what each place of the program cost, and what would help it. A site is
 * a source line of a function (and, in a library's function without a frame,
 * the line that called it). Counts are scaled by the weight of their block.
 * Threads: one.
 */
#ifndef CIRA_PROF_SITES_H
#define CIRA_PROF_SITES_H

#include "cira-prof/symbols.h"

#define PROF_LOG2S 48u
#define PROF_STREAM_KINDS 5u
#define PROF_SAMPLE_KINDS 4u
#define PROF_CALL_KINDS 8u
#define PROF_TIERS 3u

typedef enum {
  PROF_FEW = 0, /* too few faults to tell */
  PROF_IN_ORDER = 1,
  PROF_STRIDED = 2,
  PROF_SCATTERED = 3,
} prof_pattern_t;

/* What a site's accesses cost; sums, the last line of each group aside. */
typedef struct {
  uint64_t faults, zero, writes; /* zero: first touches of fresh memory */
  uint64_t pins, hints, hint_pages;
  uint64_t pages; /* brought by faults and pins */
  uint64_t ahead; /* of these and of the hints: before they were touched */
  uint64_t hits;  /* pages read ahead that proved to be used; a lower bound */
  uint64_t late, busy; /* waits for a page that was under way already */
  uint64_t again;      /* faults on pages that had been here before */
  uint64_t wait_ns, hint_ns, wait_max_ns;
  uint64_t wait_tier_ns[PROF_TIERS], tier[PROF_TIERS];
  uint32_t wait_log2[PROF_LOG2S]; /* faults by waiting time, power of two ns */
  uint64_t samples[PROF_SAMPLE_KINDS]; /* cache misses, cycles, page faults */
} prof_cost_t;

typedef struct {
  prof_place_t place;
  const prof_place_t *caller; /* or NULL */
  prof_cost_t cost;
  prof_pattern_t pattern;
  int64_t stride_bytes; /* of PROF_STRIDED */
  uint64_t lo, hi;      /* addresses that it touched */
  /* of the detection of the pattern */
  uint64_t last_page, steps, steps_next, steps_same;
  int64_t last_step;
} prof_site_t;

/* All streams that were made at one place. */
typedef struct {
  prof_place_t place;
  uint32_t kind;
  uint64_t streams, count, walked, refills, asked, used, late, wait_ns, bytes;
} prof_stream_site_t;

/* All accesses that one call of cira/async.h makes. */
typedef struct {
  prof_place_t place;
  uint32_t kind;
  uint64_t accesses, bytes, here, waits, wait_ns, wait_max_ns, failed;
} prof_call_site_t;

typedef struct {
  prof_site_t *sites; /* the longest waiting first */
  prof_stream_site_t *streams;
  prof_call_site_t *calls;
  uint64_t site_count, stream_count, call_count;
  prof_cost_t total;
  uint64_t distinct_pages; /* that were fetched or made */
  /* pages that came back: how many pages came between, by powers of two */
  uint64_t again_log2[PROF_LOG2S];
  uint32_t newer_files;
  prof_symbols_t *symbols;
} prof_sites_t;

/* Returns CIRA_OK; CIRA_E_NOMEM. Ends with prof_sites_free. `m` must live. */
CIRA_MUST_USE cira_status_t prof_sites_build(const prof_model_t *m,
                                             prof_sites_t *out);
void prof_sites_free(prof_sites_t *s);

/* "function (file.c:12)" into buf; returns buf. */
char *prof_site_name(const prof_site_t *site, char *buf, size_t bytes);
char *prof_place_name(const prof_place_t *place, char *buf, size_t bytes);
const char *prof_pattern_name(prof_pattern_t pattern);
const char *prof_stream_name(uint32_t kind);
const char *prof_call_name(uint32_t kind);
const char *prof_tier_name(uint32_t tier);

/* Ratios in percent; -1: nothing to tell from. Accuracy: of the pages read
 * ahead, those used. Coverage: of the pages that the site needed from home,
 * those that came ahead. Timeliness: of these, those that nobody waited for. */
double prof_accuracy(const prof_cost_t *c);
double prof_coverage(const prof_cost_t *c);
double prof_timeliness(const prof_cost_t *c);
/* Of the accesses of a call, those whose bytes were here; of the others, those
 * that nobody waited for. */
double prof_call_coverage(const prof_call_site_t *c);
double prof_call_timeliness(const prof_call_site_t *c);
/* Upper bound of the time that a share (0..1) of the faults waited at most. */
uint64_t prof_wait_quantile(const prof_cost_t *c, double share);

/* Whether returning pages would have stayed in a larger cache: the size of the
 * local cache that keeps nine of ten; 0: few come back. */
uint64_t prof_local_wanted(const prof_sites_t *s, uint64_t local_bytes);
/* One sentence on what would help the site; returns buf. */
char *prof_advice(const prof_sites_t *s, const prof_model_t *m,
                  const prof_site_t *site, char *buf, size_t bytes);

#endif
