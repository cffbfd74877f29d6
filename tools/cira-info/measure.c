/* SPDX-License-Identifier: Apache-2.0
 *
 * measure: the machine model, and how often it is measured.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cira-info/measure.h"

static int compare_real(const void *a, const void *b) {
  double x = *(const double *)a;
  double y = *(const double *)b;
  return (x > y) - (x < y);
}

double info__median(double *sample, size_t count) {
  qsort(sample, count, sizeof *sample, compare_real);
  return sample[count / 2];
}

uint64_t info__random(uint64_t *state) {
  uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
  z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
  return z ^ (z >> 31);
}

void info__put_real(json_t *o, const char *key, double value) {
  json_object_set_new(o, key, json_real(value));
}

void info__put_text(json_t *o, const char *key, const char *value) {
  json_object_set_new(o, key, json_string(value));
}

/* The model takes whole numbers of at least 1. */
static json_t *model_json(const info_model_t *m) {
  json_t *o = json_object();
  for (size_t i = 0; i < INFO_FIGURE_COUNT; i++) {
    if (m->value[i] > 0) {
      long long n = llround(m->value[i]);
      json_object_set_new(o, info__figure_name((info_figure_t)i),
                          json_integer(n < 1 ? 1 : n));
    }
  }
  return o;
}

static json_t *left_out_json(const info_model_t *m) {
  json_t *o = json_object();
  for (size_t i = 0; i < INFO_FIGURE_COUNT; i++) {
    if (m->value[i] <= 0) {
      info__put_text(o, info__figure_name((info_figure_t)i),
                     m->left_out[i] != NULL ? m->left_out[i] : "not measured");
    }
  }
  return o;
}

#define PASSES_MAX 4
#define OURS_MIN 0.9 /* of a processor, while only we should be on it */

static uint64_t processor_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* One measurement of everything; *out_ours is which part of the processor we
 * had for the local figures. */
static cira_status_t pass(const info_measure_options_t *o, info_model_t *m,
                          json_t **out, double *out_ours) {
  json_t *all = json_object();
  json_t *local = json_object();
  json_t *far = json_object();
  *m = (info_model_t){.value[INFO_PAGE_BYTES] = CIRA_PAGE_BYTES};
  m->left_out[INFO_DEVICE_BUSY] = "no device beside the memory to ask";
  cira_status_t status = info__measure_far(o, m, far); /* this can fail */
  if (status == CIRA_OK) {
    uint64_t began = cira__now_ns(), had = processor_ns();
    info__measure_local(m, local);
    *out_ours =
        (double)(processor_ns() - had) / (double)(cira__now_ns() - began);
    json_object_set_new(all, "machine_model", model_json(m));
    json_object_set_new(all, "left_out_of_the_model", left_out_json(m));
    json_object_update(all, local);
    json_object_update(all, far);
    *out = json_incref(all);
  }
  json_decref(local);
  json_decref(far);
  json_decref(all);
  return status;
}

/* A machine that does something else meanwhile looks ten times slower than it
 * is, and a compiler would believe that for months: so two measurements in a
 * row must agree, on a processor that was ours. */
cira_status_t info_measure(const info_measure_options_t *o, json_t **out) {
  info_model_t m[2];
  double ours = 0;
  info_figure_t worst = INFO_FIGURE_COUNT;
  for (uint32_t i = 0; i < PASSES_MAX; i++) {
    json_t *all = NULL;
    cira_status_t status = pass(o, &m[i % 2], &all, &ours);
    if (status != CIRA_OK) {
      return status;
    }
    if (o->once ||
        (i > 0 && ours >= OURS_MIN && info__models_agree(m, m + 1, &worst))) {
      *out = all;
      return CIRA_OK;
    }
    json_decref(all);
  }
  char figures[64];
  if (ours < OURS_MIN) {
    return cira__fail(CIRA_E_BUSY,
                      "the machine is busy: measuring had %u%% of its "
                      "processor; stop what else runs, or take what comes with "
                      "--once",
                      (unsigned)(ours * 100));
  }
  snprintf(figures, sizeof figures, "%.3g and %.3g", m[0].value[worst],
           m[1].value[worst]);
  return cira__fail(CIRA_E_BUSY,
                    "%u measurements disagree, the last two about %s: %s; stop "
                    "what else runs, or take what comes with --once",
                    PASSES_MAX, info__figure_name(worst), figures);
}
