/* SPDX-License-Identifier: Apache-2.0
 *
 * stream: a recurring access pattern with a position in it. Peek gives the data
 * of the current element, not a hint about it; what comes next is asked for
 * ahead: lines where bytes can be read in place or at home, requests where
 * they cannot. No stream brings a page into the page table that plain loads do
 * not need: elements are read at home or in frames of the stream (far.h).
 *
 * Kinds: strided elements; pointers in an array, and a[b[i]] (their front walks
 * a batch of translated addresses); chains; tiles of an array; neighbour lists
 * of a set of vertices. Elements must not be written while the stream lives.
 *
 * The front (cira/abi.h) is the caller's, or the stream's own by peek and
 * advance. Frames are charged to the local budget: at most an eighth of it.
 * Threads: one per front; peek, advance, ahead and adjacency from any number.
 * Use after release ends the process (CIRA_EXIT_MISUSE) with a message.
 * Reading order: this file, stream_internal.h, stream.c, source.c, batch.c,
 * chain.c, jump.c, tiled.c, frontier.c, hints.c.
 */
#ifndef CIRA_PREFETCH_STREAM_H
#define CIRA_PREFETCH_STREAM_H

#include <stdbool.h>

#include "cira/abi.h"

typedef struct cira_stream cira_stream_t;

/* The functions of include/cira/abi.def, which say what they do. */
cira_stream_t *cira_stream_strided(const void *base, int64_t start,
                                   int64_t stride, int64_t count,
                                   int64_t element_bytes, int64_t target_bytes);
cira_stream_t *cira_stream_indexed(const void *base, int64_t element_bytes,
                                   const void *indices, int32_t index_bytes,
                                   int64_t start, int64_t stride,
                                   int64_t count);
cira_stream_t *cira_stream_chain(const void *head, int64_t link_offset,
                                 int64_t node_bytes);
cira_stream_t *cira_stream_tiled(const void *base, int64_t element_bytes,
                                 int64_t rank, const int64_t *sizes,
                                 const int64_t *strides, const int64_t *tiles);
cira_stream_t *cira_stream_frontier(const void *graph, const void *vertices,
                                    int32_t vertex_bytes, int64_t count,
                                    int64_t neighbour_bytes);
void cira_stream_release(cira_stream_t *s);

void cira_stream_refill(cira_stream_t *s, cira_abi_front_t *front);
void cira_stream_skip(cira_stream_t *s, cira_abi_front_t *front);
void cira_stream_chain_next(cira_stream_t *s, cira_abi_front_t *front,
                            const void *next);
void cira_stream_peek(cira_stream_t *s, void *to, int64_t bytes, bool target);
void cira_stream_advance(cira_stream_t *s);
void cira_stream_ahead(cira_stream_t *s, int64_t distance);
/* The list may lie at home: it is readable until the stream is released. */
const void *cira_stream_adjacency(cira_stream_t *s, int64_t position,
                                  int64_t *out_count);

/* Forgets what walks of chains have learnt, and gives the memory back for the
 * next ones. No stream may live. */
void cira_stream_forget(void);

/* ---- hints (hints.c) ------------------------------------------------------
 */

void cira_prefetch_array(const void *base, int64_t stride_bytes, int64_t count,
                         int64_t element_bytes);
/* Returns how many nodes it has seen. */
uint64_t cira_prefetch_nodes(const void *head, int64_t link_offset,
                             int64_t count, int64_t node_bytes);
void cira_prefetch_line(const void *p, int32_t level);
void cira_prefetch_done_with(const void *p, int64_t bytes);
void *cira_prefetch_edge(void *edges, int64_t index, int64_t count,
                         int64_t edge_bytes, int64_t distance);
void *cira_prefetch_node(void *edge, int64_t field_offset, int64_t edge_bytes,
                         int64_t node_bytes, int64_t distance);

#endif
