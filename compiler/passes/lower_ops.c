/* SPDX-License-Identifier: Apache-2.0
 * cira-lower-ops: every cira op, and the allocation of memrefs, becomes ops of
 * the LLVM dialect, calls of cira/abi.def and scf.if. Types stay: casts stand
 * between !cira.handle and !llvm.ptr until cira-finish-llvm. What an op
 * becomes is said in codegen/lower_*.c; here is the table. */
#include "analysis/ir.h"
#include "codegen/lower.h"
#include "passes/pass.h"

#include <stdlib.h>
#include <string.h>

static const struct {
  const char *name;
  cira_lower_fn_t lower;
} table[] = {
    {"cira.load", cira_lower_load},
    {"cira.store", cira_lower_store},
    {"cira.load_async", cira_lower_load_async},
    {"cira.load_async_batch", cira_lower_load_async_batch},
    {"cira.await", cira_lower_await},
    {"cira.store_async", cira_lower_store_async},
    {"cira.extract", cira_lower_extract},
    {"cira.handle_null", cira_lower_handle_null},
    {"cira.handle_is_null", cira_lower_handle_is_null},
    {"cira.handle_offset", cira_lower_handle_part},
    {"cira.handle_field", cira_lower_handle_part},
    {"cira.handle_cast", cira_lower_handle_cast},
    {"cira.handle_view", cira_lower_handle_view},
    {"cira.remote_cast", cira_lower_remote_cast},
    {"cira.alloc", cira_lower_alloc},
    {"cira.dealloc", cira_lower_dealloc},
    {"memref.alloc", cira_lower_memref_alloc},
    {"memref.dealloc", cira_lower_memref_dealloc},
    {"cira.prefetch_stream", cira_lower_prefetch_stream},
    {"cira.prefetch_indirect", cira_lower_prefetch_indirect},
    {"cira.prefetch_chain", cira_lower_prefetch_ahead},
    {"cira.prefetch_tiles", cira_lower_prefetch_ahead},
    {"cira.prefetch_adjacency", cira_lower_prefetch_ahead},
    {"cira.install_cacheline", cira_lower_install_cacheline},
    {"cira.evict_hint", cira_lower_evict_hint},
    {"cira.stream_create_strided", cira_lower_stream_create},
    {"cira.stream_create_indexed", cira_lower_stream_create},
    {"cira.stream_create_indirect", cira_lower_stream_create},
    {"cira.stream_create_tiled", cira_lower_stream_create},
    {"cira.stream_create_frontier", cira_lower_stream_create},
    {"cira.stream_release", cira_lower_stream_release},
    {"cira.peek_stream", cira_lower_peek_stream},
    {"cira.peek_adjacency", cira_lower_peek_adjacency},
    {"cira.advance_stream", cira_lower_advance_stream},
    {"cira.offload", cira_lower_offload},
    {"cira.call", cira_lower_call},
    {"cira.barrier", cira_lower_barrier},
    {"cira.fence", cira_lower_fence},
    {"cira.release", cira_lower_release},
    {"cira.sync_token_create", cira_lower_token_create},
    {"cira.sync_token_signal", cira_lower_token_signal},
    {"cira.sync_token_wait", cira_lower_token_wait},
    {"cira.offload.load_edge", cira_lower_load_edge},
    {"cira.offload.load_node", cira_lower_load_node},
    {"cira.offload.get_paddr", cira_lower_get_paddr},
    {"cira.offload.evict_edge", cira_lower_evict_edge},
};
enum { table_count = sizeof table / sizeof table[0] };

typedef struct work {
  struct item {
    MlirOperation op;
    cira_lower_fn_t lower;
  } *items;
  intptr_t count, capacity;
  bool failed;
} work_t;

static cira_lower_fn_t find(MlirOperation op) {
  MlirStringRef name = mlirIdentifierStr(mlirOperationGetName(op));
  for (size_t i = 0; i < table_count; i++) {
    if (strlen(table[i].name) == name.length &&
        memcmp(table[i].name, name.data, name.length) == 0) {
      return table[i].lower;
    }
  }
  return NULL;
}

static MlirWalkResult collect(MlirOperation op, void *data) {
  work_t *work = data;
  cira_lower_fn_t lower = find(op);
  if (!lower) {
    return MlirWalkResultAdvance;
  }
  if (work->count == work->capacity) {
    intptr_t capacity = work->capacity ? 2 * work->capacity : 256;
    struct item *more =
        realloc(work->items, (size_t)capacity * sizeof *work->items);
    if (!more) {
      work->failed = !cira_emit_error(op, "cannot be lowered: out of memory");
      return MlirWalkResultInterrupt;
    }
    work->items = more;
    work->capacity = capacity;
  }
  work->items[work->count++] = (struct item){op, lower};
  /* What is in an offload region is one call, and goes with it. */
  return lower == cira_lower_offload ? MlirWalkResultSkip
                                     : MlirWalkResultAdvance;
}

/* Makers of streams first, then all others. An op that could not be lowered
 * stays, and the next is tried: one run shows all errors. */
static void lower_all(cira_lowering_t *l, work_t *work) {
  for (int makers = 1; makers >= 0; makers--) {
    for (intptr_t i = 0; i < work->count; i++) {
      struct item *item = &work->items[i];
      if ((item->lower == cira_lower_stream_create) != makers) {
        continue;
      }
      if (cira_emit_at(&l->e, item->op) && item->lower(l, item->op)) {
        mlirOperationDestroy(item->op);
      } else {
        work->failed = true;
      }
    }
  }
}

bool cira__run_CiraLowerOps(MlirOperation op) {
  if (!ciraOperationHasName(op, "builtin.module")) {
    return cira_emit_error(op, "cira-lower-ops declares functions beside it; "
                               "run it on builtin.module");
  }
  work_t work = {0};
  mlirOperationWalk(op, collect, &work, MlirWalkPreOrder);
  cira_lowering_t l = {0};
  cira_emit_init(&l.e, op);
  if (!work.failed) {
    lower_all(&l, &work);
  }
  if (!mlirOperationIsNull(l.symbols_of)) {
    mlirSymbolTableDestroy(l.symbols);
  }
  cira_emit_fini(&l.e);
  free(l.streams);
  free(work.items);
  return !work.failed;
}
