/* SPDX-License-Identifier: Apache-2.0
 *
 * What both userfaultfd modes share: opening the descriptor, registering
 * chunks, copying pages in, finding which pages are present. Feature numbers
 * come from the kernel's interface and are repeated here because the C
 * library's headers of Debian 12 are older than the kernels it runs on.
 */
#ifndef CIRA_SPACE_MAP_UFFD_H
#define CIRA_SPACE_MAP_UFFD_H

#include <linux/userfaultfd.h>

#include "space/space_internal.h"

#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY 1
#endif
#define CIRA_UFFD_FEATURE_SIGBUS (1u << 7)
#define CIRA_UFFD_FEATURE_WP_ASYNC (1u << 15)
#define CIRA_UFFD_FEATURE_MOVE (1u << 16)

struct cira_uffdio_move {
  uint64_t dst, src, len, mode;
  int64_t move;
};
#define CIRA_UFFDIO_MOVE _IOWR(UFFDIO, 0x05, struct cira_uffdio_move)
#define CIRA_UFFDIO_MOVE_MODE_ALLOW_SRC_HOLES (1u << 1)

struct cira_page_region {
  uint64_t start, end, categories;
};
struct cira_pm_scan_arg {
  uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
  uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};
#define CIRA_PAGEMAP_SCAN _IOWR('f', 16, struct cira_pm_scan_arg)
#define CIRA_PAGE_IS_WRITTEN (1u << 1)
#define CIRA_PAGE_IS_PRESENT (1u << 3)
#define CIRA_PAGE_IS_SWAPPED (1u << 4)

/* Opens a descriptor with at least `features`; works unprivileged (faults of
 * user mode only). */
cira_status_t cira__uffd_open(uint64_t features, int *out_fd);
/* Opens the table of this process' pages in place of what s has (a forked child
 * has its parent's). */
cira_status_t cira__pagemap_open(cira_space_t *s);
/* Reserves the range: no access, nothing registered. */
cira_status_t cira__uffd_reserve(cira_space_t *s);
cira_status_t cira__uffd_register(cira_space_t *s, const void *p,
                                  uint64_t bytes);
cira_status_t cira__uffd_chunk_open(cira_space_t *s, uint64_t page, uint64_t n,
                                    bool native);
void cira__uffd_install(cira_space_t *s, uint64_t page, uint64_t n,
                        const uint8_t *src, bool clean);
void cira__uffd_forget(cira_space_t *s, uint64_t page, uint64_t n);
/* Registers the managed chunks with a new descriptor, in a forked child. */
cira_status_t cira__uffd_again(cira_space_t *s, uint64_t features);
/* Makes small pages of a huge one, so that single pages can go. */
void cira__uffd_split(cira_space_t *s, uint64_t chunk);

#endif
