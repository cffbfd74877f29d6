/* SPDX-License-Identifier: Apache-2.0
 *
 * The data path of back ends whose regions are mapped here (host, shm): a read
 * is a memcpy, an atomic is an atomic, everything is complete on return.
 * Threads: caller-serialised, as a connection is; signal-safe.
 */
#ifndef CIRA_FABRIC_DIRECT_H
#define CIRA_FABRIC_DIRECT_H

#include "fabric/internal.h"

typedef struct {
  uint8_t *at;    /* NULL = no such region */
  uint64_t bytes; /* 0 = the id is free */
  uint32_t tag;   /* the back end's own number of it */
} cira__direct_region_t;

typedef struct {
  cira_fabric_t base;
  cira_status_t broken; /* CIRA_OK, or what every call returns now */
  int32_t completed;    /* since the last poll */
  cira__direct_region_t region[CIRA__REGIONS_MAX]; /* [id - 1] */
} cira__direct_t;

/* A free id, or 0 with a detail. */
cira_region_t cira__direct_id(const cira__direct_t *d);
/* The region of an id, or NULL with a detail. */
cira__direct_region_t *cira__direct_region(cira_fabric_t *f, cira_region_t id);

cira_status_t cira__direct_map(cira_fabric_t *f, cira_region_t region,
                               uint8_t **out);
cira_status_t cira__direct_read(cira_fabric_t *f, cira_region_t region,
                                uint64_t offset, void *dst, uint64_t bytes,
                                uint64_t deadline_ns, cira_fabric_op_t *op);
cira_status_t cira__direct_write(cira_fabric_t *f, cira_region_t region,
                                 const cira_fabric_seg_t *segs,
                                 uint32_t seg_count, uint64_t deadline_ns,
                                 cira_fabric_op_t *op);
cira_status_t cira__direct_atomic(cira_fabric_t *f, cira_region_t region,
                                  cira_fabric_atomic_t kind, uint64_t offset,
                                  uint64_t operand, uint64_t compare,
                                  uint64_t deadline_ns, cira_fabric_op_t *op);
cira_status_t cira__direct_discard(cira_fabric_t *f, cira_region_t region,
                                   uint64_t offset, uint64_t bytes,
                                   uint64_t deadline_ns, cira_fabric_op_t *op);

/* The pieces of it that a server also needs on its own mapping. */
uint64_t cira__memory_atomic(void *at, cira_fabric_atomic_t kind,
                             uint64_t operand, uint64_t compare);
cira_status_t cira__memory_discard(uint8_t *base, uint64_t offset,
                                   uint64_t bytes);

/* A sealed, sparse memory file of `bytes` that no holder can shrink (which
 * would turn our loads into SIGBUS). Returns the descriptor or -1 with a
 * detail. */
int cira__memory_create(uint64_t bytes);
/* Maps it whole; NULL with a detail. */
uint8_t *cira__memory_map(int fd, uint64_t bytes);

#endif
