/* SPDX-License-Identifier: Apache-2.0
 *
 * The life of a client, and of the thread or process that serves it alone.
 */
#include "call/internal.h"

#include "base/sys.h"

#include <linux/futex.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

#define SLICE_NS                                                               \
  20000000u /* 20 ms: how often a child that begins is looked at */

/* ---- clients ------------------------------------------------------------ */

static void client_free(cira_call_client_t *c) {
  cira__call_memory_free(c->place);
  cira__call_memory_free(c->free_place);
  cira__call_memory_free(c->buffer);
  cira__call_memory_free(c->serve_buffer);
  cira__call_memory_free(c->ranges);
  cira__call_memory_free(c);
}

static cira_call_client_t *client_alloc(const cira__call_view_t *v) {
  cira_call_client_t *c = cira__call_memory(sizeof(*c));
  if (!c) {
    return NULL;
  }
  uint32_t depth = v->link->depth;
  c->view = *v;
  c->place = cira__call_memory(depth * sizeof(*c->place));
  c->free_place = cira__call_memory(depth * sizeof(*c->free_place));
  c->buffer = cira__call_memory(v->completions->message_bytes);
  if (!c->place || !c->free_place || !c->buffer) {
    client_free(c);
    return NULL;
  }
  c->bulk_free = UINT16_MAX;
  c->free_count = depth;
  for (uint32_t i = 0; i < depth; i++) {
    c->free_place[i] = (uint16_t)(depth - 1 - i); /* the first is taken first */
    c->place[i].id = i;
  }
  return c;
}

cira_status_t cira_call_attach(void *memory, uint64_t bytes,
                               cira_call_client_t **out) {
  cira__call_view_t view;
  if (!out) {
    return cira__fail(CIRA_E_INVALID, "call_attach: out is NULL");
  }
  cira_status_t status = cira__call_view(memory, bytes, "call_attach", &view);
  if (status != CIRA_OK) {
    return status;
  }
  cira_call_client_t *c = client_alloc(&view);
  if (!c) {
    return cira__fail(CIRA_E_NOMEM, "call_attach: no memory");
  }
  if ((view.link->flags & CIRA_CALL_F_SHARED) != 0) {
    status = cira_channel_join(view.submissions, CIRA_CHANNEL_SENDER);
    if (status == CIRA_OK) {
      status = cira_channel_join(view.completions, CIRA_CHANNEL_RECEIVER);
    }
  }
  uint32_t nobody = 0;
  /* relaxed: only one can win */
  if (status == CIRA_OK &&
      !__atomic_compare_exchange_n(&view.link->attached, &nobody, 1, false,
                                   __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
    status = cira__fail(CIRA_E_BUSY, "call_attach: the link has a caller");
  }
  if (status != CIRA_OK) {
    client_free(c);
    return status;
  }
  *out = c;
  return CIRA_OK;
}

/* Before a thread or process serves it: who would tell the caller that there is
 * no memory for serving? */
static cira_status_t client_own(cira_call_client_t *c, void *memory,
                                uint64_t bytes, cira_call_table_t *table) {
  c->memory = memory;
  c->memory_bytes = bytes;
  c->table = table;
  c->serve_buffer = cira__call_memory(c->view.submissions->message_bytes);
  return c->serve_buffer ? CIRA_OK
                         : cira__fail(CIRA_E_NOMEM, "call: no memory");
}

/* ---- a thread ----------------------------------------------------------- */

static void *thread_main(void *argument) {
  cira_call_client_t *c = argument;
  cira_status_t status = cira__call_serve(c->memory, c->memory_bytes, c->table,
                                          c->serve_buffer, CIRA_FOREVER);
  if (status != CIRA_OK) {
    CIRA_LOG(CIRA_LOG_WARN, "call: a thread stopped serving: %s",
             cira_status_detail());
  }
  return NULL;
}

static cira_status_t thread_start(cira_call_client_t *c) {
  sigset_t all;
  sigset_t before;
  sigfillset(&all); /* signals are not its, except those of its own faults */
  static const int own[] = {SIGBUS, SIGSEGV, SIGILL, SIGFPE, SIGTRAP, SIGABRT};
  for (size_t i = 0; i < CIRA_COUNT(own); i++) {
    sigdelset(&all, own[i]);
  }
  (void)pthread_sigmask(SIG_SETMASK, &all, &before);
  int error = pthread_create(&c->thread, NULL, thread_main, c);
  (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (error) {
    return cira__fail_errno(CIRA_E_SYSTEM, error, "call_thread: no thread");
  }
  c->has_thread = true;
  return CIRA_OK;
}

static cira_status_t start_check(const cira_call_table_t *table,
                                 cira_call_client_t **out, const char *call) {
  if (!table || !out) {
    return cira__fail(CIRA_E_INVALID, "%s: the table or out is NULL", call);
  }
  return CIRA_OK;
}

cira_status_t cira_call_thread(cira_call_table_t *table,
                               const cira_call_options_t *opt,
                               cira_call_client_t **out) {
  return cira__call_thread(table, opt, NULL, out);
}

cira_status_t cira__call_thread(cira_call_table_t *table,
                                const cira_call_options_t *opt,
                                cira__call_session_t *session,
                                cira_call_client_t **out) {
  uint64_t bytes;
  cira_call_client_t *c = NULL;
  cira_status_t status = start_check(table, out, "call_thread");
  if (status == CIRA_OK) {
    status = cira_call_link_bytes(opt, &bytes);
  }
  if (status != CIRA_OK) {
    return status;
  }
  if (opt && (opt->flags & CIRA_CALL_F_SHARED) != 0) {
    return cira__fail(CIRA_E_UNSUPPORTED,
                      "call_thread: CIRA_CALL_F_SHARED is for processes");
  }
  void *memory = cira__call_memory(bytes);
  if (!memory) {
    return cira__fail(CIRA_E_NOMEM, "call_thread: no memory for %llu bytes",
                      (unsigned long long)bytes);
  }
  status = cira_call_link_init(memory, bytes, opt);
  if (status == CIRA_OK) {
    status = cira_call_attach(memory, bytes, &c);
  }
  if (status == CIRA_OK) {
    status = client_own(c, memory, bytes, table);
  }
  if (status == CIRA_OK && session) {
    c->ranges = cira__call_memory(c->view.link->depth * sizeof(*c->ranges));
    status = c->ranges ? cira__call_session_join(session, c)
                       : cira__fail(CIRA_E_NOMEM, "call: no memory");
  }
  if (status == CIRA_OK) {
    status = thread_start(c);
  }
  if (status != CIRA_OK) {
    if (c) {
      client_free(c);
    }
    cira__call_memory_free(memory);
    return status;
  }
  *out = c;
  return CIRA_OK;
}

/* ---- a process ---------------------------------------------------------- */

void cira__call_child_gone(cira_call_client_t *c) {
  int how;
  if (c->child <= 0 || waitpid(c->child, &how, WNOHANG) != c->child) {
    return;
  }
  if (WIFSIGNALED(how)) {
    (void)cira__fail(CIRA_E_DISCONNECTED,
                     "call: the callee, process %d, died of signal %d",
                     (int)c->child, WTERMSIG(how));
  } else {
    (void)cira__fail(CIRA_E_DISCONNECTED,
                     "call: the callee, process %d, ended with code %d",
                     (int)c->child, WEXITSTATUS(how));
  }
  c->child = 0;
}

/* Until the child has joined its rings: before that they do not notice its
 * death. */
static cira_status_t child_wait(cira_call_client_t *c) {
  uint32_t *serving = &c->view.link->serving;
  for (;;) {
    /* pairs with: the release store in serving_set (server.c) */
    uint32_t is = __atomic_load_n(serving, __ATOMIC_ACQUIRE);
    if (is == 1) {
      return CIRA_OK;
    }
    cira__call_child_gone(c);
    if (c->child == 0 || is == 2) {
      return is == 2 ? cira__fail(CIRA_E_DISCONNECTED,
                                  "call_process: the child stopped at once")
                     : CIRA_E_DISCONNECTED;
    }
    struct timespec slice = {.tv_nsec = SLICE_NS};
    (void)CIRA__SYS(SYS_futex, serving, FUTEX_WAIT, is, &slice, 0, 0);
  }
}

static _Noreturn void child_main(const cira_call_client_t *c) {
  cira_status_t status = cira__call_serve(c->memory, c->memory_bytes, c->table,
                                          c->serve_buffer, CIRA_FOREVER);
  if (status != CIRA_OK && status != CIRA_E_DISCONNECTED) {
    CIRA_LOG(CIRA_LOG_WARN, "call: process %d stopped serving: %s",
             (int)getpid(), cira_status_detail());
  }
  _exit(status == CIRA_OK ? 0 : 1);
}

static cira_status_t child_start(cira_call_client_t *c) {
  /* held across the fork, so that it is free in the child */
  (void)pthread_mutex_lock(&c->table->lock);
  pid_t child = fork();
  (void)pthread_mutex_unlock(&c->table->lock);
  if (child == 0) {
    child_main(c);
  }
  if (child < 0) {
    return cira__fail_errno(CIRA_E_SYSTEM, errno, "call_process: cannot fork");
  }
  c->child = child;
  c->stats.pid = (uint32_t)child;
  return child_wait(c);
}

cira_status_t cira_call_process(cira_call_table_t *table,
                                const cira_call_options_t *opt,
                                cira_call_client_t **out) {
  uint64_t bytes;
  cira_call_client_t *c = NULL;
  cira_call_options_t o = opt ? *opt : cira_call_options_default();
  o.flags |= CIRA_CALL_F_SHARED;
  cira_status_t status = start_check(table, out, "call_process");
  if (status == CIRA_OK) {
    status = cira_call_link_bytes(&o, &bytes);
  }
  if (status != CIRA_OK) {
    return status;
  }
  void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    return cira__fail(CIRA_E_NOMEM, "call_process: no memory for %llu bytes",
                      (unsigned long long)bytes);
  }
  status = cira_call_link_init(memory, bytes, &o);
  if (status == CIRA_OK) {
    status = cira_call_attach(memory, bytes, &c);
  }
  if (status == CIRA_OK) {
    status = client_own(c, memory, bytes, table);
  }
  if (status == CIRA_OK) {
    status = child_start(c);
  }
  if (status != CIRA_OK) {
    if (c && c->child > 0) {
      (void)waitpid(c->child, NULL, 0); /* it stopped serving: it is ending */
    }
    if (c) {
      client_free(c);
    }
    (void)munmap(memory, bytes);
    return status;
  }
  *out = c;
  return CIRA_OK;
}

/* ---- the end ------------------------------------------------------------ */

/* Takes in completions until the callee has stopped. */
static void run_out(cira_call_client_t *c, uint64_t deadline_ns) {
  cira_status_t status = CIRA_OK;
  bool ours = c->has_thread || c->child > 0;
  /* relaxed: who begins to serve later finds a closed ring and ends */
  if (!ours && __atomic_load_n(&c->view.link->serving, __ATOMIC_RELAXED) == 0) {
    return;
  }
  while (status == CIRA_OK && c->broken == CIRA_OK) {
    uint32_t count;
    status = cira__call_drain(c, &count);
    if (status == CIRA_OK && count == 0) {
      status = cira__call_drive(c, deadline_ns);
    }
  }
}

static cira_status_t callee_join(cira_call_client_t *c, uint64_t deadline_ns) {
  if (c->has_thread) {
    struct timespec until = {.tv_sec = (time_t)(deadline_ns / 1000000000u),
                             .tv_nsec = (long)(deadline_ns % 1000000000u)};
    int error =
        deadline_ns == CIRA_FOREVER
            ? pthread_join(c->thread, NULL)
            : pthread_clockjoin_np(c->thread, NULL, CLOCK_MONOTONIC, &until);
    if (error) {
      return cira__fail(CIRA_E_DEADLINE,
                        "call_close: a function still runs; close again later");
    }
    c->has_thread = false;
  }
  if (c->child > 0) {
    /* 2: it is about to exit */
    if (__atomic_load_n(&c->view.link->serving, __ATOMIC_ACQUIRE) != 2) {
      (void)kill(c->child, SIGKILL);
    }
    while (waitpid(c->child, NULL, 0) < 0 && errno == EINTR) {
    }
    c->child = 0;
  }
  return CIRA_OK;
}

cira_status_t cira_call_close(cira_call_client_t *c, uint64_t deadline_ns) {
  if (!c) {
    return cira__fail(CIRA_E_INVALID, "call_close: the client is NULL");
  }
  if (c->waiting) {
    return cira__fail(CIRA_E_BUSY, "call_close: a task waits on the client");
  }
  if (!c->closed) {
    (void)cira_call_flush(c);
    /* relaxed: a hint */
    __atomic_store_n(&c->view.link->stop, 1, __ATOMIC_RELAXED);
    (void)cira_channel_close(c->view.submissions);
    run_out(c, deadline_ns);
    cira__call_broke(c, CIRA_E_CANCELLED);
    c->closed = true;
  }
  return callee_join(c, deadline_ns);
}

void cira_call_destroy(cira_call_client_t *c) {
  if (!c) {
    return;
  }
  if (cira_call_close(c, CIRA_FOREVER) == CIRA_E_BUSY) {
    CIRA_LOG(CIRA_LOG_ERROR, "call_destroy: a task waits on the client; it is "
                             "not freed");
    return;
  }
  if (c->child == 0 && c->stats.pid) {
    (void)munmap(c->memory, c->memory_bytes);
  } else if (c->memory) {
    cira__call_memory_free(c->memory);
  }
  cira__call_session_t *session = c->session;
  client_free(c);
  if (session) {
    cira__call_session_end(session);
  }
}
