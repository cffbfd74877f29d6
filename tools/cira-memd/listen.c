/* SPDX-License-Identifier: Apache-2.0
 *
 * Sockets that take connections. Unix sockets are for this user only (mode
 * 600); one left by a server that died is replaced, one that answers is an
 * error. TCP means loopback unless the URL says otherwise.
 */
#include "server.h"

#include "base/sys.h"
#include "fabric/link.h"
#include "fabric/url.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/un.h>

typedef union {
  struct sockaddr any;
  struct sockaddr_un un;
  struct sockaddr_in in4;
  struct sockaddr_in6 in6;
  struct sockaddr_storage storage;
} address_t;

/* "1.2.3.4:55" or "[::1]:55". */
static void address_text(const address_t *a, char *buf, size_t bytes) {
  char host[INET6_ADDRSTRLEN] = "?";
  if (a->any.sa_family == AF_INET) {
    inet_ntop(AF_INET, &a->in4.sin_addr, host, sizeof(host));
    cira__format(buf, bytes, "%s:%u", host, ntohs(a->in4.sin_port));
  } else {
    inet_ntop(AF_INET6, &a->in6.sin6_addr, host, sizeof(host));
    cira__format(buf, bytes, "[%s]:%u", host, ntohs(a->in6.sin6_port));
  }
}

/* True when a server answers at the path. */
static bool path_alive(const struct sockaddr_un *at) {
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  bool alive =
      fd >= 0 && (connect(fd, (const struct sockaddr *)at, sizeof(*at)) == 0 ||
                  errno == EAGAIN);
  if (fd >= 0) {
    (void)close(fd);
  }
  return alive;
}

static int bind_private(int fd, const struct sockaddr_un *at) {
  mode_t before = umask(0177);
  int r = bind(fd, (const struct sockaddr *)at, sizeof(*at));
  int error = errno;
  (void)umask(before);
  errno = error;
  return r;
}

static cira_status_t open_unix(const char *url, const cira__url_t *parsed,
                               listener_t *l) {
  struct sockaddr_un at = {.sun_family = AF_UNIX};
  struct stat st;
  if (parsed->path[0]) {
    memcpy(at.sun_path, parsed->path, sizeof(at.sun_path));
  } else {
    cira_status_t s = cira__url_shm_path(at.sun_path, sizeof(at.sun_path));
    if (s != CIRA_OK) {
      return s;
    }
  }
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) {
    return cira__fail_errno(CIRA_E_SYSTEM, errno, "%s: no socket", url);
  }
  int r = bind_private(fd, &at);
  if (r < 0 && errno == EADDRINUSE && lstat(at.sun_path, &st) == 0 &&
      S_ISSOCK(st.st_mode)) {
    if (path_alive(&at)) {
      (void)close(fd);
      return cira__fail(CIRA_E_BUSY,
                        "%s: a server already listens at '%s'; use that one or "
                        "another path",
                        url, at.sun_path);
    }
    (void)unlink(at.sun_path); /* its server died */
    r = bind_private(fd, &at);
  }
  if (r < 0 || listen(fd, SOMAXCONN) < 0 || stat(at.sun_path, &st) < 0) {
    int error = errno;
    (void)close(fd);
    return cira__fail_errno(CIRA_E_SYSTEM, error, "%s: cannot listen at '%s'",
                            url, at.sun_path);
  }
  memcpy(l->path, at.sun_path, sizeof(l->path));
  l->inode = st.st_ino;
  l->source.fd = fd;
  cira__format(l->url, sizeof(l->url), "%s:%s",
               parsed->kind == CIRA__URL_SHM ? "shm" : "unix", at.sun_path);
  return CIRA_OK;
}

static cira_status_t resolve(const char *url, const cira__url_t *parsed,
                             address_t *out, socklen_t *out_bytes) {
  char port[8];
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
  struct addrinfo *list = NULL;
  cira__format(port, sizeof(port), "%u", (unsigned)parsed->port);
  int error = getaddrinfo(parsed->host[0] ? parsed->host : "127.0.0.1", port,
                          &hints, &list);
  if (error) {
    return cira__fail(CIRA_E_INVALID, "%s: cannot find host '%s': %s", url,
                      parsed->host, gai_strerror(error));
  }
  memcpy(out, list->ai_addr, list->ai_addrlen);
  *out_bytes = list->ai_addrlen;
  freeaddrinfo(list);
  return CIRA_OK;
}

static cira_status_t open_tcp(const char *url, const cira__url_t *parsed,
                              listener_t *l) {
  address_t at = {0};
  socklen_t bytes = 0;
  int on = 1;
  cira_status_t s = resolve(url, parsed, &at, &bytes);
  if (s != CIRA_OK) {
    return s;
  }
  int fd =
      socket(at.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd >= 0) {
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    cira__link_tune(fd); /* the window scale is agreed on at accept */
  }
  if (fd < 0 || bind(fd, &at.any, bytes) < 0 || listen(fd, SOMAXCONN) < 0) {
    int error = errno;
    if (fd >= 0) {
      (void)close(fd);
    }
    return cira__fail_errno(CIRA_E_SYSTEM, error, "%s: cannot listen there",
                            url);
  }
  bytes = sizeof(at);
  (void)getsockname(fd, &at.any, &bytes);
  char text[64];
  address_text(&at, text, sizeof(text));
  cira__format(l->url, sizeof(l->url), "tcp://%s", text);
  l->source.fd = fd;
  return CIRA_OK;
}

cira_status_t listener_open(server_t *s, const char *url) {
  cira__url_t parsed;
  cira_status_t status = cira__url_parse(url, strlen(url), &parsed);
  if (status != CIRA_OK) {
    return status;
  }
  if (s->listener_count == LISTENERS_MAX) {
    return cira__fail(CIRA_E_INVALID, "more than %u --listen", LISTENERS_MAX);
  }
  listener_t *l = &s->listener[s->listener_count];
  *l = (listener_t){.source = {.kind = SOURCE_LISTENER, .fd = -1}};
  switch (parsed.kind) {
  case CIRA__URL_TCP:
    status = open_tcp(url, &parsed, l);
    break;
  case CIRA__URL_SHM:
  case CIRA__URL_UNIX:
    status = open_unix(url, &parsed, l);
    break;
  default:
    return cira__fail(CIRA_E_INVALID,
                      "--listen %s: a server listens at shm:, shm:PATH, "
                      "unix:PATH or tcp://HOST:PORT",
                      url);
  }
  if (status == CIRA_OK) {
    s->listener_count++;
    status = loop_watch(s, &l->source, EPOLLIN);
  }
  return status;
}

static void peer_text(int fd, const address_t *at, char *buf, size_t bytes) {
  if (at->any.sa_family == AF_UNIX) {
    struct ucred cred = {0};
    socklen_t n = sizeof(cred);
    (void)getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &n);
    cira__format(buf, bytes, "process %d", cred.pid);
  } else {
    address_text(at, buf, bytes);
  }
}

void listener_accept(server_t *s, listener_t *l) {
  for (unsigned i = 0; i < 64; i++) { /* then let the others have a turn */
    address_t at = {0};
    socklen_t bytes = sizeof(at);
    char peer[80];
    int fd =
        accept4(l->source.fd, &at.any, &bytes, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
      if (errno == EMFILE || errno == ENFILE) {
        CIRA_LOG(CIRA_LOG_WARN,
                 "memd: no descriptors left for another client; raise "
                 "'ulimit -n'");
      }
      return;
    }
    peer_text(fd, &at, peer, sizeof(peer));
    bool local = l->path[0] != 0;
    client_t *c = s->client_count < CLIENTS_MAX
                      ? client_create(s, fd, local, peer)
                      : NULL;
    if (!c) {
      CIRA_LOG(CIRA_LOG_WARN, "memd: no room for another client (%s)", peer);
      (void)close(fd);
      continue;
    }
    cira__link_tune(fd);
    c->index = s->client_count;
    s->client[s->client_count++] = c;
    c->watching = EPOLLIN;
    if (loop_watch(s, &c->source, EPOLLIN) != CIRA_OK) {
      client_end(c, cira_status_detail(), true);
    }
  }
}

void listeners_close(server_t *s) {
  for (uint32_t i = 0; i < s->listener_count; i++) {
    listener_t *l = &s->listener[i];
    struct stat st;
    (void)close(l->source.fd);
    if (l->path[0] && stat(l->path, &st) == 0 && st.st_ino == l->inode) {
      (void)unlink(l->path);
    }
  }
  s->listener_count = 0;
}
