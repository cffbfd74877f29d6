/* SPDX-License-Identifier: Apache-2.0
 *
 * Regions and their accounts. A region lives while anything is attached to it
 * or holds it. Committed bytes are promises: sum over the regions <= size, sum
 * over the attachments of one client <= quota. What a client that went had
 * committed to a region that lives on stays with the region as orphaned.
 */
#include "server.h"

#include "base/sys.h"
#include "fabric/direct.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

static attachment_t *free_attachment(client_t *c, uint32_t *out_number) {
  for (uint32_t i = 0; i < CIRA__REGIONS_MAX; i++) {
    if (!c->attachment[i].region) {
      *out_number = i + 1;
      return &c->attachment[i];
    }
  }
  return NULL;
}

static void attach(attachment_t *a, region_t *r) {
  *a = (attachment_t){.region = r, .attached = true};
  r->attachments++;
}

cira_status_t store_open(server_t *s, client_t *c, uint64_t bytes,
                         uint32_t *out_number) {
  attachment_t *a = free_attachment(c, out_number);
  region_t *r = a ? calloc(1, sizeof(*r)) : NULL;
  if (!r) {
    return CIRA_E_NOMEM;
  }
  r->fd = cira__memory_create(bytes);
  if (r->fd < 0) {
    free(r);
    return bytes ? CIRA_E_NOMEM : CIRA_E_INVALID;
  }
  r->at = cira__memory_map(r->fd, bytes);
  if (!r->at) {
    (void)close(r->fd);
    free(r);
    return CIRA_E_NOMEM;
  }
  r->bytes = bytes;
  r->number = ++s->regions_seen;
  cira__auth_nonce(r->ticket.bytes);
  r->next = s->regions;
  s->regions = r;
  attach(a, r);
  return CIRA_OK;
}

cira_status_t store_attach(server_t *s, client_t *c, const uint8_t *ticket,
                           uint32_t *out_number) {
  region_t *found = NULL;
  for (region_t *r = s->regions; r; r = r->next) { /* always all: no timing */
    found = cira__auth_equal(r->ticket.bytes, ticket) ? r : found;
  }
  if (!found) {
    return CIRA_E_INVALID;
  }
  attachment_t *a = free_attachment(c, out_number);
  if (!a) {
    return CIRA_E_NOMEM;
  }
  attach(a, found);
  return CIRA_OK;
}

static void region_end_if_unused(server_t *s, region_t *r) {
  if (r->attachments || r->holds) {
    return;
  }
  region_t **link = &s->regions;
  while (*link != r) {
    link = &(*link)->next;
  }
  *link = r->next;
  s->committed_bytes -= r->committed_bytes;
  (void)munmap(r->at, cira__align_up(r->bytes, CIRA_PAGE_BYTES));
  (void)close(r->fd);
  free(r);
}

cira_status_t store_hold(attachment_t *a, int64_t delta) {
  if (delta < -(int64_t)a->holds || delta > 1000000) {
    return CIRA_E_INVALID;
  }
  a->holds = (uint32_t)(a->holds + delta);
  a->region->holds = (uint32_t)(a->region->holds + delta);
  return CIRA_OK;
}

/* Gives up an attachment and, with `all`, its holds. */
static void leave(server_t *s, client_t *c, attachment_t *a, bool all) {
  region_t *r = a->region;
  if (a->attached) {
    a->attached = false;
    r->attachments--;
    r->orphan_bytes += a->committed_bytes;
    c->committed_bytes -= a->committed_bytes;
    a->committed_bytes = 0;
  }
  if (all) {
    r->holds -= a->holds;
    a->holds = 0;
  }
  if (a->holds == 0) {
    *a = (attachment_t){0};
  }
  region_end_if_unused(s, r);
}

void store_detach(server_t *s, client_t *c, attachment_t *a) {
  leave(s, c, a, false);
}

void store_leave(server_t *s, client_t *c) {
  for (uint32_t i = 0; i < CIRA__REGIONS_MAX; i++) {
    if (c->attachment[i].region) {
      leave(s, c, &c->attachment[i], true);
    }
  }
}

/* Takes up to `bytes` from what an attachment has committed. */
static uint64_t take(client_t *c, attachment_t *a, uint64_t bytes) {
  uint64_t n = cira__min_u64(bytes, a->committed_bytes);
  a->committed_bytes -= n;
  c->committed_bytes -= n;
  return n;
}

/* Bytes go back: first our own, then the orphaned, then those of others. */
static void give_back(server_t *s, client_t *c, attachment_t *a,
                      uint64_t bytes) {
  region_t *r = a->region;
  r->committed_bytes -= bytes;
  s->committed_bytes -= bytes;
  bytes -= take(c, a, bytes);
  uint64_t orphan = cira__min_u64(bytes, r->orphan_bytes);
  r->orphan_bytes -= orphan;
  bytes -= orphan;
  for (uint32_t i = 0; i < s->client_count && bytes; i++) {
    client_t *other = s->client[i];
    for (uint32_t k = 0; k < CIRA__REGIONS_MAX && bytes; k++) {
      if (other->attachment[k].region == r) {
        bytes -= take(other, &other->attachment[k], bytes);
      }
    }
  }
}

cira_status_t store_commit(server_t *s, client_t *c, attachment_t *a,
                           int64_t delta, bool *out_client) {
  *out_client = false;
  if (delta < 0) {
    uint64_t bytes = 0 - (uint64_t)delta;
    if (bytes > a->region->committed_bytes) {
      return CIRA_E_INVALID;
    }
    give_back(s, c, a, bytes);
    return CIRA_OK;
  }
  uint64_t bytes = (uint64_t)delta;
  if (!cira__range_ok(c->committed_bytes, bytes, s->quota_bytes)) {
    *out_client = s->quota_bytes < s->size_bytes;
    return CIRA_E_QUOTA;
  }
  if (!cira__range_ok(s->committed_bytes, bytes, s->size_bytes)) {
    return CIRA_E_QUOTA;
  }
  a->committed_bytes += bytes;
  c->committed_bytes += bytes;
  a->region->committed_bytes += bytes;
  s->committed_bytes += bytes;
  return CIRA_OK;
}

uint64_t store_resident_bytes(const region_t *r) {
  struct stat st;
  return fstat(r->fd, &st) == 0 ? (uint64_t)st.st_blocks * 512 : 0;
}
