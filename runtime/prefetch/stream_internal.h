/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of the streams share. `next` is the index of the first element
 * behind those that the front can still reach by itself: when the front is used
 * up (left is 0), the current element is `next`.
 */
#ifndef CIRA_PREFETCH_STREAM_INTERNAL_H
#define CIRA_PREFETCH_STREAM_INTERNAL_H

#include <pthread.h>

#include "async/thread.h"
#include "prefetch/stream.h"
#include "profile/profile.h"
#include "space/control.h"
#include "space/far.h"

/* Where the depth of streams of pointers starts (control.c). */
extern _Atomic uint32_t cira__batches_start;

#define BATCH 16u          /* addresses translated at a time */
#define BATCHES 16u        /* kept; a power of two */
#define RING_FRAMES 64u    /* most pages of a source under way */
#define RUN_PAGES 64u      /* most pages of a run */
#define LINES_AHEAD_MAX 4u /* lines asked for of one element */

/* Local memory of a stream that grows and is kept. */
typedef struct {
  uint8_t *p;
  uint64_t bytes;
} scratch_t;

/* Frames into which pages of a source travel, in the order of their use. */
typedef struct {
  uint64_t page; /* address >> 12 */
  cira_far_read_t read;
} frame_t;
typedef struct {
  uint8_t *memory;
  uint32_t frames; /* 0: no room; pages are read in place */
  uint32_t tail, used;
  int64_t gen_k;      /* element whose pages are asked for next */
  uint64_t last_page; /* asked for last */
  bool gen_fresh;
  frame_t frame[RING_FRAMES];
} ring_t;

/* Elements at a fixed step: of a strided stream, of the array of pointers, of
 * the array of indices. */
typedef struct {
  const uint8_t *first;
  int64_t step, count;
  uint32_t bytes;
  cira_far_run_t run;
  ring_t *ring; /* fabrics that are not direct */
  scratch_t bounce;
} source_t;

/* Translated addresses of up to BATCH elements. */
typedef struct {
  int64_t first; /* element; -1: nothing */
  uint32_t count;
  uint32_t unready; /* entries without a place yet */
  const uint8_t *at[BATCH];
  const uint8_t *address[BATCH]; /* the program's */
  bool posted[BATCH];
} batch_t;

typedef struct {
  bool in_place; /* the front walks the array itself */
  batch_t batch[BATCHES];
  uint64_t tail, head; /* batches [tail, head) are made; the front is in tail */
  const uint8_t *base; /* indexed */
  int64_t scale;
  uint32_t index_bytes; /* 0: pointers */
  uint32_t target_bytes;
  cira_control_t depth; /* batches ahead, over requests */
  cira_control_input_t depth_seen;
  uint64_t depth_ns; /* of the last look */
  scratch_t buffers; /* target_bytes for each element of all batches */
  scratch_t reads;   /* two requests for each */
} pointers_t;

/* The order of a chain, see jump.c. */
typedef struct jump_table jump_table_t;
#define JUMP_RING 256u
typedef struct {
  uint64_t address;
  const uint8_t *data; /* where the node can be read; NULL: see posted */
  uint32_t count;      /* nodes at the table's step */
  bool posted;
} jump_entry_t;
typedef struct {
  jump_table_t *table;
  bool recording; /* into the table; otherwise running ahead from it */
  uint32_t misses;
  uint64_t head, tail; /* entries decoded / the one we are at */
  uint64_t run_address, run_count;
  int64_t run_step;
  jump_entry_t ring[JUMP_RING];
  scratch_t buffers, reads; /* requests of nodes */
} jump_t;

typedef struct {
  const uint8_t *head, *previous;
  const uint8_t *first; /* where the front was put by the last call */
  int64_t link_offset;
  uint32_t node_bytes;
  bool started, ended;
  uint32_t run_pages;
  cira_far_run_t run;
  source_t pages; /* over requests: nodes that follow each other, in frames */
  bool pages_open;
  scratch_t bounce;
  jump_t jump;
} chain_t;

#define RANK_MAX 8
typedef struct {
  const uint8_t *base;
  int64_t element_bytes, rank;
  int64_t sizes[RANK_MAX], strides[RANK_MAX], tiles[RANK_MAX];
  int64_t per_dim[RANK_MAX];
} tiled_t;

typedef struct {
  int64_t vertex_count;
  const uint8_t *rows, *neighbours, *vertices;
  uint32_t vertex_bytes;
  int64_t neighbour_bytes;
} frontier_t;

typedef enum { STRIDED, POINTERS, CHAIN, TILED, FRONTIER } stream_kind_t;

struct cira_stream {
  _Atomic uint32_t magic;
  _Atomic uint32_t users; /* that run ahead; a release waits for them */
  struct cira_stream *next_free;
  pthread_mutex_t lock; /* of the stream's own front, and of all it moves */
  stream_kind_t kind;
  cira_abi_front_t front;
  int64_t count, next;
  _Atomic int64_t position, window, asked;
  source_t source;
  pointers_t pointers;
  chain_t chain;
  tiled_t tiled;
  frontier_t frontier;
  scratch_t bounce;
  cira_profile_stream_t seen; /* start_ns is 0: nobody wants to know */
};

/* seen.c: for a profile. */
typedef struct {
  uint64_t t0;
  cira_far_tally_t reads;
} stream_look_t;
CIRA_COLD void cira__stream_seen_begin(cira_stream_t *s);
CIRA_COLD void cira__stream_seen_end(cira_stream_t *s);
CIRA_COLD stream_look_t cira__stream_look_begin(void);
CIRA_COLD void cira__stream_look_end(cira_stream_t *s,
                                     const stream_look_t *look, int64_t given);
static inline bool stream_is_seen(const cira_stream_t *s) {
  return CIRA_UNLIKELY(s->seen.start_ns != 0);
}

/* stream.c */
/* In a forked child: true when a thread that is not here had the lock, which is
 * free now; what it guards may be half changed. */
bool cira__forked_lock(pthread_mutex_t *lock);
bool cira__scratch_room(scratch_t *scratch, uint64_t bytes);
void cira__scratch_must(scratch_t *scratch, uint64_t bytes);
static inline void lines_prefetch(const uint8_t *at, uint64_t bytes) {
  uint64_t lines = ((uint64_t)(uintptr_t)at % CIRA_LINE_BYTES + bytes +
                    CIRA_LINE_BYTES - 1) /
                   CIRA_LINE_BYTES;
  lines = lines < LINES_AHEAD_MAX ? lines : LINES_AHEAD_MAX;
  for (uint64_t i = 0; i < lines; i++) {
    __builtin_prefetch(at + i * CIRA_LINE_BYTES);
  }
}

/* source.c */
void cira__source_open(source_t *src, const void *first, int64_t step,
                       int64_t count, uint32_t bytes);
void cira__source_close(source_t *src);
/* Where elements k, k + 1, ... can be read, at the source's step; returns how
 * many (at least one). The last answer is good until the next call. */
int64_t cira__source_at(source_t *src, int64_t k, const uint8_t **out_data);

/* batch.c */
void cira__pointers_open(cira_stream_t *s, uint32_t target_bytes);
void cira__pointers_close(cira_stream_t *s);
void cira__pointers_refill(cira_stream_t *s, cira_abi_front_t *front);
/* The program's own pointer at a front's current element. */
const void *cira__pointers_value(const cira_stream_t *s,
                                 const cira_abi_front_t *front);

/* chain.c */
void cira__chain_refill(cira_stream_t *s, cira_abi_front_t *front);
void cira__chain_skip(cira_stream_t *s, cira_abi_front_t *front);
void cira__chain_next(cira_stream_t *s, cira_abi_front_t *front,
                      const void *next);
void cira__chain_close(cira_stream_t *s);

/* jump.c */
void cira__jump_open(jump_t *j, const void *head, int64_t link_offset,
                     uint32_t node_bytes);
/* The walk went over count nodes from `first` at `step`. */
void cira__jump_note(jump_t *j, const uint8_t *first, int64_t step,
                     uint64_t count);
/* The walk comes to p: keeps the window ahead of it full, and returns the entry
 * that says where p can be read, or NULL. */
const jump_entry_t *cira__jump_at(jump_t *j, const uint8_t *p,
                                  uint32_t node_bytes, int64_t window);
/* Decodes some more entries and asks for their nodes. */
void cira__jump_decode(jump_t *j, uint32_t node_bytes);
/* The entry behind the one we are at, if p is its only node and can be read;
 * moves there. */
static inline const jump_entry_t *
jump_follow(jump_t *j, const uint8_t *p, uint32_t node_bytes, uint64_t window) {
  if (j->table == NULL || j->recording || j->head - j->tail < 2) {
    return NULL;
  }
  const jump_entry_t *e = &j->ring[(j->tail + 1) % JUMP_RING];
  if (e->address != (uint64_t)(uintptr_t)p || e->count != 1 ||
      e->data == NULL || j->ring[j->tail % JUMP_RING].posted) {
    return NULL;
  }
  j->tail++;
  if (j->head - j->tail < window) {
    cira__jump_decode(j, node_bytes);
  }
  return e;
}
void cira__jump_close(jump_t *j, bool complete);
/* In a forked child. */
void cira__jumps_forked(void);

/* tiled.c, frontier.c: ask for what lies ahead of `position`; true when there
 * may be more to ask for later. */
bool cira__tiled_ahead(cira_stream_t *s, int64_t position, int64_t distance);
const uint8_t *cira__tiled_origin(const cira_stream_t *s, int64_t tile);
const uint8_t *cira__frontier_list(cira_stream_t *s, int64_t position,
                                   int64_t *out_count);
bool cira__frontier_ahead(cira_stream_t *s, int64_t position, int64_t distance);

#endif
