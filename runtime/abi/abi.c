/* SPDX-License-Identifier: Apache-2.0
 *
 * The functions of cira/abi.def: names for what async, prefetch, offload and
 * heap do. Nothing is decided here but the place of an allocation.
 */
#include "cira/abi.h"

#include <malloc.h>
#include <stdlib.h>

#include "abi/runtime.h"
#include "async/async.h"
#include "heap/heap.h"
#include "offload/offload.h"
#include "prefetch/stream.h"

cira_abi_range_t cira_abi_range;

_Static_assert(CIRA_ABI_PAGE_MAPPED == CIRA_FAR_MAPPED &&
                   CIRA_ABI_PAGE_STATE == CIRA_FAR_STATE &&
                   CIRA_ABI_CHUNK_LOG2 == CIRA_FAR_CHUNK_LOG2 &&
                   CIRA_ABI_PAGE_LOG2 == CIRA_PAGE_LOG2,
               "inlined checks read the words of the space");

static cira_space_t *space; /* whose counters say what lies near */

void cira_abi_init(cira_space_t *s) {
  static bool hooked;
  space = s;
  cira_far_init(s);
  cira_abi_range = (cira_abi_range_t){0};
  if (s != NULL) {
    cira_abi_range.words = (const uint32_t *)cira__far.words;
    cira_abi_range.chunk_state = (const uint8_t *)cira__far.chunk_state;
    cira_abi_range.base = cira__far.base;
    cira_abi_range.bytes = cira__far.bytes;
  }
  if (!hooked) {
    hooked = true;
    cira_thread_on_exit(cira_heap_thread_exit);
  }
  cira_thread();
}

void cira_abi_fini(void) {
  cira_offload_stop();
  cira_stream_forget();
  cira_abi_range = (cira_abi_range_t){0};
  space = NULL;
  cira_far_init(NULL);
}

void cira_abi_check(bool on) {
  cira__checked = on;
}

/* ---- memory ---------------------------------------------------------------
 */

CIRA_COLD static _Noreturn void no_memory(int64_t bytes, const char *which,
                                          const char *remedy) {
  const char *detail = cira_status_detail();
  cira__misuse("alloc: no %s memory for %lld bytes%s%s; %s", which,
               (long long)bytes, *detail ? ": " : "", detail, remedy);
}

/* An array that was placed in local memory counts as the near heap does. */
static void count_near(int64_t bytes) {
  if (space == NULL) {
    return;
  }
  cira_space_stats_t *stats = (cira_space_stats_t *)cira_space_stats(space);
  uint64_t now =
      __atomic_add_fetch(&stats->near_bytes, (uint64_t)bytes, __ATOMIC_RELAXED);
  uint64_t peak = __atomic_load_n(&stats->near_bytes_peak, __ATOMIC_RELAXED);
  while (bytes > 0 && now > peak &&
         !__atomic_compare_exchange_n(&stats->near_bytes_peak, &peak, now,
                                      false, __ATOMIC_RELAXED,
                                      __ATOMIC_RELAXED)) {
  }
}

void *cira_abi_alloc(int64_t bytes, int32_t tier) {
  if (bytes < 0 || tier < CIRA_ABI_TIER_ANY || tier > CIRA_ABI_TIER_FAR) {
    cira__misuse("alloc: %lld bytes in tier %d; sizes are not negative and "
                 "tiers are -1 (any) to 3 (far)",
                 (long long)bytes, tier);
  }
  if (tier != CIRA_ABI_TIER_LOCAL && cira_heap_far_ready()) {
    void *p = cira_heap_far_alloc((size_t)bytes);
    if (p == NULL) {
      no_memory(bytes, "far", "give the server more with --size");
    }
    return p;
  }
  void *p = calloc(1, bytes > 0 ? (size_t)bytes : 1);
  if (p == NULL) {
    no_memory(bytes, "local", "ask for less, or for far memory");
  }
  count_near((int64_t)malloc_usable_size(p));
  return p;
}

void cira_abi_dealloc(void *p) {
  if (cira_far_is_far(p)) {
    cira_heap_far_free(p);
  } else {
    count_near(-(int64_t)malloc_usable_size(p));
    free(p);
  }
}

/* ---- requests -------------------------------------------------------------
 */

int64_t cira_abi_load_begin(void *p, int64_t bytes) {
  return cira_async_load_begin(p, bytes);
}

void cira_abi_load_begin_batch(void *addresses, void *sizes, int64_t count,
                               void *tickets) {
  cira_async_load_begin_batch(addresses, sizes, count, tickets);
}

void cira_abi_load_end(int64_t ticket, void *to) {
  cira_async_load_end(ticket, to);
}

void cira_abi_store_begin(void *p, void *from, int64_t bytes) {
  cira__async_store(p, from, bytes);
}

int64_t cira_abi_store_begin_token(void *p, void *from, int64_t bytes) {
  int64_t token = cira_token_create();
  cira__async_store(p, from, bytes);
  cira_token_signal(token);
  return token;
}

void cira_abi_fence(void) {
  cira_async_fence();
}

void cira_abi_release(void) {
  cira_async_release();
}

/* ---- hints ----------------------------------------------------------------
 */

void cira_abi_prefetch_array(void *base, int64_t stride_bytes, int64_t count,
                             int64_t element_bytes) {
  cira_prefetch_array(base, stride_bytes, count, element_bytes);
}

void cira_abi_prefetch_nodes(void *head, int64_t link_offset, int64_t count,
                             int64_t node_bytes) {
  (void)cira_prefetch_nodes(head, link_offset, count, node_bytes);
}

void cira_abi_install_line(void *p, int32_t level) {
  cira_prefetch_line(p, level);
}

void cira_abi_evict(void *p, int64_t bytes) {
  cira_prefetch_done_with(p, bytes);
}

/* ---- order ----------------------------------------------------------------
 */

int64_t cira_abi_token_create(void) {
  return cira_token_create();
}

void cira_abi_token_signal(int64_t token) {
  cira_async_fence();
  cira_token_signal(token);
}

void cira_abi_token_wait(int64_t token) {
  cira_token_wait(token);
}

void cira_abi_barrier(void) {
  cira_offload_barrier();
}

void cira_abi_offload_begin(int32_t core, void *function, void *arguments,
                            int64_t bytes) {
  cira_offload_begin(core, (void (*)(void *))function, arguments,
                     (uint64_t)bytes);
}

void cira_abi_offload_call(int32_t core, void *function, void *arguments) {
  cira_offload_call(core, (void (*)(void *))function, arguments);
}

/* ---- streams --------------------------------------------------------------
 */

void *cira_abi_stream_strided(void *base, int64_t start, int64_t stride,
                              int64_t count, int64_t element_bytes,
                              int64_t target_bytes) {
  return cira_stream_strided(base, start, stride, count, element_bytes,
                             target_bytes);
}

void *cira_abi_stream_indexed(void *base, int64_t element_bytes, void *indices,
                              int32_t index_bytes, int64_t start,
                              int64_t stride, int64_t count) {
  return cira_stream_indexed(base, element_bytes, indices, index_bytes, start,
                             stride, count);
}

void *cira_abi_stream_chain(void *head, int64_t link_offset,
                            int64_t node_bytes) {
  return cira_stream_chain(head, link_offset, node_bytes);
}

void *cira_abi_stream_tiled(void *base, int64_t element_bytes, int64_t rank,
                            void *sizes, void *strides, void *tiles) {
  return cira_stream_tiled(base, element_bytes, rank, sizes, strides, tiles);
}

void *cira_abi_stream_frontier(void *graph, void *vertices,
                               int32_t vertex_bytes, int64_t count,
                               int64_t neighbour_bytes) {
  return cira_stream_frontier(graph, vertices, vertex_bytes, count,
                              neighbour_bytes);
}

void cira_abi_stream_release(void *stream) {
  cira_stream_release(stream);
}

void cira_abi_stream_refill(void *stream, void *front) {
  cira_stream_refill(stream, front);
}

void cira_abi_stream_skip(void *stream, void *front) {
  cira_stream_skip(stream, front);
}

void cira_abi_chain_next(void *stream, void *front, void *next) {
  cira_stream_chain_next(stream, front, next);
}

void cira_abi_stream_peek(void *stream, void *to, int64_t bytes,
                          int32_t target) {
  cira_stream_peek(stream, to, bytes, target != 0);
}

void cira_abi_stream_advance(void *stream) {
  cira_stream_advance(stream);
}

void cira_abi_stream_ahead(void *stream, int64_t distance) {
  cira_stream_ahead(stream, distance);
}

void *cira_abi_adjacency(void *stream, int64_t position, void *count) {
  return (void *)(uintptr_t)cira_stream_adjacency(stream, position, count);
}

/* ---- edges and nodes ------------------------------------------------------
 */

void *cira_abi_load_edge(void *edges, int64_t index, int64_t count,
                         int64_t edge_bytes, int64_t distance) {
  return cira_prefetch_edge(edges, index, count, edge_bytes, distance);
}

void *cira_abi_load_node(void *edge, int64_t field_offset, int64_t edge_bytes,
                         int64_t node_bytes, int64_t distance) {
  return cira_prefetch_node(edge, field_offset, edge_bytes, node_bytes,
                            distance);
}
