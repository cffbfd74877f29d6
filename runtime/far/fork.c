/* SPDX-License-Identifier: Apache-2.0
 *
 * Forks of a process that has far memory without the preload library: the steps
 * of space/fork.c in handlers of pthread_atfork. They were registered after
 * jemalloc's, so before a fork they run first: nobody may be inside the heap's
 * far part then, or he would hold a lock of jemalloc's and wait for a pager
 * that is held still, while jemalloc waits for the lock.
 */
#include <pthread.h>
#include <unistd.h>

#include "far/internal.h"
#include "heap/heap.h"

static cira_space_t *watched;
static bool registered;
static cira_status_t status; /* of the last prepare; under the heap's lock */

/* The lock of the heap keeps `watched` as it is until the fork has ended. */
static void before(void) {
  cira_heap_fork_prepare();
  if (watched == NULL) {
    return;
  }
  status = cira_space_fork_prepare(watched);
  if (status != CIRA_OK) {
    cira__log(CIRA_LOG_ERROR,
              "a forked child has no far memory and ends at once: %s (%s)",
              cira_status_detail(), cira_status_name(status));
  }
}

static void parent(void) {
  if (watched != NULL && status == CIRA_OK) {
    cira_space_fork_parent(watched, true);
  }
  cira_heap_fork_parent();
}

static void child(void) {
  if (watched == NULL) {
    cira_heap_fork_child();
    return;
  }
  if (status != CIRA_OK) {
    _exit(CIRA_EXIT_FAR);
  }
  status = cira_space_fork_child(watched);
  if (status == CIRA_OK) {
    status = cira_space_fork_finish(watched);
  }
  if (status != CIRA_OK) {
    cira__die("a forked child cannot reach the far memory: %s (%s)",
              cira_status_detail(), cira_status_name(status));
  }
  cira_space_thread_add(watched); /* as in cira_far_start */
  cira_heap_fork_child();
}

cira_status_t cira__far_fork_watch(cira_space_t *s) {
  if (s != NULL && !registered) {
    int error = pthread_atfork(before, parent, child);
    if (error != 0) {
      return cira__fail_errno(CIRA_E_NOMEM, error, "no room for fork handlers");
    }
    registered = true;
  }
  cira_heap_fork_prepare(); /* no fork is between its two steps */
  watched = s;
  cira_heap_fork_parent();
  return CIRA_OK;
}
