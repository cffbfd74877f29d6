/* SPDX-License-Identifier: Apache-2.0
 *
 * libFuzzer target for the readers of graph files. The first byte picks the
 * format; what is accepted must build, be a graph, and survive being written
 * and read again. What is refused must say where and why in one line.
 */
#include <stdlib.h>
#include <string.h>

#include "graph/graph_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void require(bool condition) {
  if (!condition) {
    abort();
  }
}

static void check_graph(const cira_graph_t *g) {
  cira_graph_info_t info;
  uint64_t total = 0;
  cira_graph_info(g, &info);
  for (uint32_t v = 0; v < info.vertices; v++) {
    uint64_t n;
    const uint32_t *list = cira_graph_out(g, v, &n, NULL);
    for (uint64_t i = 0; i < n; i++) {
      require(list[i] < info.vertices && (i == 0 || list[i] >= list[i - 1]));
    }
    total += n;
  }
  require(total == info.edges);
}

static void check_round_trip(const cira_graph_t *g,
                             const cira_graph_options_t *o) {
  cira_graph_t *copy;
  char *file;
  size_t bytes;
  FILE *f = open_memstream(&file, &bytes);
  require(f != NULL && cira__binary_write(f, "copy", g) == CIRA_OK);
  fclose(f);
  f = fmemopen(file, bytes, "r");
  require(f != NULL && cira__binary_read(f, "copy", o, &copy) == CIRA_OK);
  fclose(f);
  require(copy->edges == g->edges && copy->n == g->n);
  require(memcmp(copy->out.neighbours, g->out.neighbours, g->edges * 4) == 0);
  cira_graph_destroy(copy);
  free(file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
  cira_graph_options_t given, o;
  cira_graph_edges_t *e = NULL;
  cira_graph_t *g = NULL;
  if (bytes < 2) {
    return 0;
  }
  cira_graph_options_default(&given);
  given.vertices_max = 10000;
  given.edges_max = 10000;
  given.threads = 1;
  given.symmetrise = (data[0] & 8) != 0;
  given.deduplicate = (data[0] & 16) != 0;
  given.compact = (data[0] & 32) != 0;
  given.in_edges = (data[0] & 64) != 0;
  cira__options_fill(&given, &o);
  FILE *f = fmemopen((void *)(uintptr_t)(data + 1), bytes - 1, "r");
  require(f != NULL);
  cira_graph_format_t format = (cira_graph_format_t)(1 + (data[0] & 3));
  cira_status_t status;
  if (format == CIRA_GRAPH_FORMAT_BINARY) {
    status = cira__binary_read(f, "fuzz", &o, &g);
  } else {
    status = cira__edges_read_file(f, "fuzz", format, &o, &e);
  }
  fclose(f);
  if (status != CIRA_OK) {
    const char *detail = cira_status_detail();
    require(strncmp(detail, "fuzz", 4) == 0 || status == CIRA_E_RANGE);
    require(strchr(detail, '\n') == NULL);
    return 0;
  }
  if (e != NULL) {
    require(cira_graph_build(e, &o, &g) == CIRA_OK);
    cira_graph_edges_destroy(e);
  }
  check_graph(g);
  check_round_trip(g, &o);
  cira_graph_destroy(g);
  return 0;
}
