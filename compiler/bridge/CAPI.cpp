// SPDX-License-Identifier: Apache-2.0
// The other side of include/cira-c/Dialect.h: wrap, call, unwrap.
#include "Cira.h"
#include "cira-c/Dialect.h"

#include "mlir/CAPI/IR.h"
#include "mlir/CAPI/Registration.h"
#include "mlir/CAPI/Support.h"

using namespace mlir;
using namespace cira;

MLIR_DEFINE_CAPI_DIALECT_REGISTRATION(Cira, cira, cira::CIRADialect)

static_assert(static_cast<int>(Tier::Far) == CiraTierFar);
static_assert(static_cast<int>(cira::Pattern::Frontier) == CiraPatternFrontier);

static auto errorsAt(MLIRContext *context) {
  return [context] { return emitError(UnknownLoc::get(context)); };
}

//===-- Types -------------------------------------------------------------===//

bool ciraTypeIsAHandle(MlirType type) {
  return isa<HandleType>(unwrap(type));
}

MlirType ciraHandleTypeGet(MlirType elementType) {
  Type element = unwrap(elementType);
  return wrap(HandleType::getChecked(errorsAt(element.getContext()),
                                     element.getContext(), element));
}

MlirType ciraHandleTypeGetElementType(MlirType type) {
  return wrap(cast<HandleType>(unwrap(type)).getElementType());
}

bool ciraTypeIsAFuture(MlirType type) {
  return isa<FutureType>(unwrap(type));
}

MlirType ciraFutureTypeGet(MlirType valueType) {
  Type value = unwrap(valueType);
  return wrap(FutureType::getChecked(errorsAt(value.getContext()),
                                     value.getContext(), value));
}

MlirType ciraFutureTypeGetValueType(MlirType type) {
  return wrap(cast<FutureType>(unwrap(type)).getValueType());
}

bool ciraTypeIsAStream(MlirType type) {
  return isa<StreamType>(unwrap(type));
}

MlirType ciraStreamTypeGet(MlirContext ctx) {
  return wrap(StreamType::get(unwrap(ctx)));
}

bool ciraTypeIsAToken(MlirType type) {
  return isa<TokenType>(unwrap(type));
}

MlirType ciraTokenTypeGet(MlirContext ctx) {
  return wrap(TokenType::get(unwrap(ctx)));
}

bool ciraTypeIsARemoteMemRef(MlirType type) {
  return isa<RemoteMemRefType>(unwrap(type));
}

MlirType ciraRemoteMemRefTypeGet(intptr_t rank, const int64_t *shape,
                                 MlirType elementType, CiraTier tier,
                                 MlirAttribute layout) {
  Type element = unwrap(elementType);
  return wrap(RemoteMemRefType::getChecked(
      errorsAt(element.getContext()), element.getContext(),
      ArrayRef<int64_t>(shape, static_cast<size_t>(rank)), element,
      static_cast<Tier>(tier), unwrap(layout)));
}

static RemoteMemRefType remote(MlirType type) {
  return cast<RemoteMemRefType>(unwrap(type));
}

intptr_t ciraRemoteMemRefTypeGetRank(MlirType type) {
  return static_cast<intptr_t>(remote(type).getShape().size());
}

int64_t ciraRemoteMemRefTypeGetDimSize(MlirType type, intptr_t dim) {
  return remote(type).getShape()[static_cast<size_t>(dim)];
}

MlirType ciraRemoteMemRefTypeGetElementType(MlirType type) {
  return wrap(remote(type).getElementType());
}

CiraTier ciraRemoteMemRefTypeGetTier(MlirType type) {
  return static_cast<CiraTier>(remote(type).getTier());
}

MlirAttribute ciraRemoteMemRefTypeGetLayout(MlirType type) {
  return wrap(remote(type).getLayout());
}

MlirType ciraRemoteMemRefTypeGetMemRefType(MlirType type) {
  return wrap(static_cast<Type>(remote(type).getMemRefType()));
}

//===-- Attributes --------------------------------------------------------===//

bool ciraAttributeIsATier(MlirAttribute attr) {
  return isa<TierAttr>(unwrap(attr));
}

MlirAttribute ciraTierAttrGet(MlirContext ctx, CiraTier tier) {
  return wrap(TierAttr::get(unwrap(ctx), static_cast<Tier>(tier)));
}

CiraTier ciraTierAttrGetValue(MlirAttribute attr) {
  return static_cast<CiraTier>(cast<TierAttr>(unwrap(attr)).getValue());
}

bool ciraAttributeIsAMachine(MlirAttribute attr) {
  return isa<MachineAttr>(unwrap(attr));
}

MlirAttribute ciraMachineAttrGetDefault(MlirContext ctx) {
  return wrap(MachineAttr::getDefault(unwrap(ctx)));
}

MlirAttribute ciraMachineAttrGet(MlirContext ctx, const CiraMachine *m,
                                 MlirAttribute devices) {
  MLIRContext *context = unwrap(ctx);
  context->getOrLoadDialect<CIRADialect>();
  auto names = dyn_cast_or_null<ArrayAttr>(unwrap(devices));
  return wrap(MachineAttr::getChecked(
      errorsAt(context), context, m->llc_latency_ns, m->tier_latency_ns[0],
      m->tier_latency_ns[1], m->tier_latency_ns[2], m->tier_latency_ns[3],
      m->tier_bytes_per_us[0], m->tier_bytes_per_us[1], m->tier_bytes_per_us[2],
      m->tier_bytes_per_us[3], m->llc_bytes, m->line_bytes, m->page_bytes,
      m->sync_ns, m->device_busy_ns, m->op_ns, m->lines_in_flight,
      m->prefetches_in_flight, m->pages_in_flight, names));
}

void ciraMachineAttrSetDefault(MlirAttribute attr) {
  MachineAttr::setDefault(cast<MachineAttr>(unwrap(attr)));
}

void ciraMachineAttrGetFigures(MlirAttribute attr, CiraMachine *out_machine) {
  auto m = cast<MachineAttr>(unwrap(attr));
  for (unsigned tier = 0; tier < 4; tier++) {
    out_machine->tier_latency_ns[tier] =
        m.getTierLatencyNs(static_cast<Tier>(tier));
    out_machine->tier_bytes_per_us[tier] =
        m.getTierBytesPerUs(static_cast<Tier>(tier));
  }
  out_machine->llc_latency_ns = m.getLlcLatencyNs();
  out_machine->llc_bytes = m.getLlcBytes();
  out_machine->line_bytes = m.getLineBytes();
  out_machine->page_bytes = m.getPageBytes();
  out_machine->sync_ns = m.getSyncNs();
  out_machine->device_busy_ns = m.getDeviceBusyNs();
  out_machine->op_ns = m.getOpNs();
  out_machine->lines_in_flight = m.getLinesInFlight();
  out_machine->prefetches_in_flight = m.getPrefetchesInFlight();
  out_machine->pages_in_flight = m.getPagesInFlight();
}

bool ciraMachineAttrHasDevice(MlirAttribute attr, MlirStringRef name) {
  return cast<MachineAttr>(unwrap(attr)).hasDevice(unwrap(name));
}

MlirStringRef ciraMachineAttrGetDevice(MlirAttribute attr, intptr_t index) {
  auto names = cast<MachineAttr>(unwrap(attr)).getDeviceNames();
  bool there = index >= 0 && index < static_cast<intptr_t>(names.size());
  return wrap(there ? names[static_cast<size_t>(index)] : StringRef());
}

bool ciraAttributeIsAAccess(MlirAttribute attr) {
  return isa<AccessAttr>(unwrap(attr));
}

MlirAttribute ciraAccessAttrGet(MlirContext ctx, CiraPattern pattern,
                                int64_t stride_bytes, int64_t offset_bytes,
                                int64_t element_bytes, MlirStringRef reason) {
  MLIRContext *context = unwrap(ctx);
  return wrap(AccessAttr::getChecked(errorsAt(context), context,
                                     static_cast<cira::Pattern>(pattern),
                                     stride_bytes, offset_bytes, element_bytes,
                                     StringAttr::get(context, unwrap(reason))));
}

static AccessAttr access(MlirAttribute attr) {
  return cast<AccessAttr>(unwrap(attr));
}

CiraPattern ciraAccessAttrGetPattern(MlirAttribute attr) {
  return static_cast<CiraPattern>(access(attr).getPattern());
}

int64_t ciraAccessAttrGetStrideBytes(MlirAttribute attr) {
  return access(attr).getStrideBytes();
}

int64_t ciraAccessAttrGetOffsetBytes(MlirAttribute attr) {
  return access(attr).getOffsetBytes();
}

int64_t ciraAccessAttrGetElementBytes(MlirAttribute attr) {
  return access(attr).getElementBytes();
}

MlirStringRef ciraAccessAttrGetReason(MlirAttribute attr) {
  return wrap(access(attr).getReason().getValue());
}

bool ciraAttributeIsADistance(MlirAttribute attr) {
  return isa<DistanceAttr>(unwrap(attr));
}

MlirAttribute ciraDistanceAttrGet(MlirContext ctx, int64_t lines, int64_t pages,
                                  int64_t iteration_ns, int64_t latency_ns) {
  MLIRContext *context = unwrap(ctx);
  return wrap(DistanceAttr::getChecked(errorsAt(context), context, lines, pages,
                                       iteration_ns, latency_ns));
}

static DistanceAttr distance(MlirAttribute attr) {
  return cast<DistanceAttr>(unwrap(attr));
}

int64_t ciraDistanceAttrGetLines(MlirAttribute attr) {
  return distance(attr).getLines();
}

int64_t ciraDistanceAttrGetPages(MlirAttribute attr) {
  return distance(attr).getPages();
}

int64_t ciraDistanceAttrGetIterationNs(MlirAttribute attr) {
  return distance(attr).getIterationNs();
}

int64_t ciraDistanceAttrGetLatencyNs(MlirAttribute attr) {
  return distance(attr).getLatencyNs();
}
