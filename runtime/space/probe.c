/* SPDX-License-Identifier: Apache-2.0
 *
 * What the machine offers for each way of owning the page table.
 */
#include "space/space_internal.h"

cira_status_t cira_space_probe(cira_space_mode_t mode, char *out,
                               size_t out_bytes) {
  const map_ops_t *map = mode == CIRA_SPACE_SIGBUS    ? &cira__map_sigbus
                         : mode == CIRA_SPACE_THREAD  ? &cira__map_thread
                         : mode == CIRA_SPACE_SIGSEGV ? &cira__map_sigsegv
                                                      : NULL;
  if (map == NULL) {
    return cira__fail(CIRA_E_INVALID, "unknown paging mode %d", (int)mode);
  }
  cira_status_t status = map->probe();
  cira__format(out, out_bytes, "%s",
               status == CIRA_OK ? "ok" : cira_status_detail());
  return status;
}
