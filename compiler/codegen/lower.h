/* SPDX-License-Identifier: Apache-2.0
 * What each op becomes. One function per op (or per group of alike ops): it
 * emits in front of the op, gives the results their new values and leaves the
 * op itself to be erased by the caller. False: an error has been emitted.
 *   lower_memory.c   loads, stores, futures, handles, allocation, hints
 *   lower_stream.c   streams: which of them keep their front in registers
 *   lower_offload.c  offload, call, tokens and fences, edges and nodes
 * Threading: as the emitter. */
#ifndef CIRA_COMPILER_CODEGEN_LOWER_H
#define CIRA_COMPILER_CODEGEN_LOWER_H

#include "codegen/emit.h"

/* A stream whose maker has been lowered. */
typedef enum cira_stream_kind {
  CIRA_STREAM_UNKNOWN, /* made out of sight */
  CIRA_STREAM_STRIDED,
  CIRA_STREAM_INDEXED,
  CIRA_STREAM_CHAIN,
  CIRA_STREAM_TILED,
  CIRA_STREAM_FRONTIER
} cira_stream_kind_t;

typedef struct cira_stream {
  MlirValue value; /* as the ops that use it see it */
  cira_stream_kind_t kind;
  MlirType element; /* of the program; null if not in sight */
  bool is_pointer;  /* elements are handles, and what they point to is read */
  MlirValue front;  /* a stack slot; null: the front is in the stream */
  MlirValue link;   /* chains: offset of the link, i64 */
} cira_stream_t;

typedef struct cira_lowering {
  cira_emit_t e;
  cira_stream_t *streams;
  intptr_t stream_count, stream_capacity;
  MlirSymbolTable symbols; /* of symbols_of, as it was before the lowering */
  MlirOperation symbols_of;
} cira_lowering_t;

typedef bool (*cira_lower_fn_t)(cira_lowering_t *l, MlirOperation op);

/* ops of memory */
bool cira_lower_load(cira_lowering_t *l, MlirOperation op);
bool cira_lower_store(cira_lowering_t *l, MlirOperation op);
bool cira_lower_load_async(cira_lowering_t *l, MlirOperation op);
bool cira_lower_load_async_batch(cira_lowering_t *l, MlirOperation op);
bool cira_lower_await(cira_lowering_t *l, MlirOperation op);
bool cira_lower_store_async(cira_lowering_t *l, MlirOperation op);
bool cira_lower_extract(cira_lowering_t *l, MlirOperation op);
bool cira_lower_handle_null(cira_lowering_t *l, MlirOperation op);
bool cira_lower_handle_is_null(cira_lowering_t *l, MlirOperation op);
bool cira_lower_handle_part(cira_lowering_t *l, MlirOperation op);
bool cira_lower_handle_cast(cira_lowering_t *l, MlirOperation op);
bool cira_lower_handle_view(cira_lowering_t *l, MlirOperation op);
bool cira_lower_remote_cast(cira_lowering_t *l, MlirOperation op);
bool cira_lower_alloc(cira_lowering_t *l, MlirOperation op);
bool cira_lower_dealloc(cira_lowering_t *l, MlirOperation op);
bool cira_lower_memref_alloc(cira_lowering_t *l, MlirOperation op);
bool cira_lower_memref_dealloc(cira_lowering_t *l, MlirOperation op);
bool cira_lower_prefetch_indirect(cira_lowering_t *l, MlirOperation op);
bool cira_lower_install_cacheline(cira_lowering_t *l, MlirOperation op);
bool cira_lower_evict_hint(cira_lowering_t *l, MlirOperation op);

/* streams; the makers come before all other ops */
bool cira_lower_stream_create(cira_lowering_t *l, MlirOperation op);
bool cira_lower_stream_release(cira_lowering_t *l, MlirOperation op);
bool cira_lower_peek_stream(cira_lowering_t *l, MlirOperation op);
bool cira_lower_peek_adjacency(cira_lowering_t *l, MlirOperation op);
bool cira_lower_advance_stream(cira_lowering_t *l, MlirOperation op);
bool cira_lower_prefetch_stream(cira_lowering_t *l, MlirOperation op);
bool cira_lower_prefetch_ahead(cira_lowering_t *l, MlirOperation op);

/* other threads, order, edges and nodes */
bool cira_lower_offload(cira_lowering_t *l, MlirOperation op);
bool cira_lower_call(cira_lowering_t *l, MlirOperation op);
bool cira_lower_barrier(cira_lowering_t *l, MlirOperation op);
bool cira_lower_fence(cira_lowering_t *l, MlirOperation op);
bool cira_lower_release(cira_lowering_t *l, MlirOperation op);
bool cira_lower_token_create(cira_lowering_t *l, MlirOperation op);
bool cira_lower_token_signal(cira_lowering_t *l, MlirOperation op);
bool cira_lower_token_wait(cira_lowering_t *l, MlirOperation op);
bool cira_lower_load_edge(cira_lowering_t *l, MlirOperation op);
bool cira_lower_load_node(cira_lowering_t *l, MlirOperation op);
bool cira_lower_get_paddr(cira_lowering_t *l, MlirOperation op);
bool cira_lower_evict_edge(cira_lowering_t *l, MlirOperation op);

/* ---- shared by the three files --------------------------------------------
 */

/* A future of LLVM type {ptr, i64, T}; null values are left undefined. */
enum { cira_future_address, cira_future_ticket, cira_future_value };
/* Tickets that the runtime does not give. */
enum { cira_ticket_load = 0, cira_ticket_value = -1 };
MlirValue cira_lower_future(cira_emit_t *e, MlirType type, MlirValue address,
                            MlirValue ticket, MlirValue value);

/* The address that `handle[index]` of a load, store, offset or field op
 * selects. `handle` is the operand's number; an index follows it. False, with
 * an error, if T has no size. */
bool cira_lower_address(cira_emit_t *e, MlirOperation op, intptr_t handle,
                        MlirValue *out_address);

#endif /* CIRA_COMPILER_CODEGEN_LOWER_H */
