/* SPDX-License-Identifier: Apache-2.0
 *
 * What both sides of a link share: its layout, its messages, the caller's
 * state.
 *
 * Layout: a header (constant after init, with a checksum), words that change,
 * then a cancel word, a deadline and a detail text per place, the descriptors
 * of the places for bulk, the two channels, the bulk itself. All by offset.
 * Invariant: a place (0 .. depth-1) is taken from submission until its
 * completion was read. The completion ring has room for depth messages, the
 * submission ring for twice as many (the callee gives room back per cache line,
 * after it has completed the calls there), so neither side waits for room. An
 * id is a place and how often it was taken, so a completion that comes twice is
 * noticed. Order: everything that a message speaks of (deadline, bulk, name,
 * detail) is written before the message is committed and read after it was
 * peeked; the channel orders the two. Cancel words and `stop` are hints and
 * relaxed. Reading order: table.c, link.c, server.c, client.c, many.c, start.c,
 * remote.c.
 */
#ifndef CIRA_CALL_INTERNAL_H
#define CIRA_CALL_INTERNAL_H

#include "base/base.h"
#include "cira/call.h"
#include "cira/channel.h"

#include <pthread.h>
#include <sys/types.h>

#define CIRA__CALL_MAGIC 0x6b6e696c6c6c6163ull /* "calllink" */
#define CIRA__CALL_VERSION 1u
#define CIRA__CALL_DETAIL_BYTES 96u
#define CIRA__CALL_FIND 0u /* the function that looks up names */
#define CIRA__CALL_PLACE_BITS 12u
#define CIRA__CALL_LIBRARY_MAX 16u

/* ---- messages ---- */

#define CIRA__CALL_F_BULK 0x4000u     /* args_bytes is the place for bulk */
#define CIRA__CALL_F_DEADLINE 0x8000u /* the call has one */
#define CIRA__CALL_FUNCTION_MASK 0x3fffu

/* Both are followed by bytes by value. */
typedef struct {
  uint32_t id;
  uint16_t function; /* with flags */
  uint16_t args_bytes;
} cira__call_submission_t;

typedef struct {
  uint32_t id;
  int16_t status;
  uint16_t result_bytes;
} cira__call_completion_t;

_Static_assert(sizeof(cira__call_submission_t) == 8, "read by other processes");
_Static_assert(sizeof(cira__call_completion_t) == 8, "read by other processes");
_Static_assert(CIRA_CALL_FUNCTION_MAX <= CIRA__CALL_FUNCTION_MASK, "fits");
_Static_assert(CIRA_CALL_DEPTH_MAX == 1u << CIRA__CALL_PLACE_BITS, "fits");

static inline uint32_t cira__call_place(uint32_t id) {
  return id & (CIRA_CALL_DEPTH_MAX - 1);
}

/* ---- links ---- */

typedef struct {
  uint32_t count;
  uint32_t args_bytes;
  uint32_t result_bytes;
  uint32_t done; /* written by the callee */
} cira__call_bulk_t;

typedef struct {
  uint64_t magic;
  uint32_t version, flags;
  uint32_t depth, args_max, result_max, bulk_bytes;
  uint64_t cancel_at, deadline_at, detail_at, descriptor_at;
  uint64_t submissions_at, submissions_bytes;
  uint64_t completions_at, completions_bytes;
  uint64_t bulk_at, total_bytes;
  uint64_t checksum; /* of all above */
  uint8_t pad[8];

  uint32_t serving;  /* futex word: 0 nobody yet, 3 somebody begins, 1 serves,
                        2 has ended */
  uint32_t attached; /* a caller has taken it up */
  uint32_t stop;     /* the caller has closed it: begin no more calls */
  uint32_t found;    /* number of the function that was looked up */
  char name[CIRA_CALL_NAME_MAX + 1];
  uint8_t pad1[48];
} cira__call_link_t;
_Static_assert(sizeof(cira__call_link_t) == 256, "read by other processes");
_Static_assert(offsetof(cira__call_link_t, serving) == 128,
               "a line of its own");

/* A link as one side sees it. */
typedef struct {
  cira__call_link_t *link;
  uint32_t *cancel;
  uint64_t *deadline_ns;
  char *detail;
  cira__call_bulk_t *descriptor;
  cira_channel_t *submissions, *completions;
  uint8_t *bulk;
} cira__call_view_t;

/* Checks a link and fills in a view of it. `call` names the caller. */
cira_status_t cira__call_view(void *memory, uint64_t bytes, const char *call,
                              cira__call_view_t *out);

/* Where results begin in a place for bulk; whether all fits is in *out_fits. */
uint64_t cira__call_bulk_results(const cira__call_bulk_t *b,
                                 uint32_t bulk_bytes, bool *out_fits);

/* ---- tables ---- */

typedef struct {
  cira_call_fn_t function;
  void *context;
  bool array; /* takes the calls of a batch at once */
  char name[CIRA_CALL_NAME_MAX + 1];
} cira__call_entry_t;

/* Finds what neither the table nor its libraries have. Returns CIRA_OK with
 * the function (one that takes arrays) and its context. */
typedef cira_status_t (*cira__call_resolver_t)(void *self, const char *name,
                                               cira_call_fn_t *out_function,
                                               void **out_context);

struct cira_call_table {
  pthread_mutex_t lock; /* lookups add entries */
  uint32_t count;       /* of entries; published with release */
  uint32_t library_count;
  void *library[CIRA__CALL_LIBRARY_MAX];
  struct {
    uint8_t *at;
    uint64_t bytes;
  } window[CIRA_CALL_WINDOW_MAX];
  cira__call_entry_t *entry;      /* [number - 1], all allocated at once */
  cira__call_resolver_t resolver; /* NULL: none */
  void *resolver_self;
};

/* The number of a name. Returns CIRA_OK; CIRA_E_INVALID when there is none, or
 * what the resolver said. */
cira_status_t cira__call_table_find(cira_call_table_t *table, const char *name,
                                    uint32_t *out_number);
bool cira__call_name_ok(const char *name);

/* The entry of a number, or NULL. */
static inline const cira__call_entry_t *
cira__call_entry(const cira_call_table_t *t, uint32_t number) {
  /* pairs with: the release store in entry_add (table.c) */
  return number - 1 < __atomic_load_n(&t->count, __ATOMIC_ACQUIRE)
             ? &t->entry[number - 1]
             : NULL;
}

/* ---- the caller ---- */

typedef struct {
  cira_call_t *call; /* NULL: abandoned, or free */
  uint32_t id;       /* as taken last */
  bool taken;
  bool find;    /* the name in the link is in use until it completes */
  uint8_t bulk; /* place for bulk + 1, 0: none */
} cira__call_place_t;

/* A task that waits while another one reads completions. */
typedef struct cira__call_waiter {
  struct cira__call_waiter *next, **link;
  cira_parker_t *parker;
  bool for_place;
} cira__call_waiter_t;

/* The ranges of the call in a place; written by the caller before it sends,
 * read by a thread of its process that serves (memory servers only). */
typedef struct {
  uint32_t count;
  cira_call_range_t range[CIRA_CALL_RANGE_MAX];
} cira__call_ranges_t;

typedef struct cira__call_session cira__call_session_t; /* remote.c */

struct cira_call_client {
  cira__call_view_t view;
  cira_status_t broken; /* CIRA_OK, or what every call returns now */
  bool closed;
  bool driving;        /* somebody is in a receive on the completions */
  bool finding;        /* the name in the link is in use */
  uint16_t bulk_free;  /* bit per place */
  uint32_t free_count; /* of free_place */
  uint32_t waiting;    /* tasks in a wait */
  uint32_t for_place;  /* of them: parked until a place is free */
  cira__call_waiter_t *waiters;
  cira_channel_run_t run; /* reserved, `filled` of it written */
  uint32_t filled;
  cira_call_stats_t stats;
  /* what was started with it, start.c */
  void *memory; /* NULL: the caller's */
  uint64_t memory_bytes;
  cira_call_table_t *table;
  cira__call_session_t *session; /* NULL: the callee is no memory server */
  cira__call_ranges_t *ranges;   /* of each place, when there is a session */
  bool has_thread;
  pthread_t thread;
  pid_t child; /* 0: none */
  cira__call_place_t *place;
  uint16_t *free_place;
  uint8_t *buffer;       /* one completion */
  uint8_t *serve_buffer; /* of the thread or process: it needs no memory */
};

/* client.c */
cira_status_t cira__call_ready(const cira_call_client_t *c, const char *call);
/* Waits until `call` ended, or (NULL) a place is free, or (with bulk) a place
 * for bulk is. */
cira_status_t cira__call_until(cira_call_client_t *c, cira_call_t *call,
                               bool bulk, uint64_t deadline_ns);
/* Sleeps for one completion and takes it in; nobody else drives. */
cira_status_t cira__call_drive(cira_call_client_t *c, uint64_t deadline_ns);
/* Takes a place and sends a message; there is a free place. */
void cira__call_send(cira_call_client_t *c, uint32_t function, const void *args,
                     uint32_t args_bytes, uint32_t bulk, uint32_t flags,
                     cira_call_t *call);
/* The call ends here and now; a late completion is dropped. */
void cira__call_abandon(cira_call_client_t *c, cira_call_t *call,
                        cira_status_t status);
/* Every pending call ends with `status`, every later one too. */
void cira__call_broke(cira_call_client_t *c, cira_status_t status);
cira_status_t cira__call_drain(cira_call_client_t *c, uint32_t *out_count);
/* Is this call on its way? */
bool cira__call_pending(const cira_call_client_t *c, const cira_call_t *call);

/* What a call is about: checked, then kept for the place that the next send
 * takes. */
cira_status_t cira__call_ranges_check(const cira_call_client_t *c,
                                      const cira_call_range_t *range,
                                      uint32_t count);
static inline void cira__call_ranges_put(cira_call_client_t *c,
                                         const cira_call_range_t *range,
                                         uint32_t count) {
  if (CIRA_UNLIKELY(c->ranges != NULL)) {
    cira__call_ranges_t *to = &c->ranges[c->free_place[c->free_count - 1]];
    to->count = count;
    for (uint32_t i = 0; i < count; i++) {
      to->range[i] = range[i];
    }
  }
}

/* link.c: zeroed memory straight from the kernel, aligned to CIRA_CALL_ALIGN.
 * What a serving thread touches must not lie in a page of far memory that a
 * call has lent to a server, and the program's malloc may give such. */
void *cira__call_memory(size_t bytes);
void cira__call_memory_free(void *memory);

/* server.c: of the call that a function runs in; CIRA_FOREVER: none. */
uint64_t cira__call_frame_deadline(const cira_call_frame_t *frame);
/* cira_call_serve; `buffer` is for a submission, NULL: it makes its own. */
cira_status_t cira__call_serve(void *memory, uint64_t bytes,
                               cira_call_table_t *table, uint8_t *buffer,
                               uint64_t deadline_ns);

/* start.c: cira_call_thread for a session, which owns the table. */
cira_status_t cira__call_thread(cira_call_table_t *table,
                                const cira_call_options_t *opt,
                                cira__call_session_t *session,
                                cira_call_client_t **out);

/* remote.c */
cira_status_t cira__call_session_join(cira__call_session_t *session,
                                      cira_call_client_t *client);
void cira__call_session_end(cira__call_session_t *session);
/* Makes a region of the server known to the session as the memory at
 * [address, address + bytes), without any cache in between. Before calls. */
cira_status_t cira__call_session_region(cira_call_client_t *client,
                                        const uint8_t ticket[32],
                                        uint64_t address);

/* start.c: what became of a child that is gone, for the detail. */
void cira__call_child_gone(cira_call_client_t *c);

#endif
