/* SPDX-License-Identifier: Apache-2.0
 *
 * What a server is doing: as JSON from inside, as a table outside. Only plain
 * counters are kept while serving; everything else is worked out when asked.
 */
#include "server.h"

#include "base/sys.h"
#include "fabric/link.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void put(json_t *o, const char *name, uint64_t value) {
  json_object_set_new(o, name, json_integer((json_int_t)value));
}

static void put_counters(json_t *o, const counters_t *c) {
  put(o, "reads", c->reads);
  put(o, "writes", c->writes);
  put(o, "atomics", c->atomics);
  put(o, "discards", c->discards);
  put(o, "read_bytes", c->read_bytes);
  put(o, "written_bytes", c->written_bytes);
  put(o, "errors", c->errors);
}

static json_t *client_json(const client_t *c, uint64_t now_ns) {
  json_t *o = json_object();
  uint32_t regions = 0;
  for (uint32_t i = 0; i < CIRA__REGIONS_MAX; i++) {
    regions += c->attachment[i].region && c->attachment[i].attached;
  }
  put(o, "client", c->number);
  json_object_set_new(o, "peer", json_string(c->peer));
  put(o, "seconds", (now_ns - c->since_ns) / 1000000000u);
  put(o, "regions", regions);
  put(o, "committed_bytes", c->committed_bytes);
  put_counters(o, &c->counters);
  return o;
}

static json_t *region_json(const region_t *r, uint64_t resident_bytes) {
  json_t *o = json_object();
  put(o, "region", r->number);
  put(o, "bytes", r->bytes);
  put(o, "committed_bytes", r->committed_bytes);
  put(o, "resident_bytes", resident_bytes);
  put(o, "attachments", r->attachments);
  put(o, "holds", r->holds);
  return o;
}

char *stats_json(const server_t *s) {
  uint64_t now_ns = cira__now_ns();
  uint64_t resident_bytes = 0;
  json_t *root = json_object();
  json_t *listeners = json_array();
  json_t *regions = json_array();
  json_t *clients = json_array();
  for (uint32_t i = 0; i < s->listener_count; i++) {
    json_array_append_new(listeners, json_string(s->listener[i].url));
  }
  for (const region_t *r = s->regions; r; r = r->next) {
    uint64_t bytes = store_resident_bytes(r);
    resident_bytes += bytes;
    json_array_append_new(regions, region_json(r, bytes));
  }
  for (uint32_t i = 0; i < s->client_count; i++) {
    json_array_append_new(clients, client_json(s->client[i], now_ns));
  }
  put(root, "seconds", (now_ns - s->since_ns) / 1000000000u);
  put(root, "size_bytes", s->size_bytes);
  put(root, "quota_bytes", s->quota_bytes);
  put(root, "committed_bytes", s->committed_bytes);
  put(root, "resident_bytes", resident_bytes);
  put(root, "clients_seen", s->clients_seen);
  put(root, "clients_garbage", s->clients_garbage);
  put(root, "kernel_libraries", s->kernels_count);
  put(root, "kernel_sessions", s->sessions);
  put(root, "kernel_sessions_seen", s->sessions_seen);
  put_counters(root, &s->counters);
  json_object_set_new(root, "listen", listeners);
  json_object_set_new(root, "regions", regions);
  json_object_set_new(root, "clients", clients);
  char *text = json_dumps(root, JSON_INDENT(2));
  json_decref(root);
  if (text && strlen(text) > CIRA__PROTO_STATS_MAX_BYTES) {
    free(text);
    text = NULL;
  }
  return text;
}

/* ---- the asking side ---------------------------------------------------- */

static uint64_t get(const json_t *o, const char *name) {
  return (uint64_t)json_integer_value(json_object_get(o, name));
}

static const char *size_of(const json_t *o, const char *name, char *buf) {
  return cira__size_text(get(o, name), buf, 24);
}

static void print_totals(const json_t *root) {
  static const char *const sizes[] = {"size_bytes",      "quota_bytes",
                                      "committed_bytes", "resident_bytes",
                                      "read_bytes",      "written_bytes"};
  static const char *const counts[] = {
      "reads",  "writes",       "atomics",         "discards",
      "errors", "clients_seen", "clients_garbage", "kernel_sessions"};
  char buf[24];
  size_t i;
  json_t *url;
  json_array_foreach(json_object_get(root, "listen"), i, url) {
    printf("%-16s %s\n", "listen", json_string_value(url));
  }
  printf("%-16s %llu s\n", "up", (unsigned long long)get(root, "seconds"));
  for (i = 0; i < CIRA_COUNT(sizes); i++) {
    printf("%-16s %s\n", sizes[i], size_of(root, sizes[i], buf));
  }
  for (i = 0; i < CIRA_COUNT(counts); i++) {
    printf("%-16s %llu\n", counts[i], (unsigned long long)get(root, counts[i]));
  }
}

static void print_table(const json_t *root) {
  char a[24];
  char b[24];
  char c[24];
  size_t i;
  json_t *o;
  print_totals(root);
  printf("\n%-7s %-24s %8s %12s %10s %10s %12s %12s %7s\n", "client", "peer",
         "regions", "committed", "reads", "writes", "read", "written",
         "errors");
  json_array_foreach(json_object_get(root, "clients"), i, o) {
    printf(
        "%-7llu %-24s %8llu %12s %10llu %10llu %12s %12s %7llu\n",
        (unsigned long long)get(o, "client"),
        json_string_value(json_object_get(o, "peer")),
        (unsigned long long)get(o, "regions"), size_of(o, "committed_bytes", a),
        (unsigned long long)get(o, "reads"),
        (unsigned long long)get(o, "writes"), size_of(o, "read_bytes", b),
        size_of(o, "written_bytes", c), (unsigned long long)get(o, "errors"));
  }
  printf("\n%-7s %12s %12s %12s %11s %6s\n", "region", "size", "committed",
         "resident", "attachments", "holds");
  json_array_foreach(json_object_get(root, "regions"), i, o) {
    printf("%-7llu %12s %12s %12s %11llu %6llu\n",
           (unsigned long long)get(o, "region"), size_of(o, "bytes", a),
           size_of(o, "committed_bytes", b), size_of(o, "resident_bytes", c),
           (unsigned long long)get(o, "attachments"),
           (unsigned long long)get(o, "holds"));
  }
}

/* Fetches the JSON text of the server; malloc'ed, NULL with a detail. */
static char *stats_fetch(const cira__link_t *link) {
  uint8_t head[CIRA__REPLY_BYTES];
  cira__wire_reply_t reply;
  const char *why = NULL;
  cira__wire_request_t request = {.version = CIRA__PROTO_VERSION,
                                  .op = CIRA__OP_STATS};
  if (cira__link_send(link, &request, sizeof(request)) != CIRA_OK ||
      cira__link_recv(link, head, sizeof(head), NULL) != CIRA_OK) {
    return NULL;
  }
  cira_status_t s =
      cira__reply_parse(head, CIRA__OP_STATS, 0, UINT64_MAX, &reply, &why);
  if (s != CIRA_OK) {
    cira__fail(s, "%s: the server sent %s", link->url, why);
    return NULL;
  }
  if (reply.status != CIRA_OK) {
    cira__link_refused(link->url, &reply);
    return NULL;
  }
  char *text = malloc(reply.length + 1);
  if (!text || cira__link_recv(link, text, reply.length, NULL) != CIRA_OK) {
    free(text);
    return NULL;
  }
  text[reply.length] = 0;
  return text;
}

int stats_show(const char *url, const char *token_file, bool json) {
  cira__link_t link = {.url = url,
                       .deadline_ns = cira__now_ns() + 10000000000u};
  char *text = NULL;
  if (cira__link_open(url, token_file, false, link.deadline_ns, &link.fd) ==
      CIRA_OK) {
    text = stats_fetch(&link);
    (void)close(link.fd);
  }
  if (!text) {
    fprintf(stderr, "cira-memd: %s\n", cira_status_detail());
    return 1;
  }
  json_t *root = json ? NULL : json_loads(text, 0, NULL);
  int code = 0;
  if (json) {
    printf("%s\n", text);
  } else if (root) {
    print_table(root);
  } else {
    fprintf(stderr, "cira-memd: %s: the figures cannot be read\n", url);
    code = 1;
  }
  json_decref(root);
  free(text);
  return code;
}
