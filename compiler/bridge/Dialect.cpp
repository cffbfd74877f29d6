// SPDX-License-Identifier: Apache-2.0
// The dialect class, its types and attributes, and the rules that hold for
// them alone. The rules for ops are in Verify.cpp.
#include "Cira.h"

#include "mlir/AsmParser/AsmParser.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Transforms/InliningUtils.h"
#include "llvm/ADT/SmallPtrSet.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace cira;

#include "CiraDialect.cpp.inc"
#include "CiraEnums.cpp.inc"

//===-- Types -------------------------------------------------------------===//

// `open` holds the named structs around `type`: one that contains itself by
// value has no size.
static bool isStorableIn(Type type, llvm::SmallPtrSetImpl<Type> &open) {
  if (auto array = dyn_cast<LLVM::LLVMArrayType>(type)) {
    return isStorableIn(array.getElementType(), open);
  }
  if (auto record = dyn_cast<LLVM::LLVMStructType>(type)) {
    if (record.isIdentified() &&
        (!record.isInitialized() || record.isOpaque())) {
      return true;
    }
    if (!open.insert(type).second) {
      return false;
    }
    bool all = llvm::all_of(record.getBody(), [&](Type field) {
      return isStorableIn(field, open);
    });
    open.erase(type);
    return all;
  }
  if (isa<IndexType, BaseMemRefType, HandleType, RemoteMemRefType>(type)) {
    return true;
  }
  if (auto complex = dyn_cast<ComplexType>(type)) {
    return isStorableIn(complex.getElementType(), open);
  }
  return isa<IntegerType, FloatType, VectorType>(type) ||
         (LLVM::isCompatibleType(type) &&
          !isa<LLVM::LLVMVoidType, LLVM::LLVMFunctionType, LLVM::LLVMLabelType,
               LLVM::LLVMTokenType, LLVM::LLVMMetadataType>(type));
}

bool cira::isStorable(Type type) {
  llvm::SmallPtrSet<Type, 8> open;
  return isStorableIn(type, open);
}

LogicalResult HandleType::verify(function_ref<InFlightDiagnostic()> emitError,
                                 Type element) {
  if (isStorable(element)) {
    return success();
  }
  return emitError() << "!cira.handle: " << element
                     << " cannot lie in memory; point to a type with a size";
}

LogicalResult FutureType::verify(function_ref<InFlightDiagnostic()> emitError,
                                 Type value) {
  if (isStorable(value)) {
    return success();
  }
  return emitError() << "!cira.future: " << value
                     << " cannot be loaded; use a type that memory can hold";
}

static ParseResult parseShapeAndElement(AsmParser &parser,
                                        SmallVector<int64_t> &shape,
                                        Type &element) {
  return failure(parser.parseDimensionList(shape, /*allowDynamic=*/true,
                                           /*withTrailingX=*/true) ||
                 parser.parseType(element));
}

static void printShapeAndElement(AsmPrinter &printer, ArrayRef<int64_t> shape,
                                 Type element) {
  printer.printDimensionList(shape);
  if (!shape.empty()) {
    printer << 'x';
  }
  printer << element;
}

LogicalResult
RemoteMemRefType::verify(function_ref<InFlightDiagnostic()> emitError,
                         ArrayRef<int64_t> shape, Type element, Tier,
                         Attribute layout) {
  if (!isStorable(element)) {
    return emitError() << "!cira.remote_memref: " << element
                       << " cannot lie in memory; use an element with a size";
  }
  if (llvm::any_of(shape, [](int64_t size) {
        return size < 0 && !ShapedType::isDynamic(size);
      })) {
    return emitError() << "!cira.remote_memref: a size is negative; write ? "
                          "for one that is not known";
  }
  if (!layout) {
    return success();
  }
  auto map = llvm::dyn_cast<MemRefLayoutAttrInterface>(layout);
  if (!map) {
    return emitError() << "!cira.remote_memref: layout " << layout
                       << " is no memory layout; write an affine_map or "
                          "strided<...>, or leave it out";
  }
  return map.verifyLayout(shape, emitError);
}

MemRefType RemoteMemRefType::getMemRefType() {
  if (!BaseMemRefType::isValidElementType(getElementType())) {
    return {};
  }
  return MemRefType::get(
      getShape(), getElementType(),
      llvm::dyn_cast_if_present<MemRefLayoutAttrInterface>(getLayout()));
}

//===-- Parts of types
//------------------------------------------------------===//

bool cira::isOpaque(Type type) {
  auto record = dyn_cast<LLVM::LLVMStructType>(type);
  return record && record.isIdentified() &&
         (!record.isInitialized() || record.isOpaque());
}

static FailureOr<Type> selectField(LLVM::LLVMStructType record, bool dynamic,
                                   std::optional<int64_t> index,
                                   std::string &why) {
  llvm::raw_string_ostream out(why);
  if (dynamic) {
    out << "the field of a struct must be a constant; write [0] to ["
        << record.getBody().size() << ")";
    return failure();
  }
  if (*index < 0 || *index >= static_cast<int64_t>(record.getBody().size())) {
    out << "there is no field " << *index << "; '" << record << "' has "
        << record.getBody().size() << " fields, numbered from 0";
    return failure();
  }
  return record.getBody()[*index];
}

static FailureOr<Type> selectElement(Type element, int64_t size,
                                     std::optional<int64_t> index,
                                     std::string &why) {
  if (index && (*index < 0 || *index >= size)) {
    llvm::raw_string_ostream(why)
        << "there is no element " << *index << "; the array has " << size
        << " elements, numbered from 0";
    return failure();
  }
  return element;
}

FailureOr<Type> cira::selectPart(Type container, bool dynamic,
                                 std::optional<int64_t> index, bool arrayOf,
                                 std::string &why) {
  llvm::raw_string_ostream out(why);
  if (isOpaque(container)) {
    out << "'" << container << "' has no known size; give the struct a body";
    return failure();
  }
  if (!dynamic && !index) {
    return container;
  }
  if (auto record = dyn_cast<LLVM::LLVMStructType>(container)) {
    return selectField(record, dynamic, index, why);
  }
  if (auto array = dyn_cast<LLVM::LLVMArrayType>(container)) {
    return selectElement(array.getElementType(), array.getNumElements(), index,
                         why);
  }
  auto vector = dyn_cast<VectorType>(container);
  if (vector && vector.getRank() == 1 && !vector.isScalable()) {
    return selectElement(vector.getElementType(), vector.getDimSize(0), index,
                         why);
  }
  if (arrayOf) {
    return container;
  }
  out << "'" << container
      << "' has no parts; only a struct, an LLVM array or a vector "
      << "of rank 1 can be indexed here";
  return failure();
}

//===-- Attributes --------------------------------------------------------===//

LogicalResult
MachineAttr::verify(function_ref<InFlightDiagnostic()> emitError, int64_t llc,
                    int64_t local, int64_t cxl, int64_t remoteCxl, int64_t far,
                    int64_t localRate, int64_t cxlRate, int64_t remoteCxlRate,
                    int64_t farRate, int64_t llcBytes, int64_t line,
                    int64_t page, int64_t sync, int64_t busy, int64_t op,
                    int64_t linesInFlight, int64_t prefetchesInFlight,
                    int64_t pagesInFlight, ArrayAttr devices) {
  constexpr int64_t most = int64_t(1) << 40; // no sum or product overflows
  for (int64_t v : {llc, local, cxl, remoteCxl, far, llcBytes, line, page, op,
                    linesInFlight, pagesInFlight}) {
    if (v < 1 || v > most) {
      return emitError() << "#cira.machine: " << v
                         << " is out of range; latencies, sizes and counts "
                            "are between 1 and 2^40";
    }
  }
  for (int64_t v : {localRate, cxlRate, remoteCxlRate, farRate, sync, busy,
                    prefetchesInFlight}) {
    if (v < 0 || v > most) {
      return emitError()
             << "#cira.machine: " << v
             << " is out of range; bandwidths, costs and prefetches "
                "are between 0 and 2^40";
    }
  }
  if ((line & (line - 1)) || (page & (page - 1)) || page < line) {
    return emitError() << "#cira.machine: line_bytes and page_bytes must be "
                          "powers of two, the page not smaller than the line";
  }
  for (Attribute name : devices ? devices.getValue() : ArrayRef<Attribute>()) {
    auto text = llvm::dyn_cast<StringAttr>(name);
    if (!text || text.empty()) {
      return emitError() << "#cira.machine: device " << name
                         << " is no name; write devices = [\"vortex\", ...]";
    }
  }
  return success();
}

int64_t MachineAttr::getTierLatencyNs(Tier tier) {
  switch (tier) {
  case Tier::Local:
    return getLocalLatencyNs();
  case Tier::Cxl:
    return getCxlLatencyNs();
  case Tier::RemoteCxl:
    return getRemoteCxlLatencyNs();
  case Tier::Far:
    return getFarLatencyNs();
  }
  llvm_unreachable("no such tier");
}

int64_t MachineAttr::getTierBytesPerUs(Tier tier) {
  switch (tier) {
  case Tier::Local:
    return getLocalBytesPerUs();
  case Tier::Cxl:
    return getCxlBytesPerUs();
  case Tier::RemoteCxl:
    return getRemoteCxlBytesPerUs();
  case Tier::Far:
    return getFarBytesPerUs();
  }
  llvm_unreachable("no such tier");
}

// Kept as text: an attribute belongs to one context.
static std::string &defaultMachine() {
  static std::string text = "#cira.machine<>";
  return text;
}

MachineAttr MachineAttr::getDefault(MLIRContext *context) {
  return llvm::cast<MachineAttr>(parseAttribute(defaultMachine(), context));
}

void MachineAttr::setDefault(MachineAttr machine) {
  defaultMachine().clear();
  llvm::raw_string_ostream(defaultMachine()) << machine;
}

// `name` is `device`, `device_7` or `device_core_7`.
static bool isCoreOf(StringRef name, StringRef device) {
  if (!name.consume_front(device)) {
    return false;
  }
  if (name.empty()) {
    return true;
  }
  name.consume_front("_core");
  return name.consume_front("_") && !name.empty() &&
         llvm::all_of(name, llvm::isDigit);
}

llvm::SmallVector<StringRef> MachineAttr::getDeviceNames() {
  if (!getDevices()) {
    return {"vortex", "helper"};
  }
  return llvm::to_vector(getDevices().getAsValueRange<StringAttr>());
}

bool MachineAttr::hasDevice(StringRef name) {
  return llvm::any_of(getDeviceNames(),
                      [&](StringRef device) { return isCoreOf(name, device); });
}

LogicalResult AccessAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                                 Pattern pattern, int64_t stride,
                                 int64_t offset, int64_t element,
                                 StringAttr reason) {
  if (element < 0 || offset < 0) {
    return emitError() << "#cira.access: offset_bytes and element_bytes must "
                          "not be negative";
  }
  if (!reason) {
    return emitError() << "#cira.access: reason must be a string";
  }
  if (pattern == Pattern::Strided && stride == 0) {
    return emitError() << "#cira.access: a strided access needs a stride_bytes "
                          "that is not 0; an access that does not move is none";
  }
  return success();
}

LogicalResult DistanceAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                                   int64_t lines, int64_t pages,
                                   int64_t iteration, int64_t latency) {
  if (lines < 1 || pages < 1 || iteration < 1 || latency < 1) {
    return emitError() << "#cira.distance: distances are at least 1 iteration "
                          "and times at least 1 ns";
  }
  return success();
}

#define GET_ATTRDEF_CLASSES
#include "CiraAttrs.cpp.inc"
#define GET_TYPEDEF_CLASSES
#include "CiraTypes.cpp.inc"

//===-- Dialect -----------------------------------------------------------===//

namespace {
// Functions with cira ops in them may be inlined, also into offload regions. A
// cira.call itself is not: it may pass a handle as a plain pointer.
struct Inliner : public DialectInlinerInterface {
  using DialectInlinerInterface::DialectInlinerInterface;
  bool isLegalToInline(Region *, Region *, bool, IRMapping &) const final {
    return true;
  }
  bool isLegalToInline(Operation *, Region *, bool, IRMapping &) const final {
    return true;
  }
};
} // namespace

void CIRADialect::initialize() {
  addInterfaces<Inliner>();
  addTypes<
#define GET_TYPEDEF_LIST
#include "CiraTypes.cpp.inc"
      >();
  addAttributes<
#define GET_ATTRDEF_LIST
#include "CiraAttrs.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "CiraOps.cpp.inc"
      >();
}

Operation *CIRADialect::materializeConstant(OpBuilder &builder, Attribute value,
                                            Type type, Location loc) {
  if (isa<UnitAttr>(value) && isa<HandleType>(type)) {
    return builder.create<HandleNullOp>(loc, type);
  }
  return arith::ConstantOp::materialize(builder, value, type, loc);
}

MachineAttr cira::getMachine(Operation *op) {
  for (; op; op = op->getParentOp()) {
    if (auto machine = op->getAttrOfType<MachineAttr>("cira.machine")) {
      return machine;
    }
    if (!op->getParentOp()) {
      return MachineAttr::getDefault(op->getContext());
    }
  }
  return {};
}

static bool isFieldTable(Attribute attr) {
  auto table = dyn_cast<DictionaryAttr>(attr);
  return table && llvm::all_of(table, [](NamedAttribute entry) {
           auto names = dyn_cast<ArrayAttr>(entry.getValue());
           return names && llvm::all_of(names, llvm::IsaPred<StringAttr>);
         });
}

LogicalResult CIRADialect::verifyOperationAttribute(Operation *op,
                                                    NamedAttribute attr) {
  StringRef name = attr.getName();
  Attribute value = attr.getValue();
  bool onModule = isa<ModuleOp>(op);
  if (name == "cira.machine") {
    return onModule && isa<MachineAttr>(value)
               ? success()
               : op->emitOpError("cira.machine must be a #cira.machine<...> "
                                 "and sit on a module");
  }
  if (name == "cira.fields") {
    return onModule && isFieldTable(value)
               ? success()
               : op->emitOpError("cira.fields must sit on a module and list "
                                 "field names: {Edge = [\"from\", \"to\"]}");
  }
  if (name == "cira.checked") {
    return onModule && isa<UnitAttr>(value)
               ? success()
               : op->emitOpError("cira.checked must be a unit attribute and "
                                 "sit on a module");
  }
  if (name == "cira.access" || name == "cira.pattern") {
    return isa<AccessAttr>(value)
               ? success()
               : op->emitOpError() << name << " must be a #cira.access<...>";
  }
  if (name == "cira.distance") {
    return isa<DistanceAttr>(value)
               ? success()
               : op->emitOpError() << name << " must be a #cira.distance<...>";
  }
  if (name == "cira.facts") {
    return isa<DictionaryAttr>(value)
               ? success()
               : op->emitOpError("cira.facts must be a dictionary");
  }
  return op->emitOpError() << "unknown attribute " << name
                           << "; cira knows cira.machine, cira.fields, "
                              "cira.checked, cira.access, cira.facts, "
                              "cira.pattern and cira.distance";
}
