/* SPDX-License-Identifier: Apache-2.0
 *
 * The memory of a link: sizes, init, taking it up.
 */
#include "call/internal.h"

#include "fabric/internal.h"

#include <string.h>

#define DEPTH_DEFAULT 256u
#define BYTES_DEFAULT 48u        /* with the head and the ring's word: a line */
#define BULK_DEFAULT (16u << 10) /* 16 KiB, all 16 of them in the L2 cache */

void *cira__call_memory(size_t bytes) {
  size_t total = bytes + CIRA_CALL_ALIGN;
  uint8_t *at = cira__pages_alloc(total);
  if (!at) {
    return NULL;
  }
  memcpy(at, &total, sizeof(total));
  return at + CIRA_CALL_ALIGN;
}

void cira__call_memory_free(void *memory) {
  if (memory) {
    uint8_t *at = (uint8_t *)memory - CIRA_CALL_ALIGN;
    size_t total;
    memcpy(&total, at, sizeof(total));
    cira__pages_free(at, total);
  }
}

cira_call_options_t cira_call_options_default(void) {
  return (cira_call_options_t){.size = sizeof(cira_call_options_t),
                               .wait = CIRA_CHANNEL_ADAPTIVE,
                               .depth = DEPTH_DEFAULT,
                               .args_max = BYTES_DEFAULT,
                               .result_max = BYTES_DEFAULT,
                               .bulk_bytes = BULK_DEFAULT};
}

static cira_status_t options_check(const cira_call_options_t *opt,
                                   cira_call_options_t *out) {
  *out = cira_call_options_default();
  if (!opt) {
    return CIRA_OK;
  }
  if (opt->size != sizeof(*opt)) {
    return cira__fail(CIRA_E_INVALID,
                      "call options: size is %u, not %zu; begin with "
                      "cira_call_options_default",
                      opt->size, sizeof(*opt));
  }
  out->flags = opt->flags;
  out->wait = opt->wait;
  out->spin_count = opt->spin_count;
  out->depth = opt->depth ? opt->depth : DEPTH_DEFAULT;
  out->args_max = opt->args_max ? opt->args_max : BYTES_DEFAULT;
  out->result_max = opt->result_max ? opt->result_max : BYTES_DEFAULT;
  out->bulk_bytes = opt->bulk_bytes ? opt->bulk_bytes : BULK_DEFAULT;
  if ((out->flags & ~CIRA_CALL_F_SHARED) != 0 ||
      out->wait > CIRA_CHANNEL_SLEEP || (out->depth & (out->depth - 1)) != 0) {
    return cira__fail(CIRA_E_INVALID,
                      "call options: unknown flags %x or wait %u, or a depth "
                      "%u that is no power of two",
                      out->flags, out->wait, out->depth);
  }
  if (out->depth > CIRA_CALL_DEPTH_MAX || out->args_max > CIRA_CALL_BYTES_MAX ||
      out->result_max > CIRA_CALL_BYTES_MAX ||
      out->bulk_bytes > CIRA_CALL_BULK_MAX) {
    return cira__fail(CIRA_E_RANGE,
                      "call options: depth %u, arguments %u, result %u, bulk "
                      "%u; at most %u, %u, %u, %u",
                      out->depth, out->args_max, out->result_max,
                      out->bulk_bytes, CIRA_CALL_DEPTH_MAX, CIRA_CALL_BYTES_MAX,
                      CIRA_CALL_BYTES_MAX, CIRA_CALL_BULK_MAX);
  }
  return CIRA_OK;
}

static cira_channel_options_t ring_options(const cira_call_options_t *o,
                                           uint32_t bytes, uint32_t count) {
  cira_channel_options_t ring = cira_channel_options_default();
  ring.wait = o->wait;
  ring.spin_count = o->spin_count ? o->spin_count : ring.spin_count;
  ring.flags = (o->flags & CIRA_CALL_F_SHARED) != 0 ? CIRA_CHANNEL_F_SHARED : 0;
  ring.message_bytes = 8 + (uint32_t)cira__align_up(bytes, 8);
  ring.capacity_count = count; /* see internal.h */
  return ring;
}

static uint64_t put(uint64_t *at, uint64_t bytes) {
  uint64_t here = *at;
  *at = cira__align_up(here + bytes, CIRA_CALL_ALIGN);
  return here;
}

/* The constant part of a link with these options, all but the checksum. */
static cira_status_t layout(const cira_call_options_t *o,
                            cira__call_link_t *l) {
  *l = (cira__call_link_t){.magic = CIRA__CALL_MAGIC,
                           .version = CIRA__CALL_VERSION,
                           .flags = o->flags,
                           .depth = o->depth,
                           .args_max = o->args_max,
                           .result_max = o->result_max};
  l->bulk_bytes = (uint32_t)cira__align_up(o->bulk_bytes, CIRA_CALL_ALIGN);
  cira_channel_options_t submissions =
      ring_options(o, o->args_max, 2 * o->depth);
  cira_channel_options_t completions = ring_options(o, o->result_max, o->depth);
  cira_status_t status =
      cira_channel_bytes(&submissions, &l->submissions_bytes);
  if (status == CIRA_OK) {
    status = cira_channel_bytes(&completions, &l->completions_bytes);
  }
  uint64_t at = sizeof(*l);
  l->cancel_at = put(&at, (uint64_t)o->depth * sizeof(uint32_t));
  l->deadline_at = put(&at, (uint64_t)o->depth * sizeof(uint64_t));
  l->detail_at = put(&at, (uint64_t)o->depth * CIRA__CALL_DETAIL_BYTES);
  l->descriptor_at =
      put(&at, CIRA_CALL_BULK_PLACES * sizeof(cira__call_bulk_t));
  l->submissions_at = put(&at, l->submissions_bytes);
  l->completions_at = put(&at, l->completions_bytes);
  l->bulk_at = put(&at, (uint64_t)CIRA_CALL_BULK_PLACES * l->bulk_bytes);
  l->total_bytes = at;
  return status;
}

/* FNV-1a over what is constant. */
static uint64_t checksum(const cira__call_link_t *l) {
  const uint8_t *at = (const uint8_t *)l;
  uint64_t sum = 14695981039346656037ull;
  for (size_t i = 0; i < offsetof(cira__call_link_t, checksum); i++) {
    sum = (sum ^ at[i]) * 1099511628211ull;
  }
  return sum;
}

cira_status_t cira_call_link_bytes(const cira_call_options_t *opt,
                                   uint64_t *out_bytes) {
  cira_call_options_t o;
  cira__call_link_t l;
  if (!out_bytes) {
    return cira__fail(CIRA_E_INVALID, "call_link_bytes: out_bytes is NULL");
  }
  cira_status_t status = options_check(opt, &o);
  if (status == CIRA_OK) {
    status = layout(&o, &l);
  }
  if (status == CIRA_OK) {
    *out_bytes = l.total_bytes;
  }
  return status;
}

static cira_status_t memory_check(const void *memory, const char *call) {
  if (!memory || ((uintptr_t)memory & (CIRA_CALL_ALIGN - 1)) != 0) {
    return cira__fail(CIRA_E_INVALID,
                      "%s: the memory at %p is NULL or not aligned to %u", call,
                      memory, CIRA_CALL_ALIGN);
  }
  return CIRA_OK;
}

cira_status_t cira_call_link_init(void *memory, uint64_t bytes,
                                  const cira_call_options_t *opt) {
  cira_call_options_t o;
  cira__call_link_t made;
  cira_channel_t *ring;
  cira_status_t status = memory_check(memory, "call_link_init");
  if (status == CIRA_OK) {
    status = options_check(opt, &o);
  }
  if (status == CIRA_OK) {
    status = layout(&o, &made);
  }
  if (status != CIRA_OK) {
    return status;
  }
  if (bytes < made.total_bytes) {
    return cira__fail(CIRA_E_RANGE,
                      "call_link_init: %llu bytes of memory, %llu needed (see "
                      "cira_call_link_bytes)",
                      (unsigned long long)bytes,
                      (unsigned long long)made.total_bytes);
  }
  made.checksum = checksum(&made);
  made.magic = 0; /* set last: who polls for it sees all or nothing */
  uint8_t *at = memory;
  memset(at, 0, made.submissions_at);
  cira_channel_options_t ring_o = ring_options(&o, o.args_max, 2 * o.depth);
  status = cira_channel_init(at + made.submissions_at, made.submissions_bytes,
                             &ring_o, &ring);
  if (status == CIRA_OK) {
    ring_o = ring_options(&o, o.result_max, o.depth);
    status = cira_channel_init(at + made.completions_at, made.completions_bytes,
                               &ring_o, &ring);
  }
  if (status != CIRA_OK) {
    return status;
  }
  cira__call_link_t *l = memory;
  *l = made;
  /* pairs with: the acquire load in cira__call_view */
  __atomic_store_n(&l->magic, CIRA__CALL_MAGIC, __ATOMIC_RELEASE);
  return CIRA_OK;
}

cira_status_t cira__call_view(void *memory, uint64_t bytes, const char *call,
                              cira__call_view_t *out) {
  cira_status_t status = memory_check(memory, call);
  if (status != CIRA_OK) {
    return status;
  }
  cira__call_link_t *l = memory;
  if (bytes < sizeof(*l)) {
    return cira__fail(CIRA_E_RANGE, "%s: %llu bytes hold no link", call,
                      (unsigned long long)bytes);
  }
  /* pairs with: the release store in cira_call_link_init */
  if (__atomic_load_n(&l->magic, __ATOMIC_ACQUIRE) != CIRA__CALL_MAGIC ||
      l->version != CIRA__CALL_VERSION || l->checksum != checksum(l)) {
    return cira__fail(CIRA_E_PROTOCOL,
                      "%s: no link of version %u at %p, or a damaged one", call,
                      CIRA__CALL_VERSION, memory);
  }
  if (bytes < l->total_bytes) {
    return cira__fail(
        CIRA_E_RANGE, "%s: the mapping has %llu bytes, the link %llu", call,
        (unsigned long long)bytes, (unsigned long long)l->total_bytes);
  }
  uint8_t *at = memory;
  *out = (cira__call_view_t){
      .link = l,
      .cancel = (uint32_t *)(void *)(at + l->cancel_at),
      .deadline_ns = (uint64_t *)(void *)(at + l->deadline_at),
      .detail = (char *)(at + l->detail_at),
      .descriptor = (cira__call_bulk_t *)(void *)(at + l->descriptor_at),
      .bulk = at + l->bulk_at};
  status = cira_channel_attach(at + l->submissions_at, l->submissions_bytes,
                               8 + (uint32_t)cira__align_up(l->args_max, 8),
                               &out->submissions);
  if (status == CIRA_OK) {
    status = cira_channel_attach(at + l->completions_at, l->completions_bytes,
                                 8 + (uint32_t)cira__align_up(l->result_max, 8),
                                 &out->completions);
  }
  return status;
}

uint64_t cira__call_bulk_results(const cira__call_bulk_t *b,
                                 uint32_t bulk_bytes, bool *out_fits) {
  /* each product is below 2^64: 32 bits times 32 bits */
  uint64_t args = cira__align_up((uint64_t)b->count * b->args_bytes, 64);
  uint64_t results = (uint64_t)b->count * b->result_bytes;
  *out_fits = args <= bulk_bytes && results <= bulk_bytes - args;
  return args;
}
