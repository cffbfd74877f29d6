/* SPDX-License-Identifier: Apache-2.0
 *
 * Tasks: three workers wait for jobs in a channel, one task hands them out, and
 * one that waits too long is cancelled. All on one thread; thread_count = 2
 * would spread them over two.
 *   cc tasks.c -lcira
 */
#include <cira/channel.h>
#include <cira/coro.h>

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

static cira_channel_t *jobs;

static uint64_t now_ns(void) {
  struct timespec t;
  (void)clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int64_t worker(void *argument) {
  int64_t done = 0;
  uint64_t job;
  (void)argument;
  /* blocks this task only */
  while (cira_channel_receive(jobs, &job, CIRA_FOREVER) == CIRA_OK) {
    if (cira_coro_sleep_until(now_ns() + job * 1000) != CIRA_OK) {
      break;
    }
    done++;
  }
  return done;
}

static int64_t hands_out(void *argument) {
  (void)argument;
  for (uint64_t job = 1; job <= 30; job++) {
    if (cira_channel_send(jobs, &job, CIRA_FOREVER) != CIRA_OK) {
      return -1;
    }
  }
  return cira_channel_close(jobs);
}

static int64_t patient(void *argument) {
  (void)argument;
  return cira_coro_sleep_until(CIRA_FOREVER);
}

static int64_t supervisor(void *argument) {
  cira_sched_t *sched = argument;
  cira_task_t workers[3];
  cira_task_t giver;
  cira_task_t waits;
  int64_t total = 0;
  if (cira_sched_spawn(sched, hands_out, NULL, 0, 0, &giver) != CIRA_OK ||
      cira_sched_spawn(sched, patient, NULL, 0, 0, &waits) != CIRA_OK) {
    return 1;
  }
  for (int i = 0; i < 3; i++) {
    if (cira_sched_spawn(sched, worker, NULL, 0, 0, &workers[i]) != CIRA_OK) {
      return 1;
    }
  }
  for (int i = 0; i < 3; i++) {
    int64_t done = 0;
    if (cira_task_join(workers[i], CIRA_FOREVER, &done) != CIRA_OK) {
      return 1;
    }
    total += done;
  }
  printf("jobs done: %" PRId64 "\n", total);
  int64_t result = 0;
  (void)cira_task_cancel(waits);
  if (cira_task_join(waits, CIRA_FOREVER, &result) != CIRA_OK) {
    return 1;
  }
  printf("the patient one: %s\n", cira_status_name((cira_status_t)result));
  return cira_task_join(giver, CIRA_FOREVER, NULL);
}

int main(void) {
  cira_channel_options_t options = cira_channel_options_default();
  cira_sched_t *sched = NULL;
  cira_task_t first;
  int64_t result = 1;
  options.kind = CIRA_CHANNEL_MPMC;
  options.capacity_count = 4;
  if (cira_channel_create(&options, &jobs) != CIRA_OK ||
      cira_sched_create(NULL, &sched) != CIRA_OK ||
      cira_sched_spawn(sched, supervisor, sched, 0, 0, &first) != CIRA_OK ||
      cira_sched_run(sched) != CIRA_OK ||
      cira_task_join(first, CIRA_FOREVER, &result) != CIRA_OK) {
    fprintf(stderr, "%s\n", cira_status_detail());
  }
  (void)cira_sched_destroy(sched);
  cira_channel_destroy(jobs);
  return (int)result;
}
