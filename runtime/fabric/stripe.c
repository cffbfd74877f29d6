/* SPDX-License-Identifier: Apache-2.0
 *
 * stripe: one region over several servers, in units of 64 KiB: unit u lies on
 * server u % n, there as unit u / n. A request becomes one piece per unit
 * (reads) or per server (everything else); it is complete when all pieces are,
 * and failed when any is. A server that goes takes the stripe with it.
 *
 * A small extra region on the first server holds the tickets of the parts; its
 * ticket is the ticket of the whole.
 * Threads: caller-serialised; post and poll are signal-safe.
 */
#include "base/sys.h"
#include "fabric/internal.h"
#include "fabric/url.h"

#include <string.h>
#include <sys/epoll.h>

/* The stripe unit: large enough that a page, and most batches, stay whole on
 * one server; small enough that one long read uses several. */
#define UNIT_BYTES (64ull << 10) /* 64 KiB */
#define PIECES_MAX 34u           /* of one op: 17 units, or 2 per server */

typedef struct parent {
  cira_fabric_op_t *user; /* NULL = free */
  struct parent *next_free;
  uint32_t pending;
  cira_status_t status; /* the first failure */
} parent_t;

typedef struct piece {
  cira_fabric_op_t op; /* at the child */
  parent_t *parent;
  struct piece *next; /* active or free list */
} piece_t;

typedef struct {
  uint64_t bytes; /* 0 = free */
  int64_t committed_bytes;
  cira_region_t meta; /* on child 0 */
  cira_region_t part[CIRA__URL_CHILDREN_MAX];
} stripe_region_t;

/* What the meta region contains. */
typedef struct {
  uint64_t bytes;
  uint64_t count;
  cira_ticket_t part[CIRA__URL_CHILDREN_MAX];
} meta_t;

typedef struct {
  cira_fabric_t base;
  cira_fabric_t *child[CIRA__URL_CHILDREN_MAX];
  uint32_t count;
  int epoll_fd; /* -1: no child ever needs waiting */
  cira_status_t broken;
  int32_t completed;
  parent_t *free_parents;
  piece_t *free_pieces;
  uint32_t free_piece_count;
  piece_t *active;
  uint64_t total_bytes;
  stripe_region_t region[CIRA__REGIONS_MAX];
  cira_fabric_seg_t seg[CIRA_FABRIC_SEG_MAX_COUNT]; /* of one child's write */
} stripe_t;

static stripe_region_t *region_of(stripe_t *s, cira_region_t id) {
  if (CIRA_UNLIKELY(id - 1 >= CIRA__REGIONS_MAX || !s->region[id - 1].bytes)) {
    cira__fail_region(&s->base, id);
    return NULL;
  }
  return &s->region[id - 1];
}

static inline uint32_t child_of(const stripe_t *s, uint64_t offset) {
  return (uint32_t)(offset / UNIT_BYTES % s->count);
}
static inline uint64_t offset_of(const stripe_t *s, uint64_t offset) {
  return offset / UNIT_BYTES / s->count * UNIT_BYTES + offset % UNIT_BYTES;
}
static inline uint64_t to_unit_end(uint64_t offset) {
  return UNIT_BYTES - offset % UNIT_BYTES;
}

/* ---- requests ----------------------------------------------------------- */

static void parent_settle(stripe_t *s, parent_t *p) {
  cira_fabric_op_t *user = p->user;
  p->user = NULL;
  p->next_free = s->free_parents;
  s->free_parents = p;
  s->completed++;
  cira__op_complete(user, p->status);
}

static void piece_settle(stripe_t *s, piece_t *piece) {
  parent_t *p = piece->parent;
  if (p->status == CIRA_OK) {
    p->status = piece->op.status;
  }
  p->user->result = piece->op.result;
  piece->next = s->free_pieces;
  s->free_pieces = piece;
  s->free_piece_count++;
  if (--p->pending == 0) {
    parent_settle(s, p);
  }
}

static CIRA_COLD cira_status_t broke(stripe_t *s, cira_status_t status) {
  s->broken = status;
  while (s->active) {
    piece_t *piece = s->active;
    s->active = piece->next;
    piece->op.status = status;
    piece_settle(s, piece);
  }
  return status;
}

/* Starts an op of up to `pieces` pieces. It holds one extra count itself, so
 * that it cannot complete before all of them are posted. */
static cira_status_t parent_take(stripe_t *s, uint32_t pieces,
                                 uint64_t *deadline_ns, cira_fabric_op_t *op,
                                 parent_t **out) {
  if (CIRA_UNLIKELY(s->broken != CIRA_OK)) {
    return cira__fail(s->broken, "%s: the stripe has lost a server",
                      s->base.url);
  }
  parent_t *p = s->free_parents;
  if (!p || s->free_piece_count < pieces) {
    return CIRA_AGAIN;
  }
  *deadline_ns = cira__deadline(&s->base, *deadline_ns);
  s->free_parents = p->next_free;
  p->user = op;
  p->pending = 1;
  p->status = CIRA_OK;
  op->status = CIRA_PENDING;
  op->deadline_ns = *deadline_ns;
  *out = p;
  return CIRA_OK;
}

static void parent_release(stripe_t *s, parent_t *p) {
  if (--p->pending == 0) {
    parent_settle(s, p);
  }
}

static piece_t *piece_take(stripe_t *s, parent_t *p) {
  piece_t *piece = s->free_pieces;
  s->free_pieces = piece->next;
  s->free_piece_count--;
  piece->op = (cira_fabric_op_t){0};
  piece->parent = p;
  p->pending++;
  return piece;
}

/* What became of posting a piece: on its way, or over already. */
static void piece_posted(stripe_t *s, piece_t *piece, cira_status_t status) {
  if (status != CIRA_OK) {
    piece->op.status = status;
  }
  if (piece->op.status == CIRA_PENDING) {
    piece->next = s->active;
    s->active = piece;
  } else {
    piece_settle(s, piece);
  }
}

/* The pieces before this one are under way, so a full child is waited for:
 * its server makes room, or the deadline passes. */
static bool child_again(cira_fabric_t *child, cira_status_t *status,
                        uint64_t deadline_ns) {
  if (CIRA_LIKELY(*status != CIRA_AGAIN)) {
    return false;
  }
  int32_t n = child->ops->poll(child);
  if (n < 0) {
    *status = n;
  } else if (cira__now_ns() > deadline_ns) {
    *status = cira__fail(CIRA_E_DEADLINE, "%s: no room within the deadline",
                         child->url);
  }
  return *status == CIRA_AGAIN;
}

static cira_status_t stripe_post_read(cira_fabric_t *f, cira_region_t region,
                                      uint64_t offset, void *dst,
                                      uint64_t bytes, uint64_t deadline_ns,
                                      cira_fabric_op_t *op) {
  stripe_t *s = (stripe_t *)f;
  stripe_region_t *r = region_of(s, region);
  parent_t *p;
  cira_status_t status =
      r ? cira__range_check(f, "read", r->bytes, offset, bytes)
        : CIRA_E_INVALID;
  if (CIRA_UNLIKELY(status == CIRA_OK && bytes > CIRA_FABRIC_OP_MAX_BYTES)) {
    status =
        cira__fail(CIRA_E_RANGE, "%s: a read of %llu bytes; split it at %u",
                   f->url, (unsigned long long)bytes, CIRA_FABRIC_OP_MAX_BYTES);
  }
  if (status == CIRA_OK) {
    status = parent_take(s, (uint32_t)(bytes / UNIT_BYTES) + 2, &deadline_ns,
                         op, &p);
  }
  if (CIRA_UNLIKELY(status != CIRA_OK)) {
    return cira__op_refuse(op, status);
  }
  uint8_t *to = dst;
  while (bytes) {
    uint64_t n = cira__min_u64(bytes, to_unit_end(offset));
    uint32_t i = child_of(s, offset);
    cira_fabric_t *child = s->child[i];
    piece_t *piece = piece_take(s, p);
    do {
      status = child->ops->post_read(child, r->part[i], offset_of(s, offset),
                                     to, n, deadline_ns, &piece->op);
    } while (child_again(child, &status, deadline_ns));
    piece_posted(s, piece, status);
    to += n;
    offset += n;
    bytes -= n;
  }
  parent_release(s, p);
  return CIRA_OK;
}

static void write_piece(stripe_t *s, parent_t *p, stripe_region_t *r,
                        uint32_t i, uint32_t seg_count, uint64_t deadline_ns) {
  cira_fabric_t *child = s->child[i];
  piece_t *piece = piece_take(s, p);
  cira_status_t status;
  do {
    status = child->ops->post_write(child, r->part[i], s->seg, seg_count,
                                    deadline_ns, &piece->op);
  } while (child_again(child, &status, deadline_ns));
  piece_posted(s, piece, status);
}

/* Writes what of the segments belongs to child i. */
static void write_child(stripe_t *s, parent_t *p, stripe_region_t *r,
                        uint32_t i, const cira_fabric_seg_t *segs,
                        uint32_t seg_count, uint64_t deadline_ns) {
  uint32_t n = 0;
  for (uint32_t k = 0; k < seg_count; k++) {
    uint64_t offset = segs[k].offset;
    const uint8_t *from = segs[k].src;
    for (uint64_t left = segs[k].bytes; left;) {
      uint64_t part = cira__min_u64(left, to_unit_end(offset));
      if (child_of(s, offset) == i) {
        if (n == CIRA_FABRIC_SEG_MAX_COUNT) {
          write_piece(s, p, r, i, n, deadline_ns);
          n = 0;
        }
        s->seg[n++] = (cira_fabric_seg_t){
            .offset = offset_of(s, offset), .src = from, .bytes = part};
      }
      offset += part;
      from += part;
      left -= part;
    }
  }
  if (n) {
    write_piece(s, p, r, i, n, deadline_ns);
  }
}

static cira_status_t stripe_post_write(cira_fabric_t *f, cira_region_t region,
                                       const cira_fabric_seg_t *segs,
                                       uint32_t seg_count, uint64_t deadline_ns,
                                       cira_fabric_op_t *op) {
  stripe_t *s = (stripe_t *)f;
  stripe_region_t *r = region_of(s, region);
  parent_t *p;
  uint64_t sum;
  cira_status_t status =
      r ? cira__segs_check(f, r->bytes, segs, seg_count, &sum) : CIRA_E_INVALID;
  if (status == CIRA_OK) {
    status = parent_take(s, PIECES_MAX, &deadline_ns, op, &p);
  }
  if (CIRA_UNLIKELY(status != CIRA_OK)) {
    return cira__op_refuse(op, status);
  }
  for (uint32_t i = 0; i < s->count; i++) {
    write_child(s, p, r, i, segs, seg_count, deadline_ns);
  }
  parent_release(s, p);
  return CIRA_OK;
}

static cira_status_t stripe_post_atomic(cira_fabric_t *f, cira_region_t region,
                                        cira_fabric_atomic_t kind,
                                        uint64_t offset, uint64_t operand,
                                        uint64_t compare, uint64_t deadline_ns,
                                        cira_fabric_op_t *op) {
  stripe_t *s = (stripe_t *)f;
  stripe_region_t *r = region_of(s, region);
  parent_t *p;
  cira_status_t status =
      r ? cira__range_check(f, "atomic", r->bytes, offset, 8) : CIRA_E_INVALID;
  if (CIRA_UNLIKELY(status == CIRA_OK &&
                    (offset % 8 || kind > CIRA_FABRIC_CAS))) {
    status =
        cira__fail(CIRA_E_INVALID,
                   "%s: atomic of kind %u at %llu; offsets are multiples of 8",
                   f->url, (unsigned)kind, (unsigned long long)offset);
  }
  if (status == CIRA_OK) {
    status = parent_take(s, 1, &deadline_ns, op, &p);
  }
  if (CIRA_UNLIKELY(status != CIRA_OK)) {
    return cira__op_refuse(op, status);
  }
  uint32_t i = child_of(s, offset);
  cira_fabric_t *child = s->child[i];
  piece_t *piece = piece_take(s, p);
  do {
    status =
        child->ops->post_atomic(child, r->part[i], kind, offset_of(s, offset),
                                operand, compare, deadline_ns, &piece->op);
  } while (child_again(child, &status, deadline_ns));
  piece_posted(s, piece, status);
  parent_release(s, p);
  return CIRA_OK;
}

/* Where a global offset falls in child i: the first byte of the child that is
 * at or after it. */
static uint64_t child_lower(const stripe_t *s, uint32_t i, uint64_t offset) {
  uint64_t unit = offset / UNIT_BYTES;
  uint64_t row = unit / s->count;
  uint64_t at = unit % s->count;
  if (at == i) {
    return row * UNIT_BYTES + offset % UNIT_BYTES;
  }
  return (row + (at > i)) * UNIT_BYTES;
}

static cira_status_t stripe_post_discard(cira_fabric_t *f, cira_region_t region,
                                         uint64_t offset, uint64_t bytes,
                                         uint64_t deadline_ns,
                                         cira_fabric_op_t *op) {
  stripe_t *s = (stripe_t *)f;
  stripe_region_t *r = region_of(s, region);
  parent_t *p;
  cira_status_t status =
      r ? cira__range_check(f, "discard", r->bytes, offset, bytes)
        : CIRA_E_INVALID;
  if (status == CIRA_OK) {
    status = parent_take(s, s->count, &deadline_ns, op, &p);
  }
  if (CIRA_UNLIKELY(status != CIRA_OK)) {
    return cira__op_refuse(op, status);
  }
  for (uint32_t i = 0; i < s->count; i++) {
    cira_fabric_t *child = s->child[i];
    uint64_t from = child_lower(s, i, offset);
    uint64_t to = child_lower(s, i, offset + bytes);
    if (from >= to) {
      continue;
    }
    piece_t *piece = piece_take(s, p);
    do {
      status = child->ops->post_discard(child, r->part[i], from, to - from,
                                        deadline_ns, &piece->op);
    } while (child_again(child, &status, deadline_ns));
    piece_posted(s, piece, status);
  }
  parent_release(s, p);
  return CIRA_OK;
}

static int32_t stripe_poll(cira_fabric_t *f) {
  stripe_t *s = (stripe_t *)f;
  if (CIRA_UNLIKELY(s->broken != CIRA_OK)) {
    return s->broken;
  }
  for (uint32_t i = 0; i < s->count; i++) {
    int32_t n = s->child[i]->ops->poll(s->child[i]);
    if (CIRA_UNLIKELY(n < 0)) {
      return broke(s, n);
    }
  }
  for (piece_t **link = &s->active; *link;) {
    piece_t *piece = *link;
    if (piece->op.status == CIRA_PENDING) {
      link = &piece->next;
    } else {
      *link = piece->next;
      piece_settle(s, piece);
    }
  }
  int32_t n = s->completed;
  s->completed = 0;
  return n;
}

static int stripe_wait_fd(cira_fabric_t *f) {
  return ((stripe_t *)f)->epoll_fd;
}

/* ---- regions ------------------------------------------------------------ */

/* Bytes of the part on child i; at least one page, so that it can exist. */
static uint64_t part_bytes(const stripe_t *s, uint32_t i, uint64_t bytes) {
  uint64_t end = cira__align_up(bytes, UNIT_BYTES);
  return cira__max_u64(child_lower(s, i, end), CIRA_PAGE_BYTES);
}

static uint64_t meta_bytes(const stripe_t *s) {
  return offsetof(meta_t, part) + s->count * sizeof(cira_ticket_t);
}

static void parts_close(stripe_t *s, stripe_region_t *r) {
  for (uint32_t i = 0; i < s->count; i++) {
    if (r->part[i]) {
      s->child[i]->ops->region_close(s->child[i], r->part[i]);
    }
  }
  if (r->meta) {
    s->child[0]->ops->region_close(s->child[0], r->meta);
  }
  *r = (stripe_region_t){0};
}

static stripe_region_t *region_free(stripe_t *s, cira_region_t *out) {
  for (uint32_t i = 0; i < CIRA__REGIONS_MAX; i++) {
    if (!s->region[i].bytes) {
      *out = i + 1;
      return &s->region[i];
    }
  }
  cira__fail(CIRA_E_NOMEM, "%s: more than %u regions on one connection",
             s->base.url, CIRA__REGIONS_MAX);
  return NULL;
}

static cira_status_t stripe_region_open(cira_fabric_t *f, uint64_t bytes,
                                        cira_region_t *out) {
  stripe_t *s = (stripe_t *)f;
  cira_region_t id;
  stripe_region_t *slot = region_free(s, &id);
  stripe_region_t r = {.bytes = bytes};
  meta_t meta = {.bytes = bytes, .count = s->count};
  if (!slot || bytes == 0 || bytes > (1ull << 46)) {
    return slot ? cira__fail(CIRA_E_INVALID,
                             "%s: a region of %llu bytes; 1 B to 64 TiB is "
                             "right",
                             f->url, (unsigned long long)bytes)
                : CIRA_E_NOMEM;
  }
  cira_status_t status = CIRA_OK;
  for (uint32_t i = 0; i < s->count && status == CIRA_OK; i++) {
    cira_fabric_t *c = s->child[i];
    status = c->ops->region_open(c, part_bytes(s, i, bytes), &r.part[i]);
    if (status == CIRA_OK) {
      status = c->ops->region_ticket(c, r.part[i], &meta.part[i]);
    }
  }
  if (status == CIRA_OK) {
    status = s->child[0]->ops->region_open(s->child[0], meta_bytes(s), &r.meta);
  }
  if (status == CIRA_OK) {
    status = cira_fabric_write(s->child[0], r.meta, 0, &meta, meta_bytes(s));
  }
  if (status != CIRA_OK) {
    parts_close(s, &r);
    return status;
  }
  *slot = r;
  *out = id;
  return CIRA_OK;
}

static cira_status_t stripe_region_attach(cira_fabric_t *f,
                                          const cira_ticket_t *ticket,
                                          cira_region_t *out,
                                          uint64_t *out_bytes) {
  stripe_t *s = (stripe_t *)f;
  cira_region_t id;
  stripe_region_t *slot = region_free(s, &id);
  stripe_region_t r = {0};
  meta_t meta = {0};
  uint64_t bytes = 0;
  if (!slot) {
    return CIRA_E_NOMEM;
  }
  cira_status_t status =
      s->child[0]->ops->region_attach(s->child[0], ticket, &r.meta, &bytes);
  if (status == CIRA_OK && bytes != meta_bytes(s)) {
    status =
        cira__fail(CIRA_E_INVALID,
                   "%s: the ticket is of a stripe over other servers", f->url);
  }
  if (status == CIRA_OK) {
    status = cira_fabric_read(s->child[0], r.meta, 0, &meta, bytes);
  }
  if (status == CIRA_OK && meta.count != s->count) {
    status = cira__fail(CIRA_E_INVALID,
                        "%s: the ticket is of a stripe over "
                        "%llu servers, not %u",
                        f->url, (unsigned long long)meta.count, s->count);
  }
  for (uint32_t i = 0; i < s->count && status == CIRA_OK; i++) {
    status = s->child[i]->ops->region_attach(s->child[i], &meta.part[i],
                                             &r.part[i], &bytes);
  }
  if (status != CIRA_OK) {
    parts_close(s, &r);
    return status;
  }
  r.bytes = meta.bytes;
  *slot = r;
  *out = id;
  if (out_bytes) {
    *out_bytes = meta.bytes;
  }
  return CIRA_OK;
}

static cira_status_t stripe_region_ticket(cira_fabric_t *f,
                                          cira_region_t region,
                                          cira_ticket_t *out) {
  stripe_t *s = (stripe_t *)f;
  stripe_region_t *r = region_of(s, region);
  return r ? s->child[0]->ops->region_ticket(s->child[0], r->meta, out)
           : CIRA_E_INVALID;
}

static cira_status_t stripe_region_refs(cira_fabric_t *f, cira_region_t region,
                                        uint32_t *out) {
  stripe_t *s = (stripe_t *)f;
  stripe_region_t *r = region_of(s, region);
  return r ? s->child[0]->ops->region_refs(s->child[0], r->part[0], out)
           : CIRA_E_INVALID;
}

static cira_status_t stripe_region_hold(cira_fabric_t *f, cira_region_t region,
                                        int32_t delta) {
  stripe_t *s = (stripe_t *)f;
  stripe_region_t *r = region_of(s, region);
  if (!r) {
    return CIRA_E_INVALID;
  }
  cira_status_t status =
      s->child[0]->ops->region_hold(s->child[0], r->meta, delta);
  uint32_t i = 0;
  for (; i < s->count && status == CIRA_OK; i++) {
    status = s->child[i]->ops->region_hold(s->child[i], r->part[i], delta);
  }
  if (status != CIRA_OK && i > 0) { /* undo what was done before */
    for (i--; i-- > 0;) {
      (void)s->child[i]->ops->region_hold(s->child[i], r->part[i], -delta);
    }
    (void)s->child[0]->ops->region_hold(s->child[0], r->meta, -delta);
  }
  return status;
}

static void stripe_region_close(cira_fabric_t *f, cira_region_t region) {
  stripe_t *s = (stripe_t *)f;
  stripe_region_t *r = region_of(s, region);
  if (r) {
    parts_close(s, r);
  }
}

/* Child i's share of a total; shares of any total add up to it, also of a
 * negative one (bytes returned that another connection had committed). */
static int64_t share(const stripe_t *s, uint32_t i, int64_t total) {
  int64_t n = s->count;
  int64_t floor = total >= 0 ? total / n : -((-total + n - 1) / n);
  return floor + (i < total - floor * n);
}

static cira_status_t stripe_region_commit(cira_fabric_t *f,
                                          cira_region_t region, int64_t bytes) {
  stripe_t *s = (stripe_t *)f;
  stripe_region_t *r = region_of(s, region);
  if (!r) {
    return CIRA_E_INVALID;
  }
  int64_t before = r->committed_bytes;
  int64_t after;
  if (__builtin_add_overflow(before, bytes, &after)) {
    return cira__fail(CIRA_E_INVALID, "%s: a commit of %lld bytes", f->url,
                      (long long)bytes);
  }
  cira_status_t status = CIRA_OK;
  uint32_t i = 0;
  for (; i < s->count && status == CIRA_OK; i++) {
    status = s->child[i]->ops->region_commit(
        s->child[i], r->part[i], share(s, i, after) - share(s, i, before));
  }
  if (status != CIRA_OK) {
    for (i--; i-- > 0;) { /* undo what was done before */
      (void)s->child[i]->ops->region_commit(
          s->child[i], r->part[i], share(s, i, before) - share(s, i, after));
    }
    return status;
  }
  r->committed_bytes = after;
  return CIRA_OK;
}

static cira_status_t stripe_region_map(cira_fabric_t *f, cira_region_t region,
                                       uint8_t **out) {
  (void)region;
  (void)out;
  return cira__fail(CIRA_E_UNSUPPORTED, "%s: a stripe cannot be mapped",
                    f->url);
}

/* ---- life --------------------------------------------------------------- */

static void stripe_close(cira_fabric_t *f) {
  stripe_t *s = (stripe_t *)f;
  (void)broke(s, CIRA_E_CLOSED);
  for (uint32_t i = 0; i < s->count; i++) {
    cira_fabric_close(s->child[i]);
  }
  if (s->epoll_fd >= 0) {
    (void)cira__sys_close(s->epoll_fd);
  }
  cira__pages_free(s, s->total_bytes);
}

static cira_status_t children_connect(stripe_t *s, const cira__url_t *url,
                                      const cira_fabric_options_t *opt) {
  cira_fabric_options_t child = *opt;
  child.inflight_max = (uint32_t)cira__min_u64(
      (uint64_t)opt->inflight_max * PIECES_MAX, CIRA__INFLIGHT_MAX);
  s->base.flags = CIRA_FABRIC_F_REMOTE;
  for (uint32_t i = 0; i < url->child_count; i++) {
    char text[CIRA__URL_BYTES];
    cira__url_child(url, i, text);
    cira_status_t status = cira_fabric_connect(text, &child, &s->child[i]);
    if (status != CIRA_OK) {
      return status;
    }
    s->count = i + 1;
    s->base.flags &= s->child[i]->flags;
    int fd = s->child[i]->ops->wait_fd(s->child[i]);
    struct epoll_event e = {.events = EPOLLIN};
    if (fd < 0) {
      continue;
    }
    if (s->epoll_fd < 0) {
      s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
      s->epoll_fd = s->epoll_fd < 0 ? -1 : cira__fd_move_high(s->epoll_fd);
    }
    if (s->epoll_fd < 0 || epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, fd, &e) < 0) {
      return cira__fail_errno(CIRA_E_SYSTEM, errno, "%s: no epoll",
                              s->base.url);
    }
  }
  return CIRA_OK;
}

static cira_status_t stripe_connect(const char *url,
                                    const cira_fabric_options_t *opt,
                                    cira_fabric_t **out) {
  cira__url_t parsed;
  cira_status_t status = cira__url_parse(url, strlen(url), &parsed);
  if (status != CIRA_OK) {
    return status;
  }
  uint32_t parents = opt->inflight_max;
  uint32_t pieces = (uint32_t)cira__min_u64((uint64_t)parents * PIECES_MAX,
                                            CIRA__INFLIGHT_MAX);
  uint64_t head = cira__align_up(sizeof(stripe_t), 64);
  uint64_t total = head + parents * sizeof(parent_t) + pieces * sizeof(piece_t);
  stripe_t *s = cira__pages_alloc(total);
  if (!s) {
    return CIRA_E_NOMEM;
  }
  cira__fabric_init(&s->base, &cira__stripe_ops, 0, url, opt);
  s->total_bytes = total;
  s->epoll_fd = -1;
  piece_t *piece = (piece_t *)((uint8_t *)s + head);
  parent_t *parent = (parent_t *)(piece + pieces);
  for (uint32_t i = 0; i < parents; i++) {
    parent[i].next_free = s->free_parents;
    s->free_parents = &parent[i];
  }
  for (uint32_t i = 0; i < pieces; i++) {
    piece[i].next = s->free_pieces;
    s->free_pieces = &piece[i];
  }
  s->free_piece_count = pieces;
  status = children_connect(s, &parsed, opt);
  if (status != CIRA_OK) {
    stripe_close(&s->base);
    return status;
  }
  *out = &s->base;
  return CIRA_OK;
}

const cira_fabric_ops_t cira__stripe_ops = {
    .size = sizeof(cira_fabric_ops_t),
    .flags = CIRA_FABRIC_F_REMOTE,
    .scheme = "stripe",
    .connect = stripe_connect,
    .close = stripe_close,
    .region_open = stripe_region_open,
    .region_attach = stripe_region_attach,
    .region_ticket = stripe_region_ticket,
    .region_refs = stripe_region_refs,
    .region_hold = stripe_region_hold,
    .region_close = stripe_region_close,
    .region_commit = stripe_region_commit,
    .region_map = stripe_region_map,
    .post_read = stripe_post_read,
    .post_write = stripe_post_write,
    .post_atomic = stripe_post_atomic,
    .post_discard = stripe_post_discard,
    .poll = stripe_poll,
    .wait_fd = stripe_wait_fd,
};
