/* SPDX-License-Identifier: Apache-2.0
 *
 * Far memory on request, see cira/far.h. Two ways to have it: a space that this
 * process makes (abi/process.c does the work), or that of the preload library
 * under cira-run (heap/entry.h).
 * Invariant: state is ON exactly while cira__space may be used.
 */
#include "cira/far.h"

#include <string.h>

#include "abi/runtime.h"
#include "async/future.h"
#include "far/internal.h"
#include "heap/entry.h"
#include "heap/settings.h"
#include "offload/offload.h"

#define ALIGN_MAX (UINT64_C(1) << 30) /* 1 GiB */

enum { OFF, CHANGING, ON };
static _Atomic uint32_t state;
static bool adopted;

cira_far_options_t cira_far_options_default(void) {
  return (cira_far_options_t){.size = sizeof(cira_far_options_t)};
}

/* ---- starting ------------------------------------------------------------ */

static cira_status_t options_check(const cira_far_options_t *opt) {
  if (opt->size != sizeof *opt) {
    return cira__fail(CIRA_E_INVALID,
                      "far_start: options of %u bytes, not %zu; begin with "
                      "cira_far_options_default",
                      opt->size, sizeof *opt);
  }
  if (opt->local_bytes != 0 && (opt->local_bytes < CIRA_SPACE_LOCAL_MIN ||
                                opt->local_bytes > CIRA_SPACE_BYTES_MAX)) {
    return cira__fail(CIRA_E_INVALID,
                      "far_start: a local cache of %llu bytes; give 256 KiB to "
                      "16 TiB",
                      (unsigned long long)opt->local_bytes);
  }
  if (opt->far_bytes != 0 && (opt->far_bytes < (UINT64_C(1) << 21) ||
                              opt->far_bytes > CIRA_SPACE_BYTES_MAX)) {
    return cira__fail(CIRA_E_INVALID,
                      "far_start: a far range of %llu bytes; give 2 MiB to "
                      "16 TiB",
                      (unsigned long long)opt->far_bytes);
  }
  return CIRA_OK;
}

static cira_status_t make(const cira_far_options_t *opt) {
  cira_settings_t settings;
  cira_settings_default(&settings);
  cira_status_t status = cira_settings_read(&settings, 0);
  if (status != CIRA_OK) {
    return status;
  }
  cira_space_options_t *space = &settings.space;
  space->url = opt->far_url != NULL ? opt->far_url : space->url;
  space->token_file =
      opt->token_file != NULL ? opt->token_file : space->token_file;
  space->local_bytes = cira__align_down(
      opt->local_bytes != 0 ? opt->local_bytes : space->local_bytes,
      CIRA_PAGE_BYTES);
  space->range_bytes = cira__align_up(
      opt->far_bytes != 0 ? opt->far_bytes : space->range_bytes, 1u << 21);
  space->deadline_ns =
      opt->deadline_ns != 0 ? opt->deadline_ns : space->deadline_ns;
  cira_abi_process_t process;
  cira_abi_process_default(&process);
  process.space = space;
  process.helpers = opt->helper_threads;
  status = cira_abi_process_start(&process);
  if (status != CIRA_OK) {
    return status;
  }
  /* We do not learn of the program's threads: there may always be another. */
  cira_space_thread_add(cira__space);
  status = cira__far_fork_watch(cira__space);
  if (status != CIRA_OK) {
    cira_abi_process_stop();
  }
  return status;
}

static cira_status_t adopt(const cira_heap_entry_t *entry,
                           const cira_far_options_t *opt) {
  cira_status_t status = cira_offload_configure(opt->helper_threads);
  if (status == CIRA_OK) {
    status = cira_heap_adopt(entry);
  }
  if (status == CIRA_OK) {
    cira_abi_init(cira__space);
  }
  return status;
}

cira_status_t cira_far_start(const cira_far_options_t *given) {
  cira_far_options_t opt = cira_far_options_default();
  cira_status_t status = CIRA_OK;
  if (given != NULL) {
    status = options_check(given);
    opt = status == CIRA_OK ? *given : opt;
  }
  if (status != CIRA_OK) {
    return status;
  }
  uint32_t was = OFF;
  /* pairs with: the stores below and in stop */
  if (!atomic_compare_exchange_strong(&state, &was, CHANGING) ||
      cira__space != NULL) {
    if (was == OFF) {
      atomic_store(&state, OFF);
    }
    return cira__fail(CIRA_E_BUSY,
                      "far_start: this process has far memory already");
  }
  const cira_heap_entry_t *entry = cira_heap_entry();
  status = entry != NULL ? adopt(entry, &opt) : make(&opt);
  adopted = entry != NULL;
  atomic_store(&state, status == CIRA_OK ? ON : OFF);
  return status;
}

cira_status_t cira_far_stop(void) {
  uint32_t was = ON;
  if (!atomic_compare_exchange_strong(&state, &was, CHANGING)) {
    return cira__fail(CIRA_E_CLOSED, "far_stop: there is no far memory");
  }
  while (cira__async_progress() > 0) {
  } /* what has come, and what a forked child will never get */
  if (cira__async_is_busy()) {
    atomic_store(&state, ON);
    return cira__fail(CIRA_E_BUSY,
                      "far_stop: requests are under way; await them first");
  }
  if (adopted) {
    cira_abi_fini();
    cira_heap_stop();
  } else {
    (void)cira__far_fork_watch(NULL); /* forgets; never fails */
    cira_abi_process_stop();
  }
  atomic_store(&state, OFF);
  return CIRA_OK;
}

bool cira_far_started(void) {
  return atomic_load_explicit(&state, memory_order_acquire) == ON;
}

static cira_status_t closed(const char *call) {
  return cira__fail(CIRA_E_CLOSED,
                    "%s: there is no far memory; call cira_far_start first",
                    call);
}

/* ---- blocks -------------------------------------------------------------- */

void *cira_far_alloc(uint64_t bytes, uint64_t align) {
  if (!cira_far_started()) {
    (void)closed("far_alloc");
    return NULL;
  }
  align = align == 0 ? 16 : align;
  if ((align & (align - 1)) != 0 || align > ALIGN_MAX) {
    (void)cira__fail(CIRA_E_INVALID,
                     "far_alloc: an alignment of %llu; give a power of two up "
                     "to 1 GiB",
                     (unsigned long long)align);
    return NULL;
  }
  void *p = cira_heap_far_aligned(align, bytes);
  if (p == NULL) {
    (void)cira__fail(CIRA_E_NOMEM,
                     "far_alloc: no room for %llu far bytes; give the server "
                     "more, or a larger far range (CIRA_FAR_SIZE)",
                     (unsigned long long)bytes);
  }
  return p;
}

cira_status_t cira_far_free(void *p) {
  if (p == NULL) {
    return CIRA_OK;
  }
  if (!cira_far_started()) {
    return closed("far_free");
  }
  if (!cira_space_contains(p)) {
    return cira__fail(CIRA_E_INVALID, "far_free: %p is not far", p);
  }
  cira_heap_far_free(p);
  return CIRA_OK;
}

uint64_t cira_far_usable_size(const void *p) {
  return cira_far_started() && cira_space_contains(p) ? cira_heap_far_usable(p)
                                                      : 0;
}

bool cira_far_contains(const void *p) {
  return cira_space_contains(p);
}

/* ---- system calls, threads ----------------------------------------------- */

uint64_t cira_far_pin(const void *p, uint64_t bytes, bool write) {
  if (!cira_far_started()) {
    return bytes;
  }
  return cira_space_pin(cira__space, p, bytes,
                        write ? CIRA_PIN_READ | CIRA_PIN_WRITE : CIRA_PIN_READ);
}

void cira_far_unpin(const void *p, uint64_t bytes) {
  if (cira_far_started()) {
    cira_space_unpin(cira__space, p, bytes);
  }
}

cira_status_t cira_far_thread_init(void) {
  return cira_abi_thread_stack();
}

/* ---- counters ------------------------------------------------------------ */

#define NOW(field) __atomic_load_n(&s->field, __ATOMIC_RELAXED)

cira_status_t cira_far_stats(cira_far_stats_t *out) {
  if (out == NULL || out->size < 8) {
    return cira__fail(CIRA_E_INVALID,
                      "far_stats: set out->size to the size of the struct");
  }
  if (!cira_far_started()) {
    return closed("far_stats");
  }
  const cira_space_stats_t *s = cira_space_stats(cira__space);
  cira_far_stats_t now = {
      .size = out->size,
      .shared_run = adopted,
      .faults = NOW(faults),
      .faults_zero = NOW(faults_zero),
      .pages_in = NOW(pages_in),
      .pages_ahead = NOW(pages_ahead),
      .pages_ahead_hit = NOW(pages_ahead_hit),
      .pages_out = NOW(pages_out),
      .pages_dropped = NOW(pages_dropped),
      .bytes_in = NOW(bytes_in),
      .bytes_out = NOW(bytes_out),
      .wait_ns = NOW(wait_ns),
      .fabric_wait_ns = NOW(fabric_wait_ns),
      .evict_ns = NOW(evict_ns),
      .refaults = NOW(refaults),
      .resident_pages = NOW(resident_pages),
      .resident_pages_peak = NOW(resident_pages_peak),
      .native_pages = NOW(native_pages),
      .local_bytes = NOW(local_bytes),
      .far_bytes = NOW(far_bytes),
      .far_bytes_peak = NOW(far_bytes_peak),
      .forks = NOW(forks),
      .pages_ahead_late = NOW(pages_ahead_late),
      .window_changes = NOW(window_changes),
      .window_pages = NOW(window_pages),
      .depth_changes = NOW(depth_changes),
      .depth_batches = NOW(depth_batches),
      .pages_passed = NOW(pages_passed),
  };
  if (out->size > sizeof now) { /* a newer header: what we do not know is 0 */
    memset((char *)out + sizeof now, 0, out->size - sizeof now);
  }
  memcpy(out, &now, cira__min_u64(out->size, sizeof now));
  return CIRA_OK;
}

const char *cira_far_mode(void) {
  return cira_far_started() ? cira_space_mode_name(cira__space) : "";
}
