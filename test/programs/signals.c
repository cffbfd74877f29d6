/* SPDX-License-Identifier: Apache-2.0
 * A program's own handlers, masks and alternate stacks, for the very signals
 * that the pager uses, while its memory is far. */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common.h"

static sigjmp_buf *jump;
static volatile int hits;
static volatile int last_code;
static void *volatile last_address;

static void recover(int signo, siginfo_t *info, void *uc) {
  (void)uc;
  hits++;
  last_code = info->si_code;
  last_address = info->si_addr;
  siglongjmp(*jump, signo);
}

static void count(int signo) {
  (void)signo;
  unsigned char *p = malloc(50000); /* not what POSIX allows, but single */
  for (int i = 0; i < 50000; i++) {
    p[i] = (unsigned char)i;
  }
  hits += p[49999] == (unsigned char)49999;
  free(p);
}

static void queries(int signo) {
  struct sigaction a;
  say("query", sigaction(signo, NULL, &a));
  say("flags", a.sa_flags);
  say("mask has USR2", sigismember(&a.sa_mask, SIGUSR2));
  say("mask has BUS", sigismember(&a.sa_mask, SIGBUS));
  say("mask has SEGV", sigismember(&a.sa_mask, SIGSEGV));
}

static void faults(int signo) {
  jump = fresh(sizeof(*jump));
  struct sigaction a = {.sa_flags = SA_SIGINFO, .sa_sigaction = recover};
  sigemptyset(&a.sa_mask);
  sigaddset(&a.sa_mask, SIGUSR2);
  sigaction(signo, &a, NULL);
  queries(signo);
  for (int i = 0; i < 5; i++) {
    push_out();
    if (sigsetjmp(*jump, 1) == 0) {
      *(volatile int *)(uintptr_t)0x10 = 1;
    }
  }
  say("faults seen", hits);
  say("address", (long)last_address);
  sigset_t now;
  sigprocmask(SIG_BLOCK, NULL, &now);
  say("blocked afterwards", sigismember(&now, signo));
  say("USR2 blocked afterwards", sigismember(&now, SIGUSR2));
}

static void truncated_file(void) {
  struct sigaction a = {.sa_flags = SA_SIGINFO, .sa_sigaction = recover};
  sigemptyset(&a.sa_mask);
  sigaction(SIGBUS, &a, NULL);
  FILE *f = tmpfile();
  char *m = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fileno(f), 0);
  hits = 0;
  for (int i = 0; i < 3; i++) {
    if (sigsetjmp(*jump, 1) == 0) {
      (void)*(volatile char *)m;
    }
  }
  say("SIGBUS of a file", hits);
  say("code is BUS_ADRERR", last_code == BUS_ADRERR);
  say("address is the file's", last_address == m);
  fclose(f);
}

static void sent(int signo) {
  hits = 0;
  signal(signo, count);
  push_out();
  raise(signo);
  kill(getpid(), signo);
  say("sent and caught", hits);
  sigset_t *set = fresh(sizeof(*set));
  sigset_t *old = fresh(sizeof(*old));
  sigemptyset(set);
  sigaddset(set, signo);
  push_out();
  say("block", sigprocmask(SIG_BLOCK, set, old));
  raise(signo);
  push_out(); /* far accesses go on although the signal is blocked */
  say("still", hits);
  sigpending(old);
  say("pending", sigismember(old, signo));
  sigprocmask(SIG_BLOCK, NULL, old);
  say("reported blocked", sigismember(old, signo));
  push_out();
  say("unblock", sigprocmask(SIG_UNBLOCK, set, NULL));
  say("delivered", hits);
  sigprocmask(SIG_BLOCK, set, NULL);
  raise(signo);
  int *got = fresh(sizeof(*got));
  push_out();
  say("sigwait", sigwait(set, got));
  say("waited for", *got == signo);
  struct timespec *zero = fresh(sizeof(*zero));
  memset(zero, 0, sizeof(*zero));
  siginfo_t *info = fresh(sizeof(*info));
  push_out();
  say("sigtimedwait", sigtimedwait(set, info, zero));
  sigprocmask(SIG_UNBLOCK, set, NULL);
  signal(signo, SIG_IGN);
  raise(signo);
  say("ignored", hits);
  say("handler was", signal(signo, SIG_DFL) == SIG_IGN);
}

static void everything_blocked(void) {
  sigset_t all;
  sigset_t old;
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, &old);
  unsigned char *p = fresh(100000);
  say("sum with all blocked", (long)(checksum(p, 100000) >> 8));
  sigset_t now;
  sigprocmask(SIG_SETMASK, &old, &now);
  say("BUS was blocked", sigismember(&now, SIGBUS));
  say("SEGV was blocked", sigismember(&now, SIGSEGV));
  say("TERM was blocked", sigismember(&now, SIGTERM));
}

static void alternate(void) {
  stack_t mine = {.ss_sp = malloc(64 << 10), .ss_size = 64 << 10};
  stack_t old;
  say("first", sigaltstack(NULL, &old));
  say("disabled", old.ss_flags == SS_DISABLE);
  say("set", sigaltstack(&mine, NULL));
  say("get", sigaltstack(NULL, &old));
  say("same", old.ss_sp == mine.ss_sp && old.ss_size == mine.ss_size);
  struct sigaction a = {.sa_flags = SA_ONSTACK, .sa_handler = count};
  sigaction(SIGUSR1, &a, NULL);
  struct sigaction query;
  sigaction(SIGUSR1, NULL, &query);
  say("flag kept", (query.sa_flags & SA_ONSTACK) != 0);
  hits = 0;
  raise(SIGUSR1);
  say("handled", hits);
  signal(SIGUSR2, count);
  sigaction(SIGUSR2, NULL, &query);
  say("flag not invented", (query.sa_flags & SA_ONSTACK) == 0);
  mine.ss_flags = SS_DISABLE;
  say("off", sigaltstack(&mine, NULL));
}

static volatile int ticks;
static void tick(int signo) {
  (void)signo;
  ticks++;
}

static void interrupted(void) {
  struct sigaction a = {.sa_handler = tick};
  sigaction(SIGALRM, &a, NULL);
  int p[2];
  if (pipe(p) != 0) {
    return;
  }
  char *buf = fresh(100);
  alarm(1);
  push_out();
  say("read is interrupted", read(p[0], buf, 100));
  a.sa_flags = SA_RESTART;
  sigaction(SIGALRM, &a, NULL);
  say("ticks", ticks);
}

static int ended_by(void (*what)(void)) {
  fflush(stdout);
  pid_t pid = fork();
  int status = 0;
  if (pid == 0) {
    what();
    _exit(0);
  }
  waitpid(pid, &status, 0);
  return status & 0x7f;
}
static void wild(void) {
  *(volatile int *)(uintptr_t)0x10 = 1;
}
static void wild_blocked(void) {
  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, NULL);
  *(volatile int *)(uintptr_t)0x10 = 1;
}
static void wild_ignored(void) {
  signal(SIGSEGV, SIG_IGN);
  *(volatile int *)(uintptr_t)0x10 = 1;
}
static void bus_sent(void) {
  raise(SIGBUS);
}
static void bus_of_file(void) {
  FILE *f = tmpfile();
  char *m = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fileno(f), 0);
  (void)*(volatile char *)m;
}
static void aborted(void) {
  abort();
}

int main(void) {
  setvbuf(stdout, NULL, _IOFBF, 1 << 16);
  faults(SIGSEGV);
  truncated_file();
  sent(SIGBUS);
  sent(SIGSEGV);
  sent(SIGUSR1);
  everything_blocked();
  alternate();
  interrupted();
  signal(SIGSEGV, SIG_DFL);
  signal(SIGBUS, SIG_DFL);
  say("wild pointer ends by", ended_by(wild));
  say("blocked", ended_by(wild_blocked));
  say("ignored", ended_by(wild_ignored));
  say("SIGBUS sent", ended_by(bus_sent));
  say("SIGBUS of a file", ended_by(bus_of_file));
  say("abort", ended_by(aborted));
  return 0;
}
