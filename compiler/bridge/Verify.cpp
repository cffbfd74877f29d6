// SPDX-License-Identifier: Apache-2.0
// What each op refuses. A message names the op (MLIR puts it in front), the
// rule and the remedy. test/lit/dialect/*_invalid.mlir has one case per rule.
#include "Cira.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Interfaces/FunctionInterfaces.h"

using namespace mlir;
using namespace cira;

//===-- Helpers -----------------------------------------------------------===//

// The part that an op with an index selects in `container`, or a diagnostic.
template <typename Op>
static FailureOr<Type> partOf(Op op, Type container, bool arrayOf) {
  if (op.getIndex() && op.getStaticIndex()) {
    return op.emitOpError("has both a constant and a variable index; "
                          "keep one");
  }
  std::string why;
  FailureOr<Type> part =
      selectPart(container, !!op.getIndex(), op.getStaticIndex(), arrayOf, why);
  if (failed(part)) {
    return op.emitOpError(why);
  }
  return part;
}

// A plain pointer may be read and written as a handle.
static LogicalResult checkPart(Operation *op, Type part, Type value,
                               StringRef what) {
  if (part == value ||
      (isa<LLVM::LLVMPointerType>(part) && isa<HandleType>(value))) {
    return success();
  }
  return op->emitOpError() << "memory holds " << part << " there, not " << value
                           << "; correct the type of the " << what;
}

static Type elementOf(Value handle) {
  return cast<HandleType>(handle.getType()).getElementType();
}

static Type valueOf(Value future) {
  return cast<FutureType>(future.getType()).getValueType();
}

// Of a handle, memref or remote_memref.
static Type elementOfArray(Value array) {
  Type type = array.getType();
  if (auto handle = dyn_cast<HandleType>(type)) {
    return handle.getElementType();
  }
  if (auto remote = dyn_cast<RemoteMemRefType>(type)) {
    return remote.getElementType();
  }
  return cast<MemRefType>(type).getElementType();
}

static std::optional<int64_t> rankOfArray(Value array) {
  Type type = array.getType();
  if (auto remote = dyn_cast<RemoteMemRefType>(type)) {
    return remote.getShape().size();
  }
  if (auto memref = dyn_cast<MemRefType>(type)) {
    return memref.getRank();
  }
  return std::nullopt; // a handle: one dimension by definition
}

// Reads the attribute and does not fold: the op may not be verified yet.
static std::optional<int64_t> constantOf(Value value) {
  Operation *op = value ? value.getDefiningOp() : nullptr;
  if (!op || !op->hasTrait<OpTrait::ConstantLike>()) {
    return std::nullopt;
  }
  auto number = dyn_cast_or_null<IntegerAttr>(op->getAttr("value"));
  if (!number || number.getValue().getSignificantBits() > 64) {
    return std::nullopt;
  }
  return number.getValue().getSExtValue();
}

// `first` is always reached before `second`, or a region around it, in the
// same block.
static bool precedes(Operation *first, Operation *second) {
  Operation *here = first->getBlock()->findAncestorOpInBlock(*second);
  return here && here != first && first->isBeforeInBlock(here);
}

static LogicalResult checkRankOne(Operation *op, Value array) {
  std::optional<int64_t> rank = rankOfArray(array);
  if (!rank || *rank == 1) {
    return success();
  }
  return op->emitOpError() << "needs an array of rank 1, not " << *rank
                           << "; collapse it first, or use "
                              "cira.stream_create_tiled";
}

static LogicalResult checkStride(Operation *op, Value stride, Value count) {
  if (constantOf(stride) == 0) {
    return op->emitOpError("stride 0 names one element over and over; use "
                           "another stride");
  }
  std::optional<int64_t> number = constantOf(count);
  if (number && *number < 0) {
    return op->emitOpError() << "count " << *number
                             << " is negative; use a negative stride to go "
                                "backwards";
  }
  return success();
}

// No release of the stream comes before `op`.
static LogicalResult checkStreamLive(Operation *op, Value stream) {
  for (Operation *user : stream.getUsers()) {
    if (user != op && isa<StreamReleaseOp>(user) && precedes(user, op)) {
      return (op->emitOpError("uses a stream after its cira.stream_release; "
                              "move the release behind the last use"))
                 .attachNote(user->getLoc())
             << "released here";
    }
  }
  return success();
}

// The op that made the stream, if it is in sight, is one of `Creators`.
template <typename... Creators>
static LogicalResult checkCreator(Operation *op, Value stream,
                                  StringRef wanted) {
  Operation *creator = stream.getDefiningOp();
  if (!creator || creator->getDialect() != op->getDialect() ||
      isa<Creators...>(creator)) {
    return success();
  }
  return op->emitOpError() << "does not work on the result of "
                           << creator->getName() << "; it needs " << wanted;
}

static LogicalResult checkDistance(Operation *op, Value distance) {
  std::optional<int64_t> number = constantOf(distance);
  if (number && *number < 1) {
    return op->emitOpError()
           << "distance " << *number << " asks for nothing; use at least 1";
  }
  return success();
}

//===-- Memory ------------------------------------------------------------===//

LogicalResult LoadOp::verify() {
  FailureOr<Type> part = partOf(*this, elementOf(getHandle()), true);
  return failed(part) ? failure()
                      : checkPart(*this, *part, getValue().getType(), "result");
}

template <typename Store> static LogicalResult checkStore(Store op) {
  FailureOr<Type> part = partOf(op, elementOf(op.getHandle()), true);
  return failed(part) ? failure()
                      : checkPart(op, *part, op.getValue().getType(), "value");
}

LogicalResult StoreOp::verify() {
  return checkStore(*this);
}

LogicalResult StoreAsyncOp::verify() {
  return checkStore(*this);
}

LogicalResult LoadAsyncOp::verify() {
  FailureOr<Type> part = partOf(*this, elementOf(getHandle()), true);
  return failed(part)
             ? failure()
             : checkPart(*this, *part, valueOf(getFuture()), "future's value");
}

LogicalResult LoadAsyncBatchOp::verify() {
  if (getHandles().empty()) {
    return emitOpError("loads nothing; give it at least one handle");
  }
  if (getHandles().size() != getFutures().size()) {
    return emitOpError() << "has " << getHandles().size() << " handles and "
                         << getFutures().size()
                         << " futures; give one future per handle";
  }
  for (auto [handle, future] : llvm::zip(getHandles(), getFutures())) {
    Type element = elementOf(handle);
    if (isOpaque(element)) {
      return emitOpError() << element
                           << " has no known size; give the struct a body";
    }
    if (failed(checkPart(*this, element, valueOf(future), "future's value"))) {
      return failure();
    }
  }
  return success();
}

LogicalResult AwaitOp::verify() {
  for (Operation *user : getFuture().getUsers()) {
    if (user != *this && isa<AwaitOp>(user) && precedes(user, *this)) {
      return (emitOpError("awaits a future twice; use the value of the first "
                          "await"))
                 .attachNote(user->getLoc())
             << "first awaited here";
    }
  }
  return success();
}

LogicalResult ExtractOp::verify() {
  if (!getIndex() && !getStaticIndex()) {
    return emitOpError("needs an index; write [i] after the value");
  }
  FailureOr<Type> part = partOf(*this, getValue().getType(), false);
  return failed(part) ? failure()
                      : checkPart(*this, *part, getPart().getType(), "result");
}

LogicalResult HandleOffsetOp::verify() {
  if (!getIndex() == !getStaticIndex()) {
    return emitOpError("needs one index; write [i] after the handle");
  }
  if (isOpaque(elementOf(getHandle()))) {
    return emitOpError() << elementOf(getHandle())
                         << " has no known size; give the struct a body";
  }
  return success();
}

LogicalResult HandleFieldOp::verify() {
  if (!getIndex() && !getStaticIndex()) {
    return emitOpError("needs an index; write [i] after the handle");
  }
  FailureOr<Type> part = partOf(*this, elementOf(getHandle()), false);
  return failed(part)
             ? failure()
             : checkPart(*this, *part, elementOf(getField()), "result");
}

LogicalResult HandleCastOp::verify() {
  Type from = getSource().getType(), to = getResult().getType();
  bool fromPlain = isa<HandleType, LLVM::LLVMPointerType>(from);
  bool toPlain = isa<HandleType, LLVM::LLVMPointerType>(to);
  if (fromPlain && toPlain && (isa<HandleType>(from) || isa<HandleType>(to))) {
    return success();
  }
  auto handle = dyn_cast<HandleType>(to);
  if (!handle || !isa<MemRefType, RemoteMemRefType>(from)) {
    return emitOpError() << "cannot turn " << from << " into " << to
                         << "; it goes between handles, between handle and "
                            "!llvm.ptr, and from memref to handle (use "
                            "cira.handle_view for handle to memref)";
  }
  Type element = elementOfArray(getSource());
  if (element != handle.getElementType()) {
    return emitOpError() << "the memref holds " << element
                         << ", the handle points to " << handle.getElementType()
                         << "; make them the same, then cast the handle";
  }
  auto remote = dyn_cast<RemoteMemRefType>(from);
  bool rowMajor = remote ? !remote.getLayout()
                         : cast<MemRefType>(from).getLayout().isIdentity();
  return rowMajor ? success()
                  : emitOpError("the memref's layout is not row-major, so a "
                                "handle cannot walk it; copy it or use a "
                                "stream");
}

LogicalResult HandleViewOp::verify() {
  auto view = cast<MemRefType>(getView().getType());
  if (view.getElementType() != elementOf(getHandle())) {
    return emitOpError() << "the handle points to " << elementOf(getHandle())
                         << ", the memref holds " << view.getElementType()
                         << "; make them the same";
  }
  if (!view.isDynamicDim(0) || !view.getLayout().isIdentity() ||
      view.getMemorySpace()) {
    return emitOpError() << "makes memref<?x" << view.getElementType()
                         << ">, not " << view << "; cast the memref afterwards";
  }
  return success();
}

LogicalResult RemoteCastOp::verify() {
  auto fromRemote = dyn_cast<RemoteMemRefType>(getSource().getType());
  auto toRemote = dyn_cast<RemoteMemRefType>(getResult().getType());
  for (RemoteMemRefType remote : {fromRemote, toRemote}) {
    if (remote && !remote.getMemRefType()) {
      return emitOpError() << "a memref cannot hold " << remote.getElementType()
                           << "; use cira.handle_cast";
    }
  }
  auto from = fromRemote ? fromRemote.getMemRefType()
                         : dyn_cast<MemRefType>(getSource().getType());
  auto to = toRemote ? toRemote.getMemRefType()
                     : dyn_cast<MemRefType>(getResult().getType());
  if (!from || !to || (!fromRemote && !toRemote)) {
    return emitOpError("goes between memref and !cira.remote_memref; use "
                       "memref.cast between memrefs");
  }
  return from == to ? success()
                    : emitOpError()
                          << "changes " << from << " into " << to
                          << "; element type, shape and layout must stay";
}

LogicalResult AllocOp::verify() {
  if (auto remote = dyn_cast<RemoteMemRefType>(getArray().getType())) {
    int64_t dynamic = llvm::count(remote.getShape(), ShapedType::kDynamic);
    if (static_cast<int64_t>(getSizes().size()) != dynamic) {
      return emitOpError() << "got " << getSizes().size() << " sizes for "
                           << dynamic
                           << " dynamic dimensions; give one for each";
    }
    if (getTier() && *getTier() != remote.getTier()) {
      return emitOpError() << "tier(" << stringifyTier(*getTier())
                           << ") contradicts " << remote
                           << "; leave tier(...) out";
    }
    return success();
  }
  if (getSizes().size() != 1) {
    return emitOpError() << "got " << getSizes().size()
                         << " sizes for a handle; give one, the number of "
                            "elements";
  }
  if (isOpaque(elementOf(getArray()))) {
    return emitOpError() << elementOf(getArray())
                         << " has no known size; give the struct a body";
  }
  std::optional<int64_t> count = constantOf(getSizes()[0]);
  return count && *count < 0 ? emitOpError() << "cannot allocate " << *count
                                             << " elements; use 0 or more"
                             : success();
}

LogicalResult DeallocOp::verify() {
  for (Operation *user : getArray().getUsers()) {
    if (user != *this && isa<DeallocOp>(user) && precedes(user, *this)) {
      return (emitOpError("ends an array twice; drop one cira.dealloc"))
                 .attachNote(user->getLoc())
             << "first ended here";
    }
  }
  return success();
}

//===-- Hints -------------------------------------------------------------===//

LogicalResult PrefetchStreamOp::verify() {
  if (isa<StreamType>(getSource().getType())) {
    if (getArguments().size() != 1) {
      return emitOpError() << "of a stream takes one distance, not "
                           << getArguments().size() << " numbers";
    }
    if (failed(checkStreamLive(*this, getSource())) ||
        failed(checkDistance(*this, getArguments()[0]))) {
      return failure();
    }
    return checkCreator<StreamCreateStridedOp, StreamCreateIndexedOp>(
        *this, getSource(), "a strided or indexed stream");
  }
  if (getArguments().size() != 2) {
    return emitOpError() << "of a handle takes a stride and a count, not "
                         << getArguments().size() << " numbers";
  }
  return checkStride(*this, getArguments()[0], getArguments()[1]);
}

LogicalResult PrefetchIndirectOp::verify() {
  if (!isa<HandleType, LLVM::LLVMPointerType>(elementOf(getHead()))) {
    return emitOpError() << "head must point to a pointer, not to "
                         << elementOf(getHead())
                         << "; pass the place that holds the first pointer, or "
                            "use cira.stream_create_indirect";
  }
  std::optional<int64_t> offset = constantOf(getOffset());
  if (offset && *offset < 0) {
    return emitOpError() << "offset " << *offset
                         << " lies before the node; count from its first byte";
  }
  return checkDistance(*this, getDepth());
}

LogicalResult InstallCachelineOp::verify() {
  std::optional<int64_t> level = constantOf(getLevel());
  return level && (*level < 1 || *level > 3)
             ? emitOpError()
                   << "there is no cache level " << *level << "; use 1, 2 or 3"
             : success();
}

//===-- Streams -----------------------------------------------------------===//

LogicalResult StreamCreateStridedOp::verify() {
  return failure(failed(checkRankOne(*this, getBase())) ||
                 failed(checkStride(*this, getStride(), getCount())));
}

LogicalResult StreamCreateIndirectOp::verify() {
  if (!isa<LLVM::LLVMStructType, HandleType, LLVM::LLVMPointerType>(
          elementOf(getHead()))) {
    return emitOpError() << elementOf(getHead())
                         << " holds no link; the head must point to a struct "
                            "or to a pointer";
  }
  if (isOpaque(elementOf(getHead()))) {
    return emitOpError() << elementOf(getHead())
                         << " has no known size; give the struct a body";
  }
  std::optional<int64_t> offset = constantOf(getOffset());
  return offset && *offset < 0
             ? emitOpError() << "offset " << *offset
                             << " lies before the node; count from its first "
                                "byte"
             : success();
}

LogicalResult StreamCreateIndexedOp::verify() {
  if (!isa<IntegerType, IndexType>(elementOfArray(getIndices()))) {
    return emitOpError() << elementOfArray(getIndices())
                         << " cannot be a position; the index array must hold "
                            "integers or index";
  }
  return failure(failed(checkRankOne(*this, getBase())) ||
                 failed(checkRankOne(*this, getIndices())) ||
                 failed(checkStride(*this, getStride(), getCount())));
}

LogicalResult StreamCreateTiledOp::verify() {
  int64_t rank = *rankOfArray(getBase());
  int64_t sizes = static_cast<int64_t>(getTileSizes().size());
  if (rank == 0) {
    return emitOpError("an array of rank 0 has no tiles; use cira.load");
  }
  if (sizes != 1 && sizes != rank) {
    return emitOpError() << "got " << sizes << " tile sizes for rank " << rank
                         << "; give one for all dimensions or one for each";
  }
  for (Value size : getTileSizes()) {
    std::optional<int64_t> number = constantOf(size);
    if (number && *number < 1) {
      return emitOpError() << "a tile of " << *number
                           << " elements is empty; use at least 1";
    }
  }
  return success();
}

LogicalResult StreamCreateFrontierOp::verify() {
  auto graph = dyn_cast<LLVM::LLVMStructType>(elementOf(getGraph()));
  bool known = graph && !isOpaque(graph) && graph.getBody().size() >= 3 &&
               graph.getBody()[0].isInteger(64);
  for (unsigned i = 1; known && i < 3; i++) {
    known = isa<LLVM::LLVMPointerType, HandleType>(graph.getBody()[i]);
  }
  if (!known) {
    return emitOpError() << "graph must point to a struct that begins with "
                            "(i64, ptr, ptr): number of vertices, row offsets, "
                            "neighbours; got "
                         << elementOf(getGraph());
  }
  if (!isa<IntegerType, IndexType>(elementOfArray(getFrontier()))) {
    return emitOpError() << elementOfArray(getFrontier())
                         << " cannot number a vertex; the frontier must hold "
                            "integers or index";
  }
  if (!getCount() && isa<HandleType>(getFrontier().getType())) {
    return emitOpError("a frontier behind a handle has no length; give the "
                       "count");
  }
  return checkRankOne(*this, getFrontier());
}

LogicalResult StreamReleaseOp::verify() {
  return checkStreamLive(*this, getStream());
}

LogicalResult AdvanceStreamOp::verify() {
  return checkStreamLive(*this, getStream());
}

// The element type of a stream whose maker is in sight.
static Type elementOfStream(Value stream) {
  Operation *creator = stream.getDefiningOp();
  if (auto strided = dyn_cast_or_null<StreamCreateStridedOp>(creator)) {
    return elementOfArray(strided.getBase());
  }
  if (auto indexed = dyn_cast_or_null<StreamCreateIndexedOp>(creator)) {
    return elementOfArray(indexed.getBase());
  }
  if (auto indirect = dyn_cast_or_null<StreamCreateIndirectOp>(creator)) {
    return elementOf(indirect.getHead());
  }
  return {};
}

LogicalResult PeekStreamOp::verify() {
  if (failed(checkStreamLive(*this, getStream())) ||
      failed(checkCreator<StreamCreateStridedOp, StreamCreateIndexedOp,
                          StreamCreateIndirectOp>(
          *this, getStream(),
          "a strided, indexed or indirect stream (a frontier stream has "
          "cira.peek_adjacency)"))) {
    return failure();
  }
  Type element = elementOfStream(getStream());
  Type value = valueOf(getFuture());
  auto handle = dyn_cast_or_null<HandleType>(element);
  if (!element || value == element ||
      (handle && value == handle.getElementType())) {
    return success();
  }
  return emitOpError() << "the stream's elements are " << element << ", not "
                       << value << "; correct the type of the future";
}

LogicalResult PeekAdjacencyOp::verify() {
  if (failed(checkStreamLive(*this, getStream())) ||
      failed(checkCreator<StreamCreateFrontierOp>(*this, getStream(),
                                                  "a frontier stream"))) {
    return failure();
  }
  auto list = dyn_cast<MemRefType>(valueOf(getFuture()));
  if (list && list.getRank() == 1 && list.isDynamicDim(0) &&
      list.getLayout().isIdentity() &&
      isa<IntegerType, IndexType>(list.getElementType())) {
    return success();
  }
  return emitOpError() << "gives a list of vertices; write the future as "
                          "!cira.future<memref<?xi32>> (or the graph's own "
                          "integer type), not "
                       << getFuture().getType();
}

LogicalResult PrefetchChainOp::verify() {
  return failure(failed(checkStreamLive(*this, getStream())) ||
                 failed(checkDistance(*this, getDistance())) ||
                 failed(checkCreator<StreamCreateIndirectOp>(
                     *this, getStream(), "an indirect stream")));
}

LogicalResult PrefetchTilesOp::verify() {
  return failure(failed(checkStreamLive(*this, getStream())) ||
                 failed(checkDistance(*this, getDistance())) ||
                 failed(checkCreator<StreamCreateTiledOp>(*this, getStream(),
                                                          "a tiled stream")));
}

LogicalResult PrefetchAdjacencyOp::verify() {
  return failure(failed(checkStreamLive(*this, getStream())) ||
                 failed(checkDistance(*this, getDistance())) ||
                 failed(checkCreator<StreamCreateFrontierOp>(
                     *this, getStream(), "a frontier stream")));
}

//===-- Offload -----------------------------------------------------------===//

LogicalResult OffloadOp::verify() {
  if ((*this)->getParentOfType<OffloadOp>()) {
    return emitOpError("stands inside another offload; a device cannot offload "
                       "in turn, so move it out");
  }
  if (!getMachine(*this).hasDevice(getDevice())) {
    return emitOpError() << "@" << getDevice()
                         << " is no device of this machine; use @vortex or "
                            "@helper (with _core_N to pick a core), or list it "
                            "in devices of #cira.machine";
  }
  TypeRange inputs = getInputs().getTypes();
  if (getBody().getArgumentTypes() != inputs) {
    return emitOpError() << "has " << inputs.size()
                         << " operands that do not match the "
                         << getBody().getNumArguments()
                         << " block arguments; give each operand one of its "
                            "type";
  }
  return success();
}

LogicalResult YieldOp::verify() {
  auto offload = cast<OffloadOp>((*this)->getParentOp());
  if (getValues().getTypes() == offload.getResultTypes()) {
    return success();
  }
  return emitOpError() << "gives " << getValues().size() << " values for the "
                       << offload.getNumResults()
                       << " results of the cira.offload; number and types "
                          "must match";
}

static LogicalResult checkCallTypes(CallOp call, TypeRange wanted,
                                    TypeRange given, StringRef what) {
  if (wanted.size() != given.size()) {
    return call.emitOpError()
           << "has " << given.size() << " " << what << "s, the function "
           << wanted.size() << "; make them match";
  }
  for (auto [i, want, got] : llvm::enumerate(wanted, given)) {
    bool address = isa<LLVM::LLVMPointerType>(want) && isa<HandleType>(got);
    if (want != got && !address) {
      return call.emitOpError() << what << " " << i << " is " << got
                                << ", the function has " << want << "; cast it";
    }
  }
  return success();
}

LogicalResult CallOp::verifySymbolUses(SymbolTableCollection &symbols) {
  auto callee = symbols.lookupNearestSymbolFrom<FunctionOpInterface>(
      *this, getCalleeAttr());
  if (!callee) {
    return emitOpError() << "@" << getCallee()
                         << " is not a function here; declare it in the "
                            "module";
  }
  ArrayRef<Type> results = callee.getResultTypes();
  if (results.size() == 1 && isa<LLVM::LLVMVoidType>(results[0])) {
    results = {};
  }
  return failure(
      failed(checkCallTypes(*this, callee.getArgumentTypes(),
                            getOperands().getTypes(), "operand")) ||
      failed(checkCallTypes(*this, results, getResultTypes(), "result")));
}

// Rank 1, and an edge handle that matches where there is one.
static LogicalResult checkEdges(Operation *op, RemoteMemRefType edges) {
  if (edges.getShape().size() == 1) {
    return success();
  }
  return op->emitOpError() << "edges must have rank 1, not "
                           << edges.getShape().size()
                           << "; collapse the array first";
}

static LogicalResult checkAhead(Operation *op, Value distance) {
  std::optional<int64_t> number = constantOf(distance);
  return number && *number < 0
             ? op->emitOpError()
                   << "distance " << *number
                   << " looks back; use 0 for none or more for ahead"
             : success();
}

LogicalResult LoadEdgeOp::verify() {
  auto edges = cast<RemoteMemRefType>(getEdges().getType());
  if (failed(checkEdges(*this, edges))) {
    return failure();
  }
  if (edges.getElementType() != elementOf(getEdge())) {
    return emitOpError() << "the array holds " << edges.getElementType()
                         << ", the result points to " << elementOf(getEdge())
                         << "; make them the same";
  }
  return checkAhead(*this, getDistance());
}

LogicalResult LoadNodeOp::verify() {
  FailureOr<unsigned> index = getFieldIndex();
  if (failed(index)) {
    return emitOpError() << "knows no field " << getFieldAttr() << " of "
                         << elementOf(getEdge())
                         << "; list the names of the struct's fields in the "
                            "module: cira.fields = {Edge = [\"from\", ...]}";
  }
  Type field =
      cast<LLVM::LLVMStructType>(elementOf(getEdge())).getBody()[*index];
  if (field != getNode().getType() && !isa<LLVM::LLVMPointerType>(field)) {
    return emitOpError() << "field " << getFieldAttr() << " is " << field
                         << ", which points to no " << elementOf(getNode())
                         << "; name a field that is a pointer";
  }
  return checkAhead(*this, getDistance());
}

LogicalResult GetPaddrOp::verify() {
  if (getField().empty()) {
    return emitOpError("needs the name of the field that the node was loaded "
                       "through");
  }
  auto load = getNode().getDefiningOp<LoadNodeOp>();
  if (load && load.getField() != getField()) {
    return emitOpError() << "says " << getFieldAttr()
                         << ", but the node was loaded through "
                         << load.getFieldAttr() << "; use the same name";
  }
  return success();
}

LogicalResult EvictEdgeOp::verify() {
  return checkEdges(*this, cast<RemoteMemRefType>(getEdges().getType()));
}

//===-- Ordering ----------------------------------------------------------===//

LogicalResult BarrierOp::verify() {
  return (*this)->getParentOfType<OffloadOp>()
             ? emitOpError("inside an offload region waits for itself; use a "
                           "token, or move it out")
             : success();
}

LogicalResult SyncTokenSignalOp::verify() {
  if (getToken().getDefiningOp<StoreAsyncOp>()) {
    return emitOpError("the token of a store_async is signalled by the store; "
                       "make one with cira.sync_token_create");
  }
  for (Operation *user : getToken().getUsers()) {
    if (user != *this && isa<SyncTokenSignalOp>(user) &&
        precedes(user, *this)) {
      return (emitOpError("signals a token twice; make a second token"))
                 .attachNote(user->getLoc())
             << "first signalled here";
    }
  }
  return success();
}

LogicalResult SyncTokenWaitOp::verify() {
  if (!getToken().getDefiningOp<SyncTokenCreateOp>()) {
    return success(); // signalled by a store, or by somebody out of sight
  }
  bool later = false;
  for (Operation *user : getToken().getUsers()) {
    if (isa<SyncTokenWaitOp>(user)) {
      continue;
    }
    if (!isa<SyncTokenSignalOp>(user) || !precedes(*this, user)) {
      return success();
    }
    later = true;
  }
  return later ? emitOpError("waits for a signal that only comes after it; "
                             "move the signal up or the wait down")
               : emitOpError("waits for a token that nobody signals; add a "
                             "cira.sync_token_signal");
}
