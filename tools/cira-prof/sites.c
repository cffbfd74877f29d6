/* SPDX-License-Identifier: Apache-2.0
 *
 * See sites.h. One pass over the events in the order of time. A table of pages
 * knows when each was last brought, by which pages that come back are told from
 * new ones, and how much came in between.
 */
#include "cira-prof/sites.h"

#include <stdlib.h>
#include <string.h>

#define WINDOW 256 /* most pages of one read-ahead */

/* ---- pages ----------------------------------------------------------------
 */

typedef struct {
  uint64_t key;  /* page + 1 with the process in the upper bits; 0: free */
  uint64_t when; /* pages brought until then */
} page_t;

typedef struct {
  page_t *slot;
  uint64_t room, used; /* room: a power of two */
  uint64_t brought;
} pages_t;

static uint64_t slot_of(const pages_t *p, uint64_t key) {
  uint64_t at = (key * UINT64_C(0x9e3779b97f4a7c15)) & (p->room - 1);
  while (p->slot[at].key != 0 && p->slot[at].key != key) {
    at = (at + 1) & (p->room - 1);
  }
  return at;
}

static bool pages_grow(pages_t *p) {
  pages_t more = {.room = p->room == 0 ? 4096 : p->room * 2};
  more.slot = calloc(more.room, sizeof *more.slot);
  if (more.slot == NULL) {
    return false;
  }
  for (uint64_t i = 0; i < p->room; i++) {
    if (p->slot[i].key != 0) {
      more.slot[slot_of(&more, p->slot[i].key)] = p->slot[i];
    }
  }
  free(p->slot);
  p->slot = more.slot;
  p->room = more.room;
  return true;
}

/* A page comes. Returns how many pages came since it last did, UINT64_MAX when
 * it is new; *ok is false without memory. */
static uint64_t page_comes(pages_t *p, uint32_t process, uint64_t page,
                           bool *ok) {
  if (p->used * 2 >= p->room && !pages_grow(p)) {
    *ok = false;
    return UINT64_MAX;
  }
  uint64_t key = (page & ((UINT64_C(1) << 48) - 1)) + 1;
  key |= (uint64_t)process << 49;
  page_t *slot = &p->slot[slot_of(p, key)];
  uint64_t since = slot->key == 0 ? UINT64_MAX : p->brought - slot->when;
  p->used += slot->key == 0;
  *slot = (page_t){key, p->brought};
  return since;
}

static uint32_t log2_of(uint64_t x) {
  uint32_t n = x == 0 ? 0 : 63u - (uint32_t)__builtin_clzll(x);
  return n < PROF_LOG2S ? n : PROF_LOG2S - 1;
}

/* ---- finding the site -----------------------------------------------------
 */

/* Sites by place; places are the same strings for the same address, but two
 * addresses of one line have two. */
typedef struct {
  uint32_t *slot; /* site + 1 */
  uint64_t room;
} index_t;

static uint64_t hash_text(uint64_t h, const char *text) {
  for (; text != NULL && *text != '\0'; text++) {
    h = (h ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
  }
  return h;
}

static uint64_t hash_place(const prof_place_t *p) {
  uint64_t h = UINT64_C(0xcbf29ce484222325);
  if (p == NULL) {
    return h;
  }
  h = hash_text(hash_text(hash_text(h, p->module), p->function), p->file);
  return (h ^ p->line) * UINT64_C(0x100000001b3);
}

static bool same_text(const char *a, const char *b) {
  return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool same_place(const prof_place_t *a, const prof_place_t *b) {
  return a == b ||
         (a != NULL && b != NULL && a->line == b->line &&
          same_text(a->function, b->function) && same_text(a->file, b->file) &&
          same_text(a->module, b->module));
}

static bool index_grow(prof_sites_t *s, index_t *x) {
  uint64_t room = x->room == 0 ? 1024 : x->room * 2;
  uint32_t *slot = calloc(room, sizeof *slot);
  if (slot == NULL) {
    return false;
  }
  for (uint64_t i = 0; i < s->site_count; i++) {
    uint64_t h =
        hash_place(&s->sites[i].place) * 31 + hash_place(s->sites[i].caller);
    uint64_t at = h & (room - 1);
    while (slot[at] != 0) {
      at = (at + 1) & (room - 1);
    }
    slot[at] = (uint32_t)i + 1;
  }
  free(x->slot);
  x->slot = slot;
  x->room = room;
  return true;
}

static prof_site_t *site_of(prof_sites_t *s, index_t *x,
                            const prof_place_t *place,
                            const prof_place_t *caller) {
  if (s->site_count * 2 >= x->room && !index_grow(s, x)) {
    return NULL;
  }
  uint64_t at = (hash_place(place) * 31 + hash_place(caller)) & (x->room - 1);
  for (; x->slot[at] != 0; at = (at + 1) & (x->room - 1)) {
    prof_site_t *site = &s->sites[x->slot[at] - 1];
    if (same_place(&site->place, place) && same_place(site->caller, caller)) {
      return site;
    }
  }
  if ((s->site_count & (s->site_count - 1)) == 0) {
    uint64_t room = s->site_count == 0 ? 1 : s->site_count * 2;
    void *more = reallocarray(s->sites, room, sizeof *s->sites);
    if (more == NULL) {
      return NULL;
    }
    s->sites = more;
  }
  s->sites[s->site_count] =
      (prof_site_t){.place = *place, .caller = caller, .lo = UINT64_MAX};
  x->slot[at] = (uint32_t)s->site_count + 1;
  return &s->sites[s->site_count++];
}

/* ---- counting -------------------------------------------------------------
 */

static void cost_add(prof_cost_t *c, const cira_profile_event_t *e,
                     uint64_t weight, bool again) {
  c->ahead += weight *
              ((e->flags & CIRA_PROFILE_F_ZERO) != 0 ? 0 : prof_event_ahead(e));
  c->hits += weight * e->hits;
  if (e->kind == CIRA_PROFILE_HINT) {
    c->hints += weight;
    c->hint_pages += weight * e->pages;
    c->hint_ns += weight * e->wait_ns;
    return;
  }
  uint32_t tier = e->tier < PROF_TIERS ? e->tier : 0;
  c->faults += e->kind == CIRA_PROFILE_FAULT ? weight : 0;
  c->pins += e->kind == CIRA_PROFILE_PIN ? weight : 0;
  c->zero += (e->flags & CIRA_PROFILE_F_ZERO) != 0 ? weight : 0;
  c->writes += (e->flags & CIRA_PROFILE_F_WRITE) != 0 ? weight : 0;
  c->late += (e->flags & CIRA_PROFILE_F_LATE) != 0 ? weight : 0;
  c->busy += (e->flags & CIRA_PROFILE_F_BUSY) != 0 ? weight : 0;
  c->again += again ? weight : 0;
  c->pages += weight * e->pages;
  c->wait_ns += weight * e->wait_ns;
  c->wait_max_ns = cira__max_u64(c->wait_max_ns, e->wait_ns);
  c->tier[tier] += weight;
  c->wait_tier_ns[tier] += weight * e->wait_ns;
  c->wait_log2[log2_of(e->wait_ns)] += (uint32_t)weight;
}

static void pattern_note(prof_site_t *site, uint64_t page) {
  if (site->last_page != 0) {
    int64_t step = (int64_t)(page - site->last_page);
    site->steps++;
    /* Windows of read-ahead lie between two faults of a walk in order. */
    bool near = step >= -WINDOW && step <= WINDOW && step != 0;
    site->steps_next += near && (step > 0) == (site->last_step >= 0);
    site->steps_same += step == site->last_step;
    site->last_step = step;
  }
  site->last_page = page;
}

static void pattern_tell(prof_site_t *site) {
  if (site->steps < 16) {
    site->pattern = PROF_FEW;
  } else if (site->steps_next * 10 >= site->steps * 7) {
    site->pattern = PROF_IN_ORDER;
  } else if (site->steps_same * 10 >= site->steps * 6) {
    site->pattern = PROF_STRIDED;
    site->stride_bytes = (int64_t)((uint64_t)site->last_step * CIRA_PAGE_BYTES);
  } else {
    site->pattern = PROF_SCATTERED;
  }
}

static bool event_count(prof_sites_t *s, index_t *x, pages_t *pages,
                        const prof_event_t *ev) {
  const cira_profile_event_t *e = ev->e;
  bool is_return = e->kind != CIRA_PROFILE_FAULT;
  const prof_place_t *place =
      prof_symbols_at(s->symbols, ev->process, e->ip, is_return);
  const prof_place_t *caller =
      e->caller == 0
          ? NULL
          : prof_symbols_at(s->symbols, ev->process, e->caller, true);
  prof_site_t *site = site_of(s, x, place, caller);
  bool ok = site != NULL;
  if (!ok) {
    return false;
  }
  uint64_t page = e->address >> CIRA_PAGE_LOG2;
  uint64_t since = page_comes(pages, ev->process, page, &ok);
  pages->brought += (uint64_t)e->pages * ev->weight;
  bool fetched = e->kind != CIRA_PROFILE_HINT &&
                 (e->flags & (CIRA_PROFILE_F_ZERO | CIRA_PROFILE_F_BUSY)) == 0;
  bool again = fetched && since != UINT64_MAX;
  if (again) {
    s->again_log2[log2_of(since)] += ev->weight;
  }
  cost_add(&site->cost, e, ev->weight, again);
  cost_add(&s->total, e, ev->weight, again);
  if (e->kind != CIRA_PROFILE_HINT) {
    pattern_note(site, page);
  }
  site->lo = cira__min_u64(site->lo, e->address);
  site->hi = cira__max_u64(site->hi, e->address);
  return ok;
}

static bool sample_count(prof_sites_t *s, index_t *x,
                         const prof_sample_t *sample) {
  const prof_place_t *place =
      prof_symbols_at(s->symbols, sample->process, sample->s->ip, false);
  prof_site_t *site = site_of(s, x, place, NULL);
  if (site == NULL) {
    return false;
  }
  uint32_t kind = sample->s->event < PROF_SAMPLE_KINDS ? sample->s->event : 0;
  site->cost.samples[kind] += sample->s->weight;
  s->total.samples[kind] += sample->s->weight;
  return true;
}

static bool stream_count(prof_sites_t *s, const prof_stream_t *st) {
  const cira_profile_stream_t *r = st->s;
  const prof_place_t *place =
      prof_symbols_at(s->symbols, st->process, r->ip, true);
  prof_stream_site_t *site = NULL;
  for (uint64_t i = 0; i < s->stream_count && site == NULL; i++) {
    if (s->streams[i].kind == r->kind &&
        same_place(&s->streams[i].place, place)) {
      site = &s->streams[i];
    }
  }
  if (site == NULL) {
    void *more =
        reallocarray(s->streams, s->stream_count + 1, sizeof *s->streams);
    if (more == NULL) {
      return false;
    }
    s->streams = more;
    site = &s->streams[s->stream_count++];
    *site = (prof_stream_site_t){.place = *place, .kind = r->kind};
  }
  site->streams++;
  site->count += r->count;
  site->walked += r->walked;
  site->refills += r->refills;
  site->asked += r->asked;
  site->used += r->used;
  site->late += r->late;
  site->wait_ns += r->wait_ns;
  site->bytes += r->walked * r->element_bytes;
  return true;
}

static bool call_count(prof_sites_t *s, const prof_calls_t *call) {
  const cira_profile_calls_t *r = call->c;
  const prof_place_t *place =
      prof_symbols_at(s->symbols, call->process, r->ip, true);
  prof_call_site_t *site = NULL;
  for (uint64_t i = 0; i < s->call_count && site == NULL; i++) {
    if (s->calls[i].kind == r->kind && same_place(&s->calls[i].place, place)) {
      site = &s->calls[i];
    }
  }
  if (site == NULL) {
    void *more = reallocarray(s->calls, s->call_count + 1, sizeof *s->calls);
    if (more == NULL) {
      return false;
    }
    s->calls = more;
    site = &s->calls[s->call_count++];
    *site = (prof_call_site_t){.place = *place, .kind = r->kind};
  }
  site->accesses += r->accesses;
  site->bytes += r->bytes;
  site->here += r->here;
  site->waits += r->waits;
  site->wait_ns += r->wait_ns;
  site->wait_max_ns = cira__max_u64(site->wait_max_ns, r->wait_max_ns);
  site->failed += r->failed;
  return true;
}

static int by_wait(const void *a, const void *b) {
  const prof_cost_t *x = &((const prof_site_t *)a)->cost;
  const prof_cost_t *y = &((const prof_site_t *)b)->cost;
  uint64_t wx = x->wait_ns + x->hint_ns, wy = y->wait_ns + y->hint_ns;
  if (wx == wy) {
    wx = x->faults + x->samples[1] + x->samples[2] + x->samples[3];
    wy = y->faults + y->samples[1] + y->samples[2] + y->samples[3];
  }
  return wx < wy ? 1 : wx > wy ? -1 : 0;
}

static int stream_by_wait(const void *a, const void *b) {
  uint64_t x = ((const prof_stream_site_t *)a)->wait_ns;
  uint64_t y = ((const prof_stream_site_t *)b)->wait_ns;
  return x < y ? 1 : x > y ? -1 : 0;
}

static int call_by_wait(const void *a, const void *b) {
  const prof_call_site_t *x = a, *y = b;
  uint64_t wx = x->wait_ns, wy = y->wait_ns;
  if (wx == wy) {
    wx = x->accesses;
    wy = y->accesses;
  }
  return wx < wy ? 1 : wx > wy ? -1 : 0;
}

cira_status_t prof_sites_build(const prof_model_t *m, prof_sites_t *out) {
  prof_sites_t *s = out;
  index_t x = {0};
  pages_t pages = {0};
  *s = (prof_sites_t){.symbols = prof_symbols_new(m)};
  bool ok = s->symbols != NULL;
  for (uint64_t i = 0; ok && i < m->event_count; i++) {
    ok = event_count(s, &x, &pages, &m->events[i]);
  }
  for (uint64_t i = 0; ok && i < m->sample_count; i++) {
    ok = sample_count(s, &x, &m->samples[i]);
  }
  for (uint64_t i = 0; ok && i < m->stream_count; i++) {
    ok = stream_count(s, &m->streams[i]);
  }
  for (uint64_t i = 0; ok && i < m->call_count; i++) {
    ok = call_count(s, &m->calls[i]);
  }
  free(x.slot);
  free(pages.slot);
  s->distinct_pages = pages.used;
  if (!ok) {
    prof_sites_free(s);
    return cira__fail(CIRA_E_NOMEM, "not enough memory for this profile");
  }
  for (uint64_t i = 0; i < s->site_count; i++) {
    pattern_tell(&s->sites[i]);
  }
  if (s->site_count > 0) {
    qsort(s->sites, s->site_count, sizeof *s->sites, by_wait);
  }
  if (s->stream_count > 0) {
    qsort(s->streams, s->stream_count, sizeof *s->streams, stream_by_wait);
  }
  if (s->call_count > 0) {
    qsort(s->calls, s->call_count, sizeof *s->calls, call_by_wait);
  }
  s->newer_files = prof_symbols_newer(s->symbols);
  return CIRA_OK;
}

void prof_sites_free(prof_sites_t *s) {
  free(s->sites);
  free(s->streams);
  free(s->calls);
  prof_symbols_free(s->symbols);
  *s = (prof_sites_t){0};
}
