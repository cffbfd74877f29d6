/* SPDX-License-Identifier: Apache-2.0
 *
 * A channel between two processes, in memory that both map. The parent writes
 * messages in place; the child receives them and is noticed if it dies.
 *   cc two_processes.c -lcira
 */
#include <cira/channel.h>

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct {
  char text[24];
} line_t;

static int child(void *memory, uint64_t bytes) {
  cira_channel_t *channel;
  line_t line;
  if (cira_channel_attach(memory, bytes, sizeof(line), &channel) != CIRA_OK ||
      cira_channel_join(channel, CIRA_CHANNEL_RECEIVER) != CIRA_OK) {
    fprintf(stderr, "%s\n", cira_status_detail());
    return 1;
  }
  while (cira_channel_receive(channel, &line, CIRA_FOREVER) == CIRA_OK) {
    printf("child: %s\n", line.text);
  }
  return 0;
}

int main(void) {
  cira_channel_options_t options = cira_channel_options_default();
  cira_channel_t *channel;
  uint64_t bytes;
  options.flags = CIRA_CHANNEL_F_SHARED;
  options.message_bytes = sizeof(line_t);
  options.capacity_count = 4;
  if (cira_channel_bytes(&options, &bytes) != CIRA_OK) {
    return 1;
  }
  void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED ||
      cira_channel_init(memory, bytes, &options, &channel) != CIRA_OK) {
    fprintf(stderr, "%s\n", cira_status_detail());
    return 1;
  }
  pid_t pid = fork();
  if (pid == 0) {
    return child(memory, bytes);
  }
  for (int i = 0; i < 10;) {
    cira_channel_run_t run;
    cira_status_t status = cira_channel_reserve(channel, 1, &run);
    if (status == CIRA_AGAIN) {
      (void)usleep(100);
      continue;
    }
    if (status != CIRA_OK) {
      return 1;
    }
    (void)snprintf(run.first, sizeof(line_t), "line %d", i++);
    if (cira_channel_commit(channel, &run, 1) != CIRA_OK) {
      return 1;
    }
  }
  (void)cira_channel_close(channel);
  int status = 1;
  (void)waitpid(pid, &status, 0);
  cira_channel_fini(channel);
  return status;
}
