/* SPDX-License-Identifier: Apache-2.0
 * What code compiled by cira-cc calls besides libc: the functions of
 * libcira-cc.a, which the driver links into programs and shared objects.
 * Every object has a weak definition of what it calls that does nothing, for
 * where the archive is not linked (another linker, no C library).
 *
 * Invariants: nothing here changes a result, fails, locks, calls malloc or
 * reads memory of the program; all memory is the archive's own, from mmap.
 * Each shared object has its own copy (all symbols are hidden).
 * Threading: any; signal handlers too.
 * Reading order: this, pace.h, jump.c. */
#ifndef CIRA_CC_CC_H
#define CIRA_CC_CC_H

#include <stddef.h>
#include <stdint.h>

/* Keeps all registers but a few: loops call rarely, and should not have to save
 * theirs. The archive is built by clang (CMakeLists.txt). */
#if defined(__clang__) && (defined(__x86_64__) || defined(__aarch64__))
#define CIRA_CC_CALL __attribute__((preserve_most))
#else
#define CIRA_CC_CALL
#endif

/* Blocks of a table of nodes; see below. */
enum { cira__jump_block = 256, cira__jump_block_bytes = 8 * cira__jump_block };

/* For tests, in the bits of a distance from cira__jump_fixed_shift on: never a
 * table, always, or by turns; otherwise time decides. */
enum {
  cira__jump_fixed_shift = 8,
  cira__jump_fixed_old = 1,
  cira__jump_fixed_changed = 2,
  cira__jump_fixed_alternate = 3
};

/* Asks whether the walk of a list can go along a table of the list's order. A
 * compiled loop over a list is two loops, and comes here from both:
 *
 *   at first, it counts its nodes down from 256: at 0
 *     next = cira_jump_step(node, cursor, distance, nodes_min)
 *   next < 2^32: it counts on, down from next;
 *   otherwise next is its cursor into the table, and at each node it does
 *     prefetch(*cursor + offset of the field), cursor++
 *     if (cursor is a multiple of 2048 bytes)
 *       next = cira_jump_step(node, cursor, distance, nodes_min), as above
 *
 *   node       the one that the loop comes to now; never read from.
 *   cursor     just after the entry that was prefetched; of a loop that counts:
 *              the `next` it was given last, NULL at first.
 *   distance   nodes ahead, 1..240.
 *   nodes_min  shorter lists stay in the cache: they get no table.
 * A list that is walked fast as it is gets none either, and one that is not
 * walked faster along its table loses it.
 * What a cursor points to can always be read, also when the walk has moved to
 * another thread since. Returns `next`: in the walk that writes the table it is
 * 1. Cost: a few ns at each node of the walk that writes, and at each 256th of
 * one that reads. Threads: any. */
CIRA_CC_CALL uint64_t cira_jump_step(const void *node, void *const *cursor,
                                     uint64_t distance, uint64_t nodes_min);

#endif /* CIRA_CC_CC_H */
