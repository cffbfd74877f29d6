/* SPDX-License-Identifier: Apache-2.0
 *
 * Kernels: functions that a memory server runs beside the data. A shared object
 * defines them, names them in one table, and `cira-memd --kernels LIB.so`
 * offers them; a program calls them by name with cira_call_server
 * (cira/call.h).
 *
 * A kernel gets arguments and room for results by value, and views of the far
 * memory that its caller named. It runs alone in a process of its own for each
 * caller: a kernel that crashes or overstays its deadline ends that process and
 * its call, neither the server nor the data. It should keep nothing in static
 * variables from one call to the next: such a process may be a new one.
 *
 * This header needs nothing else of cira, and a kernel links nothing.
 * Reading order: ranges, the call, the table.
 */
#ifndef CIRA_KERNEL_H
#define CIRA_KERNEL_H

#include <stdbool.h>
#include <stdint.h>

#include "cira/status.h"

#ifdef __cplusplus
extern "C" {
#endif

#define CIRA_KERNEL_ABI 1u         /* of the structures below */
#define CIRA_KERNEL_NAME_MAX 63u   /* bytes of a name */
#define CIRA_KERNEL_RANGE_MAX 16u  /* ranges of a call */
#define CIRA_KERNEL_COUNT_MAX 512u /* kernels of all libraries of a server */

#define CIRA_KERNEL_READ 1u  /* the kernel reads these bytes */
#define CIRA_KERNEL_WRITE 2u /* the kernel may write them, too */

/* Far memory that the caller named. */
typedef struct cira_kernel_range {
  void *at; /* the bytes, here */
  uint64_t bytes;
  uint64_t address; /* of the first byte, in the caller */
  uint32_t access;  /* CIRA_KERNEL_READ, CIRA_KERNEL_WRITE */
  uint32_t reserved;
} cira_kernel_range_t;

/* What a kernel gets. Valid until it returns. */
typedef struct cira_kernel_call {
  uint32_t size;    /* of this struct, as the server knows it */
  uint32_t count;   /* of calls: more than 1 for CIRA_KERNEL_F_ARRAY only */
  const void *args; /* count times args_bytes, aligned to 64 */
  void *result;     /* count times result_max, aligned to 64, zeroed */
  uint32_t args_bytes;
  uint32_t result_max;
  uint32_t result_bytes; /* of each result; the kernel sets it; 0 before */
  uint32_t done;         /* an array kernel that fails: how many succeeded */
  uint32_t range_count;
  uint32_t reserved;
  const cira_kernel_range_t *range;
  /* True when the caller has given up or the deadline has passed: return soon,
   * the process is killed a little later. A few loads and a clock. */
  bool (*stop)(const struct cira_kernel_call *call);
  /* Where bytes at an address of the caller are, NULL when they are not inside
   * of one of the ranges. */
  void *(*resolve)(const struct cira_kernel_call *call, uint64_t address,
                   uint64_t bytes);
  /* Leaves a line for the caller and returns `status`. */
  cira_status_t (*fail)(const struct cira_kernel_call *call,
                        cira_status_t status, const char *text);
  void *server;
} cira_kernel_call_t;

/* Returns CIRA_OK, or a negative status down to -32768 that reaches the caller
 * with what `fail` was given. */
typedef cira_status_t (*cira_kernel_fn_t)(cira_kernel_call_t *call);

#define CIRA_KERNEL_F_ARRAY 1u /* takes the calls of a batch at once */

typedef struct {
  const char *name; /* 1 to CIRA_KERNEL_NAME_MAX bytes, unique on a server */
  cira_kernel_fn_t function;
  uint32_t flags;
  uint32_t reserved;
} cira_kernel_t;

typedef struct {
  uint32_t abi; /* CIRA_KERNEL_ABI */
  uint32_t count;
  const cira_kernel_t *kernel;
} cira_kernel_library_t;

/* Every server with kernels has this one itself: it follows a list inside of
 * range 0. Result: the addresses of at most `count` nodes, then where the list
 * goes on (0: its end, or out of the range). */
#define CIRA_KERNEL_CHAIN "cira.chain"
typedef struct {
  uint64_t head;         /* address of the first node */
  uint64_t offset_bytes; /* of the next pointer in a node */
  uint64_t node_bytes;
  uint64_t count;
} cira_kernel_chain_t;

#define CIRA_KERNEL_SYMBOL "cira_kernel_library"

/* Names the kernels of a library, once in it:
 *   CIRA_KERNEL_LIBRARY({"sum", sum, 0, 0}, {"find", find, 0, 0}); */
#ifdef __cplusplus
#define CIRA_KERNEL_EXPORT extern "C" CIRA_API
#else
#define CIRA_KERNEL_EXPORT extern CIRA_API
#endif
#define CIRA_KERNEL_LIBRARY(...)                                               \
  static const cira_kernel_t cira_kernel_list[] = {__VA_ARGS__};               \
  CIRA_KERNEL_EXPORT const cira_kernel_library_t cira_kernel_library;          \
  const cira_kernel_library_t cira_kernel_library = {                          \
      CIRA_KERNEL_ABI, sizeof(cira_kernel_list) / sizeof(cira_kernel_list[0]), \
      cira_kernel_list}

#ifdef __cplusplus
}
#endif
#endif
