/* SPDX-License-Identifier: Apache-2.0
 *
 * measure: what the parts of --measure share. The figures are the fields of
 * #cira.machine; a figure that nobody set stays out of the model, with the
 * reason beside it.
 * Threads: one, and a second that measure_local.c starts and joins.
 * Reading order: measure.c (order of things, the model), agree.c,
 * measure_local.c, measure_far.c.
 */
#ifndef CIRA_INFO_MEASURE_H
#define CIRA_INFO_MEASURE_H

#include <jansson.h>

#include "cira-info/info.h"

typedef enum {
  INFO_LLC_LATENCY,
  INFO_LOCAL_LATENCY,
  INFO_CXL_LATENCY,
  INFO_REMOTE_CXL_LATENCY,
  INFO_FAR_LATENCY,
  INFO_LOCAL_RATE,
  INFO_CXL_RATE,
  INFO_REMOTE_CXL_RATE,
  INFO_FAR_RATE,
  INFO_LLC_BYTES,
  INFO_LINE_BYTES,
  INFO_PAGE_BYTES,
  INFO_SYNC,
  INFO_DEVICE_BUSY,
  INFO_OP,
  INFO_LINES,
  INFO_PREFETCHES,
  INFO_PAGES,
  INFO_FIGURE_COUNT
} info_figure_t;

typedef struct {
  double value[INFO_FIGURE_COUNT];         /* 0 = not measured */
  const char *left_out[INFO_FIGURE_COUNT]; /* then why; static strings */
} info_model_t;

/* Caches, memory and processors. The parts that only a reader wants (each
 * cache, each node) go into `report`. */
void info__measure_local(info_model_t *m, json_t *report);
/* Each far place of `o`, or the default one; the first gives the model. */
CIRA_MUST_USE cira_status_t info__measure_far(const info_measure_options_t *o,
                                              info_model_t *m, json_t *report);

/* Whether two measurements are of the same machine, undisturbed: every time and
 * rate within a factor of its own. Else *out_worst is the figure that differs
 * most, measured against its factor. */
bool info__models_agree(const info_model_t *a, const info_model_t *b,
                        info_figure_t *out_worst);
const char *info__figure_name(info_figure_t figure);

/* The median; sorts `sample`. count > 0. */
double info__median(double *sample, size_t count);
/* splitmix64. */
uint64_t info__random(uint64_t *state);
void info__put_real(json_t *o, const char *key, double value);
void info__put_text(json_t *o, const char *key, const char *value);

#endif
