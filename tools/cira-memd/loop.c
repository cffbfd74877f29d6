/* SPDX-License-Identifier: Apache-2.0
 *
 * The one thread. While requests come in it spins over the clients that were
 * active lately (a wake-up costs several times the network) and looks at
 * everything else now and then; when nothing came for spin_ns it sleeps in
 * epoll. With --poll it never sleeps.
 */
#include "server.h"

#include "base/sys.h"

#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>

#define EVENTS_MAX 64
#define LOOK_EVERY 32u              /* rounds of spinning between epoll calls */
#define ACTIVE_NS 1000000u          /* 1 ms: then epoll is told to look */
#define HANDSHAKE_NS 10000000000ull /* 10 s to say who one is */
#define LOOK_NS 1000000000u         /* 1 s: most that one look counts of it */

cira_status_t loop_watch(server_t *s, source_t *source, uint32_t events) {
  struct epoll_event e = {.events = events, .data.ptr = source};
  if (epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, source->fd, &e) < 0) {
    return cira__fail_errno(CIRA_E_SYSTEM, errno, "cannot watch descriptor %d",
                            source->fd);
  }
  return CIRA_OK;
}

void loop_rewatch(client_t *c, uint32_t events) {
  if (c->watching == events) {
    return;
  }
  struct epoll_event e = {.events = events, .data.ptr = &c->source};
  (void)epoll_ctl(c->server->epoll_fd, EPOLL_CTL_MOD, c->source.fd, &e);
  c->watching = events;
}

/* Others have the descriptor, too: closing ours would not end the watch. */
void loop_unwatch(client_t *c) {
  (void)epoll_ctl(c->server->epoll_fd, EPOLL_CTL_DEL, c->source.fd, NULL);
}

cira_status_t loop_init(server_t *s, int lifeline_fd) {
  sigset_t set;
  s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  if (s->epoll_fd < 0) {
    return cira__fail_errno(CIRA_E_SYSTEM, errno, "no epoll");
  }
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGHUP);
  (void)sigprocmask(SIG_BLOCK, &set, NULL);
  s->signals = (source_t){.kind = SOURCE_SIGNAL};
  s->signals.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  if (s->signals.fd < 0) {
    return cira__fail_errno(CIRA_E_SYSTEM, errno, "no signalfd");
  }
  cira_status_t status = loop_watch(s, &s->signals, EPOLLIN);
  s->lifeline = (source_t){.kind = SOURCE_LIFELINE, .fd = lifeline_fd};
  if (status == CIRA_OK && lifeline_fd >= 0) {
    status = loop_watch(s, &s->lifeline, EPOLLIN);
    if (status != CIRA_OK) {
      cira__fail(status,
                 "--until-eof %d: not an open pipe or socket of this process",
                 lifeline_fd);
    }
  }
  s->since_ns = cira__now_ns();
  s->looked_ns = s->since_ns;
  return status;
}

static void bury(server_t *s) {
  while (s->dead) {
    client_t *c = s->dead;
    s->dead = c->next_dead;
    client_free(c);
  }
}

static void lifeline_read(server_t *s) {
  char ignored[256];
  long n = cira__sys_read(s->lifeline.fd, ignored, sizeof(ignored));
  if (n == 0 || (n < 0 && n != -EAGAIN && n != -EINTR)) {
    (void)epoll_ctl(s->epoll_fd, EPOLL_CTL_DEL, s->lifeline.fd, NULL);
    s->lifeline_ended = true;
  }
}

static void serve(server_t *s, client_t *c, uint64_t now_ns) {
  if (client_serve(c)) {
    s->active_ns = now_ns;
    c->active_ns = now_ns;
  }
}

static void dispatch(server_t *s, source_t *source, uint64_t now_ns) {
  switch (source->kind) {
  case SOURCE_LISTENER:
    listener_accept(s, (listener_t *)source);
    s->active_ns = now_ns;
    break;
  case SOURCE_CLIENT:
    serve(s, (client_t *)source, now_ns);
    break;
  case SOURCE_SIGNAL:
    s->stop = true;
    break;
  case SOURCE_LIFELINE:
    lifeline_read(s);
    break;
  }
}

/* Clients that connected and never said who they are. Time counts only as far
 * as we were there to listen: when this process or the whole machine stood
 * still, the client may not have had its turn either, and what it sent may not
 * have been looked at. Returns how long we may sleep, in milliseconds. */
static int handshakes_expire(server_t *s, uint64_t now_ns) {
  int wait_ms = -1;
  for (uint32_t i = s->client_count; i-- > 0;) {
    client_t *c = s->client[i];
    if (c->state == CLIENT_READY) {
      continue;
    }
    wait_ms = LOOK_NS / 1000000;
    uint64_t from_ns = cira__max_u64(s->looked_ns, c->since_ns);
    if (now_ns > from_ns) { /* it may have come after now_ns was read */
      c->silent_ns += cira__min_u64(now_ns - from_ns, LOOK_NS);
    }
    if (c->silent_ns > HANDSHAKE_NS) {
      client_end(c, "no handshake within 10 s", true);
    }
  }
  s->looked_ns = now_ns;
  return wait_ms;
}

void loop_run(server_t *s) {
  struct epoll_event events[EVENTS_MAX];
  uint32_t round = 0;
  while (!s->stop && !(s->lifeline_ended && s->client_count == 0)) {
    uint64_t now_ns = cira__now_ns();
    bool spin = s->poll || now_ns - s->active_ns < s->spin_ns;
    uint32_t active = 0;
    for (uint32_t i = s->client_count; spin && i-- > 0;) {
      client_t *c = s->client[i];
      if (now_ns - c->active_ns < ACTIVE_NS) {
        active++;
        serve(s, c, now_ns);
      }
    }
    if (!spin || !active || ++round % LOOK_EVERY == 0) {
      int wait_ms = spin ? 0 : handshakes_expire(s, now_ns);
      int n = epoll_wait(s->epoll_fd, events, EVENTS_MAX, wait_ms);
      now_ns = cira__now_ns();
      for (int i = 0; i < n; i++) {
        dispatch(s, events[i].data.ptr, now_ns);
      }
      if (spin && round % (LOOK_EVERY * 1024) == 0) {
        (void)handshakes_expire(s, now_ns);
      }
    }
    bury(s);
  }
}

void loop_fini(server_t *s) {
  while (s->client_count) {
    client_end(s->client[0], "the server ends", false);
  }
  bury(s);
  listeners_close(s);
  (void)close(s->signals.fd);
  (void)close(s->epoll_fd);
}
