/* SPDX-License-Identifier: Apache-2.0
 *
 * What the numbers of a site mean: names, ratios, and what would help.
 */
#include <inttypes.h>
#include <stdio.h>

#include "cira-prof/sites.h"

char *prof_place_name(const prof_place_t *p, char *buf, size_t bytes) {
  if (p->file != NULL) {
    snprintf(buf, bytes, "%s (%s:%u)", p->function, p->file, p->line);
  } else {
    snprintf(buf, bytes, "%s (%s)", p->function, p->module);
  }
  return buf;
}

char *prof_site_name(const prof_site_t *site, char *buf, size_t bytes) {
  char own[256], caller[256];
  prof_place_name(&site->place, own, sizeof own);
  if (site->caller == NULL) {
    snprintf(buf, bytes, "%s", own);
  } else {
    snprintf(buf, bytes, "%s < %s", own,
             prof_place_name(site->caller, caller, sizeof caller));
  }
  return buf;
}

const char *prof_pattern_name(prof_pattern_t pattern) {
  static const char *const NAMES[] = {"few", "in order", "strided",
                                      "scattered"};
  return NAMES[pattern];
}

const char *prof_call_name(uint32_t kind) {
  static const char *const NAMES[PROF_CALL_KINDS] = {
      "unknown", "load",   "gather", "store",
      "scatter", "atomic", "touch",  "combination"};
  return kind < PROF_CALL_KINDS ? NAMES[kind] : NAMES[0];
}

const char *prof_stream_name(uint32_t kind) {
  static const char *const NAMES[] = {"strided", "indirect", "chain", "tiled",
                                      "frontier"};
  return kind < PROF_STREAM_KINDS ? NAMES[kind] : "unknown";
}

const char *prof_tier_name(uint32_t tier) {
  static const char *const NAMES[] = {"none", "memory", "network"};
  return tier < PROF_TIERS ? NAMES[tier] : "unknown";
}

/* ---- ratios ---------------------------------------------------------------
 */

static double percent(uint64_t part, uint64_t whole) {
  if (whole == 0) {
    return -1;
  }
  double p = 100.0 * (double)part / (double)whole;
  return p > 100 ? 100 : p;
}

double prof_accuracy(const prof_cost_t *c) {
  return percent(c->hits, c->ahead);
}

/* Faults that had to fetch, and those that found the page under way, needed a
 * page each; pages that were used without a fault came ahead. */
double prof_coverage(const prof_cost_t *c) {
  uint64_t fetched =
      c->tier[CIRA_PROFILE_TIER_DIRECT] + c->tier[CIRA_PROFILE_TIER_REMOTE];
  return c->ahead == 0 ? -1 : percent(c->hits, c->hits + fetched);
}

double prof_timeliness(const prof_cost_t *c) {
  uint64_t late = c->late < c->hits ? c->late : c->hits;
  return percent(c->hits - late, c->hits);
}

double prof_call_coverage(const prof_call_site_t *c) {
  return percent(c->here, c->kind == CIRA_PROFILE_COMBINE ? 0 : c->accesses);
}

double prof_call_timeliness(const prof_call_site_t *c) {
  uint64_t asked = c->accesses > c->here ? c->accesses - c->here : 0;
  return percent(asked - cira__min_u64(c->waits, asked), asked);
}

uint64_t prof_wait_quantile(const prof_cost_t *c, double share) {
  uint64_t all = 0, seen = 0;
  for (uint32_t i = 0; i < PROF_LOG2S; i++) {
    all += c->wait_log2[i];
  }
  for (uint32_t i = 0; i < PROF_LOG2S; i++) {
    seen += c->wait_log2[i];
    if (seen > 0 && (double)seen >= share * (double)all) {
      return cira__min_u64(UINT64_C(2) << i, c->wait_max_ns);
    }
  }
  return c->wait_max_ns;
}

/* ---- advice ---------------------------------------------------------------
 */

uint64_t prof_local_wanted(const prof_sites_t *s, uint64_t local_bytes) {
  uint64_t all = 0, seen = 0;
  for (uint32_t i = 0; i < PROF_LOG2S; i++) {
    all += s->again_log2[i];
  }
  if (all < 64) {
    return 0;
  }
  uint64_t most = s->distinct_pages * CIRA_PAGE_BYTES * 5 / 4;
  for (uint32_t i = 0; i < PROF_LOG2S; i++) {
    seen += s->again_log2[i];
    if (seen * 10 >= all * 9) {
      uint64_t between = (UINT64_C(2) << i) * CIRA_PAGE_BYTES;
      uint64_t wanted = cira__min_u64(between + local_bytes, most);
      return cira__max_u64(wanted, local_bytes + local_bytes / 8);
    }
  }
  return most;
}

static uint64_t local_of(const prof_model_t *m) {
  uint64_t most = 0;
  for (uint64_t i = 0; i < m->process_count; i++) {
    most = cira__max_u64(most, m->processes[i].local_bytes);
  }
  return most;
}

/* The part of the advice that is about the order of the accesses. */
static const char *order_advice(const prof_site_t *site) {
  const prof_cost_t *c = &site->cost;
  double accuracy = prof_accuracy(c);
  switch (site->pattern) {
  case PROF_IN_ORDER:
    if (c->late * 2 > c->faults) {
      return "read ahead in order, but too late: a longer CIRA_READAHEAD, or a "
             "stream that is announced earlier";
    }
    return accuracy >= 0 && accuracy < 50
               ? "in order, yet what is read ahead goes unused: end the walk "
                 "in larger pieces, or lower CIRA_READAHEAD"
               : "in order and read ahead; what is left is the first page of "
                 "each window: a larger CIRA_READAHEAD, or a stream";
  case PROF_STRIDED:
    return "a fixed stride that read-ahead does not follow: announce it "
           "(cira-cc, or a strided stream)";
  case PROF_SCATTERED:
    return "scattered: nothing can be read ahead without the addresses; "
           "announce them (cira-cc, an indirect stream or a chain), or keep "
           "this block local";
  default:
    return "too few faults to tell an order";
  }
}

char *prof_advice(const prof_sites_t *s, const prof_model_t *m,
                  const prof_site_t *site, char *buf, size_t bytes) {
  const prof_cost_t *c = &site->cost;
  char size[24];
  uint64_t waits = c->faults + c->pins;
  uint64_t wanted = prof_local_wanted(s, local_of(m));
  if (waits == 0) {
    snprintf(buf, bytes, "%s",
             c->hints > 0 ? "asks ahead; see what it is for" : "did not wait");
  } else if (c->pins * 2 > waits) {
    snprintf(buf, bytes,
             "buffers of system calls: larger calls, or buffers "
             "that stay local (CIRA_NEAR_MAX)");
  } else if (c->zero * 2 > waits) {
    snprintf(buf, bytes,
             "first touches of fresh memory: allocate once and use "
             "it again");
  } else if (c->again * 2 > waits && wanted > 0) {
    snprintf(buf, bytes,
             "%.0f%% of its pages had been here: --local %s keeps "
             "nine of ten; %s",
             percent(c->again, waits),
             cira__size_text(wanted, size, sizeof size), order_advice(site));
  } else if (c->busy * 2 > waits) {
    snprintf(buf, bytes,
             "threads wait for the same pages: give each its own "
             "part");
  } else {
    snprintf(buf, bytes, "%s", order_advice(site));
  }
  return buf;
}
