/* SPDX-License-Identifier: Apache-2.0
 *
 * cira-graph: graph algorithms on files or generated graphs, in local or far
 * memory. The text is made from the same figures as the JSON.
 * Threads: one, and those of the algorithms.
 * Reading order: options.h, this file, run.c, verify.c.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "abi/runtime.h"
#include "cira-graph/options.h"
#include "cira-graph/run.h"
#include "cira-run/server.h"
#include "fabric/fabric.h"

#define CONNECT_NS UINT64_C(2000000000)     /* 2 s */
#define PROGRESS_NS UINT64_C(200000000)     /* between two lines */
#define PROGRESS_AFTER UINT64_C(1000000000) /* short work needs none */

/* ---- progress ------------------------------------------------------------
 */

typedef struct {
  uint64_t start_ns, last_ns;
  bool shown;
} progress_t;

static void progress(void *context, const char *what, uint64_t done,
                     uint64_t total) {
  progress_t *p = context;
  uint64_t now = cira__now_ns();
  if (now - p->start_ns < PROGRESS_AFTER || now - p->last_ns < PROGRESS_NS) {
    return;
  }
  p->last_ns = now;
  p->shown = true;
  if (total != 0) {
    fprintf(stderr, "\r\033[Kcira-graph: %s %.0f %%", what,
            100.0 * (double)done / (double)total);
  } else {
    fprintf(stderr, "\r\033[Kcira-graph: %s %llu", what,
            (unsigned long long)done);
  }
}

static void progress_clear(progress_t *p) {
  if (p->shown) {
    fputs("\r\033[K", stderr);
    p->shown = false;
  }
}

/* ---- text ----------------------------------------------------------------
 */

static bool ends_in(const char *name, const char *suffix) {
  size_t n = strlen(name), m = strlen(suffix);
  return n > m && strcmp(name + n - m, suffix) == 0;
}

static void print_value(const char *name, const json_t *v) {
  char text[512], size[24], label[64];
  size_t cut = 0;
  if (json_is_string(v)) {
    snprintf(text, sizeof text, "%s", json_string_value(v));
  } else if (json_is_boolean(v)) {
    snprintf(text, sizeof text, "%s", json_is_true(v) ? "yes" : "no");
  } else if (ends_in(name, "_per_s")) {
    snprintf(text, sizeof text, "%.1f million per second",
             json_number_value(v) * 1e-6);
    cut = 6;
  } else if (ends_in(name, "_bytes")) {
    cira__size_text((uint64_t)json_integer_value(v), size, sizeof size);
    snprintf(text, sizeof text, "%s", size);
    cut = 6;
  } else if (ends_in(name, "_s")) {
    snprintf(text, sizeof text, "%.6f s", json_number_value(v));
    cut = 2;
  } else if (json_is_real(v)) {
    snprintf(text, sizeof text, "%.9g", json_real_value(v));
  } else {
    snprintf(text, sizeof text, "%lld", (long long)json_integer_value(v));
  }
  snprintf(label, sizeof label, "%.*s", (int)(strlen(name) - cut), name);
  for (char *p = label; *p != 0; p++) {
    *p = *p == '_' ? ' ' : *p;
  }
  printf("%-20s %s\n", label, text);
}

static void print_all(json_t *all, bool as_json) {
  const char *name;
  json_t *v;
  if (as_json) {
    json_dumpf(all, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(9));
    putchar('\n');
    return;
  }
  json_object_foreach(all, name, v) {
    print_value(name, v);
  }
}

/* ---- far memory ----------------------------------------------------------
 */

static bool shm_answers(const char *token_file) {
  cira_fabric_t *f;
  cira_fabric_options_t opt;
  cira_fabric_options_default(&opt);
  opt.token_file = token_file;
  opt.deadline_ns = CONNECT_NS;
  cira_status_t status = cira_fabric_connect("shm:", &opt, &f);
  if (status == CIRA_OK) {
    cira_fabric_close(f);
  }
  return status != CIRA_E_UNREACHABLE; /* a refusal is told when we start */
}

/* The folder of this binary, where cira-memd lies as well. */
static void own_folder(char *dir, size_t bytes) {
  ssize_t n = readlink("/proc/self/exe", dir, bytes - 1);
  dir[n > 0 ? n : 0] = '\0';
  char *slash = strrchr(dir, '/');
  if (slash != NULL) {
    *slash = '\0';
  }
}

static cira_status_t far_start(const graph_options_t *o, run_server_t *server) {
  char bindir[4096];
  cira_abi_process_t p;
  const char *url = o->far_url;
  cira_status_t status = CIRA_OK;
  if (url == NULL) {
    return CIRA_OK;
  }
  if (strcmp(url, "shm:") == 0 && !shm_answers(o->token_file)) {
    own_folder(bindir, sizeof bindir);
    status = run_server_start(bindir, NULL, o->token_file, server);
    url = server->url;
  }
  if (status == CIRA_OK) {
    cira_abi_process_default(&p);
    p.far_url = url;
    p.token_file = o->token_file;
    p.local_bytes = o->local_bytes;
    status = cira_abi_process_start(&p);
  }
  return status;
}

/* ---- main ----------------------------------------------------------------
 */

static cira_status_t graph_make(const graph_options_t *o, cira_graph_t **out) {
  cira_graph_edges_t *edges;
  if (o->file != NULL) {
    return cira_graph_read(o->file, &o->graph, out);
  }
  cira_status_t status = cira_graph_generate(o->recipe, &o->graph, &edges);
  if (status == CIRA_OK) {
    status = cira_graph_build(edges, &o->graph, out);
    cira_graph_edges_destroy(edges);
  }
  return status;
}

static void graph_describe(const graph_options_t *o, const cira_graph_t *g,
                           uint64_t build_ns, json_t *out) {
  cira_graph_info_t i;
  cira_graph_info(g, &i);
  json_object_set_new(out, "command", json_string(o->command_name));
  json_object_set_new(out, "graph",
                      json_string(o->file != NULL ? o->file : o->recipe));
  json_object_set_new(out, "vertices", json_integer((json_int_t)i.vertices));
  json_object_set_new(out, "edges", json_integer((json_int_t)i.edges));
  json_object_set_new(out, "largest_degree",
                      json_integer((json_int_t)i.degree_max));
  json_object_set_new(out, "symmetric", json_boolean(i.symmetric));
  json_object_set_new(out, "weighted", json_boolean(i.weighted));
  json_object_set_new(out, "graph_bytes", json_integer((json_int_t)i.bytes));
  json_object_set_new(
      out, "place",
      json_string(i.place == CIRA_GRAPH_FAR ? o->far_url : "local"));
  json_object_set_new(out, "make_s", json_real((double)build_ns * 1e-9));
}

static cira_status_t work(const graph_options_t *o, json_t *out) {
  cira_graph_t *g = NULL;
  uint64_t start = cira__now_ns();
  cira_status_t status = graph_make(o, &g);
  if (status != CIRA_OK) {
    return status;
  }
  graph_describe(o, g, cira__now_ns() - start, out);
  if (o->convert != NULL) {
    status = cira_graph_write(g, o->convert, CIRA_GRAPH_FORMAT_AUTO);
  }
  if (status == CIRA_OK) {
    status = graph_run(o, g, out);
  }
  cira_graph_destroy(g);
  return status;
}

int main(int argc, char **argv) {
  static graph_options_t o;
  run_server_t server = {0};
  progress_t p = {.start_ns = cira__now_ns()};
  graph_options_parse(argc, argv, &o);
  if (isatty(STDERR_FILENO)) {
    o.graph.progress = o.run.progress = progress;
    o.graph.progress_context = o.run.progress_context = &p;
  }
  json_t *out = json_object();
  cira_status_t status = far_start(&o, &server);
  if (status == CIRA_OK) {
    status = work(&o, out);
  }
  progress_clear(&p);
  bool wrong = json_is_false(json_object_get(out, "verified"));
  if (status == CIRA_OK || wrong) {
    print_all(out, o.json);
  }
  if (status != CIRA_OK) {
    fprintf(stderr, "cira-graph: %s\n", cira_status_detail());
  }
  json_decref(out);
  if (cira_abi_process_space() != NULL) {
    cira_abi_process_stop();
  }
  if (server.pid != 0) {
    run_server_stop(&server);
  }
  if (fflush(stdout) != 0 || ferror(stdout)) {
    fputs("cira-graph: standard output cannot be written\n", stderr);
    return GRAPH_EXIT_FAILED;
  }
  bool input = status == CIRA_E_INVALID || status == CIRA_E_RANGE;
  return status == CIRA_OK ? 0 : input ? GRAPH_EXIT_USAGE : GRAPH_EXIT_FAILED;
}
