/* SPDX-License-Identifier: Apache-2.0
 *
 * What is mapped at the address of a chunk: anonymous memory under a policy of
 * the kernel, a part of the block's memory file, or a part of its extent of a
 * DAX device. An extent is as long as the block, so chunk i lies at the same
 * place in each: neighbours that moved the same way are one mapping again.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/mempolicy.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tier/tier_internal.h"

#define T cira__tiers
#define QUERY_PAGES 512u

cira__backing_t cira__backing_of(uint32_t tier) {
  switch (T.tier[tier].info.kind) {
  case CIRA_TIER_DAX:
    return BACKING_DAX;
  case CIRA_TIER_FILE:
    return BACKING_FILE;
  default:
    return BACKING_ANON;
  }
}

/* ---- policies of the kernel --------------------------------------------- */

static cira_status_t policy(void *at, uint64_t bytes, int mode,
                            const uint64_t *mask, bool move) {
  if (T.memory_node_count < 2) {
    return CIRA_OK; /* there is one node: nothing to choose */
  }
  long rc = syscall(SYS_mbind, at, bytes, mode, mask,
                    mask != NULL ? (unsigned long)NODES_MAX : 0ul,
                    move ? MPOL_MF_MOVE : 0);
  if (rc != 0 && errno != EIO) { /* EIO: some pages stay, see move.c */
    return cira__fail_errno(errno == ENOMEM ? CIRA_E_NOMEM : CIRA_E_SYSTEM,
                            errno, "the kernel refuses a memory policy");
  }
  return CIRA_OK;
}

/* The node with processors that is nearest to the calling thread. */
static uint32_t nearest_node(void) {
  unsigned cpu = 0, node = 0;
  if (syscall(SYS_getcpu, &cpu, &node, NULL) != 0 ||
      !node_has(T.memory_nodes, node)) {
    for (node = 0; node < NODES_MAX - 1; node++) {
      if (node_has(T.memory_nodes, node) && node_has(T.cpu_nodes, node)) {
        break;
      }
    }
  }
  return node;
}

cira_status_t cira__policy_set(void *at, uint64_t bytes, uint32_t tier,
                               bool move) {
  const cira_tier_info_t *info = &T.tier[tier].info;
  uint64_t mask[NODES_MAX / 64] = {0};
  if (info->kind == CIRA_TIER_NODE) {
    /* Preferred and not bound: when the node runs full meanwhile, pages go to
     * another one; a bound block would have the kernel kill the process. */
    node_add(mask, (uint32_t)info->node);
    return policy(at, bytes, MPOL_PREFERRED, mask, move);
  }
  if (info->kind != CIRA_TIER_LOCAL) {
    return CIRA_OK;
  }
  if (move) {
    node_add(mask, nearest_node());
    cira_status_t status = policy(at, bytes, MPOL_PREFERRED, mask, true);
    if (status != CIRA_OK) {
      return status;
    }
  }
  return policy(at, bytes, MPOL_DEFAULT, NULL, false);
}

cira_status_t cira__policy_interleave(void *at, uint64_t bytes) {
  return policy(at, bytes, MPOL_INTERLEAVE, T.memory_nodes, false);
}

void cira__pages_count(const void *at, uint64_t bytes, uint64_t *tier_bytes) {
  const void *page[QUERY_PAGES];
  int node[QUERY_PAGES];
  const uint8_t *p = at, *end = p + bytes;
  while (p < end) {
    uint64_t n = 0;
    for (; n < QUERY_PAGES && p < end; n++, p += CIRA_PAGE_BYTES) {
      page[n] = p;
      node[n] = -1;
    }
    if (syscall(SYS_move_pages, 0, n, page, NULL, node, 0) < 0) {
      return; /* a kernel without it: nothing is known */
    }
    for (uint64_t i = 0; i < n; i++) {
      if (node[i] >= 0) {
        tier_bytes[cira__tier_of_node((uint32_t)node[i])] += CIRA_PAGE_BYTES;
      }
    }
  }
}

/* ---- devices ------------------------------------------------------------ */

cira_status_t cira__dax_open(cira__tier_t *t, bool exclusive) {
  const char *path = t->info.name + strlen("dax:");
  if (t->fd < 0) {
    t->fd = open(path, O_RDWR | O_CLOEXEC);
    if (t->fd < 0) {
      return cira__fail_errno(CIRA_E_SYSTEM, errno, "%s cannot be opened",
                              path);
    }
    t->exclusive = false;
  } else if (t->exclusive || !exclusive) {
    return CIRA_OK;
  }
  if (flock(t->fd, (exclusive ? LOCK_EX : LOCK_SH) | LOCK_NB) != 0) {
    int error = errno;
    if (t->extent_count == 0) {
      close(t->fd);
      t->fd = -1;
    }
    return cira__fail_errno(error == EWOULDBLOCK ? CIRA_E_BUSY : CIRA_E_SYSTEM,
                            error, "%s is in use by another process", path);
  }
  t->exclusive = exclusive;
  return CIRA_OK;
}

cira_status_t cira__dax_take(cira__tier_t *t, uint64_t offset, uint64_t bytes,
                             uint64_t *out_offset) {
  uint64_t at = offset == UINT64_MAX ? 0 : offset;
  uint32_t i = 0;
  for (; i < t->extent_count; i++) { /* by offset: the first hole that fits */
    const cira__extent_t *e = &t->extents[i];
    if (at + bytes <= e->offset) {
      break;
    }
    if (offset == UINT64_MAX || at >= e->offset + e->bytes) {
      at = cira__max_u64(at, e->offset + e->bytes);
    } else {
      return cira__fail(CIRA_E_BUSY,
                        "%s: bytes %llu to %llu belong to a block of this "
                        "process",
                        t->info.name, (unsigned long long)e->offset,
                        (unsigned long long)(e->offset + e->bytes));
    }
  }
  if (!cira__range_ok(at, bytes, t->dax_size)) {
    char size[32], all[32];
    return cira__fail(CIRA_E_NOMEM,
                      "%s has no room for %s (of %s); free blocks there or "
                      "take another tier",
                      t->info.name, cira__size_text(bytes, size, sizeof size),
                      cira__size_text(t->dax_size, all, sizeof all));
  }
  if (t->extent_count == t->extent_room) {
    uint32_t room = t->extent_room != 0 ? t->extent_room * 2 : 256;
    cira__extent_t *more = cira__local_get(room * sizeof *more);
    if (more == NULL) {
      return cira__fail(CIRA_E_NOMEM, "no memory for the extents of %s",
                        t->info.name);
    }
    if (t->extent_count > 0) {
      memcpy(more, t->extents, t->extent_count * sizeof *more);
    }
    cira__local_put(t->extents, t->extent_room * sizeof *more);
    t->extents = more;
    t->extent_room = room;
  }
  memmove(&t->extents[i + 1], &t->extents[i],
          (t->extent_count - i) * sizeof *t->extents);
  t->extents[i] = (cira__extent_t){.offset = at, .bytes = bytes};
  t->extent_count++;
  *out_offset = at;
  return CIRA_OK;
}

void cira__dax_give(cira__tier_t *t, uint64_t offset) {
  for (uint32_t i = 0; i < t->extent_count; i++) {
    if (t->extents[i].offset == offset) {
      t->extent_count--;
      memmove(&t->extents[i], &t->extents[i + 1],
              (t->extent_count - i) * sizeof *t->extents);
      break;
    }
  }
  if (t->extent_count == 0 && t->fd >= 0) {
    close(t->fd); /* another process may have the device */
    t->fd = -1;
  }
}

/* ---- a block's share ---------------------------------------------------- */

static cira_status_t file_make(cira__block_t *b) {
  if (b->fd >= 0 && !b->stale_fd) {
    return CIRA_OK;
  }
  int fd = memfd_create("cira-tier", MFD_CLOEXEC);
  if (fd < 0 || ftruncate(fd, (off_t)b->span_bytes) != 0) {
    int error = errno;
    if (fd >= 0) {
      close(fd);
    }
    bool full = error == ENOMEM || error == ENOSPC;
    return cira__fail_errno(full ? CIRA_E_NOMEM : CIRA_E_SYSTEM, error,
                            "no memory file");
  }
  if (b->fd >= 0) {
    close(b->fd); /* what is mapped of it stays */
  }
  b->fd = fd;
  b->stale_fd = false;
  return CIRA_OK;
}

cira_status_t cira__backing_prepare(cira__block_t *b, uint32_t tier) {
  cira_status_t status = CIRA_OK;
  cira__tier_t *t = &T.tier[tier];
  switch (cira__backing_of(tier)) {
  case BACKING_FILE:
    return file_make(b);
  case BACKING_DAX:
    pthread_mutex_lock(&T.table);
    if (b->dax_offset[tier] == 0) {
      uint64_t offset = 0;
      status = cira__dax_open(t, true);
      if (status == CIRA_OK) {
        status = cira__dax_take(t, UINT64_MAX, b->span_bytes, &offset);
        if (status != CIRA_OK && t->extent_count == 0) {
          cira__dax_give(t, UINT64_MAX); /* closes it */
        }
      }
      if (status == CIRA_OK) {
        b->dax_offset[tier] = offset + 1;
      }
    }
    pthread_mutex_unlock(&T.table);
    return status;
  default:
    return CIRA_OK;
  }
}

cira_status_t cira__backing_map(cira__block_t *b, uint32_t tier, uint8_t *at,
                                uint32_t first_chunk, uint64_t bytes,
                                uint32_t flags) {
  int fd = -1;
  uint64_t offset = first_chunk * CHUNK_BYTES;
  int how = MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
  switch (cira__backing_of(tier)) {
  case BACKING_FILE:
    fd = b->fd;
    how = MAP_FIXED | MAP_SHARED;
    break;
  case BACKING_DAX:
    fd = T.tier[tier].fd;
    offset += b->dax_offset[tier] - 1;
    how = MAP_FIXED | MAP_SHARED;
    break;
  case BACKING_ANON:
    offset = 0;
    break;
  }
  if (mmap(at, bytes, PROT_READ | PROT_WRITE, how, fd, (off_t)offset) ==
      MAP_FAILED) {
    return cira__fail_errno(errno == ENOMEM ? CIRA_E_NOMEM : CIRA_E_SYSTEM,
                            errno, "no mapping of %s for a block",
                            T.tier[tier].info.name);
  }
  if (fd < 0) {
    bool huge = (flags & CIRA_TIER_F_HUGE) != 0 ||
                ((flags & CIRA_TIER_F_SMALL) == 0 && b->bytes >= CHUNK_BYTES);
    (void)madvise(at, bytes, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
    return cira__policy_set(at, bytes, tier, false);
  }
  return CIRA_OK;
}

void cira__backing_drop(cira__block_t *b, uint32_t tier, uint32_t chunk) {
  cira__backing_t backing = cira__backing_of(tier);
  if (backing == BACKING_FILE && !b->stale_fd && b->fd >= 0) {
    (void)fallocate(b->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                    (off_t)(chunk * CHUNK_BYTES), (off_t)CHUNK_BYTES);
  }
  if (backing == BACKING_DAX) {
    pthread_mutex_lock(&T.table);
    /* no offset: a forked child, whose parent has the extent */
    if (b->dax_offset[tier] != 0 && --b->dax_chunks[tier] == 0 &&
        !b->dax_kept) {
      cira__dax_give(&T.tier[tier], b->dax_offset[tier] - 1);
      b->dax_offset[tier] = 0;
    }
    pthread_mutex_unlock(&T.table);
  }
}

void cira__backing_close(cira__block_t *b) {
  if (b->fd >= 0) {
    close(b->fd);
    b->fd = -1;
  }
  for (uint32_t i = 0; i < T.count; i++) {
    if (b->dax_offset[i] != 0) {
      cira__dax_give(&T.tier[i], b->dax_offset[i] - 1);
      b->dax_offset[i] = 0;
    }
  }
}
