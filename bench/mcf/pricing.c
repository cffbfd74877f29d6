/* SPDX-License-Identifier: Apache-2.0
 *
 * Multiple partial pricing with a candidate list (Grigoriadis 1986; Loebel
 * 1996). The arcs are divided into groups. Each call looks again at the
 * candidates that are left from the call before, drops those that no longer
 * violate optimality, and adds the violating arcs of the next group; it goes on
 * to further groups only while candidates are short. The best one is returned,
 * the next best are kept.
 * Invariant: NULL is returned only after a whole round over all groups in which
 * no arc violated optimality.
 * Threads: belongs to the solver that owns it.
 */
#include "mcf.h"

#include <inttypes.h>
#include <stdlib.h>

#define CANDIDATES_DEFAULT 50

/* Twice the square root of the number of arcs: small groups make poor pivots,
 * with large subtrees to move; large ones spend the time on pricing. */
static int64_t group_size_default(int64_t arc_count) {
  int64_t root = 1;
  while (root * root < arc_count) {
    root++;
  }
  return 2 * root;
}

int mcf_pricing_init(struct mcf_pricing *pricing, struct mcf_arc *arcs,
                     int64_t count, const struct mcf_options *options,
                     struct mcf_error *error) {
  int64_t size =
      options->group_size ? options->group_size : group_size_default(count);
  int64_t keep = options->candidates ? options->candidates : CANDIDATES_DEFAULT;
  if (size > count) {
    size = count > 0 ? count : 1;
  }
  if (keep > count) {
    keep = count > 0 ? count : 1;
  }
  *pricing = (struct mcf_pricing){
      .arcs = arcs,
      .arc_count = count,
      .group_size = size,
      .group_count = (count + size - 1) / size,
      .grouping = options->grouping,
      .list_keep = keep,
      .list_enough = 1,
  };
  /* The list is filled only while it is shorter than `keep`, or by the one
   * group that every call looks at. */
  size_t room = (size_t)(keep + size);
  pricing->list = malloc(room * sizeof *pricing->list);
  if (!pricing->list) {
    return mcf_fail(error, MCF_E_FAILED,
                    "out of memory: candidate list of %zu arcs", room);
  }
  return MCF_OK;
}

void mcf_pricing_fini(struct mcf_pricing *pricing) {
  free(pricing->list);
  pricing->list = NULL;
}

/* What one unit of flow along the arc, in the direction that it is free to go,
 * saves. Not positive for arcs that respect optimality. */
static inline int64_t arc_gain(const struct mcf_arc *arc) {
  int64_t reduced = arc->cost - arc->tail->potential + arc->head->potential;
  return -arc->state * reduced;
}

static void list_refresh(struct mcf_pricing *pricing) {
  int64_t kept = 0;
  for (int64_t i = 0; i < pricing->list_count; i++) {
    struct mcf_arc *arc = pricing->list[i].arc;
    int64_t gain = arc_gain(arc);
    if (gain > 0) {
      pricing->list[kept++] = (struct mcf_candidate){arc, gain};
    }
  }
  pricing->list_count = kept;
}

/* A group may come round while its arcs are still candidates. Being listed
 * twice does no harm: once an arc has entered, its gain is not positive. */
static void group_scan(struct mcf_pricing *pricing) {
  int64_t group = pricing->next_group;
  pricing->next_group = group + 1 < pricing->group_count ? group + 1 : 0;

  struct mcf_arc *arc, *end;
  int64_t step;
  if (pricing->grouping == MCF_BLOCKS) {
    int64_t first = group * pricing->group_size;
    int64_t last = first + pricing->group_size;
    arc = pricing->arcs + first;
    end =
        pricing->arcs + (last < pricing->arc_count ? last : pricing->arc_count);
    step = 1;
  } else {
    arc = pricing->arcs + group;
    end = pricing->arcs + pricing->arc_count;
    step = pricing->group_count;
  }

  pricing->arcs_priced += (end - arc + step - 1) / step;
  for (; arc < end; arc += step) {
    int64_t gain = arc_gain(arc);
    if (gain > 0) {
      pricing->list[pricing->list_count++] = (struct mcf_candidate){arc, gain};
    }
  }
}

/* Moves the `keep` best candidates to the front, in no particular order
 * (Hoare's selection), and forgets the others. */
static void list_trim(struct mcf_pricing *pricing, int64_t keep) {
  struct mcf_candidate *list = pricing->list;
  int64_t low = 0, high = pricing->list_count - 1;
  if (pricing->list_count <= keep) {
    return;
  }
  while (low < high) {
    int64_t pivot = list[low + (high - low) / 2].gain;
    int64_t i = low, j = high;
    while (i <= j) {
      while (list[i].gain > pivot) {
        i++;
      }
      while (list[j].gain < pivot) {
        j--;
      }
      if (i <= j) {
        struct mcf_candidate swap = list[i];
        list[i++] = list[j];
        list[j--] = swap;
      }
    }
    if (keep - 1 <= j) {
      high = j;
    } else if (keep - 1 >= i) {
      low = i;
    } else {
      break;
    }
  }
  pricing->list_count = keep;
}

struct mcf_arc *mcf_pricing_next(struct mcf_pricing *pricing) {
  list_refresh(pricing);
  for (int64_t scanned = 0; scanned < pricing->group_count; scanned++) {
    group_scan(pricing);
    if (pricing->list_count >= pricing->list_enough) {
      break;
    }
  }
  list_trim(pricing, pricing->list_keep);
  if (pricing->list_count == 0) {
    return NULL;
  }

  int64_t best = 0;
  for (int64_t i = 1; i < pricing->list_count; i++) {
    if (pricing->list[i].gain > pricing->list[best].gain) {
      best = i;
    }
  }
  struct mcf_arc *arc = pricing->list[best].arc;
  pricing->list[best] = pricing->list[--pricing->list_count];
  return arc;
}
