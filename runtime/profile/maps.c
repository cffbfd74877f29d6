/* SPDX-License-Identifier: Apache-2.0
 *
 * Which file the code at an address comes from: executable mappings are written
 * down when recording begins, and again when an event comes from code that was
 * not there before (a library that was loaded since). And who called us: the
 * first return address outside of the library that this code is in.
 */
#include "profile/profile.h"

#include <fcntl.h>
#include <link.h>
#include <string.h>
#include <ucontext.h>

#include "base/sys.h"

#define RANGES_MAX 512u
#define AGAIN_NS UINT64_C(10000000) /* 10 ms between two looks for new code */

static struct {
  cira_lock_t lock; /* of reading the maps; signals are blocked */
  _Atomic uint32_t count;
  _Atomic uint64_t read_ns;
  uint64_t lo[RANGES_MAX], hi[RANGES_MAX];
  char buffer[8192], out[8192];
} maps;

static struct {
  uint64_t lo, hi;
} own;

static __thread uint64_t last_lo, last_hi; /* where the last ip was found */

static bool is_known(uint64_t ip) {
  uint32_t n = atomic_load_explicit(&maps.count, memory_order_acquire);
  for (uint32_t i = 0; i < n; i++) {
    if (ip >= maps.lo[i] && ip < maps.hi[i]) {
      last_lo = maps.lo[i];
      last_hi = maps.hi[i];
      return true;
    }
  }
  return false;
}

static const char *hex(const char *p, uint64_t *out) {
  *out = 0;
  for (;; p++) {
    if (*p >= '0' && *p <= '9') {
      *out = *out * 16 + (uint64_t)(*p - '0');
    } else if (*p >= 'a' && *p <= 'f') {
      *out = *out * 16 + (uint64_t)(*p - 'a') + 10;
    } else {
      return p;
    }
  }
}

/* One line "lo-hi perms offset dev inode path": keeps it when it is code that
 * was not known. Returns how many bytes of maps.out it takes. */
static uint32_t line_take(const char *line, uint32_t bytes, uint32_t used) {
  uint64_t lo, hi;
  const char *p = hex(line, &lo);
  p = *p == '-' ? hex(p + 1, &hi) : NULL;
  uint32_t n = atomic_load_explicit(&maps.count, memory_order_relaxed);
  if (p == NULL || *p != ' ' || p[3] != 'x' || n == RANGES_MAX) {
    return 0;
  }
  for (uint32_t i = 0; i < n; i++) {
    if (maps.lo[i] == lo && maps.hi[i] == hi) {
      return 0;
    }
  }
  maps.lo[n] = lo;
  maps.hi[n] = hi;
  atomic_store_explicit(&maps.count, n + 1, memory_order_release);
  if (used + bytes > sizeof maps.out) {
    cira__profile_text(CIRA_PROFILE_MAPS, maps.out, used);
    return 0; /* the next look finds nothing new: rare, long lines only */
  }
  memcpy(maps.out + used, line, bytes);
  return bytes;
}

/* Lock held. */
static void maps_read(void) {
  long fd = CIRA__SYS(SYS_openat, AT_FDCWD, "/proc/self/maps",
                      O_RDONLY | O_CLOEXEC, 0, 0, 0);
  uint32_t have = 0, used = 0;
  for (long got;
       fd >= 0 && (got = cira__sys_read((int)fd, maps.buffer + have,
                                        sizeof maps.buffer - have)) > 0;) {
    have += (uint32_t)got;
    uint32_t at = 0;
    for (char *end;
         (end = memchr(maps.buffer + at, '\n', have - at)) != NULL;) {
      uint32_t bytes = (uint32_t)(end - maps.buffer) + 1 - at;
      if (used + bytes > sizeof maps.out) {
        cira__profile_text(CIRA_PROFILE_MAPS, maps.out, used);
        used = 0;
      }
      used += line_take(maps.buffer + at, bytes, used);
      at += bytes;
    }
    have -= at;
    memmove(maps.buffer, maps.buffer + at, have);
    if (have == sizeof maps.buffer) {
      break; /* no path is that long */
    }
  }
  if (fd >= 0) {
    cira__sys_close((int)fd);
  }
  cira__profile_text(CIRA_PROFILE_MAPS, maps.out, used);
}

void cira__profile_maps_note(uint64_t ip) {
  if (CIRA_LIKELY(ip - last_lo < last_hi - last_lo && ip != 0)) {
    return;
  }
  uint64_t now = cira__now_ns();
  bool empty = atomic_load(&maps.count) == 0;
  if ((!empty && (ip == 0 || is_known(ip))) ||
      (!empty && now - atomic_load(&maps.read_ns) < AGAIN_NS) ||
      !cira__trylock(&maps.lock)) {
    return;
  }
  atomic_store(&maps.read_ns, now);
  maps_read();
  cira__unlock(&maps.lock);
}

void cira__profile_maps_reset(void) {
  last_lo = last_hi = 0;
  atomic_store(&maps.count, 0);
  atomic_store(&maps.lock.word, 0);
}

/* ---- who called -----------------------------------------------------------
 */

static int own_look(struct dl_phdr_info *info, size_t size, void *context) {
  (void)size;
  (void)context;
  uint64_t here = (uint64_t)(uintptr_t)&cira__profile_own_find;
  for (unsigned i = 0; i < info->dlpi_phnum; i++) {
    const ElfW(Phdr) *p = &info->dlpi_phdr[i];
    uint64_t lo = info->dlpi_addr + p->p_vaddr;
    if (p->p_type == PT_LOAD && here - lo < p->p_memsz) {
      own.lo = lo;
      own.hi = lo + p->p_memsz;
      return 1;
    }
  }
  return 0;
}

void cira__profile_own_find(void) {
  dl_iterate_phdr(own_look, NULL);
}

bool cira__profile_is_own(uint64_t ip) {
  return ip - own.lo < own.hi - own.lo;
}

/* All of the runtime keeps frame pointers, so the chain holds at least up to
 * the first frame of somebody else. Stacks may change on the way (near stacks
 * of the shim): then the chain ends. */
uint64_t cira__profile_caller(void) {
  const uint64_t *frame = __builtin_frame_address(0);
  uint64_t ip = 0, outer = 0;
  for (int depth = 0; depth < 24; depth++) {
    uint64_t up = frame[0];
    ip = frame[1];
    if (depth == 1) {
      outer = ip;
    }
    if (!cira__profile_is_own(ip)) {
      return ip;
    }
    uint64_t here = (uint64_t)(uintptr_t)frame;
    if (up <= here || up - here > (1u << 20) || up % 8 != 0) {
      break;
    }
    frame = (const uint64_t *)(uintptr_t)up;
  }
  return outer != 0 ? outer : ip;
}

uint64_t cira__profile_interrupted(const void *ucontext) {
#if defined(__x86_64__)
  return (uint64_t)((const ucontext_t *)ucontext)->uc_mcontext.gregs[REG_RIP];
#elif defined(__aarch64__)
  return ((const ucontext_t *)ucontext)->uc_mcontext.pc;
#elif defined(__riscv)
  return ((const ucontext_t *)ucontext)->uc_mcontext.__gregs[REG_PC];
#else
  (void)ucontext;
  return 0;
#endif
}

uint64_t cira__profile_interrupted_stack(const void *ucontext) {
#if defined(__x86_64__)
  return (uint64_t)((const ucontext_t *)ucontext)->uc_mcontext.gregs[REG_RSP];
#elif defined(__aarch64__)
  return ((const ucontext_t *)ucontext)->uc_mcontext.sp;
#else
  (void)ucontext;
  return 0;
#endif
}

/* Whether a call instruction ends at `ip`. */
static bool follows_call(uint64_t ip) {
#if defined(__x86_64__)
  const uint8_t *p = (const uint8_t *)(uintptr_t)ip;
  if (p[-5] == 0xe8) {
    return true;
  }
  for (int n = 2; n <= 7; n++) { /* call through register or memory */
    if (p[-n] == 0xff && (p[1 - n] & 0x38) == 0x10) {
      return true;
    }
  }
  return false;
#else
  return ip % 4 == 0;
#endif
}

uint64_t cira__profile_interrupted_caller(const void *ucontext) {
  uint64_t ip = cira__profile_interrupted(ucontext), caller = 0;
  uint32_t n = atomic_load_explicit(&maps.count, memory_order_acquire);
  if (n == 0 || ip - maps.lo[0] < maps.hi[0] - maps.lo[0]) {
    return 0; /* the program's own code: its executable is mapped lowest */
  }
#if defined(__x86_64__)
  caller =
      *(const uint64_t *)(uintptr_t)cira__profile_interrupted_stack(ucontext);
#elif defined(__aarch64__)
  caller = ((const ucontext_t *)ucontext)->uc_mcontext.regs[30];
#endif
  for (uint32_t i = 0; i < n; i++) {
    if (caller >= maps.lo[i] + 16 && caller < maps.hi[i]) {
      return follows_call(caller) ? caller : 0;
    }
  }
  return 0;
}
