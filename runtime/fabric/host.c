/* SPDX-License-Identifier: Apache-2.0
 *
 * host: far memory that is not far: memory files of this process, the embedded
 * default and the reference that other back ends are compared with.
 *
 * A region is two shared mappings: its bytes and one header page. Both are
 * inherited by fork, so a forked child finds a region of its parent by ticket
 * in its copy of the table, and both count attachments in the header. An
 * attachment belongs to the process that made it; those of dead processes are
 * dropped when somebody counts.
 * Threads: the table has a lock; connections are caller-serialised.
 */
#include "base/sys.h"
#include "fabric/direct.h"

#include <sodium.h>
#include <string.h>
#include <sys/mman.h>

#define SLOTS_MAX 256u

/* One attachment of one connection. A free slot has owner 0. */
typedef struct {
  _Atomic uint32_t owner; /* process id */
  _Atomic uint32_t attached;
  _Atomic uint32_t holds;
} host_slot_t;

typedef struct {
  cira_ticket_t ticket;
  uint64_t bytes;
  _Atomic int64_t committed_bytes;
  host_slot_t slot[SLOTS_MAX];
} host_header_t;

_Static_assert(sizeof(host_header_t) <= CIRA_PAGE_BYTES, "one header page");

/* This process' view of a region. */
typedef struct {
  host_header_t *header; /* NULL = free */
  uint8_t *at;
  uint32_t users; /* connections of this process, also inherited ones */
} host_entry_t;

static struct {
  cira_lock_t lock;
  host_entry_t entry[CIRA__REGIONS_MAX * 4];
} table;

typedef struct {
  cira__direct_t direct; /* region[].tag = index into the table */
  uint32_t owner;        /* the process that connected */
  uint32_t slot[CIRA__REGIONS_MAX];
} host_t;

static void entry_drop(host_entry_t *e) {
  if (--e->users == 0) {
    (void)munmap(e->at, cira__align_up(e->header->bytes, CIRA_PAGE_BYTES));
    (void)munmap(e->header, CIRA_PAGE_BYTES);
    *e = (host_entry_t){0};
  }
}

/* Takes a slot for this process; SLOTS_MAX when there is none. */
static uint32_t slot_take(host_header_t *h) {
  for (uint32_t i = 0; i < SLOTS_MAX; i++) {
    uint32_t nobody = 0;
    if (atomic_compare_exchange_strong(&h->slot[i].owner, &nobody,
                                       (uint32_t)getpid())) {
      atomic_store(&h->slot[i].holds, 0);
      atomic_store(&h->slot[i].attached, 1);
      return i;
    }
  }
  return SLOTS_MAX;
}

/* Connects an entry of the table with a connection. Table locked. */
static cira_status_t entry_bind(host_t *h, uint32_t index, cira_region_t *out) {
  host_entry_t *e = &table.entry[index];
  cira_region_t id = cira__direct_id(&h->direct);
  if (!id) {
    return CIRA_E_NOMEM;
  }
  uint32_t slot = slot_take(e->header);
  if (slot == SLOTS_MAX) {
    return cira__fail(CIRA_E_NOMEM, "host: more than %u attachments",
                      SLOTS_MAX);
  }
  e->users++;
  h->slot[id - 1] = slot;
  h->direct.region[id - 1] = (cira__direct_region_t){
      .at = e->at, .bytes = e->header->bytes, .tag = index};
  *out = id;
  return CIRA_OK;
}

static host_slot_t *slot_of(host_t *h, cira_region_t id) {
  uint32_t index = h->direct.region[id - 1].tag;
  return &table.entry[index].header->slot[h->slot[id - 1]];
}

static cira_status_t host_connect(const char *url,
                                  const cira_fabric_options_t *opt,
                                  cira_fabric_t **out) {
  host_t *h = cira__pages_alloc(sizeof(*h));
  if (!h) {
    return CIRA_E_NOMEM;
  }
  cira__fabric_init(&h->direct.base, &cira__host_ops, cira__host_ops.flags, url,
                    opt);
  h->owner = (uint32_t)getpid();
  *out = &h->direct.base;
  return CIRA_OK;
}

/* Ends the use of a region; with `all`, also holds go (the connection ends).
 * A child that closes what it inherited leaves the parent's slot alone. A
 * region that is closed while held keeps its id, tag and size until then. */
static void region_end(host_t *h, cira_region_t id, bool all) {
  cira__direct_region_t *r = &h->direct.region[id - 1];
  uint64_t signals = cira__signals_block();
  cira__lock(&table.lock);
  bool ours = h->owner == (uint32_t)getpid();
  host_slot_t *slot = slot_of(h, id);
  if (ours) {
    atomic_store(&slot->attached, 0);
  }
  if (ours && !all && atomic_load(&slot->holds)) {
    r->at = NULL;
  } else {
    if (ours) {
      atomic_store(&slot->holds, 0);
      atomic_store(&slot->owner, 0);
    }
    entry_drop(&table.entry[r->tag]);
    *r = (cira__direct_region_t){0};
  }
  cira__unlock(&table.lock);
  cira__signals_restore(signals);
}

static void host_close(cira_fabric_t *f) {
  host_t *h = (host_t *)f;
  for (cira_region_t id = 1; id <= CIRA__REGIONS_MAX; id++) {
    if (h->direct.region[id - 1].bytes) {
      region_end(h, id, true);
    }
  }
  cira__pages_free(h, sizeof(*h));
}

/* Makes the two mappings of a new region in entry `e`. */
static cira_status_t entry_create(host_entry_t *e, uint64_t bytes) {
  int fd = cira__memory_create(bytes);
  if (fd < 0) {
    return bytes ? CIRA_E_NOMEM : CIRA_E_INVALID;
  }
  uint8_t *at = cira__memory_map(fd, bytes);
  (void)cira__sys_close(fd);
  if (!at) {
    return CIRA_E_NOMEM;
  }
  host_header_t *header = mmap(NULL, CIRA_PAGE_BYTES, PROT_READ | PROT_WRITE,
                               MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (header == MAP_FAILED) {
    (void)munmap(at, cira__align_up(bytes, CIRA_PAGE_BYTES));
    return cira__fail_errno(CIRA_E_NOMEM, errno, "host: no header page");
  }
  header->bytes = bytes;
  randombytes_buf(header->ticket.bytes, sizeof(header->ticket.bytes));
  *e = (host_entry_t){.header = header, .at = at};
  return CIRA_OK;
}

static cira_status_t host_region_open(cira_fabric_t *f, uint64_t bytes,
                                      cira_region_t *out) {
  uint64_t signals = cira__signals_block();
  cira__lock(&table.lock);
  cira_status_t status = CIRA_E_NOMEM;
  uint32_t i = 0;
  while (i < CIRA_COUNT(table.entry) && table.entry[i].header) {
    i++;
  }
  if (i == CIRA_COUNT(table.entry)) {
    cira__fail(status, "host: more than %zu regions", CIRA_COUNT(table.entry));
  } else {
    status = entry_create(&table.entry[i], bytes);
  }
  if (status == CIRA_OK) {
    status = entry_bind((host_t *)f, i, out);
    if (status != CIRA_OK) {
      table.entry[i].users = 1;
      entry_drop(&table.entry[i]);
    }
  }
  cira__unlock(&table.lock);
  cira__signals_restore(signals);
  return status;
}

static cira_status_t host_region_attach(cira_fabric_t *f,
                                        const cira_ticket_t *ticket,
                                        cira_region_t *out,
                                        uint64_t *out_bytes) {
  uint64_t signals = cira__signals_block();
  cira__lock(&table.lock);
  cira_status_t status = CIRA_E_INVALID;
  uint32_t i = 0;
  for (; i < CIRA_COUNT(table.entry); i++) {
    host_header_t *h = table.entry[i].header;
    if (h && sodium_memcmp(h->ticket.bytes, ticket->bytes,
                           sizeof(ticket->bytes)) == 0) {
      status = entry_bind((host_t *)f, i, out);
      break;
    }
  }
  if (i == CIRA_COUNT(table.entry)) {
    cira__fail(status, "%s: no region has this ticket (it may have ended)",
               f->url);
  } else if (status == CIRA_OK && out_bytes) {
    *out_bytes = table.entry[i].header->bytes;
  }
  cira__unlock(&table.lock);
  cira__signals_restore(signals);
  return status;
}

static host_header_t *header_of(cira_fabric_t *f, cira_region_t region) {
  cira__direct_region_t *r = cira__direct_region(f, region);
  return r ? table.entry[r->tag].header : NULL;
}

static cira_status_t host_region_ticket(cira_fabric_t *f, cira_region_t region,
                                        cira_ticket_t *out) {
  host_header_t *h = header_of(f, region);
  if (!h) {
    return CIRA_E_INVALID;
  }
  *out = h->ticket;
  return CIRA_OK;
}

static cira_status_t host_region_refs(cira_fabric_t *f, cira_region_t region,
                                      uint32_t *out) {
  host_header_t *h = header_of(f, region);
  if (!h) {
    return CIRA_E_INVALID;
  }
  uint32_t refs = 0;
  for (uint32_t i = 0; i < SLOTS_MAX; i++) {
    host_slot_t *slot = &h->slot[i];
    uint32_t owner = atomic_load(&slot->owner);
    if (!owner) {
      continue;
    }
    if (owner != (uint32_t)getpid() &&
        CIRA__SYS(SYS_kill, owner, 0, 0, 0, 0, 0) == -ESRCH) {
      atomic_store(&slot->attached, 0); /* died without closing */
      atomic_store(&slot->holds, 0);
      atomic_store(&slot->owner, 0);
      continue;
    }
    refs += atomic_load(&slot->attached) + atomic_load(&slot->holds);
  }
  *out = refs;
  return CIRA_OK;
}

static cira_status_t host_region_hold(cira_fabric_t *f, cira_region_t region,
                                      int32_t delta) {
  if (!cira__direct_region(f, region)) {
    return CIRA_E_INVALID;
  }
  host_slot_t *slot = slot_of((host_t *)f, region);
  int64_t holds = (int64_t)atomic_load(&slot->holds) + delta;
  if (holds < 0 || holds > INT32_MAX) {
    return cira__fail(CIRA_E_INVALID, "%s: %d holds more than were taken",
                      f->url, -delta);
  }
  atomic_store(&slot->holds, (uint32_t)holds);
  return CIRA_OK;
}

static void host_region_close(cira_fabric_t *f, cira_region_t region) {
  if (cira__direct_region(f, region)) {
    region_end((host_t *)f, region, false);
  }
}

/* The capacity is this machine's memory: the kernel accounts for it. */
static cira_status_t host_region_commit(cira_fabric_t *f, cira_region_t region,
                                        int64_t bytes) {
  host_header_t *h = header_of(f, region);
  if (!h) {
    return CIRA_E_INVALID;
  }
  int64_t before = atomic_fetch_add(&h->committed_bytes, bytes);
  if (before + bytes < 0) {
    atomic_fetch_sub(&h->committed_bytes, bytes);
    return cira__fail(CIRA_E_INVALID,
                      "%s: returns %lld bytes, but %lld are committed", f->url,
                      (long long)-bytes, (long long)before);
  }
  return CIRA_OK;
}

static int32_t host_poll(cira_fabric_t *f) {
  cira__direct_t *d = (cira__direct_t *)f;
  int32_t n = d->completed;
  d->completed = 0;
  return n;
}

static int host_wait_fd(cira_fabric_t *f) {
  (void)f;
  return -1;
}

const cira_fabric_ops_t cira__host_ops = {
    .size = sizeof(cira_fabric_ops_t),
    .flags = CIRA_FABRIC_F_DIRECT,
    .scheme = "host",
    .connect = host_connect,
    .close = host_close,
    .region_open = host_region_open,
    .region_attach = host_region_attach,
    .region_ticket = host_region_ticket,
    .region_refs = host_region_refs,
    .region_hold = host_region_hold,
    .region_close = host_region_close,
    .region_commit = host_region_commit,
    .region_map = cira__direct_map,
    .post_read = cira__direct_read,
    .post_write = cira__direct_write,
    .post_atomic = cira__direct_atomic,
    .post_discard = cira__direct_discard,
    .poll = host_poll,
    .wait_fd = host_wait_fd,
};
