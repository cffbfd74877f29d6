/* SPDX-License-Identifier: Apache-2.0
 *
 * report: what cira-prof makes of a profile. All writers take an open stream;
 * errors of writing show in ferror.
 */
#ifndef CIRA_PROF_REPORT_H
#define CIRA_PROF_REPORT_H

#include <stdio.h>

#include "cira-prof/sites.h"

typedef struct {
  const char *path; /* of the profile */
  const prof_model_t *model;
  const prof_sites_t *sites;
  uint32_t top; /* sites that are shown */
} prof_report_t;

void prof_text_write(const prof_report_t *r, FILE *out);
void prof_json_write(const prof_report_t *r, FILE *out);
void prof_html_write(const prof_report_t *r, FILE *out);
/* Chrome's trace event format; waits shorter than least_ns are left out. */
void prof_trace_write(const prof_model_t *m, prof_symbols_t *symbols,
                      uint64_t least_ns, FILE *out);
/* Two runs side by side, matched by function and line. */
void prof_diff_write(const prof_report_t *a, const prof_report_t *b, FILE *out);

/* Shared by the writers: */
/* "12.3 us", "1.25 s" into buf; returns buf. */
char *prof_time_text(uint64_t ns, char *buf, size_t bytes);
/* "73%", or "-" when there is nothing to tell from. */
char *prof_percent_text(double percent, char *buf, size_t bytes);
/* Text as it may stand in JSON strings / in HTML. */
void prof_json_string(const char *text, FILE *out);
void prof_html_text(const char *text, FILE *out);

#endif
