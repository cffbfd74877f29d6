/* SPDX-License-Identifier: Apache-2.0
 *
 * The tiers that programs can place memory in (cira/tier.h), as cira-info shows
 * them. The far space is left out: each process has its own, or none.
 */
#include "cira-info/info.h"
#include "cira/tier.h"

static const char *kind_of(const cira_tier_info_t *t) {
  switch (t->kind) {
  case CIRA_TIER_LOCAL:
    return "memory of the nodes with processors";
  case CIRA_TIER_NODE:
    return t->cxl           ? "node without processors, behind CXL"
           : t->memory_only ? "node without processors"
                            : "node of one socket";
  case CIRA_TIER_DAX:
    return t->cxl ? "mapped device, behind CXL" : "mapped device";
  case CIRA_TIER_FILE:
    return "memory file of a process";
  default:
    return "CXL expander";
  }
}

static void put_count(json_t *o, const char *key, uint64_t value) {
  if (value != 0) { /* not known otherwise */
    json_object_set_new(o, key, json_integer((json_int_t)value));
  }
}

json_t *info_tiers(void) {
  cira_tier_info_t t[CIRA_TIER_MAX];
  uint32_t count = 0;
  json_t *list = json_array();
  if (cira_tier_list(t, CIRA_TIER_MAX, &count) != CIRA_OK) {
    json_array_append_new(list,
                          json_pack("{s:s}", "state", cira_status_detail()));
    return list;
  }
  for (uint32_t i = 0; i < count; i++) {
    if (t[i].kind == CIRA_TIER_FAR) {
      continue;
    }
    json_t *o = json_pack("{s:s, s:s, s:s}", "tier", t[i].name, "kind",
                          kind_of(&t[i]), "usable", t[i].usable ? "yes" : "no");
    put_count(o, "capacity_bytes", t[i].bytes);
    put_count(o, "free_bytes", t[i].free_bytes);
    put_count(o, "distance", t[i].distance);
    put_count(o, "memory_tier", t[i].memory_tier);
    put_count(o, "firmware_latency_ns", t[i].read_latency_ns);
    put_count(o, "firmware_read_bytes_per_s",
              (uint64_t)t[i].read_mb_per_s * 1000000);
    if (t[i].note[0] != '\0') {
      json_object_set_new(o, "note", json_string(t[i].note));
    }
    json_array_append_new(list, o);
  }
  return list;
}
