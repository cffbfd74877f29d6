/* SPDX-License-Identifier: Apache-2.0
 * C API of the cira dialect: registration, types and attributes, named and
 * shaped as MLIR's own C API (mlir-c/). Types and attributes live in their
 * context and are passed by value; nothing here is freed by the caller.
 * A `...Get` that is given what the verifier refuses emits a diagnostic and
 * returns a null object (mlirTypeIsNull, mlirAttributeIsNull).
 * Threading: any thread, as the context allows. Cost: a hash lookup.
 * Reading order: registration, types, enums, attributes, then IR.h. */
#ifndef CIRA_C_DIALECT_H
#define CIRA_C_DIALECT_H

#include "mlir-c/IR.h"

#ifdef __cplusplus
extern "C" {
#endif

/* mlirGetDialectHandle__cira__(): for mlirDialectHandleRegisterDialect,
 * ...InsertDialect and ...LoadDialect. */
MLIR_DECLARE_CAPI_DIALECT_REGISTRATION(Cira, cira);

/* ---- Types ---------------------------------------------------------------
 */

/* Is it a !cira.handle<T>? */
MLIR_CAPI_EXPORTED bool ciraTypeIsAHandle(MlirType type);
/* !cira.handle<elementType>; null if T cannot lie in memory. */
MLIR_CAPI_EXPORTED MlirType ciraHandleTypeGet(MlirType elementType);
/* The T of a !cira.handle<T>. */
MLIR_CAPI_EXPORTED MlirType ciraHandleTypeGetElementType(MlirType type);

/* Is it a !cira.future<T>? */
MLIR_CAPI_EXPORTED bool ciraTypeIsAFuture(MlirType type);
/* !cira.future<valueType>; null if T cannot be loaded. */
MLIR_CAPI_EXPORTED MlirType ciraFutureTypeGet(MlirType valueType);
/* The T of a !cira.future<T>. */
MLIR_CAPI_EXPORTED MlirType ciraFutureTypeGetValueType(MlirType type);

/* Is it a !cira.stream? */
MLIR_CAPI_EXPORTED bool ciraTypeIsAStream(MlirType type);
/* !cira.stream. */
MLIR_CAPI_EXPORTED MlirType ciraStreamTypeGet(MlirContext ctx);

/* Is it a !cira.token? */
MLIR_CAPI_EXPORTED bool ciraTypeIsAToken(MlirType type);
/* !cira.token. */
MLIR_CAPI_EXPORTED MlirType ciraTokenTypeGet(MlirContext ctx);

/* ---- Tiers and patterns ----------------------------------------------------
 * The numbers are those of the dialect's enums. */
typedef enum CiraTier {
  CiraTierLocal = 0,     /* this machine's DRAM */
  CiraTierCxl = 1,       /* an expander on this machine */
  CiraTierRemoteCxl = 2, /* an expander behind a switch */
  CiraTierFar = 3        /* a memory server */
} CiraTier;

typedef enum CiraPattern {
  CiraPatternNone = 0,
  CiraPatternStrided = 1,
  CiraPatternIndexed = 2,
  CiraPatternLinked = 3,
  CiraPatternFrontier = 4
} CiraPattern;

/* Is it a !cira.remote_memref<...>? */
MLIR_CAPI_EXPORTED bool ciraTypeIsARemoteMemRef(MlirType type);
/* !cira.remote_memref of `rank` sizes (mlirShapedTypeGetDynamicSize() for a
 * dynamic one). `layout` may be null: row-major. Null type if refused. */
MLIR_CAPI_EXPORTED MlirType ciraRemoteMemRefTypeGet(intptr_t rank,
                                                    const int64_t *shape,
                                                    MlirType elementType,
                                                    CiraTier tier,
                                                    MlirAttribute layout);
/* Number of dimensions. */
MLIR_CAPI_EXPORTED intptr_t ciraRemoteMemRefTypeGetRank(MlirType type);
/* Size of dimension `dim` < rank, elements. */
MLIR_CAPI_EXPORTED int64_t ciraRemoteMemRefTypeGetDimSize(MlirType type,
                                                          intptr_t dim);
/* The type of its elements. */
MLIR_CAPI_EXPORTED MlirType ciraRemoteMemRefTypeGetElementType(MlirType type);
/* Where the elements lie. */
MLIR_CAPI_EXPORTED CiraTier ciraRemoteMemRefTypeGetTier(MlirType type);
/* The layout attribute; null if row-major. */
MLIR_CAPI_EXPORTED MlirAttribute ciraRemoteMemRefTypeGetLayout(MlirType type);
/* The memref with the same shape, element type and layout; null if a memref
 * cannot hold the elements. */
MLIR_CAPI_EXPORTED MlirType ciraRemoteMemRefTypeGetMemRefType(MlirType type);

/* ---- Attributes ------------------------------------------------------------
 */

/* Is it a #cira.tier<...>? */
MLIR_CAPI_EXPORTED bool ciraAttributeIsATier(MlirAttribute attr);
/* #cira.tier<tier>. */
MLIR_CAPI_EXPORTED MlirAttribute ciraTierAttrGet(MlirContext ctx,
                                                 CiraTier tier);
/* The tier of a #cira.tier. */
MLIR_CAPI_EXPORTED CiraTier ciraTierAttrGetValue(MlirAttribute attr);

/* The figures of a #cira.machine; see docs/dialect/Cira.md for each. Arrays
 * are indexed by CiraTier. */
typedef struct CiraMachine {
  int64_t tier_latency_ns[4];
  int64_t tier_bytes_per_us[4]; /* 0: not measured */
  int64_t llc_latency_ns;
  int64_t llc_bytes;
  int64_t line_bytes;
  int64_t page_bytes;
  int64_t sync_ns;
  int64_t device_busy_ns;
  int64_t op_ns;
  int64_t lines_in_flight;
  int64_t pages_in_flight;
  int64_t prefetches_in_flight; /* 0: as many as lines_in_flight */
} CiraMachine;

/* Is it a #cira.machine<...>? */
MLIR_CAPI_EXPORTED bool ciraAttributeIsAMachine(MlirAttribute attr);
/* The default model. */
MLIR_CAPI_EXPORTED MlirAttribute ciraMachineAttrGetDefault(MlirContext ctx);
/* A model with these figures; `devices` is an array attribute of strings or
 * null for the default devices. Null if a figure is out of range. */
MLIR_CAPI_EXPORTED MlirAttribute ciraMachineAttrGet(MlirContext ctx,
                                                    const CiraMachine *machine,
                                                    MlirAttribute devices);
/* The model that a JSON object describes: its keys are the fields of
 * #cira.machine, what is left out has its default.
 *   loc    where diagnostics are reported.
 *   json   e.g. {"far_latency_ns": 2400, "devices": ["vortex"]}.
 * Null if it is no such object or a figure is out of range; says why. */
MLIR_CAPI_EXPORTED MlirAttribute ciraMachineAttrParseJSON(MlirLocation loc,
                                                          MlirStringRef json);
/* Makes `attr` the model of every module, in every context, that carries none
 * of its own. Call before the first pass runs; not thread safe. */
MLIR_CAPI_EXPORTED void ciraMachineAttrSetDefault(MlirAttribute attr);
/* Writes the figures of a model to `*out_machine`. */
MLIR_CAPI_EXPORTED void ciraMachineAttrGetFigures(MlirAttribute attr,
                                                  CiraMachine *out_machine);
/* Is `name` one of its devices, with or without a core number? */
MLIR_CAPI_EXPORTED bool ciraMachineAttrHasDevice(MlirAttribute attr,
                                                 MlirStringRef name);

/* Name of its i-th device, without a core number; empty past the last one. The
 * text lives as long as the context. */
MLIR_CAPI_EXPORTED MlirStringRef ciraMachineAttrGetDevice(MlirAttribute attr,
                                                          intptr_t index);

/* Is it a #cira.access<...>? */
MLIR_CAPI_EXPORTED bool ciraAttributeIsAAccess(MlirAttribute attr);
/* #cira.access; sizes in bytes. Null if refused (a stride of 0, say). */
MLIR_CAPI_EXPORTED MlirAttribute ciraAccessAttrGet(
    MlirContext ctx, CiraPattern pattern, int64_t stride_bytes,
    int64_t offset_bytes, int64_t element_bytes, MlirStringRef reason);
/* The parts of a #cira.access. */
MLIR_CAPI_EXPORTED CiraPattern ciraAccessAttrGetPattern(MlirAttribute attr);
MLIR_CAPI_EXPORTED int64_t ciraAccessAttrGetStrideBytes(MlirAttribute attr);
MLIR_CAPI_EXPORTED int64_t ciraAccessAttrGetOffsetBytes(MlirAttribute attr);
MLIR_CAPI_EXPORTED int64_t ciraAccessAttrGetElementBytes(MlirAttribute attr);
MLIR_CAPI_EXPORTED MlirStringRef ciraAccessAttrGetReason(MlirAttribute attr);

/* Is it a #cira.distance<...>? */
MLIR_CAPI_EXPORTED bool ciraAttributeIsADistance(MlirAttribute attr);
/* #cira.distance: iterations ahead for lines and for pages, and the times
 * they come from. Null if one is < 1. */
MLIR_CAPI_EXPORTED MlirAttribute ciraDistanceAttrGet(MlirContext ctx,
                                                     int64_t lines,
                                                     int64_t pages,
                                                     int64_t iteration_ns,
                                                     int64_t latency_ns);
/* The parts of a #cira.distance. */
MLIR_CAPI_EXPORTED int64_t ciraDistanceAttrGetLines(MlirAttribute attr);
MLIR_CAPI_EXPORTED int64_t ciraDistanceAttrGetPages(MlirAttribute attr);
MLIR_CAPI_EXPORTED int64_t ciraDistanceAttrGetIterationNs(MlirAttribute attr);
MLIR_CAPI_EXPORTED int64_t ciraDistanceAttrGetLatencyNs(MlirAttribute attr);

#ifdef __cplusplus
}
#endif

#endif /* CIRA_C_DIALECT_H */
