/* SPDX-License-Identifier: Apache-2.0
 * Stacks in the heap: threads, coroutines, jumps; system calls and signals
 * while running on them. */
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "common.h"

#define STACK ((size_t)256 << 10)

static volatile int ticks;
static void tick(int signo) {
  (void)signo;
  ticks++;
}

/* Uses a good part of the stack, with system calls on local variables. */
static long deep(int n) {
  volatile char pad[3000];
  struct stat st;
  struct timespec t = {0, 1000};
  for (size_t i = 0; i < sizeof(pad); i += 100) {
    pad[i] = (char)n;
  }
  if (n % 5 == 0) {
    push_out();
  }
  if (stat("/", &st) != 0 || nanosleep(&t, NULL) != 0 || n == 0) {
    return n == 0 ? 0 : -1000000;
  }
  long r = deep(n - 1);
  return r + pad[0];
}

static void *on_heap_stack(void *arg) {
  long *out = arg;
  char text[100];
  snprintf(text, sizeof(text), "%d %s", 42, "formatted");
  *out = deep(40) + (long)strlen(text);
  FILE *f = fopen("/proc/self/status", "r");
  char line[200];
  *out += fgets(line, sizeof(line), f) != NULL;
  fclose(f);
  if (system("exit 3") == 3 << 8) {
    *out += 1000;
  }
  pid_t pid = fork();
  if (pid == 0) {
    _exit(deep(10) == 55 ? 0 : 1);
  }
  int status = -1;
  waitpid(pid, &status, 0);
  *out += status == 0 ? 10000 : 0;
  return NULL;
}

static void threads(void) {
  for (int round = 0; round < 3; round++) {
    pthread_t t[3];
    void *stack[3];
    long *out = calloc(3, sizeof(long));
    for (int i = 0; i < 3; i++) {
      pthread_attr_t attr;
      stack[i] = aligned_alloc(4096, STACK);
      memset(stack[i], 0xaa, STACK);
      pthread_attr_init(&attr);
      pthread_attr_setstack(&attr, stack[i], STACK);
      push_out();
      if (pthread_create(&t[i], &attr, on_heap_stack, &out[i]) != 0) {
        say("create", -1);
      }
    }
    for (int i = 0; i < 3; i++) {
      pthread_join(t[i], NULL);
      memset(stack[i], 0, STACK);
      free(stack[i]);
      say("thread", out[i]);
    }
  }
}

static ucontext_t *mainline;
static ucontext_t *tasks[8];
static long steps;

static void task(int id) {
  char local[2000];
  memset(local, id, sizeof(local));
  for (int i = 0; i < 20; i++) {
    steps += local[i];
    if (i % 7 == id % 7) {
      push_out();
    }
    struct stat st;
    if (fstat(0, &st) != 0 && errno != EBADF) {
      steps += 1000000;
    }
    swapcontext(tasks[id], mainline);
  }
}

static void coroutines(void) {
  mainline = fresh(sizeof(*mainline));
  for (int i = 0; i < 8; i++) {
    tasks[i] = fresh(sizeof(ucontext_t));
    if (getcontext(tasks[i]) != 0) {
      say("getcontext", -1);
    }
    tasks[i]->uc_stack.ss_sp = malloc(64 << 10);
    tasks[i]->uc_stack.ss_size = 64 << 10;
    tasks[i]->uc_link = mainline;
    sigfillset(&tasks[i]->uc_sigmask); /* also what the pager needs */
    sigdelset(&tasks[i]->uc_sigmask, SIGALRM);
    makecontext(tasks[i], (void (*)(void))task, 1, i);
  }
  for (int round = 0; round < 20; round++) {
    for (int i = 0; i < 8; i++) {
      push_out();
      if (swapcontext(mainline, tasks[i]) != 0) {
        say("swapcontext", -1);
      }
    }
  }
  say("steps", steps);
}

static void jumps(void) {
  sigjmp_buf *b = fresh(sizeof(*b));
  volatile int rounds = 0;
  sigset_t before, after;
  sigemptyset(&before);
  sigaddset(&before, SIGUSR1);
  sigprocmask(SIG_SETMASK, &before, NULL);
  push_out();
  int v = sigsetjmp(*b, 1);
  rounds++;
  if (v < 5) {
    sigfillset(&after);
    sigprocmask(SIG_SETMASK, &after, NULL);
    push_out();
    siglongjmp(*b, v + 1);
  }
  sigprocmask(SIG_SETMASK, NULL, &after);
  say("rounds", rounds);
  say("USR1", sigismember(&after, SIGUSR1));
  say("TERM", sigismember(&after, SIGTERM));
  say("BUS", sigismember(&after, SIGBUS));
  sigemptyset(&after);
  sigprocmask(SIG_SETMASK, &after, NULL);
}

int main(void) {
  setvbuf(stdout, NULL, _IOFBF, 1 << 16);
  struct sigaction a = {.sa_handler = tick, .sa_flags = SA_RESTART};
  sigfillset(&a.sa_mask);
  sigaction(SIGALRM, &a, NULL);
  threads();
  /* From here on a timer interrupts whatever runs, on whatever stack. */
  struct itimerval every = {{0, 2000}, {0, 2000}};
  setitimer(ITIMER_REAL, &every, NULL);
  coroutines();
  jumps();
  long n = 0;
  for (int i = 0; i < 300; i++) {
    push_out();
    n += i;
  }
  while (ticks == 0) {
    push_out();
  }
  memset(&every, 0, sizeof(every));
  setitimer(ITIMER_REAL, &every, NULL);
  say("n", n);
  return 0;
}
