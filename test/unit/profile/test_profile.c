/* SPDX-License-Identifier: Apache-2.0
 *
 * Recording and reading profiles: what is written is what is read, by threads
 * and forked children, across many blocks, and whatever is no profile is
 * refused with one line.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "profile/profile.h"

static char path[64];

static int setup(void **state) {
  (void)state;
  snprintf(path, sizeof path, "/tmp/cira-profile-%d", (int)getpid());
  return 0;
}

static int teardown(void **state) {
  (void)state;
  (void)cira_profile_stop();
  unlink(path);
  return 0;
}

static cira_profile_event_t event(uint64_t i) {
  return (cira_profile_event_t){.time_ns = cira__now_ns(),
                                .address = i << 12,
                                .ip = (uint64_t)(uintptr_t)&event,
                                .wait_ns = (uint32_t)i,
                                .pages = 1,
                                .kind = CIRA_PROFILE_FAULT};
}

static void record(uint64_t from, uint64_t to) {
  uint64_t saved = cira__signals_block();
  for (uint64_t i = from; i < to; i++) {
    cira_profile_event_t e = event(i);
    cira__profile_event(&e);
  }
  cira__signals_restore(saved);
}

/* What a file holds: how often each address, and by how many processes. */
typedef struct {
  uint64_t events, text, streams, pids;
  int32_t pid[8];
  uint8_t seen[20000];
  char marks[512];
} content_t;

static void note_pid(content_t *c, int32_t pid) {
  for (uint64_t i = 0; i < c->pids; i++) {
    if (c->pid[i] == pid) {
      return;
    }
  }
  assert_true(c->pids < CIRA_COUNT(c->pid));
  c->pid[c->pids++] = pid;
}

static void content_read(content_t *c) {
  cira_profile_file_t f;
  memset(c, 0, sizeof *c);
  assert_int_equal(cira_profile_file_open(path, &f), CIRA_OK);
  assert_int_equal(f.header->complete, 1);
  for (uint64_t i = 0; i < f.blocks; i++) {
    cira_profile_view_t v;
    assert_int_equal(cira_profile_file_block(&f, i, &v), CIRA_OK);
    note_pid(c, v.pid);
    assert_int_equal(v.weight, 1);
    if (v.kind == CIRA_PROFILE_EVENTS) {
      const cira_profile_event_t *e = v.records;
      for (uint32_t k = 0; k < v.count; k++) {
        assert_true(e[k].wait_ns < sizeof c->seen);
        assert_int_equal(e[k].address >> 12, e[k].wait_ns);
        c->seen[e[k].wait_ns]++;
      }
      c->events += v.count;
    } else if (v.kind == CIRA_PROFILE_STREAMS) {
      c->streams += v.count;
    } else {
      c->text += v.count;
      if (v.kind == CIRA_PROFILE_MARKS) {
        snprintf(c->marks, sizeof c->marks, "%.*s", (int)v.count,
                 (const char *)v.records);
      }
    }
  }
  cira_profile_file_close(&f);
}

static content_t content;

static void test_round_trip(void **state) {
  (void)state;
  assert_false(cira_profile_active());
  cira_profile_mark("nobody listens");
  assert_int_equal(cira_profile_start(path), CIRA_OK);
  assert_true(cira_profile_active());
  record(0, 5000); /* a dozen blocks */
  cira_profile_stream_t s = {.start_ns = 1, .end_ns = 2};
  cira__profile_stream(&s);
  cira_profile_mark("second\nphase");
  assert_int_equal(cira_profile_stop(), CIRA_OK);
  content_read(&content);
  assert_int_equal(content.events, 5000);
  assert_int_equal(content.streams, 1);
  for (uint32_t i = 0; i < 5000; i++) {
    assert_int_equal(content.seen[i], 1);
  }
  assert_non_null(strstr(content.marks, " second phase\n"));
  assert_null(strstr(content.marks, "nobody"));
}

static void test_life(void **state) {
  (void)state;
  assert_int_equal(cira_profile_stop(), CIRA_E_CLOSED);
  unsetenv("CIRA_PROFILE");
  assert_int_equal(cira_profile_start(NULL), CIRA_E_INVALID);
  assert_int_equal(cira_profile_start("/nowhere/at/all"), CIRA_E_SYSTEM);
  assert_non_null(strstr(cira_status_detail(), "/nowhere/at/all"));
  assert_int_equal(cira_profile_start(path), CIRA_OK);
  assert_int_equal(cira_profile_start(path), CIRA_E_BUSY);
  record(0, 3);
  assert_int_equal(cira_profile_stop(), CIRA_OK);
  assert_int_equal(cira_profile_stop(), CIRA_E_CLOSED);
  /* Again: a new file, of which nothing of the old one is part. */
  assert_int_equal(cira_profile_start(path), CIRA_OK);
  record(3, 5);
  assert_int_equal(cira_profile_stop(), CIRA_OK);
  content_read(&content);
  assert_int_equal(content.events, 2);
  assert_int_equal(content.seen[3] + content.seen[4], 2);
}

#define THREADS 4
static void *thread_main(void *argument) {
  uint64_t from = *(uint64_t *)argument;
  record(from, from + 2000);
  return NULL;
}

static void test_threads(void **state) {
  (void)state;
  pthread_t thread[THREADS];
  uint64_t from[THREADS];
  assert_int_equal(cira_profile_start(path), CIRA_OK);
  for (int i = 0; i < THREADS; i++) {
    from[i] = (uint64_t)i * 2000;
    assert_int_equal(pthread_create(&thread[i], NULL, thread_main, &from[i]),
                     0);
  }
  for (int i = 0; i < THREADS; i++) {
    pthread_join(thread[i], NULL);
  }
  assert_int_equal(cira_profile_stop(), CIRA_OK);
  content_read(&content);
  assert_int_equal(content.events, THREADS * 2000);
  for (uint32_t i = 0; i < THREADS * 2000; i++) {
    assert_int_equal(content.seen[i], 1);
  }
}

static void test_fork(void **state) {
  (void)state;
  assert_int_equal(cira_profile_start(path), CIRA_OK);
  record(0, 100);
  pid_t pid = fork();
  if (pid == 0) {
    record(100, 700); /* not into the parent's block */
    _exit(0);
  }
  record(700, 1000);
  int status;
  assert_int_equal(waitpid(pid, &status, 0), pid);
  assert_int_equal(status, 0);
  assert_int_equal(cira_profile_stop(), CIRA_OK);
  content_read(&content);
  assert_int_equal(content.events, 1000);
  assert_int_equal(content.pids, 2);
}

static void test_killed(void **state) {
  (void)state;
  assert_int_equal(cira_profile_start(path), CIRA_OK);
  pid_t pid = fork();
  if (pid == 0) {
    record(0, 1234);
    kill(getpid(), SIGKILL);
  }
  int status;
  assert_int_equal(waitpid(pid, &status, 0), pid);
  assert_int_equal(cira_profile_stop(), CIRA_OK);
  content_read(&content);
  assert_int_equal(content.events, 1234);
}

/* ---- refusals -------------------------------------------------------------
 */

static void write_file(const void *bytes, size_t size) {
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  assert_true(fd >= 0);
  assert_int_equal(write(fd, bytes, size), size);
  close(fd);
}

static void refused(cira_status_t status, const char *word) {
  cira_profile_file_t f;
  assert_int_equal(cira_profile_file_open(path, &f), status);
  assert_non_null(strstr(cira_status_detail(), word));
  assert_null(strchr(cira_status_detail(), '\n'));
}

static void test_foreign(void **state) {
  (void)state;
  unlink(path);
  refused(CIRA_E_SYSTEM, path);
  write_file("", 0);
  refused(CIRA_E_PROTOCOL, "no profile");
  write_file("#!/bin/sh\n", 10);
  refused(CIRA_E_PROTOCOL, "no profile");
  cira_profile_file_t f;
  assert_int_equal(cira_profile_file_open("/tmp", &f), CIRA_E_PROTOCOL);
  assert_int_equal(cira_profile_file_open("/dev/null", &f), CIRA_E_PROTOCOL);
}

static void test_cut(void **state) {
  (void)state;
  assert_int_equal(cira_profile_start(path), CIRA_OK);
  record(0, 1000);
  assert_int_equal(cira_profile_stop(), CIRA_OK);
  cira_profile_file_t f;
  assert_int_equal(cira_profile_file_open(path, &f), CIRA_OK);
  uint64_t size = f.size;
  cira_profile_file_close(&f);
  const uint64_t CUTS[] = {
      size - 1, size - CIRA_PROFILE_BLOCK_BYTES, 5000, 4096, 4095, 100};
  for (size_t i = 0; i < CIRA_COUNT(CUTS); i++) {
    assert_int_equal(truncate(path, (off_t)CUTS[i]), 0);
    refused(CIRA_E_PROTOCOL, "cut off");
  }
}

static void test_damaged(void **state) {
  (void)state;
  static union {
    uint8_t bytes[CIRA_PROFILE_HEADER_BYTES + CIRA_PROFILE_BLOCK_BYTES];
    cira_profile_header_t header;
  } file;
  cira_profile_header_t *h = &file.header;
  cira_profile_block_t *b = (void *)(file.bytes + CIRA_PROFILE_HEADER_BYTES);
  const cira_profile_block_t GOOD = {.magic = CIRA_PROFILE_BLOCK_MAGIC,
                                     .kind = CIRA_PROFILE_EVENTS,
                                     .record_bytes =
                                         sizeof(cira_profile_event_t),
                                     .used_bytes = sizeof(cira_profile_event_t),
                                     .weight = 1};
  *h = (cira_profile_header_t){.magic = CIRA_PROFILE_MAGIC,
                               .version = CIRA_PROFILE_VERSION,
                               .header_bytes = CIRA_PROFILE_HEADER_BYTES,
                               .block_bytes = CIRA_PROFILE_BLOCK_BYTES,
                               .block_count = 1,
                               .complete = 1};
  cira_profile_file_t f;
  cira_profile_view_t v;
  *b = GOOD;
  assert_int_equal(cira_profile_file_take(&file, sizeof file, "x", &f),
                   CIRA_OK);
  assert_int_equal(cira_profile_file_block(&f, 0, &v), CIRA_OK);
  assert_int_equal(v.count, 1);
  b->kind = 99;
  assert_int_equal(cira_profile_file_block(&f, 0, &v), CIRA_E_PROTOCOL);
  *b = GOOD;
  b->used_bytes = CIRA_PROFILE_PAYLOAD_BYTES + 48;
  assert_int_equal(cira_profile_file_block(&f, 0, &v), CIRA_E_PROTOCOL);
  *b = GOOD;
  b->used_bytes = 47;
  assert_int_equal(cira_profile_file_block(&f, 0, &v), CIRA_E_PROTOCOL);
  *b = GOOD;
  b->record_bytes = 8;
  assert_int_equal(cira_profile_file_block(&f, 0, &v), CIRA_E_PROTOCOL);
  *b = GOOD;
  b->weight = 0;
  assert_int_equal(cira_profile_file_block(&f, 0, &v), CIRA_E_PROTOCOL);
  memset(b, 0, sizeof *b);
  assert_int_equal(cira_profile_file_block(&f, 0, &v), CIRA_AGAIN);
  h->version = 2;
  assert_int_equal(cira_profile_file_take(&file, sizeof file, "x", &f),
                   CIRA_E_PROTOCOL);
  assert_non_null(strstr(cira_status_detail(), "version 2"));
  h->version = CIRA_PROFILE_VERSION;
  memset(h->command, 'x', sizeof h->command);
  assert_int_equal(cira_profile_file_take(&file, sizeof file, "x", &f),
                   CIRA_E_PROTOCOL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_round_trip, setup, teardown),
      cmocka_unit_test_setup_teardown(test_life, setup, teardown),
      cmocka_unit_test_setup_teardown(test_threads, setup, teardown),
      cmocka_unit_test_setup_teardown(test_fork, setup, teardown),
      cmocka_unit_test_setup_teardown(test_killed, setup, teardown),
      cmocka_unit_test_setup_teardown(test_foreign, setup, teardown),
      cmocka_unit_test_setup_teardown(test_cut, setup, teardown),
      cmocka_unit_test_setup_teardown(test_damaged, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL) == 0 ? 0 : 1;
}
