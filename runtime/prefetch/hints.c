/* SPDX-License-Identifier: Apache-2.0
 *
 * Hints: they change when bytes arrive and never what the program computes.
 * What the program will read by plain loads is brought into the page table
 * (many pages at once), lines that are here into the cache. A bad address does
 * no harm: near memory is only ever named to the prefetch instruction, or read
 * through the kernel, which refuses.
 */
#include <sys/uio.h>
#include <unistd.h>

#include "prefetch/stream_internal.h"

#define LINES_MAX 64u /* of an array, asked for at once */
#define PAGES 64u
#define NODES_MAX (INT64_C(1) << 18) /* of a chain: it may be a ring */

static uint64_t magnitude(int64_t x) {
  return x < 0 ? -(uint64_t)x : (uint64_t)x;
}

/* How many of `count` elements at this distance have an address at all. */
static int64_t count_in_reach(int64_t count, uint64_t step) {
  if (step == 0) {
    return 1;
  }
  int64_t most = (int64_t)((UINT64_C(1) << 47) / step) + 1;
  return count < most ? count : most;
}

static void array_lines(const uint8_t *base, int64_t stride, int64_t count,
                        uint64_t bytes) {
  uint64_t lines = 0, last = UINT64_MAX;
  for (int64_t i = 0; i < count && lines < LINES_MAX; i++) {
    uintptr_t p = (uintptr_t)base + (uintptr_t)i * (uintptr_t)stride;
    for (uint64_t at = 0; at < bytes && lines < LINES_MAX;
         at += CIRA_LINE_BYTES) {
      uint64_t line = (p + at) / CIRA_LINE_BYTES;
      if (line != last) {
        __builtin_prefetch((const void *)(p + at));
        last = line;
        lines++;
      }
    }
  }
}

static void array_pages(const uint8_t *base, int64_t stride, int64_t count,
                        uint64_t bytes) {
  const void *address[PAGES];
  uint32_t n = 0;
  uint64_t last = UINT64_MAX;
  uint64_t most = cira_far_local_pages() / 8, asked = 0;
  for (int64_t i = 0; i < count && asked < most; i++) {
    uint64_t p = (uint64_t)(uintptr_t)base + (uint64_t)(i * stride);
    if (!cira_far_is_far((const void *)(uintptr_t)p)) {
      break; /* nothing behind it is far, either */
    }
    uint64_t end = (p + bytes - 1) >> CIRA_PAGE_LOG2;
    for (uint64_t page = p >> CIRA_PAGE_LOG2; page <= end && asked < most;
         page++) {
      const void *at = (const void *)(uintptr_t)(page << CIRA_PAGE_LOG2);
      if (page == last || cira_far_is_here(at)) {
        continue;
      }
      last = page;
      address[n++] = at;
      asked++;
      if (n == PAGES) {
        cira_space_prefetch_many(cira__far.space, address, n);
        n = 0;
      }
    }
  }
  cira_space_prefetch_many(cira__far.space, address, n);
}

void cira_prefetch_array(const void *base, int64_t stride_bytes, int64_t count,
                         int64_t element_bytes) {
  if (count <= 0 || element_bytes <= 0) {
    return;
  }
  uint64_t bytes = (uint64_t)element_bytes, step = magnitude(stride_bytes);
  const uint8_t *p = base;
  count = count_in_reach(count, step);
  if (cira_far_any_managed() && cira_far_is_far(base)) {
    if (step <= CIRA_PAGE_BYTES / 4 || count == 1) { /* dense: one range */
      uint64_t all =
          cira__min_u64((uint64_t)(count - 1) * step + bytes,
                        cira_far_local_pages() / 8 * CIRA_PAGE_BYTES);
      const uint8_t *low =
          stride_bytes < 0 && all > bytes ? p + bytes - all : p;
      cira_space_prefetch(cira__far.space, low, all);
    } else {
      array_pages(p, stride_bytes, count, bytes);
    }
  }
  array_lines(p, stride_bytes, count, bytes);
}

/* ---- chains ----------------------------------------------------------------
 */

/* Reads a pointer that may lie anywhere. False when it cannot be read. */
static bool pointer_read(const uint8_t *p, const uint8_t **out) {
  if (cira_far_is_far(p) && cira_far_is_far(p + 7)) {
    if (!cira_far_is_usable(p) || !cira_far_is_usable(p + 7)) {
      return false;
    }
    cira_far_copy(out, p, sizeof *out);
    return true;
  }
  struct iovec to = {.iov_base = out, .iov_len = sizeof *out};
  struct iovec from = {.iov_base = (void *)(uintptr_t)p,
                       .iov_len = sizeof *out};
  return process_vm_readv(getpid(), &to, 1, &from, 1, 0) ==
         (ssize_t)sizeof *out;
}

uint64_t cira_prefetch_nodes(const void *head, int64_t link_offset,
                             int64_t count, int64_t node_bytes) {
  const uint8_t *node;
  if (node_bytes <= 0 || !pointer_read(head, &node)) {
    return 0;
  }
  uint64_t most = cira_far_local_pages() / 8, asked = 0;
  if (count > NODES_MAX) {
    count = NODES_MAX;
  }
  int64_t i = 0;
  for (; i < count && node != NULL; i++) {
    const uint8_t *at = node;
    if (cira_far_is_far(node)) {
      if (!cira_far_is_here(node)) {
        if (asked++ == most) {
          break; /* the first ones would have to go again */
        }
        cira_space_prefetch(cira__far.space, node, (uint64_t)node_bytes);
      }
      at = cira_far_at(node);
    }
    if (at != NULL) {
      lines_prefetch(at, (uint64_t)node_bytes);
    }
    if (!pointer_read(node + link_offset, &node)) {
      node = NULL;
    }
  }
  return (uint64_t)i;
}

/* ---- lines, pages -----------------------------------------------------------
 */

void cira_prefetch_line(const void *p, int32_t level) {
  const uint8_t *at = cira_far_at(p);
  if (at == NULL) {
    cira_space_prefetch(cira__far.space, p, 1);
    at = p;
  }
  if (level <= 1) {
    __builtin_prefetch(at, 0, 3);
  } else if (level == 2) {
    __builtin_prefetch(at, 0, 2);
  } else {
    __builtin_prefetch(at, 0, 1);
  }
}

/* A page may go when its last byte is done with: what is said about elements
 * one by one sends each page home once, and not one that is still in use. */
void cira_prefetch_done_with(const void *p, int64_t bytes) {
  if (bytes <= 0 || !cira_far_is_far(p)) {
    return;
  }
  uint64_t from = cira__align_down((uint64_t)(uintptr_t)p, CIRA_PAGE_BYTES);
  uint64_t to = cira__align_down((uint64_t)(uintptr_t)p + (uint64_t)bytes,
                                 CIRA_PAGE_BYTES);
  if (to > from) {
    cira_space_evict_hint(cira__far.space, (const void *)(uintptr_t)from,
                          to - from);
  }
}

/* ---- edges and nodes --------------------------------------------------------
 */

static void make_present(const void *p, uint64_t bytes) {
  if (!cira_far_is_here(p) ||
      !cira_far_is_here((const uint8_t *)p + bytes - 1)) {
    cira_space_prefetch(cira__far.space, p, bytes);
  }
}

void *cira_prefetch_edge(void *edges, int64_t index, int64_t count,
                         int64_t edge_bytes, int64_t distance) {
  uint8_t *edge = (uint8_t *)edges + index * edge_bytes;
  if (distance > 0 && index + distance < count) {
    const uint8_t *later = edge + distance * edge_bytes;
    __builtin_prefetch(later);
    if (!cira_far_is_here(later)) { /* and what lies on the way */
      cira_space_prefetch(cira__far.space, edge,
                          (uint64_t)((distance + 1) * edge_bytes));
    }
  }
  make_present(edge, (uint64_t)edge_bytes);
  return edge;
}

/* The nodes of the next edges are asked for together: one batch for `distance`
 * edges. Where the last batch of this thread ended: */
static _Thread_local const uint8_t *batch_from, *batch_to;

static void nodes_ahead(const uint8_t *edge, int64_t field_offset,
                        int64_t edge_bytes, int64_t distance) {
  const void *address[PAGES];
  uint32_t n = 0;
  int64_t most = distance < PAGES ? distance : PAGES;
  for (int64_t i = 1; i <= most; i++) {
    const uint8_t *field = edge + i * edge_bytes + field_offset;
    const uint8_t *node;
    cira_far_copy(&node, field, sizeof node);
    if (cira_far_is_here(node)) {
      __builtin_prefetch(node);
    } else {
      address[n++] = node;
    }
  }
  cira_space_prefetch_many(cira__far.space, address, n);
  batch_from = edge;
  batch_to = edge + most * edge_bytes;
}

void *cira_prefetch_node(void *edge, int64_t field_offset, int64_t edge_bytes,
                         int64_t node_bytes, int64_t distance) {
  uint8_t *e = edge;
  void *node = *(void **)(void *)(e + field_offset);
  if (distance > 0) {
    if (!cira_far_any_managed()) {
      __builtin_prefetch(
          *(void **)(void *)(e + distance * edge_bytes + field_offset));
    } else if (e < batch_from || e >= batch_to) {
      nodes_ahead(e, field_offset, edge_bytes, distance);
    }
  }
  if (node != NULL) {
    make_present(node, (uint64_t)node_bytes);
  }
  return node;
}
