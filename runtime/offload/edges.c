/* SPDX-License-Identifier: Apache-2.0
 *
 * Edges and the nodes that their fields point to, by name; evicting what is
 * done with; addresses on the bus. The work is done by the hints (prefetch/),
 * which the dialect's ops use, too.
 */
#include <fcntl.h>
#include <string.h>

#include "base/sys.h"
#include "cira/offload.h"
#include "fabric/internal.h"
#include "prefetch/stream.h"
#include "space/far.h"

#define NAME_BYTES 32u
#define PAGEMAP_PRESENT (UINT64_C(1) << 63)
#define PAGEMAP_FRAME ((UINT64_C(1) << 55) - 1)
#define BUS_FAR (UINT64_C(1) << 62)
#define BUS_NEAR (UINT64_C(1) << 63)

typedef struct {
  char name[NAME_BYTES];
  uint32_t offset_bytes, node_bytes;
} field_t;

struct cira_offload_edges {
  uint8_t *at;
  uint64_t count;
  uint32_t edge_bytes, field_count;
  field_t field[CIRA_OFFLOAD_FIELD_MAX];
};

/* ---- descriptions ------------------------------------------------------- */

static const field_t *field_find(const cira_offload_edges_t *e,
                                 const char *name) {
  for (uint32_t i = 0; i < e->field_count; i++) {
    if (strcmp(e->field[i].name, name) == 0) {
      return &e->field[i];
    }
  }
  return NULL;
}

static cira_status_t field_add(cira_offload_edges_t *e,
                               const cira_offload_field_t *f) {
  size_t n = f->name ? strnlen(f->name, NAME_BYTES) : 0;
  if (n == 0 || n == NAME_BYTES || field_find(e, f->name)) {
    return cira__fail(CIRA_E_INVALID,
                      "offload_edges: field %u has no name of 1 to %u bytes, "
                      "or one that is there already",
                      e->field_count, NAME_BYTES - 1);
  }
  if (f->node_bytes == 0 ||
      !cira__range_ok(f->offset_bytes, sizeof(void *), e->edge_bytes)) {
    return cira__fail(CIRA_E_RANGE,
                      "offload_edges: field '%s' at %u is no pointer inside of "
                      "an edge of %u bytes, or its nodes have 0 bytes",
                      f->name, f->offset_bytes, e->edge_bytes);
  }
  field_t *to = &e->field[e->field_count++];
  memcpy(to->name, f->name, n + 1);
  to->offset_bytes = f->offset_bytes;
  to->node_bytes = f->node_bytes;
  return CIRA_OK;
}

cira_status_t cira_offload_edges_create(void *edges, uint64_t count,
                                        uint32_t edge_bytes,
                                        const cira_offload_field_t *field,
                                        uint32_t field_count,
                                        cira_offload_edges_t **out) {
  uint64_t bytes;
  uint64_t end;
  if (!edges || !field || !out || count == 0 || edge_bytes == 0 ||
      field_count == 0 || field_count > CIRA_OFFLOAD_FIELD_MAX) {
    return cira__fail(CIRA_E_INVALID,
                      "offload_edges: edges, field or out is NULL, there are "
                      "no edges, or not 1 to %u fields",
                      CIRA_OFFLOAD_FIELD_MAX);
  }
  if (!cira__mul_ok(count, edge_bytes, &bytes) ||
      !cira__add_ok((uintptr_t)edges, bytes, &end)) {
    return cira__fail(CIRA_E_RANGE,
                      "offload_edges: %llu edges of %u bytes leave the "
                      "address space",
                      (unsigned long long)count, edge_bytes);
  }
  cira_offload_edges_t *e = cira__pages_alloc(sizeof(*e));
  if (!e) {
    return CIRA_E_NOMEM;
  }
  e->at = edges;
  e->count = count;
  e->edge_bytes = edge_bytes;
  cira_status_t status = CIRA_OK;
  for (uint32_t i = 0; i < field_count && status == CIRA_OK; i++) {
    status = field_add(e, &field[i]);
  }
  if (status != CIRA_OK) {
    cira_offload_edges_destroy(e);
    return status;
  }
  *out = e;
  return CIRA_OK;
}

void cira_offload_edges_destroy(cira_offload_edges_t *e) {
  cira__pages_free(e, sizeof(*e));
}

/* ---- walking ------------------------------------------------------------ */

static cira_status_t index_check(const cira_offload_edges_t *e, uint64_t index,
                                 const char *call) {
  if (CIRA_UNLIKELY(!e)) {
    return cira__fail(CIRA_E_INVALID, "%s: the edges are NULL", call);
  }
  if (CIRA_UNLIKELY(index >= e->count)) {
    return cira__fail(CIRA_E_RANGE, "%s: edge %llu of %llu", call,
                      (unsigned long long)index, (unsigned long long)e->count);
  }
  return CIRA_OK;
}

cira_status_t cira_offload_load_edge(const cira_offload_edges_t *e,
                                     uint64_t index, uint64_t distance,
                                     void **out_edge) {
  cira_status_t status = index_check(e, index, "offload_load_edge");
  if (CIRA_UNLIKELY(status != CIRA_OK)) {
    return status;
  }
  if (CIRA_UNLIKELY(!out_edge)) {
    return cira__fail(CIRA_E_INVALID, "offload_load_edge: out is NULL");
  }
  distance = cira__min_u64(distance, e->count - 1 - index);
  *out_edge = cira_prefetch_edge(e->at, (int64_t)index, (int64_t)e->count,
                                 (int64_t)e->edge_bytes, (int64_t)distance);
  return CIRA_OK;
}

cira_status_t cira_offload_load_node(const cira_offload_edges_t *e, void *edge,
                                     const char *field, uint64_t distance,
                                     void **out_node) {
  if (CIRA_UNLIKELY(!e || !edge || !field || !out_node)) {
    return cira__fail(CIRA_E_INVALID,
                      "offload_load_node: the edges, edge, field or out is "
                      "NULL");
  }
  const field_t *f = field_find(e, field);
  if (CIRA_UNLIKELY(!f)) {
    return cira__fail(CIRA_E_INVALID,
                      "offload_load_node: the edges have no field '%s'", field);
  }
  uint64_t offset = (uint64_t)((uint8_t *)edge - e->at);
  if (CIRA_UNLIKELY(offset >= e->count * e->edge_bytes ||
                    offset % e->edge_bytes != 0)) {
    return cira__fail(CIRA_E_RANGE,
                      "offload_load_node: %p is no edge of this array", edge);
  }
  distance = cira__min_u64(distance, e->count - 1 - offset / e->edge_bytes);
  *out_node = cira_prefetch_node(edge, f->offset_bytes, (int64_t)e->edge_bytes,
                                 f->node_bytes, (int64_t)distance);
  return CIRA_OK;
}

cira_status_t cira_offload_evict_edge(const cira_offload_edges_t *e,
                                      uint64_t index) {
  cira_status_t status = index_check(e, index, "offload_evict_edge");
  if (status == CIRA_OK) {
    cira_prefetch_done_with(e->at + index * e->edge_bytes,
                            (int64_t)e->edge_bytes);
  }
  return status;
}

/* ---- addresses ---------------------------------------------------------- */

/* The frame of a page, 0 when the kernel does not say. */
static uint64_t frame_of(const void *p) {
  uint64_t entry = 0;
  int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    return 0;
  }
  off_t at = (off_t)(((uintptr_t)p >> CIRA_PAGE_LOG2) * sizeof(entry));
  bool got = pread(fd, &entry, sizeof(entry), at) == sizeof(entry);
  (void)cira__sys_close(fd);
  return got && (entry & PAGEMAP_PRESENT) != 0 ? entry & PAGEMAP_FRAME : 0;
}

cira_status_t cira_offload_physical_address(const void *p,
                                            uint64_t *out_address,
                                            cira_address_kind_t *out_kind) {
  if (!p || !out_address || !out_kind) {
    return cira__fail(CIRA_E_INVALID,
                      "offload_physical_address: an argument is NULL");
  }
  uint64_t frame = frame_of(p);
  uint64_t address = (uint64_t)(uintptr_t)p;
  if (frame != 0) {
    *out_address = frame << CIRA_PAGE_LOG2 | (address & (CIRA_PAGE_BYTES - 1));
    *out_kind = CIRA_ADDRESS_PHYSICAL;
    return CIRA_OK;
  }
  *out_address = cira_far_is_far(p) ? BUS_FAR | (address - cira__far.base)
                                    : BUS_NEAR | address;
  *out_kind = CIRA_ADDRESS_BUS;
  return CIRA_OK;
}
