/* SPDX-License-Identifier: Apache-2.0
 *
 * child: see child.h. All signals that are passed on are blocked here and taken
 * by sigwaitinfo, so there are no handlers. A signal from the kernel (a key on
 * the terminal, a hang-up) goes to the whole process group and has reached the
 * program already; only what a process sent to cira-run alone is passed on.
 */
#include "cira-run/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static const int PASSED_ON[] = {SIGINT,  SIGTERM, SIGHUP,   SIGQUIT, SIGUSR1,
                                SIGUSR2, SIGALRM, SIGWINCH, SIGTSTP, SIGCONT};

static void signals_of_interest(sigset_t *set) {
  sigemptyset(set);
  for (size_t i = 0; i < sizeof PASSED_ON / sizeof PASSED_ON[0]; i++) {
    sigaddset(set, PASSED_ON[i]);
  }
  sigaddset(set, SIGCHLD);
}

/* Collects what happened to the program. Returns true when it has ended. */
static bool collect(pid_t pid, int *out_status) {
  int status;
  while (waitpid(pid, &status, WNOHANG | WUNTRACED) == pid) {
    if (!WIFSTOPPED(status)) {
      *out_status = status;
      return true;
    }
    /* Stop as well, so that the shell sees its job stopped; go on with the
     * program when the shell lets us go on. */
    kill(getpid(), SIGSTOP);
    kill(pid, SIGCONT);
  }
  return false;
}

static void wait_for_end(pid_t pid, const sigset_t *set, int *out_status) {
  for (;;) {
    if (collect(pid, out_status)) {
      return;
    }
    siginfo_t info;
    int signo = sigwaitinfo(set, &info);
    if (signo > 0 && signo != SIGCHLD && info.si_code <= 0 &&
        info.si_pid != pid) {
      kill(pid, signo);
    }
  }
}

int run_child(const char *path, char *const argv[], int *out_status) {
  sigset_t set;
  sigset_t before;
  struct sigaction chld;
  signals_of_interest(&set);
  int report[2]; /* the errno of a failed exec; closed by one that works */
  if (pipe2(report, O_CLOEXEC) != 0) {
    return errno;
  }
  /* Whoever ignores SIGCHLD gets no exit status; the program inherits what we
   * inherited. */
  sigaction(SIGCHLD, &(struct sigaction){.sa_handler = SIG_DFL}, &chld);
  sigprocmask(SIG_BLOCK, &set, &before);
  pid_t pid = fork();
  if (pid == 0) {
    sigaction(SIGCHLD, &chld, NULL);
    sigprocmask(SIG_SETMASK, &before, NULL);
    execv(path, argv);
    int error = errno;
    ssize_t ignored = write(report[1], &error, sizeof error);
    (void)ignored;
    _exit(127);
  }
  int error = pid < 0 ? errno : 0;
  close(report[1]);
  if (pid > 0) {
    ssize_t n;
    do {
      n = read(report[0], &error, sizeof error);
    } while (n < 0 && errno == EINTR);
    if (n != (ssize_t)sizeof error) {
      error = 0;
    }
  }
  close(report[0]);
  if (error != 0) {
    if (pid > 0) {
      waitpid(pid, NULL, 0);
    }
    sigprocmask(SIG_SETMASK, &before, NULL);
    return error;
  }
  wait_for_end(pid, &set, out_status);
  return 0;
}

_Noreturn void run_exit_as(int status) {
  if (!WIFSIGNALED(status)) {
    exit(WEXITSTATUS(status));
  }
  int signo = WTERMSIG(status);
  struct rlimit none = {0, 0};
  setrlimit(RLIMIT_CORE, &none); /* the program has left its core already */
  fflush(NULL);
  signal(signo, SIG_DFL);
  sigset_t one;
  sigemptyset(&one);
  sigaddset(&one, signo);
  raise(signo);
  sigprocmask(SIG_UNBLOCK, &one, NULL);
  _exit(128 + signo); /* SIGKILL and SIGSTOP aside, not reached */
}
