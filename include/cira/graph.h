/* SPDX-License-Identifier: Apache-2.0
 *
 * Graphs in local or far memory, and programs on them.
 *
 *   edges   a list of edges as it comes from a file or a generator
 *   graph   the same in rows (CSR): for each vertex its neighbours, sorted
 *   run     programs: what happens at a vertex and its list, or at an edge
 *
 * Vertices are numbers from 0 to vertices - 1 (32 bits), edges are counted in
 * 64 bits, weights are 32-bit integers. A graph does not change after it was
 * built: any number of threads may read it, and run programs on it, at once.
 * Its arrays may lie in far memory: programs read them there without bringing
 * pages into the local cache where the fabric allows it, and ask for what comes
 * next from the queue of vertices: rows, then lists, then the state of the
 * neighbours.
 *
 * Reading order: options, edges, graphs, memory, programs, algorithms.
 */
#ifndef CIRA_GRAPH_H
#define CIRA_GRAPH_H

#include <stdbool.h>
#include <stdint.h>

#include "cira/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct cira_graph cira_graph_t;
typedef struct cira_graph_edges cira_graph_edges_t;

#define CIRA_GRAPH_NONE UINT32_MAX /* no vertex; unreachable */
#define CIRA_GRAPH_VERTICES_MAX                                                \
  (UINT32_MAX - 1u) /* numbers end before NONE                                 \
                     */
#define CIRA_GRAPH_THREADS_MAX 256u

/* ---- options ------------------------------------------------------------ */

typedef enum {
  CIRA_GRAPH_LOCAL = 0, /* ordinary memory */
  CIRA_GRAPH_FAR = 1,   /* the far space of the process */
} cira_graph_place_t;

typedef enum {
  CIRA_GRAPH_WEIGHTS_KEEP = 0,   /* those of the file, if it has any */
  CIRA_GRAPH_WEIGHTS_DROP = 1,   /* none */
  CIRA_GRAPH_WEIGHTS_RANDOM = 2, /* 1..weight_max, the same in both directions
                                    of a symmetric edge */
} cira_graph_weights_t;

typedef enum {
  CIRA_GRAPH_FORMAT_AUTO = 0,          /* by content, then by suffix */
  CIRA_GRAPH_FORMAT_EDGES = 1,         /* "U V [W]" lines, also SNAP's files */
  CIRA_GRAPH_FORMAT_MATRIX_MARKET = 2, /* coordinate matrices (.mtx) */
  CIRA_GRAPH_FORMAT_DIMACS = 3,        /* shortest path problems (.gr, .sp) */
  CIRA_GRAPH_FORMAT_BINARY = 4,        /* docs/graph-files.md (.cgr) */
} cira_graph_format_t;

/* Called now and then by the thread that called the function; total 0: not
 * known. */
typedef void (*cira_graph_progress_fn)(void *context, const char *what,
                                       uint64_t done, uint64_t total);

typedef struct {
  uint32_t size;            /* sizeof(cira_graph_options_t) */
  cira_graph_place_t place; /* of the edges or the graph that is made */
  cira_graph_format_t format;
  cira_graph_weights_t weights;
  uint32_t weight_max;   /* of random weights; 0 = 255 */
  uint32_t threads;      /* 0 = one per CPU */
  uint64_t seed;         /* of generators and random weights; 0 = 1 */
  uint64_t vertices_max; /* files with more are refused; 0 = no limit */
  uint64_t edges_max;    /* likewise */
  bool symmetrise;       /* each edge in both directions */
  bool deduplicate;      /* of parallel edges the lightest stays */
  bool drop_self_loops;
  bool in_edges; /* keep the reverse of a graph that is not symmetric */
  bool compact;  /* number the vertices that occur 0, 1, 2 ... in order */
  cira_graph_progress_fn progress; /* NULL = none */
  void *progress_context;
} cira_graph_options_t;

/* Fills in the defaults: local memory, weights as they are, nothing changed.
 * Threads: any. */
CIRA_API void cira_graph_options_default(cira_graph_options_t *opt);

/* ---- edges -------------------------------------------------------------- */

/* Makes an empty list of edges.
 *   vertices   how many vertices there are; 0: one more than the largest number
 *   weighted   each edge has a weight
 * Returns CIRA_OK; CIRA_E_RANGE for too many vertices; CIRA_E_UNSUPPORTED when
 *   the place is far and the process has no far memory; CIRA_E_NOMEM.
 * Threads: any. Ends with cira_graph_edges_destroy. */
CIRA_API CIRA_MUST_USE cira_status_t
cira_graph_edges_create(cira_graph_place_t place, uint64_t vertices,
                        bool weighted, cira_graph_edges_t **out);

/* Appends count edges; weight may be NULL only when the list has none.
 * Returns CIRA_OK; CIRA_E_RANGE for a vertex that the list cannot have (then
 *   nothing is appended); CIRA_E_INVALID for missing weights; CIRA_E_NOMEM.
 * Threads: caller-serialised. Cost: amortised a copy. */
CIRA_API CIRA_MUST_USE cira_status_t cira_graph_edges_append(
    cira_graph_edges_t *edges, uint64_t count, const uint32_t *from,
    const uint32_t *to, const int32_t *weight);

/* Returns the number of edges. Threads: any, while nobody appends. */
CIRA_API uint64_t cira_graph_edges_count(const cira_graph_edges_t *edges);
/* Returns the number of vertices. Threads: any, while nobody appends. */
CIRA_API uint64_t cira_graph_edges_vertices(const cira_graph_edges_t *edges);

/* Frees the list; NULL is allowed. Threads: owner. */
CIRA_API void cira_graph_edges_destroy(cira_graph_edges_t *edges);

/* Makes edges by a recipe, the same for the same seed:
 *   kronecker:SCALE,DEGREE   2^SCALE vertices, DEGREE * 2^SCALE edges, skewed
 *                            as Graph500's (A .57, B .19, C .19), numbers mixed
 *   uniform:SCALE,DEGREE     both ends of each edge drawn evenly
 *   grid:WIDTHxHEIGHT        edges to the right and downwards
 * Each edge occurs in one direction: set symmetrise when building.
 * Options: place, seed, progress.
 * Returns CIRA_OK; CIRA_E_INVALID for a recipe that is none; CIRA_E_RANGE for
 *   too many vertices or edges; CIRA_E_UNSUPPORTED, CIRA_E_NOMEM as above.
 * Threads: any. */
CIRA_API CIRA_MUST_USE cira_status_t
cira_graph_generate(const char *recipe, const cira_graph_options_t *opt,
                    cira_graph_edges_t **out);

/* Reads a file as a list of edges. Options: place, format, weights (DROP),
 * vertices_max, edges_max, compact, progress.
 * Returns CIRA_OK; CIRA_E_INVALID or CIRA_E_RANGE with a detail of the form
 *   "FILE:LINE: what; remedy" for a file that is not right; CIRA_E_SYSTEM when
 *   it cannot be read; CIRA_E_UNSUPPORTED, CIRA_E_NOMEM as above.
 * Threads: any. */
CIRA_API CIRA_MUST_USE cira_status_t
cira_graph_edges_read(const char *path, const cira_graph_options_t *opt,
                      cira_graph_edges_t **out);

/* ---- graphs ------------------------------------------------------------- */

/* Builds a graph from edges, which stay the caller's. Uses all options but
 * format, compact and the limits.
 * Returns CIRA_OK; CIRA_E_UNSUPPORTED, CIRA_E_NOMEM as above; CIRA_E_SYSTEM
 *   when no thread can be started.
 * Threads: any. Needs, while it builds, once more the memory of the edges (in
 *   the graph's place) and local memory for the longest neighbour list. */
CIRA_API CIRA_MUST_USE cira_status_t
cira_graph_build(const cira_graph_edges_t *edges,
                 const cira_graph_options_t *opt, cira_graph_t **out);

/* Reads a file and builds the graph; a binary file that already is what the
 * options ask for is taken as it is, after its checks.
 * Returns what reading and building return. Threads: any. */
CIRA_API CIRA_MUST_USE cira_status_t cira_graph_read(
    const char *path, const cira_graph_options_t *opt, cira_graph_t **out);

/* Writes a graph; AUTO takes the format from the suffix. A file appears only
 * when it is complete.
 * Returns CIRA_OK; CIRA_E_INVALID for a suffix that says nothing; CIRA_E_SYSTEM
 *   when it cannot be written.
 * Threads: any. */
CIRA_API CIRA_MUST_USE cira_status_t cira_graph_write(
    const cira_graph_t *graph, const char *path, cira_graph_format_t format);

/* Frees the graph; NULL is allowed. Threads: owner. */
CIRA_API void cira_graph_destroy(cira_graph_t *graph);

typedef struct {
  uint64_t vertices, edges; /* edges: each direction counts */
  uint64_t bytes;           /* of all arrays */
  uint64_t degree_max;      /* of outgoing edges */
  int32_t weight_min, weight_max;
  cira_graph_place_t place;
  bool weighted;
  bool symmetric; /* each edge occurs in both directions */
  bool simple;    /* no parallel edges */
  bool loop_free; /* no self loops */
  bool in_edges;  /* incoming edges are known (also when symmetric) */
} cira_graph_info_t;
/* Tells what a graph is. Threads: any. */
CIRA_API void cira_graph_info(const cira_graph_t *graph,
                              cira_graph_info_t *out);

/* The outgoing (or, where known, incoming) edges of a vertex < vertices, in
 * the memory of the graph: plain reads, which wait where pages are far.
 *   weights   NULL, or where to put the weights (NULL for a graph without)
 * Returns the neighbours, in rising order; *count tells how many.
 * Threads: any. */
CIRA_API const uint32_t *cira_graph_out(const cira_graph_t *graph,
                                        uint32_t vertex, uint64_t *count,
                                        const int32_t **weights);
/* The same of incoming edges; CIRA_GRAPH_NONE's list (NULL, 0) when they are
 * not known. Returns the neighbours. Threads: any. */
CIRA_API const uint32_t *cira_graph_in(const cira_graph_t *graph,
                                       uint32_t vertex, uint64_t *count,
                                       const int32_t **weights);

/* ---- running ------------------------------------------------------------ */

/* Far memory is read by plain loads only: nothing is read at home, no page is
 * asked for ahead, and states lie in far memory too. For comparisons. */
#define CIRA_GRAPH_F_PLAIN 1u

typedef struct {
  uint32_t size;       /* sizeof(cira_graph_run_t) */
  uint32_t threads;    /* 0 = one per CPU, at most CIRA_GRAPH_THREADS_MAX */
  uint32_t flags;      /* CIRA_GRAPH_F_* */
  uint32_t look_ahead; /* vertices of the queue, 1..32; 0 = 8 */
  cira_graph_progress_fn progress; /* NULL = none */
  void *progress_context;
} cira_graph_run_t;
/* Fills in the defaults. Threads: any. */
CIRA_API void cira_graph_run_default(cira_graph_run_t *run);

/* Zeroed memory for the state of a program, aligned to 64 bytes: local for a
 * local graph; for a far one local and charged to the local cache while the
 * states take at most half of it, else far (always far with F_PLAIN).
 * Returns NULL when there is no memory. Threads: any. */
CIRA_API void *cira_graph_state_alloc(const cira_graph_t *graph, uint64_t bytes,
                                      uint32_t flags);
/* Frees it; NULL is allowed. Threads: any. */
CIRA_API void cira_graph_state_free(void *state);

/* ---- programs ----------------------------------------------------------- */

typedef struct cira_graph_worker cira_graph_worker_t; /* a thread of a run */

/* Neighbours of a vertex: the whole list, or a part of it in order. Lists lie
 * where they can be read without waiting; do not keep the pointers. */
typedef struct {
  const uint32_t *neighbours;
  const int32_t *weights; /* NULL: none */
  uint64_t count;
  uint64_t readable; /* >= count: what follows belongs to the next vertex */
  const uint64_t *active; /* pull: bit u of the frontier: 1 << (u % 64) of
                             active[u / 64]; NULL when pushing */
  uint32_t vertex;
} cira_graph_list_t;

/* What happens at a vertex. All functions run on several threads at once, for
 * different vertices; NULL is allowed where it is said. `push` meets a vertex
 * of the frontier and its outgoing edges, `pull` any vertex and its incoming
 * ones. */
typedef struct {
  uint32_t size; /* sizeof(cira_graph_program_t) */
  void *context;
  /* Array by vertex of what push looks at of a neighbour; asked for ahead.
   * NULL: nothing. */
  const void *state;
  uint32_t state_bytes; /* of one element */
  /* Before the list; false: leave this vertex out. NULL: take all. */
  bool (*begin)(void *context, cira_graph_worker_t *worker, uint32_t vertex);
  /* A part of the list; false: no more of this list. NULL for the direction
   * that the program does not have; one of them is there. */
  bool (*push)(void *context, cira_graph_worker_t *worker,
               const cira_graph_list_t *list);
  bool (*pull)(void *context, cira_graph_worker_t *worker,
               const cira_graph_list_t *list);
  /* After the list. NULL: nothing. */
  void (*end)(void *context, cira_graph_worker_t *worker, uint32_t vertex);
  /* Between rounds, one thread: the frontier of round `round` (from 1) has
   * `active` vertices; false: stop here. NULL: until there are none. */
  bool (*round)(void *context, uint64_t round, uint64_t active);
} cira_graph_program_t;

/* Puts a vertex into the next frontier. The program sees to it that a vertex
 * is put there once a round, by a compare-and-swap on its state for instance.
 * Threads: the worker's. Cost: a store. */
CIRA_API void cira_graph_activate(cira_graph_worker_t *worker, uint32_t vertex);
/* Returns the number of the worker, 0..threads - 1. Threads: any. */
CIRA_API uint32_t cira_graph_worker_index(const cira_graph_worker_t *worker);

/* Runs a program from a frontier until nothing is active. With both
 * directions (and known incoming edges) each round takes the cheaper one: a
 * large frontier is pulled.
 *   frontier   count vertices, each once; NULL: all vertices, in order
 *   out_rounds NULL, or where to put how many rounds there were
 * Returns CIRA_OK; CIRA_E_RANGE for a vertex that the graph has not, or when a
 *   round activates more vertices than there are; CIRA_E_INVALID for a program
 *   that can only pull on a graph without incoming edges; CIRA_E_NOMEM;
 *   CIRA_E_SYSTEM when no thread can be started.
 * Threads: any. */
CIRA_API CIRA_MUST_USE cira_status_t cira_graph_program_run(
    const cira_graph_t *graph, const cira_graph_program_t *program,
    const uint32_t *frontier, uint64_t count, const cira_graph_run_t *run,
    uint64_t *out_rounds);

/* What happens at edges: `edge` gets count of them at a time, in any order. */
typedef struct {
  uint32_t size; /* sizeof(cira_graph_edge_program_t) */
  void *context;
  void (*edge)(void *context, cira_graph_worker_t *worker, uint64_t count,
               const uint32_t *from, const uint32_t *to,
               const int32_t *weights);
} cira_graph_edge_program_t;

/* Runs a program once over each edge of a list.
 * Returns CIRA_OK; CIRA_E_NOMEM; CIRA_E_SYSTEM when no thread can be started.
 * Threads: any, while nobody appends. */
CIRA_API CIRA_MUST_USE cira_status_t cira_graph_edges_run(
    const cira_graph_edges_t *edges, const cira_graph_edge_program_t *program,
    const cira_graph_run_t *run);

/* ---- algorithms --------------------------------------------------------- *
 * Results go to the caller's arrays of one element per vertex (best from
 * cira_graph_state_alloc), which are written in any case. */

/* Breadth-first search, with direction switch where incoming edges are known.
 *   out_parent   CIRA_GRAPH_NONE where not reached; the source's is itself
 * Returns CIRA_OK; CIRA_E_RANGE for a source that the graph has not; as
 *   cira_graph_program_run. Threads: any. */
CIRA_API CIRA_MUST_USE cira_status_t cira_graph_bfs(const cira_graph_t *graph,
                                                    uint32_t source,
                                                    const cira_graph_run_t *run,
                                                    uint32_t *out_parent);

/* Shortest paths by delta stepping; edges of a graph without weights are 1.
 *   delta          width of a bucket; 0 = by weights and degree
 *   out_distance   CIRA_GRAPH_NONE where not reached
 * Returns CIRA_OK; CIRA_E_INVALID for negative weights; CIRA_E_RANGE for a
 *   source that the graph has not, or distances beyond 2^32 - 2; as
 *   cira_graph_program_run. Threads: any. */
CIRA_API CIRA_MUST_USE cira_status_t
cira_graph_sssp(const cira_graph_t *graph, uint32_t source, uint32_t delta,
                const cira_graph_run_t *run, uint32_t *out_distance);

/* PageRank, pulled until the scores change by less than tolerance in sum, at
 * most rounds_max times. What vertices without outgoing edges have is shared
 * by all; the scores add up to 1.
 *   damping   in (0, 1); 0 = 0.85.   tolerance   0 = 1e-4
 *   out_rounds   NULL, or how many rounds there were
 * Returns CIRA_OK; CIRA_E_INVALID for other numbers, or when incoming edges
 *   are not known (build with in_edges); as cira_graph_program_run.
 * Threads: any. */
CIRA_API CIRA_MUST_USE cira_status_t
cira_graph_pagerank(const cira_graph_t *graph, double damping, double tolerance,
                    uint32_t rounds_max, const cira_graph_run_t *run,
                    float *out_score, uint32_t *out_rounds);

/* Components, whatever the direction of edges (weakly connected).
 *   out_component   the smallest vertex number of the component
 * Returns as cira_graph_program_run. Threads: any. */
CIRA_API CIRA_MUST_USE cira_status_t
cira_graph_components(const cira_graph_t *graph, const cira_graph_run_t *run,
                      uint32_t *out_component);

/* Betweenness centrality of Brandes, summed over the given sources; weights
 * are not looked at, nothing is normalised.
 * Returns CIRA_OK; CIRA_E_RANGE for a source that the graph has not; as
 *   cira_graph_program_run. Threads: any. */
CIRA_API CIRA_MUST_USE cira_status_t cira_graph_betweenness(
    const cira_graph_t *graph, const uint32_t *sources, uint64_t count,
    const cira_graph_run_t *run, double *out_score);

/* Counts triangles. The graph must be symmetric, without parallel edges and
 * self loops.
 * Returns CIRA_OK; CIRA_E_INVALID for another graph; as
 *   cira_graph_program_run. Threads: any. */
CIRA_API CIRA_MUST_USE cira_status_t
cira_graph_triangles(const cira_graph_t *graph, const cira_graph_run_t *run,
                     uint64_t *out_triangles);

#ifdef __cplusplus
}
#endif
#endif
