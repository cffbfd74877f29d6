/* SPDX-License-Identifier: Apache-2.0
 *
 * The DIMACS formats of the first implementation challenge (1991). A problem:
 *   c comment
 *   p min NODES ARCS                  once, before the lines below
 *   n NODE SUPPLY                     for nodes with supply (demand: negative)
 *   a TAIL HEAD LOWER UPPER COST      exactly ARCS times
 * A solution: "s OBJECTIVE" once, then "f TAIL HEAD FLOW" for arcs with flow.
 * Invariant: every refusal says file, line, what is wrong and what is allowed;
 * a file that is accepted gives a network that the solver can take.
 * Threads: any; a file belongs to the caller.
 */
#include "mcf.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct reader {
  FILE *file;
  const char *name;
  char *line;
  size_t line_room;
  char *at; /* first character not yet taken */
  int64_t line_number;
  struct mcf_error *error;
};

/* `inner` with the place in front. */
static int fail_here(const struct reader *reader, int result,
                     const char *inner) {
  return mcf_fail(reader->error, result, "%.200s:%" PRId64 ": %s", reader->name,
                  reader->line_number, inner);
}

static void skip_blanks(struct reader *reader) {
  while (*reader->at == ' ' || *reader->at == '\t' || *reader->at == '\r' ||
         *reader->at == '\n') {
    reader->at++;
  }
}

/* Goes to the next line that is neither blank nor a comment. Sets *out_kind to
 * its letter, 0 at the end of the file. */
static int next_line(struct reader *reader, char *out_kind) {
  for (;;) {
    errno = 0;
    ssize_t bytes = getline(&reader->line, &reader->line_room, reader->file);
    if (bytes < 0) {
      if (ferror(reader->file) || errno == ENOMEM) {
        return mcf_fail(reader->error, MCF_E_FAILED, "%.200s: cannot read: %s",
                        reader->name, strerror(errno));
      }
      *out_kind = 0;
      return MCF_OK;
    }
    reader->line_number++;
    reader->at = reader->line;
    if (strlen(reader->line) != (size_t)bytes) {
      return fail_here(reader, MCF_E_INPUT,
                       "a NUL byte: this is not a text file");
    }
    skip_blanks(reader);
    char kind = *reader->at;
    if (kind == 0 || kind == 'c') {
      continue;
    }
    reader->at++;
    if (*reader->at && !isspace((unsigned char)*reader->at)) {
      return fail_here(reader, MCF_E_INPUT,
                       "a line starts with a single letter and a blank");
    }
    *out_kind = kind;
    return MCF_OK;
  }
}

static int next_int(struct reader *reader, const char *what, int64_t *out) {
  struct mcf_error inner;
  char *end;
  skip_blanks(reader);
  if (*reader->at == 0) {
    mcf_fail(&inner, 0, "%s is missing", what);
    return fail_here(reader, MCF_E_INPUT, inner.text);
  }
  errno = 0;
  long long value = strtoll(reader->at, &end, 10);
  if (end == reader->at || (*end && !isspace((unsigned char)*end))) {
    size_t length = strcspn(reader->at, " \t\r\n");
    mcf_fail(&inner, 0, "%s: '%.*s' is not an integer", what,
             (int)(length < 40 ? length : 40), reader->at);
    return fail_here(reader, MCF_E_INPUT, inner.text);
  }
  if (errno == ERANGE) {
    mcf_fail(&inner, 0, "%s does not fit 64 bits", what);
    return fail_here(reader, MCF_E_INPUT, inner.text);
  }
  reader->at = end;
  *out = value;
  return MCF_OK;
}

static int line_end(struct reader *reader) {
  skip_blanks(reader);
  return *reader->at
             ? fail_here(reader, MCF_E_INPUT, "more fields than expected")
             : MCF_OK;
}

/* ---- problem ---- */

static int read_p(struct reader *reader, const struct mcf_limits *limits,
                  struct mcf_network *net) {
  struct mcf_error inner;
  int64_t nodes, arcs;
  if (net->nodes) {
    return fail_here(reader, MCF_E_INPUT, "a second p line");
  }
  skip_blanks(reader);
  if (strncmp(reader->at, "min", 3) != 0 ||
      !isspace((unsigned char)reader->at[3])) {
    return fail_here(reader, MCF_E_INPUT,
                     "not a minimum-cost-flow problem: the p line must be "
                     "'p min NODES ARCS'");
  }
  reader->at += 3;
  if (next_int(reader, "number of nodes", &nodes) ||
      next_int(reader, "number of arcs", &arcs) || line_end(reader)) {
    return MCF_E_INPUT;
  }
  if (limits && (nodes > limits->nodes || arcs > limits->arcs)) {
    return fail_here(reader, MCF_E_INPUT, "more nodes or arcs than allowed");
  }
  int result = mcf_network_init(net, nodes, arcs, &inner);
  return result ? fail_here(reader, result, inner.text) : MCF_OK;
}

static int read_n(struct reader *reader, struct mcf_network *net) {
  struct mcf_error inner;
  int64_t node, supply;
  if (next_int(reader, "node", &node) || next_int(reader, "supply", &supply) ||
      line_end(reader)) {
    return MCF_E_INPUT;
  }
  return mcf_network_set_supply(net, node, supply, &inner)
             ? fail_here(reader, MCF_E_INPUT, inner.text)
             : MCF_OK;
}

static int read_a(struct reader *reader, struct mcf_network *net) {
  struct mcf_error inner;
  int64_t tail, head, lower, upper, cost;
  if (next_int(reader, "tail", &tail) || next_int(reader, "head", &head) ||
      next_int(reader, "lower bound", &lower) ||
      next_int(reader, "capacity", &upper) || next_int(reader, "cost", &cost) ||
      line_end(reader)) {
    return MCF_E_INPUT;
  }
  return mcf_network_add_arc(net, tail, head, lower, upper, cost, &inner)
             ? fail_here(reader, MCF_E_INPUT, inner.text)
             : MCF_OK;
}

static int read_problem_lines(struct reader *reader,
                              const struct mcf_limits *limits,
                              struct mcf_network *net) {
  struct mcf_error inner;
  for (;;) {
    char kind;
    int result = next_line(reader, &kind);
    if (result) {
      return result;
    }
    if (kind == 'p') {
      result = read_p(reader, limits, net);
    } else if (!net->nodes) {
      return fail_here(reader, MCF_E_INPUT,
                       "the p line 'p min NODES ARCS' must come first");
    } else if (kind == 'n') {
      result = read_n(reader, net);
    } else if (kind == 'a') {
      result = read_a(reader, net);
    } else if (kind == 0) {
      return mcf_network_check(net, &inner)
                 ? fail_here(reader, MCF_E_INPUT, inner.text)
                 : MCF_OK;
    } else {
      return fail_here(reader, MCF_E_INPUT,
                       "unknown line: must be one of c, p, n, a");
    }
    if (result) {
      return result;
    }
  }
}

int mcf_read_problem(FILE *file, const char *name,
                     const struct mcf_limits *limits,
                     struct mcf_network *out_net, struct mcf_error *error) {
  struct reader reader = {.file = file, .name = name, .error = error};
  struct mcf_network net = {0};

  int result = read_problem_lines(&reader, limits, &net);
  free(reader.line);
  if (result) {
    mcf_network_fini(&net);
    return result;
  }
  *out_net = net;
  return MCF_OK;
}

static int write_end(FILE *file, struct mcf_error *error) {
  if (fflush(file) || ferror(file)) {
    return mcf_fail(error, MCF_E_FAILED, "cannot write: %s", strerror(errno));
  }
  return MCF_OK;
}

int mcf_write_problem(FILE *file, const struct mcf_network *net,
                      struct mcf_error *error) {
  fprintf(file, "p min %" PRId64 " %" PRId64 "\n", net->node_count,
          net->arc_count);
  for (int64_t i = 1; i <= net->node_count; i++) {
    if (net->nodes[i].supply != 0) {
      fprintf(file, "n %" PRId64 " %" PRId64 "\n", i, net->nodes[i].supply);
    }
  }
  for (int64_t i = 0; i < net->arc_count; i++) {
    const struct mcf_arc *arc = &net->arcs[i];
    fprintf(file,
            "a %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 "\n",
            mcf_node_number(net, arc->tail), mcf_node_number(net, arc->head),
            arc->lower, arc->upper, arc->cost);
  }
  return write_end(file, error);
}

/* ---- solution ---- */

int mcf_write_solution(FILE *file, const struct mcf_network *net,
                       int64_t objective, struct mcf_error *error) {
  fprintf(file, "s %" PRId64 "\n", objective);
  for (int64_t i = 0; i < net->arc_count; i++) {
    const struct mcf_arc *arc = &net->arcs[i];
    if (arc->flow != 0) {
      fprintf(file, "f %" PRId64 " %" PRId64 " %" PRId64 "\n",
              mcf_node_number(net, arc->tail), mcf_node_number(net, arc->head),
              arc->flow);
    }
  }
  return write_end(file, error);
}

struct flow_line {
  const struct mcf_node *tail;
  const struct mcf_node *head;
  int64_t flow;
  int64_t line_number;
};

struct flow_list {
  struct flow_line *lines;
  int64_t count;
  int64_t room;
};

static int read_f(struct reader *reader, const struct mcf_network *net,
                  struct flow_list *list) {
  struct mcf_error inner;
  int64_t tail, head, flow;
  if (next_int(reader, "tail", &tail) || next_int(reader, "head", &head) ||
      next_int(reader, "flow", &flow) || line_end(reader)) {
    return MCF_E_INPUT;
  }
  if (tail < 1 || tail > net->node_count || head < 1 ||
      head > net->node_count) {
    mcf_fail(&inner, 0, "node out of range: must be 1 to %" PRId64,
             net->node_count);
    return fail_here(reader, MCF_E_INPUT, inner.text);
  }
  if (flow < 0 || flow > 2 * (MCF_FLOW_LIMIT - 1)) {
    return fail_here(reader, MCF_E_INPUT, "flow must be 0 to 2^62");
  }
  if (list->count == list->room) {
    int64_t room = list->room ? list->room * 2 : 1024;
    struct flow_line *lines =
        realloc(list->lines, (size_t)room * sizeof *lines);
    if (!lines) {
      return fail_here(reader, MCF_E_FAILED, "out of memory");
    }
    list->lines = lines;
    list->room = room;
  }
  list->lines[list->count++] = (struct flow_line){
      &net->nodes[tail], &net->nodes[head], flow, reader->line_number};
  return MCF_OK;
}

static int read_solution_lines(struct reader *reader,
                               const struct mcf_network *net,
                               struct flow_list *list, int64_t *out_objective) {
  bool seen = false;
  for (;;) {
    char kind;
    int result = next_line(reader, &kind);
    if (result) {
      return result;
    }
    if (kind == 's' && seen) {
      return fail_here(reader, MCF_E_INPUT, "a second s line");
    }
    if (kind == 's') {
      seen = true;
      if (next_int(reader, "objective", out_objective) || line_end(reader)) {
        return MCF_E_INPUT;
      }
    } else if (kind == 'f') {
      result = read_f(reader, net, list);
      if (result) {
        return result;
      }
    } else if (kind != 0) {
      return fail_here(reader, MCF_E_INPUT,
                       "unknown line: must be one of c, s, f");
    } else {
      return seen ? MCF_OK
                  : fail_here(reader, MCF_E_INPUT, "the s line is missing");
    }
  }
}

static int pair_order(const struct mcf_node *tail_a,
                      const struct mcf_node *head_a,
                      const struct mcf_node *tail_b,
                      const struct mcf_node *head_b) {
  if (tail_a != tail_b) {
    return tail_a < tail_b ? -1 : 1;
  }
  if (head_a != head_b) {
    return head_a < head_b ? -1 : 1;
  }
  return 0;
}

static int flow_order(const void *a, const void *b) {
  const struct flow_line *x = a, *y = b;
  int order = pair_order(x->tail, x->head, y->tail, y->head);
  return order ? order
               : (x->line_number > y->line_number) -
                     (x->line_number < y->line_number);
}

static int arc_order(const void *a, const void *b) {
  const struct mcf_arc *x = *(struct mcf_arc *const *)a;
  const struct mcf_arc *y = *(struct mcf_arc *const *)b;
  int order = pair_order(x->tail, x->head, y->tail, y->head);
  order = order ? order : (x->cost > y->cost) - (x->cost < y->cost);
  return order ? order : (x > y) - (x < y);
}

/* Gives `total` to `count` parallel arcs in order of cost. What exceeds all
 * bounds goes to the last one. */
static void flow_share(struct mcf_arc **arcs, int64_t count, int64_t total) {
  for (int64_t i = 0; i < count; i++) {
    int64_t part = total < arcs[i]->lower ? total : arcs[i]->lower;
    arcs[i]->flow = part;
    total -= part;
  }
  for (int64_t i = 0; i < count; i++) {
    int64_t room = arcs[i]->upper - arcs[i]->flow;
    int64_t part = total < room || i == count - 1 ? total : room;
    arcs[i]->flow += part;
    total -= part;
  }
}

/* Both sorted by (tail, head): walks them side by side. */
static int flow_assign(struct reader *reader, struct mcf_arc **arcs,
                       int64_t arc_count, const struct flow_list *list) {
  int64_t next = 0;
  for (int64_t i = 0; i < arc_count;) {
    int64_t count = 1, total = 0;
    const struct mcf_node *tail = arcs[i]->tail, *head = arcs[i]->head;
    while (i + count < arc_count && arcs[i + count]->tail == tail &&
           arcs[i + count]->head == head) {
      count++;
    }
    for (; next < list->count; next++) {
      const struct flow_line *line = &list->lines[next];
      int order = pair_order(line->tail, line->head, tail, head);
      reader->line_number = line->line_number;
      if (order < 0) {
        return fail_here(reader, MCF_E_INPUT,
                         "flow between two nodes that no arc joins");
      }
      if (order > 0) {
        break;
      }
      if (__builtin_add_overflow(total, line->flow, &total)) {
        return fail_here(reader, MCF_E_INPUT, "flow does not fit 64 bits");
      }
    }
    flow_share(arcs + i, count, total);
    i += count;
  }
  if (next < list->count) {
    reader->line_number = list->lines[next].line_number;
    return fail_here(reader, MCF_E_INPUT,
                     "flow between two nodes that no arc joins");
  }
  return MCF_OK;
}

int mcf_read_solution(FILE *file, const char *name, struct mcf_network *net,
                      int64_t *out_objective, struct mcf_error *error) {
  struct reader reader = {.file = file, .name = name, .error = error};
  struct flow_list list = {0};
  struct mcf_arc **arcs = NULL;
  int64_t objective = 0;

  int result = read_solution_lines(&reader, net, &list, &objective);
  if (result) {
    goto out;
  }
  arcs = malloc((size_t)(net->arc_count + 1) * sizeof(struct mcf_arc *));
  if (!arcs) {
    result = fail_here(&reader, MCF_E_FAILED, "out of memory");
    goto out;
  }
  for (int64_t i = 0; i < net->arc_count; i++) {
    arcs[i] = &net->arcs[i];
  }
  qsort(arcs, (size_t)net->arc_count, sizeof *arcs, arc_order);
  if (list.count > 0) {
    qsort(list.lines, (size_t)list.count, sizeof *list.lines, flow_order);
  }
  result = flow_assign(&reader, arcs, net->arc_count, &list);
  if (result == MCF_OK) {
    *out_objective = objective;
  }
out:
  free(arcs);
  free(list.lines);
  free(reader.line);
  return result;
}
