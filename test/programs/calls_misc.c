/* SPDX-License-Identifier: Apache-2.0
 * Sockets, pipes, polling, time, processes and memory calls with every pointer
 * in far memory and not in the cache. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/times.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "common.h"

#define BIG ((size_t)600 << 10)

#define FAR(type, name) type *name = fresh(sizeof(type))

static void *drain(void *arg) {
  int fd = *(int *)arg;
  unsigned char *buf = malloc(BIG);
  size_t n = 0;
  while (n < BIG) {
    ssize_t r = recv(fd, buf + n, BIG - n, 0);
    if (r <= 0) {
      break;
    }
    n += (size_t)r;
  }
  uint64_t *out = malloc(sizeof(*out));
  *out = checksum(buf, n);
  free(buf);
  return out;
}

static void sockets(void) {
  int *pair = fresh(2 * sizeof(int));
  say("socketpair", socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
  unsigned char *big = fresh(BIG);
  uint64_t sum = checksum(big, BIG);
  pthread_t t;
  pthread_create(&t, NULL, drain, &pair[1]);
  push_out();
  say("send", send(pair[0], big, BIG, 0));
  void *got;
  pthread_join(t, &got);
  say("received the same", *(uint64_t *)got == sum);
  free(got);

  FAR(struct msghdr, m);
  struct iovec *v = fresh(3 * sizeof(*v));
  char *control = fresh(CMSG_SPACE(sizeof(int)));
  memset(m, 0, sizeof(*m));
  for (int i = 0; i < 3; i++) {
    v[i].iov_base = fresh(3000);
    v[i].iov_len = 3000;
  }
  m->msg_iov = v;
  m->msg_iovlen = 3;
  m->msg_control = control;
  m->msg_controllen = CMSG_SPACE(sizeof(int));
  memset(control, 0, CMSG_SPACE(sizeof(int)));
  struct cmsghdr *c = CMSG_FIRSTHDR(m);
  c->cmsg_level = SOL_SOCKET;
  c->cmsg_type = SCM_RIGHTS;
  c->cmsg_len = CMSG_LEN(sizeof(int));
  memcpy(CMSG_DATA(c), &pair[0], sizeof(int));
  push_out();
  say("sendmsg", sendmsg(pair[0], m, 0));
  for (int i = 0; i < 3; i++) {
    memset(v[i].iov_base, 0, 3000);
  }
  memset(control, 0, CMSG_SPACE(sizeof(int)));
  m->msg_controllen = CMSG_SPACE(sizeof(int));
  push_out();
  say("recvmsg", recvmsg(pair[1], m, 0));
  uint64_t all = 0;
  for (int i = 0; i < 3; i++) {
    all = all * 3 + checksum(v[i].iov_base, 3000);
  }
  say("recvmsg sum", (long)(all >> 8));
  c = CMSG_FIRSTHDR(m);
  say("descriptor passed", c != NULL && c->cmsg_type == SCM_RIGHTS);

  int *dgram = fresh(2 * sizeof(int));
  socketpair(AF_UNIX, SOCK_DGRAM, 0, dgram);
  push_out();
  say("datagram", write(dgram[0], big, 150000));
  memset(big, 0, 150000);
  push_out();
  say("datagram back", read(dgram[1], big, BIG));
  say("datagram sum", (long)(checksum(big, 150000) >> 8));

  int s = socket(AF_INET, SOCK_STREAM, 0);
  FAR(struct sockaddr_in, a);
  FAR(socklen_t, n);
  FAR(int, value);
  memset(a, 0, sizeof(*a));
  a->sin_family = AF_INET;
  a->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  *value = 1;
  *n = sizeof(*a);
  push_out();
  say("setsockopt",
      setsockopt(s, SOL_SOCKET, SO_REUSEADDR, value, sizeof(int)));
  say("bind", bind(s, (struct sockaddr *)a, sizeof(*a)));
  push_out();
  say("getsockname", getsockname(s, (struct sockaddr *)a, n));
  say("port given", a->sin_port != 0);
  say("listen", listen(s, 5));
  int client = socket(AF_INET, SOCK_STREAM, 0);
  push_out();
  say("connect", connect(client, (struct sockaddr *)a, sizeof(*a)));
  push_out();
  int server = accept(s, (struct sockaddr *)a, n);
  say("accept", server >= 0);
  say("address length", (long)*n);
  push_out();
  say("getpeername", getpeername(client, (struct sockaddr *)a, n));
  *n = sizeof(int);
  push_out();
  say("getsockopt", getsockopt(s, SOL_SOCKET, SO_TYPE, value, n));
  say("type", *value == SOCK_STREAM);
  say("sendto", sendto(client, far_string("hello"), 5, 0, NULL, 0));
  char *small = fresh(100);
  say("recvfrom", recvfrom(server, small, 100, 0, NULL, NULL));
  printf("%.5s\n", small);
  say("FIONREAD", (push_out(), ioctl(server, FIONREAD, value)));
  say("bytes", *value);
  FAR(struct winsize, w);
  say("TIOCGWINSZ on a socket", ioctl(server, TIOCGWINSZ, w));
  close(s);
  close(client);
  close(server);
}

static void readiness(void) {
  int *p = fresh(2 * sizeof(int));
  say("pipe", pipe(p));
  struct pollfd *fds = fresh(2 * sizeof(*fds));
  fds[0] = (struct pollfd){.fd = p[0], .events = POLLIN};
  fds[1] = (struct pollfd){.fd = p[1], .events = POLLOUT};
  push_out();
  say("poll", poll(fds, 2, 0));
  say("writable", fds[1].revents == POLLOUT);
  say("write", write(p[1], far_string("x"), 1));
  FAR(fd_set, r);
  FAR(struct timeval, tv);
  FD_ZERO(r);
  FD_SET(p[0], r);
  *tv = (struct timeval){1, 0};
  push_out();
  say("select", select(p[0] + 1, r, NULL, NULL, tv));
  say("readable", FD_ISSET(p[0], r));
  FAR(struct timespec, ts);
  FAR(sigset_t, mask);
  sigfillset(mask);
  *ts = (struct timespec){0, 1000};
  push_out();
  say("ppoll", ppoll(fds, 2, ts, mask));
  say("pselect", (FD_SET(p[0], r), pselect(p[0] + 1, r, NULL, NULL, ts, mask)));
  int e = epoll_create1(0);
  FAR(struct epoll_event, ev);
  *ev = (struct epoll_event){.events = EPOLLIN, .data.u64 = 77};
  push_out();
  say("epoll_ctl", epoll_ctl(e, EPOLL_CTL_ADD, p[0], ev));
  struct epoll_event *out = fresh(1000 * sizeof(*out));
  say("epoll_wait", epoll_wait(e, out, 1000, 0));
  say("data", (long)out->data.u64);
  push_out();
  say("epoll_pwait", epoll_pwait(e, out, 10, 0, mask));
  FAR(uint64_t, count);
  int ef = eventfd(5, 0);
  push_out();
  say("eventfd_read", eventfd_read(ef, count));
  say("count", (long)*count);
  int tf = timerfd_create(CLOCK_MONOTONIC, 0);
  FAR(struct itimerspec, it);
  memset(it, 0, sizeof(*it));
  it->it_value.tv_nsec = 1000;
  push_out();
  say("timerfd_settime", timerfd_settime(tf, 0, it, NULL));
  push_out();
  say("timerfd read", read(tf, count, 8));
  say("expired", *count >= 1);
}

static void time_and_limits(void) {
  FAR(struct timespec, t);
  FAR(struct timespec, left);
  FAR(struct rusage, u);
  FAR(struct rlimit, l);
  FAR(struct utsname, un);
  FAR(struct sysinfo, si);
  FAR(struct tms, tm);
  FAR(cpu_set_t, cpus);
  FAR(struct itimerval, iv);
  push_out();
  say("clock_gettime", clock_gettime(CLOCK_PROCESS_CPUTIME_ID, t));
  say("clock_getres", (push_out(), clock_getres(CLOCK_MONOTONIC, t)));
  *t = (struct timespec){0, 1000};
  push_out();
  say("nanosleep", nanosleep(t, left));
  push_out();
  say("clock_nanosleep", clock_nanosleep(CLOCK_MONOTONIC, 0, t, left));
  say("getrusage", getrusage(RUSAGE_SELF, u));
  say("getrlimit", getrlimit(RLIMIT_NOFILE, l));
  push_out();
  say("setrlimit", setrlimit(RLIMIT_NOFILE, l));
  push_out();
  say("prlimit", prlimit(0, RLIMIT_CORE, NULL, l));
  say("uname", uname(un));
  printf("%s\n", un->sysname);
  say("sysinfo", sysinfo(si));
  say("times", times(tm) != -1);
  push_out();
  say("sched_getaffinity", sched_getaffinity(0, sizeof(*cpus), cpus));
  push_out();
  say("sched_setaffinity", sched_setaffinity(0, sizeof(*cpus), cpus));
  push_out();
  say("pthread_getaffinity_np",
      pthread_getaffinity_np(pthread_self(), sizeof(*cpus), cpus));
  say("getitimer", getitimer(ITIMER_REAL, iv));
  unsigned char *random = fresh(5000);
  push_out();
  say("getrandom", getrandom(random, 5000, 0));
  say("getentropy", (push_out(), getentropy(random, 256)));
  gid_t *groups = fresh(256 * sizeof(gid_t));
  say("getgroups", getgroups(256, groups) >= 0);
  char *name = far_string("far-name");
  say("pthread_setname_np", pthread_setname_np(pthread_self(), name));
  push_out();
  say("pthread_getname_np",
      pthread_getname_np(pthread_self(), name, 9) == ERANGE);
}

static void memory_calls(void) {
  unsigned char *p = aligned_alloc(4096, 64 << 10);
  memset(p, 7, 64 << 10);
  say("madvise DONTNEED", madvise(p, 16 << 10, MADV_DONTNEED));
  say("zero", p[0] == 0 && p[(16 << 10) - 1] == 0);
  say("kept", p[16 << 10] == 7);
  say("madvise WILLNEED", madvise(p, 64 << 10, MADV_WILLNEED));
  say("madvise unaligned", madvise(p + 1, 4096, MADV_DONTNEED));
  say("posix_madvise", posix_madvise(p, 64 << 10, POSIX_MADV_DONTNEED));
  say("still kept", p[20 << 10] == 7);
  say("mprotect rw", mprotect(p, 4096, PROT_READ | PROT_WRITE));
  unsigned char *vec = fresh(32);
  void *m = mmap(NULL, 8192, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  push_out();
  say("mincore", mincore(m, 8192, vec));
  say("munmap", munmap(m, 8192));
  free(p);
}

static void by_number(void) {
  int *p = fresh(2 * sizeof(int));
  say("SYS_pipe2", syscall(SYS_pipe2, p, 0));
  char *text = far_string("by number");
  say("SYS_write", syscall(SYS_write, p[1], text, 9));
  push_out();
  say("SYS_read", syscall(SYS_read, p[0], text, 9));
  FAR(int, word);
  FAR(struct timespec, t);
  *word = 3;
  *t = (struct timespec){0, 1000000};
  push_out();
  say("futex other value", syscall(SYS_futex, word, 0, 4, NULL, NULL, 0));
  push_out();
  say("futex timeout", syscall(SYS_futex, word, 0, 3, t, NULL, 0));
  push_out();
  say("futex wake", syscall(SYS_futex, word, 1, 1, NULL, NULL, 0));
  FAR(struct utsname, un);
  push_out();
  say("SYS_uname", syscall(SYS_uname, un));
  push_out();
  say("SYS_clock_gettime", syscall(SYS_clock_gettime, CLOCK_MONOTONIC, t));
}

static void children(void) {
  FAR(int, status);
  FAR(struct rusage, u);
  pid_t pid = fork();
  if (pid == 0) {
    _exit(7);
  }
  push_out();
  say("waitpid", waitpid(pid, status, 0) == pid);
  say("status", WEXITSTATUS(*status));
  pid = fork();
  if (pid == 0) {
    _exit(8);
  }
  push_out();
  say("wait4", wait4(pid, status, 0, u) == pid);
  say("status", WEXITSTATUS(*status));
  pid = fork();
  if (pid == 0) {
    _exit(9);
  }
  FAR(siginfo_t, info);
  push_out();
  say("waitid", waitid(P_PID, (id_t)pid, info, WEXITED));
  say("status", info->si_status);
}

int main(void) {
  setvbuf(stdout, NULL, _IOFBF, 1 << 16);
  sockets();
  readiness();
  time_and_limits();
  memory_calls();
  by_number();
  fflush(stdout);
  children();
  return 0;
}
