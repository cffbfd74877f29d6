/* SPDX-License-Identifier: Apache-2.0
 *
 * The runtime of a process that runs compiled code without the preload shim:
 * ordinary malloc stays local, far memory is what cira_abi_alloc gives.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>

#include "abi/runtime.h"
#include "async/thread.h"
#include "heap/heap.h"
#include "offload/offload.h"

#define ALT_STACK_BYTES (128u << 10)

static struct {
  cira_space_t *space;
  struct sigaction before; /* who had the signal */
  int signo;
} process;

/* Foreign faults and signals that somebody sent: for whoever had the signal
 * before; if that is the kernel, it gets it by the retry. */
static void on_fault(int signo, siginfo_t *info, void *context) {
  if (info->si_code > 0 &&
      cira_space_fault(process.space, signo, info, context)) {
    return;
  }
  const struct sigaction *before = &process.before;
  if ((before->sa_flags & SA_SIGINFO) != 0) {
    before->sa_sigaction(signo, info, context);
  } else if (before->sa_handler != SIG_DFL && before->sa_handler != SIG_IGN) {
    before->sa_handler(signo);
  } else if (before->sa_handler == SIG_DFL || info->si_code > 0) {
    sigaction(signo, before, NULL);
    if (info->si_code <= 0) {
      (void)raise(signo); /* taken when this handler returns */
    }
  }
}

/* Given back when the thread ends. */
static pthread_key_t stack_key;
static pthread_once_t stack_once = PTHREAD_ONCE_INIT;

static void stack_end(void *stack) {
  stack_t none = {.ss_flags = SS_DISABLE};
  (void)sigaltstack(&none, NULL);
  (void)munmap(stack, ALT_STACK_BYTES);
}

static void stack_key_make(void) {
  (void)pthread_key_create(&stack_key, stack_end);
}

cira_status_t cira_abi_thread_stack(void) {
  stack_t ss = {.ss_size = ALT_STACK_BYTES}, had;
  if (sigaltstack(NULL, &had) != 0 || (had.ss_flags & SS_DISABLE) == 0) {
    return CIRA_OK; /* it has one */
  }
  pthread_once(&stack_once, stack_key_make);
  ss.ss_sp = mmap(NULL, ss.ss_size, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (ss.ss_sp == MAP_FAILED || sigaltstack(&ss, NULL) != 0) {
    return cira__fail_errno(CIRA_E_SYSTEM, errno,
                            "no stack for the fault handler");
  }
  (void)pthread_setspecific(stack_key, ss.ss_sp);
  return CIRA_OK;
}

static cira_status_t fault_handler_install(void) {
  process.signo = cira_space_signal(process.space);
  if (process.signo == 0) {
    return CIRA_OK; /* the space has a thread for it */
  }
  cira_status_t status = cira_abi_thread_stack();
  if (status != CIRA_OK) {
    return status;
  }
  struct sigaction sa = {.sa_sigaction = on_fault,
                         .sa_flags = SA_SIGINFO | SA_ONSTACK};
  sigfillset(&sa.sa_mask);
  if (sigaction(process.signo, &sa, &process.before) != 0) {
    return cira__fail_errno(CIRA_E_SYSTEM, errno,
                            "the fault handler cannot be installed");
  }
  return CIRA_OK;
}

void cira_abi_process_default(cira_abi_process_t *p) {
  memset(p, 0, sizeof *p);
  p->size = (uint32_t)sizeof *p;
}

static cira_status_t space_start(const cira_abi_process_t *p) {
  cira_space_options_t opt;
  cira_space_options_default(&opt);
  opt.url = p->far_url;
  opt.token_file = p->token_file;
  opt.local_bytes = p->local_bytes;
  opt.range_bytes = p->range_bytes;
  opt.mode = p->mode;
  opt.deadline_ns = p->deadline_ns;
  cira_status_t status =
      cira_space_create(p->space != NULL ? p->space : &opt, &process.space);
  if (status != CIRA_OK) {
    return status;
  }
  status = fault_handler_install();
  if (status == CIRA_OK) {
    cira_heap_options_t heap = {.size = sizeof heap, .on_request = true};
    status = cira_heap_init(process.space, &heap);
  }
  if (status != CIRA_OK) {
    cira_space_destroy(process.space);
    process.space = NULL;
  }
  return status;
}

cira_status_t cira_abi_process_start(const cira_abi_process_t *given) {
  cira_abi_process_t p;
  cira_abi_process_default(&p);
  memcpy(&p, given, cira__min_u64(given->size, sizeof p));
  cira_status_t status = cira_offload_configure(p.helpers);
  if (status == CIRA_OK && (p.far_url != NULL || p.space != NULL)) {
    status = space_start(&p);
  }
  if (status != CIRA_OK) {
    return status;
  }
  if (p.checked) {
    cira__checked = true;
  }
  cira_abi_init(process.space);
  cira_thread_baseline(); /* threads of a compiler do not run what it made */
  return CIRA_OK;
}

cira_space_t *cira_abi_process_space(void) {
  return process.space;
}

void cira_abi_process_stop(void) {
  cira_abi_fini();
  if (process.space != NULL) {
    cira_heap_stop();
    cira_space_destroy(process.space);
    process.space = NULL;
    if (process.signo != 0) {
      sigaction(process.signo, &process.before, NULL);
    }
  }
}
