/* SPDX-License-Identifier: Apache-2.0
 *
 * What changed of a page, in granules (64 bytes by default), so that only that
 * goes home. The baseline of a page is what its home holds:
 *   - a page that never was home: zero;
 *   - home in memory of this machine: compared directly;
 *   - home behind a network: a 64-bit keyed hash of each granule, taken when
 *     the page arrived (512 bytes a page, charged to the local budget). The
 *     kernel tracks writes without telling us the moment of the first, so there
 *     is no chance to copy the old page; the hash is the copy's substitute. It
 *     is the sum-free folded product family of 64x64->128 bit multiplications
 *     with random keys: two different granules collide with a probability of
 *     about 2^-62, whatever the program writes.
 *
 * Threads: a page's baseline belongs to whoever owns the page (BUSY); the slot
 * stack has its own lock.
 */
#include "space/space_internal.h"

#include <string.h>
#include <sys/random.h>

cira_status_t cira__delta_init(cira_space_t *s) {
  if (s->direct) {
    return CIRA_OK;
  }
  if (getrandom(s->hash_key, sizeof s->hash_key, 0) !=
      (ssize_t)sizeof s->hash_key) {
    return cira__fail(CIRA_E_SYSTEM, "no random numbers for the hash keys");
  }
  s->slot_count = (uint32_t)s->local_pages;
  s->slot_of = cira__map_table(s->pages * sizeof *s->slot_of);
  s->slot_hash = cira__map_table((uint64_t)s->slot_count * s->granules *
                                 sizeof *s->slot_hash);
  s->slot_free =
      cira__map_table((uint64_t)s->slot_count * sizeof *s->slot_free);
  if (s->slot_of == NULL || s->slot_hash == NULL || s->slot_free == NULL) {
    return cira__fail(CIRA_E_NOMEM, "no memory for %u page baselines",
                      s->slot_count);
  }
  s->slot_free_count = s->slot_count;
  for (uint32_t i = 0; i < s->slot_count; i++) {
    s->slot_free[i] = s->slot_count - 1 - i;
  }
  return CIRA_OK;
}

static inline uint64_t fold(uint64_t a, uint64_t b) {
  __uint128_t m = (__uint128_t)a * b;
  return (uint64_t)m ^ (uint64_t)(m >> 64);
}

static inline uint64_t word_at(const uint8_t *p) {
  uint64_t v;
  memcpy(&v, p, sizeof v);
  return v;
}

/* Hash of 64 bytes: four independent products, so that they overlap. */
static inline uint64_t line_hash(const uint64_t *key, const uint8_t *p) {
  uint64_t a = fold(word_at(p) ^ key[0], word_at(p + 8) ^ key[1]);
  uint64_t b = fold(word_at(p + 16) ^ key[2], word_at(p + 24) ^ key[3]);
  uint64_t c = fold(word_at(p + 32) ^ key[4], word_at(p + 40) ^ key[5]);
  uint64_t d = fold(word_at(p + 48) ^ key[6], word_at(p + 56) ^ key[7]);
  return (a ^ (b << 16 | b >> 48)) + (c ^ (d << 32 | d >> 32));
}

static inline uint64_t granule_hash(const cira_space_t *s, const uint8_t *p) {
  uint64_t h = line_hash(s->hash_key, p);
  for (uint32_t i = CIRA_LINE_BYTES; i < s->opt.granule_bytes;
       i += CIRA_LINE_BYTES) {
    h = fold(h ^ s->hash_key[8], s->hash_key[9]) +
        line_hash(s->hash_key, p + i);
  }
  return h;
}

void cira__delta_remember(cira_space_t *s, uint64_t page,
                          const uint8_t *content) {
  if (s->direct) {
    return;
  }
  cira__lock(&s->slot_lock);
  uint32_t slot =
      s->slot_free_count > 0 ? s->slot_free[--s->slot_free_count] : UINT32_MAX;
  cira__unlock(&s->slot_lock);
  if (slot == UINT32_MAX) {
    return; /* no baseline: the page goes home whole */
  }
  uint64_t *hash = &s->slot_hash[(uint64_t)slot * s->granules];
  for (uint32_t i = 0; i < s->granules; i++) {
    hash[i] = granule_hash(s, content + ((uint64_t)i << s->granule_log2));
  }
  s->slot_of[page] = slot + 1;
}

void cira__delta_forget(cira_space_t *s, uint64_t page) {
  if (s->direct || s->slot_of[page] == 0) {
    return;
  }
  cira__lock(&s->slot_lock);
  s->slot_free[s->slot_free_count++] = s->slot_of[page] - 1;
  cira__unlock(&s->slot_lock);
  s->slot_of[page] = 0;
}

bool cira__is_zero(const uint8_t *p, uint64_t bytes) {
  uint64_t any = 0;
  for (uint64_t i = 0; i < bytes; i += 64) {
    for (uint32_t j = 0; j < 64; j += 8) {
      any |= word_at(p + i + j);
    }
    if (any != 0) {
      return false;
    }
  }
  return true;
}

static inline bool granule_changed(const cira_space_t *s, const uint64_t *hash,
                                   bool backed, const uint8_t *content,
                                   const uint8_t *home, uint32_t i) {
  const uint8_t *p = content + ((uint64_t)i << s->granule_log2);
  if (home != NULL) {
    return memcmp(p, home + ((uint64_t)i << s->granule_log2),
                  s->opt.granule_bytes) != 0;
  }
  if (!backed) {
    return !cira__is_zero(p, s->opt.granule_bytes);
  }
  return hash == NULL || hash[i] != granule_hash(s, p);
}

uint32_t cira__delta_runs(cira_space_t *s, uint64_t page, bool backed,
                          const uint8_t *content, const uint8_t *home,
                          uint32_t *out_offset, uint32_t *out_bytes) {
  const uint64_t *hash = NULL;
  if (!s->direct && s->slot_of[page] != 0) {
    hash = &s->slot_hash[(uint64_t)(s->slot_of[page] - 1) * s->granules];
  }
  uint32_t runs = 0;
  for (uint32_t i = 0; i < s->granules; i++) {
    if (!granule_changed(s, hash, backed, content, home, i)) {
      continue;
    }
    uint32_t offset = i << s->granule_log2;
    if (runs > 0 && out_offset[runs - 1] + out_bytes[runs - 1] == offset) {
      out_bytes[runs - 1] += s->opt.granule_bytes;
    } else {
      out_offset[runs] = offset;
      out_bytes[runs] = s->opt.granule_bytes;
      runs++;
    }
  }
  return runs;
}
