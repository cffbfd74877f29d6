/* SPDX-License-Identifier: Apache-2.0
 *
 * cira-memd: command line. Every bad argument is one line on standard error
 * that names it, and exit code 2; what fails later is one line and 1.
 */
#include "server.h"

#include "base/sys.h"
#include "fabric/url.h"

#include <fcntl.h>
#include <getopt.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SPIN_DEFAULT_NS 1000000u /* 1 ms after the last request */

typedef struct {
  const char *listen[LISTENERS_MAX];
  uint32_t listen_count;
  const char *size;
  const char *quota;
  const char *token_file;
  const char *spin;
  const char *until_eof;
  const char *ready_fd;
  const char *stats;
  const char *kernels[LIBRARIES_MAX];
  uint32_t kernels_count;
  const char *session;
  bool poll;
  bool json;
} arguments_t;

static const char help[] =
    "Usage: cira-memd --listen URL [--listen URL...] --size SIZE [OPTION...]\n"
    "       cira-memd --stats URL [--json] [--token-file FILE]\n"
    "\n"
    "Serves memory to programs that keep their heap in far memory.\n"
    "\n"
    "Options:\n"
    "  --listen URL      where clients connect: shm: or shm:PATH (memory "
    "shared\n"
    "                    with programs of this machine), unix:PATH, or\n"
    "                    tcp://[HOST]:PORT (loopback unless HOST is given; "
    "port\n"
    "                    0 takes a free one); may be given several times\n"
    "  --size SIZE       how much memory clients may commit in total: 512m, "
    "8g\n"
    "  --quota SIZE      how much of it one client may commit (default: all)\n"
    "  --token-file FILE clients must know the secret in FILE (at least 16 "
    "bytes)\n"
    "  --poll            never sleep: fastest, takes one CPU\n"
    "  --spin DURATION   stay awake this long after a request (default 1ms; 0\n"
    "                    where there is only one CPU)\n"
    "  --until-eof FD    end when descriptor FD is closed on its other side "
    "and\n"
    "                    the last client has gone\n"
    "  --daemonize-ready-fd FD\n"
    "                    leave the terminal's session, and write the lines\n"
    "                    'ready URL' to descriptor FD instead of standard "
    "output\n"
    "  --kernels LIB.so  offer the functions of this library to clients, who "
    "call\n"
    "                    them by name beside their data, in processes of their "
    "own\n"
    "                    (cira/kernel.h); may be given several times; off "
    "without it\n"
    "  --stats URL       print the live figures of the server at URL\n"
    "  --json            with --stats: as JSON\n"
    "  --help            show this text\n"
    "  --version         show the version\n"
    "\n"
    "When it serves, it prints one line 'ready URL' per --listen, with the "
    "port\n"
    "or path it got. Unix sockets are for this user only. SIGTERM ends it.\n"
    "\n"
    "Exit status: 0 done, 1 failure, 2 wrong arguments.\n"
    "\n"
    "Environment:\n"
    "  CIRA_FAR_SOCKET   the path of 'shm:' without a path; otherwise\n"
    "                    $XDG_RUNTIME_DIR/cira-memd.sock, or\n"
    "                    /tmp/cira-memd-UID.sock\n"
    "  CIRA_LOG          error, warn (default), info or debug\n"
    "\n"
    "Examples:\n"
    "  cira-memd --listen shm: --size 8g\n"
    "  cira-memd --listen unix:/run/far.sock --size 8g --kernels ./sums.so\n"
    "  cira-memd --listen tcp://0.0.0.0:7070 --size 64g --token-file key "
    "--poll\n";

static _Noreturn void usage(const char *fmt, ...) CIRA_PRINTF(1, 2);
static _Noreturn void usage(const char *fmt, ...) {
  char text[400];
  va_list ap;
  va_start(ap, fmt);
  cira__vformat(text, sizeof(text), fmt, ap);
  va_end(ap);
  fprintf(stderr, "cira-memd: %s\n", text);
  exit(2);
}

static _Noreturn void fail(void) {
  fprintf(stderr, "cira-memd: %s\n", cira_status_detail());
  exit(1);
}

static void arguments_parse(int argc, char **argv, arguments_t *a) {
  enum {
    LISTEN = 256,
    SIZE,
    QUOTA,
    TOKEN,
    POLL,
    SPIN,
    EOF_FD,
    READY,
    STATS,
    KERNELS,
    SESSION,
    JSON,
    HELP,
    VERSION
  };
  static const struct option options[] = {
      {"listen", required_argument, NULL, LISTEN},
      {"size", required_argument, NULL, SIZE},
      {"quota", required_argument, NULL, QUOTA},
      {"token-file", required_argument, NULL, TOKEN},
      {"poll", no_argument, NULL, POLL},
      {"spin", required_argument, NULL, SPIN},
      {"until-eof", required_argument, NULL, EOF_FD},
      {"daemonize-ready-fd", required_argument, NULL, READY},
      {"stats", required_argument, NULL, STATS},
      {"kernels", required_argument, NULL, KERNELS},
      {"kernel-session", required_argument, NULL, SESSION},
      {"json", no_argument, NULL, JSON},
      {"help", no_argument, NULL, HELP},
      {"version", no_argument, NULL, VERSION},
      {0}};
  opterr = 0;
  for (int c; (c = getopt_long(argc, argv, ":", options, NULL)) != -1;) {
    switch (c) {
    case LISTEN:
      if (a->listen_count == LISTENERS_MAX) {
        usage("more than %u --listen", LISTENERS_MAX);
      }
      a->listen[a->listen_count++] = optarg;
      break;
    case SIZE:
      a->size = optarg;
      break;
    case QUOTA:
      a->quota = optarg;
      break;
    case TOKEN:
      a->token_file = optarg;
      break;
    case POLL:
      a->poll = true;
      break;
    case SPIN:
      a->spin = optarg;
      break;
    case EOF_FD:
      a->until_eof = optarg;
      break;
    case READY:
      a->ready_fd = optarg;
      break;
    case STATS:
      a->stats = optarg;
      break;
    case KERNELS:
      if (a->kernels_count == LIBRARIES_MAX) {
        usage("more than %u --kernels", LIBRARIES_MAX);
      }
      a->kernels[a->kernels_count++] = optarg;
      break;
    case SESSION: /* how a server starts its own helper */
      a->session = optarg;
      break;
    case JSON:
      a->json = true;
      break;
    case HELP:
      fputs(help, stdout);
      exit(0);
    case VERSION:
      printf("cira-memd (cira) %s\n", CIRA_VERSION);
      exit(0);
    case ':':
      usage("%s needs a value; see --help", argv[optind - 1]);
    default:
      usage("'%s' is not an option; see --help", argv[optind - 1]);
    }
  }
  if (optind < argc) {
    usage("'%s' is not an option; see --help", argv[optind]);
  }
}

/* A descriptor number that is open. */
static int descriptor_parse(const char *text, const char *what) {
  uint64_t fd;
  if (cira__parse_u64(text, what, 1 << 20, &fd) != CIRA_OK) {
    usage("%s", cira_status_detail());
  }
  if (fcntl((int)fd, F_GETFD) < 0) {
    usage("%s: descriptor %s is not open", what, text);
  }
  return (int)fd;
}

static uint64_t size_parse(const char *text, const char *what) {
  uint64_t bytes;
  if (cira__parse_size(text, what, &bytes) != CIRA_OK) {
    usage("%s", cira_status_detail());
  }
  if (bytes < CIRA_PAGE_BYTES) {
    usage("%s %s is less than one page of %u bytes", what, text,
          CIRA_PAGE_BYTES);
  }
  return bytes;
}

/* MemAvailable of /proc/meminfo in bytes, 0 when it does not say. */
static uint64_t memory_available(void) {
  FILE *f = fopen("/proc/meminfo", "re");
  char line[128];
  unsigned long long kib = 0;
  while (f && fgets(line, sizeof(line), f)) {
    if (sscanf(line, "MemAvailable: %llu kB", &kib) == 1) {
      break;
    }
  }
  if (f) {
    (void)fclose(f);
  }
  return (uint64_t)kib << 10;
}

static void settings_fill(server_t *s, const arguments_t *a) {
  if (a->listen_count == 0) {
    usage("--listen is missing, as in --listen shm: or --listen "
          "tcp://127.0.0.1:7070");
  }
  if (!a->size) {
    usage("--size is missing, as in --size 8g");
  }
  for (uint32_t i = 0; i < a->listen_count; i++) {
    if (cira_fabric_url_check(a->listen[i]) != CIRA_OK) {
      usage("--listen: %s", cira_status_detail());
    }
  }
  s->size_bytes = size_parse(a->size, "--size");
  s->quota_bytes = a->quota ? size_parse(a->quota, "--quota") : s->size_bytes;
  s->poll = a->poll;
  s->kernels_count = a->kernels_count;
  memcpy(s->kernels, a->kernels, sizeof(s->kernels));
  if (a->kernels_count &&
      kernels_probe(a->kernels, a->kernels_count) != CIRA_OK) {
    usage("%s", cira_status_detail());
  }
  s->spin_ns = sysconf(_SC_NPROCESSORS_ONLN) > 1 ? SPIN_DEFAULT_NS : 0;
  if (a->spin &&
      cira__parse_duration(a->spin, "--spin", &s->spin_ns) != CIRA_OK) {
    usage("%s", cira_status_detail());
  }
  if (a->token_file) {
    s->token = true;
    if (cira__auth_key_load(a->token_file, s->key) != CIRA_OK) {
      usage("--token-file: %s", cira_status_detail());
    }
  }
  uint64_t available = memory_available();
  if (available && s->size_bytes > available) {
    char want[24];
    char have[24];
    CIRA_LOG(CIRA_LOG_WARN,
             "memd: --size %s is more than the %s of memory that are available "
             "here; the kernel may kill the server when it fills up",
             cira__size_text(s->size_bytes, want, sizeof(want)),
             cira__size_text(available, have, sizeof(have)));
  }
}

/* Says where we listen; with a ready descriptor, leaves the terminal. */
static void announce(const server_t *s, int ready_fd) {
  int fd = ready_fd >= 0 ? ready_fd : STDOUT_FILENO;
  for (uint32_t i = 0; i < s->listener_count; i++) {
    char line[CIRA__URL_BYTES + 100];
    size_t n =
        cira__format(line, sizeof(line), "ready %s\n", s->listener[i].url);
    (void)cira__sys_write(fd, line, n);
  }
  if (ready_fd >= 0) {
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    (void)setsid();
    if (null >= 0) {
      (void)dup2(null, STDIN_FILENO);
      (void)dup2(null, STDOUT_FILENO);
      (void)close(null);
    }
    if (ready_fd > STDERR_FILENO) {
      (void)close(ready_fd);
    }
  }
}

int main(int argc, char **argv) {
  static server_t server;
  arguments_t a = {0};
  arguments_parse(argc, argv, &a);
  if (a.session) {
    return session_main((uint32_t)strtoul(a.session, NULL, 10), a.kernels,
                        a.kernels_count);
  }
  if (sodium_init() < 0) {
    usage("libsodium finds no source of random numbers");
  }
  if (a.stats) {
    if (cira_fabric_url_check(a.stats) != CIRA_OK) {
      usage("--stats: %s", cira_status_detail());
    }
    return stats_show(a.stats, a.token_file, a.json);
  }
  if (a.json) {
    usage("--json belongs to --stats URL");
  }
  settings_fill(&server, &a);
  int lifeline =
      a.until_eof ? descriptor_parse(a.until_eof, "--until-eof") : -1;
  int ready =
      a.ready_fd ? descriptor_parse(a.ready_fd, "--daemonize-ready-fd") : -1;
  (void)signal(SIGPIPE, SIG_IGN);
  (void)signal(SIGCHLD, SIG_IGN); /* sessions are not waited for */
  if (loop_init(&server, lifeline) != CIRA_OK) {
    fail();
  }
  for (uint32_t i = 0; i < a.listen_count; i++) {
    if (listener_open(&server, a.listen[i]) != CIRA_OK) {
      listeners_close(&server);
      fail();
    }
  }
  announce(&server, ready);
  loop_run(&server);
  loop_fini(&server);
  return 0;
}
