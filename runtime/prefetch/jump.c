/* SPDX-License-Identifier: Apache-2.0
 *
 * Jump pointers: the first walk of a chain writes down its order, the next ones
 * run ahead along it. The order is a list of runs (address << 16 | count):
 * count nodes at the table's one step; 8 bytes per node at worst. It lies in
 * far memory when there is a space, so it counts as the program's data does, is
 * evicted like it, and is read ahead of use like any stream.
 *
 * The order is a guess: each node that the walk comes to is compared. A chain
 * that was changed in a few places resynchronises; one that was changed in many
 * loses its table, and the next walk writes a new one.
 *
 * Tables are found by (head, link offset). One walk at a time writes a table;
 * any number may read a finished one. A table is dropped when its last user is
 * gone and a newer one needs its place.
 */
#include "prefetch/stream_internal.h"

#define CHUNK_LOG2 15 /* entries: 256 KiB */
#define CHUNK_ENTRIES (1u << CHUNK_LOG2)
#define CHUNK_BYTES (CHUNK_ENTRIES * 8ull)
#define CHUNKS_MAX 8192u      /* 2 GiB: 256 million single nodes */
#define NEAR_CHUNKS_MAX 1024u /* 256 MiB without a space */
#define TABLES 64u
#define DECODE 16u
#define LOOK                                                                   \
  8u /* entries searched for a node that is not where it should be             \
      */
#define COUNT_MAX 0xffffu
#define NODE_BYTES_MAX 1024u /* larger nodes are not asked for by request */
#define NODES_MIN 32u        /* shorter chains are not worth a table */
#define STEP_SURE 16u /* equal steps in a row that name the table's step */
#define MISSES_MAX 64u

struct jump_table {
  const void *head;
  int64_t link_offset;
  uint64_t entries, nodes;
  int64_t step;  /* of runs longer than one; 0: none yet */
  uint64_t used; /* by the clock below */
  uint32_t users;
  bool ready, full, valid;
  uint64_t **chunk; /* CHUNKS_MAX */
  uint32_t chunks;
};

static struct {
  pthread_mutex_t lock;
  jump_table_t table[TABLES];
  uint64_t clock;
  void *spare; /* chunks, linked through their first word */
  uint32_t near_chunks;
} jumps = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* ---- memory; lock held ----------------------------------------------------
 */

static uint64_t *chunk_new(void) {
  uint64_t *p = jumps.spare;
  if (p != NULL) {
    jumps.spare = *(void **)(void *)p;
    return p;
  }
  if (cira__far.space != NULL) {
    void *far;
    if (cira_space_alloc(cira__far.space, CHUNK_BYTES, CHUNK_BYTES, &far) !=
        CIRA_OK) {
      return NULL;
    }
    return far;
  }
  if (jumps.near_chunks >= NEAR_CHUNKS_MAX) {
    return NULL;
  }
  jumps.near_chunks++;
  return cira_far_local_alloc(CHUNK_BYTES);
}

static void table_clear(jump_table_t *t) {
  for (uint32_t i = 0; i < t->chunks; i++) {
    *(void **)(void *)t->chunk[i] = jumps.spare;
    jumps.spare = t->chunk[i];
  }
  t->chunks = 0;
  t->entries = t->nodes = 0;
  t->step = 0;
  t->ready = t->full = t->valid = false;
}

void cira_stream_forget(void) {
  pthread_mutex_lock(&jumps.lock);
  for (uint32_t i = 0; i < TABLES; i++) {
    jump_table_t *t = &jumps.table[i];
    table_clear(t);
    t->users = 0;
  }
  if (cira__far.space == NULL) {
    while (jumps.spare != NULL) {
      void *p = jumps.spare;
      jumps.spare = *(void **)p;
      cira_far_local_free(p, CHUNK_BYTES);
      jumps.near_chunks--;
    }
  }
  jumps.spare = NULL; /* far chunks go with their space */
  pthread_mutex_unlock(&jumps.lock);
}

/* Tables that somebody was about to take or to clear are begun anew; their
 * chunks are lost. */
void cira__jumps_forked(void) {
  if (!cira__forked_lock(&jumps.lock)) {
    return;
  }
  jumps.spare = NULL;
  for (uint32_t i = 0; i < TABLES; i++) {
    jump_table_t *t = &jumps.table[i];
    if (t->users == 0) {
      *t = (jump_table_t){.chunk = t->chunk};
    }
  }
}

/* ---- finding --------------------------------------------------------------
 */

/* The table of a chain, or the best place for a new one; NULL: all in use. */
static jump_table_t *table_find(const void *head, int64_t link_offset) {
  jump_table_t *place = NULL;
  for (uint32_t i = 0; i < TABLES; i++) {
    jump_table_t *t = &jumps.table[i];
    if (t->valid && t->head == head && t->link_offset == link_offset) {
      return t;
    }
    if (t->users == 0 && (place == NULL || !t->valid ||
                          (place->valid && t->used < place->used))) {
      place = t;
    }
  }
  return place;
}

void cira__jump_open(jump_t *j, const void *head, int64_t link_offset,
                     uint32_t node_bytes) {
  (void)node_bytes;
  j->table = NULL;
  j->recording = false;
  j->misses = 0;
  j->head = j->tail = 0;
  j->run_count = 0;
  if (head == NULL) {
    return;
  }
  pthread_mutex_lock(&jumps.lock);
  jump_table_t *t = table_find(head, link_offset);
  bool known =
      t != NULL && t->valid && t->head == head && t->link_offset == link_offset;
  if (known && t->ready) {
    j->table = t;
    t->users++;
  } else if (!known && t != NULL) {
    table_clear(t);
    t->head = head;
    t->link_offset = link_offset;
    t->valid = true;
    t->users = 1;
    j->table = t;
    j->recording = true;
  } /* else somebody writes it just now */
  if (j->table != NULL) {
    t->used = ++jumps.clock;
  }
  pthread_mutex_unlock(&jumps.lock);
}

/* ---- writing --------------------------------------------------------------
 */

static void entry_add(jump_table_t *t, uint64_t address, uint64_t count) {
  uint32_t in_chunk = (uint32_t)t->entries & (CHUNK_ENTRIES - 1);
  if (in_chunk == 0) {
    if (t->chunk == NULL) {
      t->chunk = cira_far_local_alloc(CHUNKS_MAX * sizeof *t->chunk);
    }
    uint64_t *chunk = NULL;
    if (t->chunk != NULL && t->chunks < CHUNKS_MAX) {
      pthread_mutex_lock(&jumps.lock);
      chunk = chunk_new();
      pthread_mutex_unlock(&jumps.lock);
    }
    if (chunk == NULL) {
      t->full = true; /* the order up to here is of use all the same */
      return;
    }
    t->chunk[t->chunks++] = chunk;
  }
  t->chunk[t->entries >> CHUNK_LOG2][in_chunk] = address << 16 | count;
  t->entries++;
  t->nodes += count;
}

static void run_flush(jump_t *j) {
  jump_table_t *t = j->table;
  if (j->run_count >= STEP_SURE && t->step == 0) {
    t->step = j->run_step;
  }
  bool together = j->run_step == t->step && j->run_count > 1;
  while (j->run_count > 0 && !t->full) {
    uint64_t n = together ? cira__min_u64(j->run_count, COUNT_MAX) : 1;
    entry_add(t, j->run_address, n);
    j->run_address += (uint64_t)((int64_t)n * j->run_step);
    j->run_count -= n;
  }
  j->run_count = 0;
}

void cira__jump_note(jump_t *j, const uint8_t *first, int64_t step,
                     uint64_t count) {
  if (!j->recording || j->table->full) {
    return;
  }
  uint64_t at = (uint64_t)(uintptr_t)first;
  if (j->run_count > 0) {
    uint64_t last =
        j->run_address + (uint64_t)((int64_t)(j->run_count - 1) * j->run_step);
    int64_t gap = (int64_t)(at - last);
    if (j->run_count == 1 && gap > 0 && (count == 1 || gap == step)) {
      j->run_step = gap; /* a run may begin here */
      j->run_count += count;
      return;
    }
    if (j->run_count > 1 && gap == j->run_step &&
        (count == 1 || step == j->run_step)) {
      j->run_count += count;
      return;
    }
    if (j->run_count == 2 && j->run_step != j->table->step) {
      /* Two nodes are no run: only the first is written, the second may begin
       * one. */
      uint64_t second = j->run_address + (uint64_t)j->run_step;
      j->run_count = 1;
      run_flush(j);
      j->run_address = second;
      j->run_count = 1;
      cira__jump_note(j, first, step, count);
      return;
    }
    run_flush(j);
  }
  j->run_address = at;
  j->run_step = step;
  j->run_count = count;
}

/* ---- running ahead --------------------------------------------------------
 */

static cira_far_read_t *read_of(jump_t *j, uint64_t index) {
  cira_far_read_t *reads = (cira_far_read_t *)(void *)j->reads.p;
  return &reads[index % JUMP_RING * 2];
}

static uint64_t entry_at(const jump_table_t *t, uint64_t i) {
  const uint64_t *entry = &t->chunk[i >> CHUNK_LOG2][i & (CHUNK_ENTRIES - 1)];
  const uint8_t *at = cira_far_at(entry);
  return *(at != NULL ? (const uint64_t *)(const void *)at : entry);
}

/* Asks for one node over requests. */
static void node_request(jump_t *j, uint64_t index, jump_entry_t *e,
                         uint32_t node_bytes, cira_far_read_t **reads,
                         uint32_t *count) {
  uint8_t *to = j->buffers.p + index % JUMP_RING * node_bytes;
  uint32_t room =
      CIRA_PAGE_BYTES - ((uint32_t)e->address & (CIRA_PAGE_BYTES - 1));
  uint32_t first = node_bytes < room ? node_bytes : room;
  const uint8_t *p = (const uint8_t *)(uintptr_t)e->address;
  cira_far_read_t *r = read_of(j, index);
  r[0] = (cira_far_read_t){.from = p, .to = to, .bytes = first};
  r[1] = (cira_far_read_t){
      .from = p + first, .to = to + first, .bytes = node_bytes - first};
  reads[(*count)++] = &r[0];
  if (r[1].bytes > 0) {
    reads[(*count)++] = &r[1];
  }
  e->posted = true;
}

/* Where a node can be read in one piece without a request; NULL: nowhere. */
static const uint8_t *node_at(const jump_entry_t *e, uint32_t node_bytes) {
  const uint8_t *p = (const uint8_t *)(uintptr_t)e->address;
  const uint8_t *at = cira_far_at(p);
  uint32_t in_page = (uint32_t)e->address & (CIRA_PAGE_BYTES - 1);
  if (at == NULL || in_page + node_bytes <= CIRA_PAGE_BYTES || at == p) {
    return at;
  }
  lines_prefetch(at, node_bytes);
  return NULL; /* the walk puts it together */
}

void cira__jump_decode(jump_t *j, uint32_t node_bytes) {
  jump_table_t *t = j->table;
  cira_far_read_t *reads[DECODE * 2];
  uint32_t count = 0;
  bool requests =
      !cira__far.direct && cira_far_any_managed() &&
      node_bytes <= NODE_BYTES_MAX &&
      cira__scratch_room(&j->buffers, (uint64_t)JUMP_RING * node_bytes) &&
      cira__scratch_room(&j->reads, 2ull * JUMP_RING * sizeof *reads[0]);
  uint64_t end = cira__min_u64(j->head + DECODE, t->entries);
  for (; j->head < end; j->head++) {
    jump_entry_t *e = &j->ring[j->head % JUMP_RING];
    uint64_t entry = entry_at(t, j->head);
    e->address = entry >> 16;
    e->count = (uint32_t)(entry & COUNT_MAX);
    e->posted = false;
    e->data = node_at(e, node_bytes);
    if (CIRA_LIKELY(e->data != NULL)) {
      lines_prefetch(e->data, node_bytes);
    } else if (requests &&
               cira_far_at((const void *)(uintptr_t)e->address) == NULL) {
      node_request(j, j->head, e, node_bytes, reads, &count);
    }
  }
  if (count > 0) {
    cira_far_read_begin(reads, count);
  }
}

/* Leaves entry `index`: what was asked for must have arrived. */
static void entry_settle(jump_t *j, uint64_t index) {
  jump_entry_t *e = &j->ring[index % JUMP_RING];
  if (e->posted) {
    cira_far_read_t *r = read_of(j, index);
    cira_far_read_wait(&r[0]);
    if (r[1].bytes > 0) {
      cira_far_read_wait(&r[1]);
    }
    e->posted = false;
    e->data = r[0].to;
  }
}

static void settle_all(jump_t *j) {
  for (; j->tail < j->head; j->tail++) {
    entry_settle(j, j->tail);
  }
}

static void table_drop(jump_t *j) {
  settle_all(j);
  pthread_mutex_lock(&jumps.lock);
  j->table->valid = false; /* the next walk writes a new one */
  j->table->users--;
  pthread_mutex_unlock(&jumps.lock);
  j->table = NULL;
}

static bool holds(const jump_table_t *t, const jump_entry_t *e, uint64_t p) {
  if (p == e->address) {
    return true;
  }
  uint64_t offset = p - e->address;
  return e->count > 1 && offset < (uint64_t)t->step * e->count &&
         offset % (uint64_t)t->step == 0;
}

static const jump_entry_t *entry_found(jump_t *j, uint64_t index, uint64_t p) {
  while (j->tail < index) {
    entry_settle(j, j->tail++);
  }
  jump_entry_t *e = &j->ring[index % JUMP_RING];
  if (e->count > 1 || p != e->address) {
    return NULL; /* a run: the walk translates it as a whole */
  }
  entry_settle(j, index);
  return e;
}

const jump_entry_t *cira__jump_at(jump_t *j, const uint8_t *p,
                                  uint32_t node_bytes, int64_t window) {
  if (j->table == NULL || j->recording) {
    return NULL;
  }
  uint64_t at = (uint64_t)(uintptr_t)p;
  uint64_t ahead = cira__min_u64((uint64_t)window, JUMP_RING - DECODE);
  while (j->head - j->tail < ahead && j->head < j->table->entries) {
    cira__jump_decode(j, node_bytes);
  }
  uint64_t end = cira__min_u64(j->tail + LOOK, j->head);
  for (uint64_t i = j->tail; i < end; i++) {
    if (holds(j->table, &j->ring[i % JUMP_RING], at)) {
      j->misses += i > j->tail + 1;
      return entry_found(j, i, at);
    }
  }
  if (j->head > j->tail && ++j->misses > MISSES_MAX + j->tail / 16) {
    table_drop(j);
  }
  return NULL;
}

void cira__jump_close(jump_t *j, bool complete) {
  jump_table_t *t = j->table;
  if (t == NULL) {
    return;
  }
  if (j->recording) {
    run_flush(j);
  }
  settle_all(j);
  pthread_mutex_lock(&jumps.lock);
  if (j->recording) {
    /* A walk that ended early is of use too. */
    t->ready = t->nodes >= NODES_MIN;
    t->valid = t->ready;
  } else if (complete && j->misses > MISSES_MAX / 4) {
    t->valid = false;
  }
  t->users--;
  pthread_mutex_unlock(&jumps.lock);
  j->table = NULL;
  j->recording = false;
}
