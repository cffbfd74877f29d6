/* SPDX-License-Identifier: Apache-2.0
 *
 * Dialling and the blocking side of the protocol, see link.h.
 */
#include "fabric/link.h"

#include "base/sys.h"
#include "fabric/auth.h"
#include "fabric/internal.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#define BUFFER_BYTES (4 << 20) /* 4 MiB; the kernel doubles or cuts it */

typedef union {
  struct sockaddr any;
  struct sockaddr_un un;
  struct sockaddr_in in4;
  struct sockaddr_in6 in6;
  struct sockaddr_storage storage;
} address_t;

cira_status_t cira__link_broken(const char *url, int error) {
  if (error == 0 || error == ECONNRESET || error == EPIPE) {
    return cira__fail(CIRA_E_DISCONNECTED,
                      "%s: the server closed the connection (it ended or was "
                      "killed)",
                      url);
  }
  return cira__fail_errno(CIRA_E_DISCONNECTED, error,
                          "%s: the connection broke", url);
}

cira_status_t cira__link_refused(const char *url, const cira__wire_reply_t *r) {
  switch (r->status) {
  case CIRA_E_AUTH:
    return cira__fail(r->status,
                      "%s: the server wants another token; use the token file "
                      "it was started with",
                      url);
  case CIRA_E_QUOTA:
    return cira__fail(r->status,
                      r->flags & CIRA__COMMIT_F_CLIENT
                          ? "%s: this client's quota is used up; start "
                            "cira-memd with a larger --quota"
                          : "%s: the server is full; start cira-memd with a "
                            "larger --size",
                      url);
  case CIRA_E_RANGE:
    return cira__fail(r->status, "%s: outside of the region", url);
  case CIRA_E_INVALID:
    return cira__fail(r->status,
                      "%s: the server knows no such region or ticket", url);
  default:
    return cira__fail(r->status, "%s: the server refused: %s", url,
                      cira_status_name(r->status));
  }
}

bool cira__link_gone(int fd) {
  char byte;
  long n = cira__sys_recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return n == 0 || (n < 0 && n != -EAGAIN && n != -EINTR);
}

/* Without privilege the kernel cuts at [rw]mem_max, and a fixed size switches
 * TCP's own growth (to several MiB) off: then leave it alone. */
static void buffer_tune(int fd, int force, int plain, bool tcp) {
  int bytes = BUFFER_BYTES;
  if (setsockopt(fd, SOL_SOCKET, force, &bytes, sizeof(bytes)) < 0 && !tcp) {
    (void)setsockopt(fd, SOL_SOCKET, plain, &bytes, sizeof(bytes));
  }
}

void cira__link_tune(int fd) {
  int on = 1;
  bool tcp = setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) == 0;
  buffer_tune(fd, SO_SNDBUFFORCE, SO_SNDBUF, tcp);
  buffer_tune(fd, SO_RCVBUFFORCE, SO_RCVBUF, tcp);
  if (tcp) { /* a host that vanished is noticed after two minutes of silence */
    int idle_s = 60;
    int interval_s = 15;
    int probes = 4;
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof(idle_s));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_s,
                     sizeof(interval_s));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof(probes));
  }
}

/* Sleeps until `events`; CIRA_E_DEADLINE when they stay away. */
static cira_status_t ready_wait(const cira__link_t *link, short events) {
  uint64_t now_ns = cira__now_ns();
  if (now_ns >= link->deadline_ns) {
    return cira__fail(CIRA_E_DEADLINE,
                      "%s: the server gave no answer before the deadline",
                      link->url);
  }
  struct pollfd pfd = {.fd = link->fd, .events = events};
  (void)cira__sys_poll(&pfd, 1, (int64_t)(link->deadline_ns - now_ns));
  return CIRA_OK;
}

cira_status_t cira__link_send(const cira__link_t *link, const void *bytes,
                              uint64_t count) {
  const uint8_t *from = bytes;
  while (count) {
    long n = cira__sys_send(link->fd, from, count, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n == -EAGAIN || n == -EINTR) {
      cira_status_t s = ready_wait(link, POLLOUT);
      if (s != CIRA_OK) {
        return s;
      }
      continue;
    }
    if (n < 0) {
      return cira__link_broken(link->url, (int)-n);
    }
    from += n;
    count -= (uint64_t)n;
  }
  return CIRA_OK;
}

/* The descriptor that came with a message, -1 when none did. */
static int descriptor_of(struct msghdr *msg) {
  for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
    if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
      int fd;
      memcpy(&fd, CMSG_DATA(c), sizeof(fd));
      return fd;
    }
  }
  return -1;
}

cira_status_t cira__link_recv(const cira__link_t *link, void *bytes,
                              uint64_t count, int *out_fd) {
  uint8_t *to = bytes;
  int got = -1;
  while (count) {
    union {
      struct cmsghdr align;
      char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec iov = {.iov_base = to, .iov_len = count};
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = out_fd ? control.bytes : NULL,
                         .msg_controllen = out_fd ? sizeof(control.bytes) : 0};
    long n = cira__sys_recvmsg(link->fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    cira_status_t s = CIRA_OK;
    if (n == -EAGAIN || n == -EINTR) {
      s = ready_wait(link, POLLIN);
      n = 0;
    } else if (n <= 0) {
      s = cira__link_broken(link->url, (int)-n);
    } else if (out_fd && got < 0) {
      got = descriptor_of(&msg);
    }
    if (s != CIRA_OK) {
      if (got >= 0) {
        (void)cira__sys_close(got);
      }
      return s;
    }
    to += n;
    count -= (uint64_t)n;
  }
  if (out_fd) {
    *out_fd = got;
  }
  return CIRA_OK;
}

cira_status_t cira__link_call(const cira__link_t *link,
                              cira__wire_request_t *request, const void *body,
                              uint64_t body_bytes, cira__wire_reply_t *out,
                              void *reply, uint64_t reply_bytes, int *out_fd) {
  uint8_t frame[CIRA__REQUEST_BYTES + 32];
  uint8_t head[CIRA__REPLY_BYTES];
  const char *why = NULL;
  request->version = CIRA__PROTO_VERSION;
  memcpy(frame, request, CIRA__REQUEST_BYTES);
  if (body_bytes) {
    memcpy(frame + CIRA__REQUEST_BYTES, body, body_bytes);
  }
  cira_status_t s =
      cira__link_send(link, frame, CIRA__REQUEST_BYTES + body_bytes);
  int fd = -1;
  if (s == CIRA_OK) {
    s = cira__link_recv(link, head, sizeof(head), out_fd ? &fd : NULL);
  }
  if (s != CIRA_OK) {
    return s;
  }
  s = cira__reply_parse(head, request->op, 0, reply_bytes, out, &why);
  if (s != CIRA_OK) {
    cira__fail(s, "%s: the server sent %s", link->url, why);
  } else if (reply_bytes) {
    s = cira__link_recv(link, reply, reply_bytes, NULL);
  }
  if (s == CIRA_OK && out_fd) {
    *out_fd = fd;
  } else if (fd >= 0) {
    (void)cira__sys_close(fd);
  }
  return s;
}

/* ---- handshake ---------------------------------------------------------- */

static cira_status_t prove(const cira__link_t *link, const uint8_t *key,
                           const uint8_t *mine, const uint8_t *theirs) {
  uint8_t proof[CIRA__AUTH_BYTES];
  uint8_t shown[CIRA__AUTH_BYTES];
  uint8_t expected[CIRA__AUTH_BYTES];
  cira__wire_reply_t reply;
  cira__wire_request_t request = {.op = CIRA__OP_PROOF,
                                  .length = sizeof(proof)};
  cira__auth_proof(key, CIRA__AUTH_CLIENT, mine, theirs, proof);
  cira_status_t s = cira__link_call(link, &request, proof, sizeof(proof),
                                    &reply, shown, sizeof(shown), NULL);
  if (s != CIRA_OK) {
    return s;
  }
  if (reply.status != CIRA_OK) {
    return cira__link_refused(link->url, &reply);
  }
  cira__auth_proof(key, CIRA__AUTH_SERVER, mine, theirs, expected);
  if (!cira__auth_equal(shown, expected)) {
    return cira__fail(CIRA_E_AUTH,
                      "%s: the server does not know our token; it is not the "
                      "server you mean",
                      link->url);
  }
  return CIRA_OK;
}

static cira_status_t hello(const cira__link_t *link, const char *token_file,
                           bool descriptors, uint32_t *out_offer) {
  uint8_t mine[CIRA__AUTH_BYTES];
  uint8_t theirs[CIRA__AUTH_BYTES];
  uint8_t key[CIRA__AUTH_BYTES];
  cira__wire_reply_t reply;
  cira__wire_request_t request = {
      .op = CIRA__OP_HELLO,
      .flags = descriptors ? CIRA__HELLO_F_DESCRIPTORS : 0,
      .offset = CIRA__PROTO_MAGIC,
      .length = sizeof(mine)};
  cira_status_t s = CIRA_OK;
  if (token_file) {
    s = cira__auth_key_load(token_file, key);
    if (s != CIRA_OK) {
      return s;
    }
  }
  cira__auth_nonce(mine);
  s = cira__link_call(link, &request, mine, sizeof(mine), &reply, theirs,
                      sizeof(theirs), NULL);
  if (s == CIRA_OK && reply.status != CIRA_OK) {
    s = cira__link_refused(link->url, &reply);
  }
  bool wanted = s == CIRA_OK && (reply.flags & CIRA__HELLO_F_TOKEN);
  if (s == CIRA_OK && wanted && !token_file) {
    s = cira__fail(CIRA_E_AUTH,
                   "%s: the server wants a token; give the token file it was "
                   "started with",
                   link->url);
  } else if (s == CIRA_OK && !wanted && token_file) {
    s = cira__fail(CIRA_E_AUTH,
                   "%s: we have a token but the server was started without "
                   "--token-file; it is not the server you mean",
                   link->url);
  } else if (s == CIRA_OK && wanted) {
    s = prove(link, key, mine, theirs);
  }
  sodium_memzero(key, sizeof(key));
  if (s == CIRA_OK) {
    *out_offer = reply.flags;
  }
  return s;
}

/* ---- dialling ----------------------------------------------------------- */

static cira_status_t dial_one(const char *url, const address_t *to,
                              socklen_t to_bytes, uint64_t deadline_ns,
                              int *out_fd) {
  int fd =
      socket(to->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) {
    return cira__fail_errno(CIRA_E_SYSTEM, errno, "%s: no socket", url);
  }
  fd = cira__fd_move_high(fd);
  cira__link_tune(fd);
  cira__link_t link = {.fd = fd, .url = url, .deadline_ns = deadline_ns};
  cira_status_t s = CIRA_OK;
  int error = 0;
  /* A Unix socket whose backlog is full says EAGAIN and cannot be waited for
   * with poll: try again for a while. */
  while (connect(fd, &to->any, to_bytes) < 0 && s == CIRA_OK) {
    error = errno;
    if (error == EINPROGRESS || error == EALREADY) {
      s = ready_wait(&link, POLLOUT);
      socklen_t n = sizeof(error);
      (void)getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &n);
      if (s == CIRA_OK && error == 0) {
        struct pollfd pfd = {.fd = fd, .events = POLLOUT};
        s = cira__sys_poll(&pfd, 1, 0) == 1
                ? CIRA_OK
                : cira__fail(CIRA_E_DEADLINE,
                             "%s: the server did not accept the connection "
                             "before the deadline",
                             url);
      }
      break;
    }
    if (error == EAGAIN && cira__now_ns() < deadline_ns) {
      (void)cira__sys_poll(NULL, 0, 1000000 /* 1 ms */);
      error = 0;
    } else if (error == EINTR) {
      error = 0;
    } else {
      break;
    }
  }
  if (s == CIRA_OK && error && error != EISCONN) {
    s = cira__fail_errno(CIRA_E_UNREACHABLE, error,
                         "%s: nobody listens there; start 'cira-memd --listen "
                         "%s --size SIZE' first",
                         url, url);
  }
  if (s != CIRA_OK) {
    (void)cira__sys_close(fd);
    return s;
  }
  *out_fd = fd;
  return CIRA_OK;
}

/* Addresses that names led to. A forked child connects again while the
 * allocator is locked for the fork, and a name lookup allocates. Written before
 * there are threads, by the first connection; a full table only costs lookups.
 */
#define KNOWN_MAX 8
static struct {
  char host[sizeof(((cira__url_t *)0)->host)];
  address_t to;
  socklen_t bytes;
} known[KNOWN_MAX];

static void remember(const char *host, const address_t *to, socklen_t bytes) {
  for (int i = 0; i < KNOWN_MAX; i++) {
    if (known[i].bytes == 0) {
      memcpy(known[i].host, host, strlen(host) + 1);
      known[i].to = *to;
      known[i].bytes = bytes;
      return;
    }
  }
}

static cira_status_t dial_known(const cira__url_t *url, const char *text,
                                uint64_t deadline_ns, int *out_fd) {
  for (int i = 0; i < KNOWN_MAX && known[i].bytes != 0; i++) {
    if (strcmp(known[i].host, url->host) == 0) {
      address_t to = known[i].to;
      to.in4.sin_port = htons(url->port); /* at the same place in both */
      if (dial_one(text, &to, known[i].bytes, deadline_ns, out_fd) == CIRA_OK) {
        return CIRA_OK;
      }
    }
  }
  return CIRA_E_UNREACHABLE;
}

static cira_status_t dial_name(const cira__url_t *url, const char *text,
                               uint64_t deadline_ns, int *out_fd) {
  if (dial_known(url, text, deadline_ns, out_fd) == CIRA_OK) {
    return CIRA_OK;
  }
  char port[8];
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
  struct addrinfo *list = NULL;
  cira__format(port, sizeof(port), "%u", (unsigned)url->port);
  int error = getaddrinfo(url->host, port, &hints, &list);
  if (error) {
    return cira__fail(CIRA_E_UNREACHABLE, "%s: cannot find host '%s': %s", text,
                      url->host, gai_strerror(error));
  }
  cira_status_t s = CIRA_E_UNREACHABLE;
  for (struct addrinfo *a = list; a && s != CIRA_OK; a = a->ai_next) {
    address_t to = {0};
    memcpy(&to, a->ai_addr, cira__min_u64(a->ai_addrlen, sizeof(to.storage)));
    s = dial_one(text, &to, a->ai_addrlen, deadline_ns, out_fd);
    if (s == CIRA_OK) {
      remember(url->host, &to, a->ai_addrlen);
    }
  }
  freeaddrinfo(list);
  return s;
}

static cira_status_t dial_tcp(const cira__url_t *url, const char *text,
                              uint64_t deadline_ns, int *out_fd) {
  address_t to = {0};
  if (url->port == 0) {
    return cira__fail(CIRA_E_INVALID,
                      "%s: port 0 is for servers; give the port that cira-memd "
                      "printed",
                      text);
  }
  /* Numbers first: name lookup allocates, and the heap may be what connects. */
  to.in4.sin_port = htons(url->port);
  const char *host = url->host[0] ? url->host : "127.0.0.1";
  if (inet_pton(AF_INET, host, &to.in4.sin_addr) == 1) {
    to.in4.sin_family = AF_INET;
    return dial_one(text, &to, sizeof(to.in4), deadline_ns, out_fd);
  }
  if (inet_pton(AF_INET6, host, &to.in6.sin6_addr) == 1) {
    to.in6.sin6_family = AF_INET6;
    to.in6.sin6_port = htons(url->port);
    return dial_one(text, &to, sizeof(to.in6), deadline_ns, out_fd);
  }
  return dial_name(url, text, deadline_ns, out_fd);
}

cira_status_t cira__link_open(const char *url, const char *token_file,
                              bool descriptors, uint64_t deadline_ns,
                              int *out_fd) {
  uint32_t offer;
  return cira__link_open_offer(url, token_file, descriptors, deadline_ns,
                               out_fd, &offer);
}

cira_status_t cira__link_open_offer(const char *url, const char *token_file,
                                    bool descriptors, uint64_t deadline_ns,
                                    int *out_fd, uint32_t *out_offer) {
  cira__url_t parsed;
  cira_status_t s = cira__url_parse(url, strlen(url), &parsed);
  if (s != CIRA_OK) {
    return s;
  }
  int fd = -1;
  if (parsed.kind == CIRA__URL_TCP) {
    s = dial_tcp(&parsed, url, deadline_ns, &fd);
  } else {
    address_t to = {.un = {.sun_family = AF_UNIX}};
    if (parsed.path[0]) {
      memcpy(to.un.sun_path, parsed.path, sizeof(to.un.sun_path));
    } else {
      s = cira__url_shm_path(to.un.sun_path, sizeof(to.un.sun_path));
    }
    if (s == CIRA_OK) {
      s = dial_one(url, &to, sizeof(to.un), deadline_ns, &fd);
    }
  }
  if (s != CIRA_OK) {
    return s;
  }
  cira__link_t link = {.fd = fd, .url = url, .deadline_ns = deadline_ns};
  s = hello(&link, token_file, descriptors, out_offer);
  if (s != CIRA_OK) {
    (void)cira__sys_close(fd);
    return s;
  }
  *out_fd = fd;
  return CIRA_OK;
}
