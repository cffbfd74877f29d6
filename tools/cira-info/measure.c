/* SPDX-License-Identifier: Apache-2.0
 *
 * measure: the machine model. The names of its fields are those of
 * #cira.machine (CiraAttrs.td), since the compiler reads the JSON as it is.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cira-info/measure.h"

static const char *const NAMES[INFO_FIGURE_COUNT] = {
    [INFO_LLC_LATENCY] = "llc_latency_ns",
    [INFO_LOCAL_LATENCY] = "local_latency_ns",
    [INFO_CXL_LATENCY] = "cxl_latency_ns",
    [INFO_REMOTE_CXL_LATENCY] = "remote_cxl_latency_ns",
    [INFO_FAR_LATENCY] = "far_latency_ns",
    [INFO_LOCAL_RATE] = "local_bytes_per_us",
    [INFO_CXL_RATE] = "cxl_bytes_per_us",
    [INFO_REMOTE_CXL_RATE] = "remote_cxl_bytes_per_us",
    [INFO_FAR_RATE] = "far_bytes_per_us",
    [INFO_LLC_BYTES] = "llc_bytes",
    [INFO_LINE_BYTES] = "line_bytes",
    [INFO_PAGE_BYTES] = "page_bytes",
    [INFO_SYNC] = "sync_ns",
    [INFO_DEVICE_BUSY] = "device_busy_ns",
    [INFO_OP] = "op_ns",
    [INFO_LINES] = "lines_in_flight",
    [INFO_PAGES] = "pages_in_flight",
};

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
      json_object_set_new(o, NAMES[i], json_integer(n < 1 ? 1 : n));
    }
  }
  return o;
}

static json_t *left_out_json(const info_model_t *m) {
  json_t *o = json_object();
  for (size_t i = 0; i < INFO_FIGURE_COUNT; i++) {
    if (m->value[i] <= 0) {
      info__put_text(o, NAMES[i],
                     m->left_out[i] != NULL ? m->left_out[i] : "not measured");
    }
  }
  return o;
}

cira_status_t info_measure(const info_measure_options_t *o, json_t **out) {
  info_model_t m = {0};
  json_t *all = json_object();
  json_t *local = json_object();
  json_t *far = json_object();
  m.value[INFO_PAGE_BYTES] = CIRA_PAGE_BYTES;
  m.left_out[INFO_DEVICE_BUSY] = "no device beside the memory to ask";
  cira_status_t status = info__measure_far(o, &m, far); /* this can fail */
  if (status == CIRA_OK) {
    info__measure_local(&m, local);
    json_object_set_new(all, "machine_model", model_json(&m));
    json_object_set_new(all, "left_out_of_the_model", left_out_json(&m));
    json_object_update(all, local);
    json_object_update(all, far);
    *out = json_incref(all);
  }
  json_decref(local);
  json_decref(far);
  json_decref(all);
  return status;
}
