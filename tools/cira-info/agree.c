/* SPDX-License-Identifier: Apache-2.0
 *
 * agree: the figures of the model by name, and whether two measurements of them
 * agree. The names are the fields of #cira.machine (CiraAttrs.td), since the
 * compiler reads the JSON as it is.
 * Figures of what a cache or a page is come from tables, and how many requests
 * are enough is a power of two; these are not compared.
 */
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
    [INFO_PREFETCHES] = "prefetches_in_flight",
    [INFO_PAGES] = "pages_in_flight",
};

/* How far apart two measurements of a quiet machine may be; 0 = not compared.
 * What two processors or a server take part in varies more. */
static const double FACTOR[INFO_FIGURE_COUNT] = {
    [INFO_LLC_LATENCY] = 1.3, [INFO_LOCAL_LATENCY] = 1.3,
    [INFO_CXL_LATENCY] = 1.3, [INFO_REMOTE_CXL_LATENCY] = 1.3,
    [INFO_FAR_LATENCY] = 1.6, [INFO_LOCAL_RATE] = 1.4,
    [INFO_CXL_RATE] = 1.4,    [INFO_REMOTE_CXL_RATE] = 1.4,
    [INFO_FAR_RATE] = 1.6,    [INFO_SYNC] = 2.5,
    [INFO_OP] = 1.3,          [INFO_LINES] = 1.6,
    [INFO_PREFETCHES] = 1.6,
};

const char *info__figure_name(info_figure_t figure) {
  return NAMES[figure];
}

bool info__models_agree(const info_model_t *a, const info_model_t *b,
                        info_figure_t *out_worst) {
  double most = 1;
  for (size_t i = 0; i < INFO_FIGURE_COUNT; i++) {
    double x = a->value[i], y = b->value[i];
    if (FACTOR[i] == 0 || x == y) {
      continue;
    }
    double low = x < y ? x : y, high = x < y ? y : x;
    /* measured once and not the other time: as far apart as can be */
    double by = low > 0 ? high / low / FACTOR[i] : 1e30;
    if (by > most) {
      most = by;
      *out_worst = (info_figure_t)i;
    }
  }
  return most <= 1;
}
