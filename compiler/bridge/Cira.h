// SPDX-License-Identifier: Apache-2.0
// The C++ face of the dialect, for this folder only: everything else in the
// compiler sees include/cira-c/. This folder holds what MLIR offers in C++
// alone (dialect class, verifiers, folders, plug-in entry points, the C API's
// other side) and no policy. Most of it is generated from compiler/dialect/.
// Threading: as MLIR's: verifiers of different functions run in parallel.
#ifndef CIRA_COMPILER_BRIDGE_CIRA_H
#define CIRA_COMPILER_BRIDGE_CIRA_H

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/DialectImplementation.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/CallInterfaces.h"
#include "mlir/Interfaces/ControlFlowInterfaces.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include <optional>

namespace cira {

struct CacheResource : public mlir::SideEffects::Resource::Base<CacheResource> {
  llvm::StringRef getName() final {
    return "cira.cache";
  }
};
struct StreamResource
    : public mlir::SideEffects::Resource::Base<StreamResource> {
  llvm::StringRef getName() final {
    return "cira.stream";
  }
};
struct FutureResource
    : public mlir::SideEffects::Resource::Base<FutureResource> {
  llvm::StringRef getName() final {
    return "cira.future";
  }
};
struct SyncResource : public mlir::SideEffects::Resource::Base<SyncResource> {
  llvm::StringRef getName() final {
    return "cira.sync";
  }
};

/// Can memory hold a value of this type? An opaque struct counts: it may be
/// pointed to, though not loaded.
bool isStorable(mlir::Type type);

} // namespace cira

#include "CiraDialect.h.inc"
#include "CiraEnums.h.inc"
#define GET_ATTRDEF_CLASSES
#include "CiraAttrs.h.inc"
#define GET_TYPEDEF_CLASSES
#include "CiraTypes.h.inc"
#define GET_OP_CLASSES
#include "CiraOps.h.inc"

namespace cira {

/// An LLVM struct without a body: may be pointed to, not loaded.
bool isOpaque(mlir::Type type);

/// What `[index]` selects in a container; failure says why in `why`.
/// `arrayOf` allows a plain T to be taken as the i-th T of an array of T.
llvm::FailureOr<mlir::Type> selectPart(mlir::Type container, bool dynamic,
                                       std::optional<int64_t> index,
                                       bool arrayOf, std::string &why);

/// The machine model in force at `op`: of the nearest module that has one,
/// otherwise the default.
MachineAttr getMachine(mlir::Operation *op);

} // namespace cira

#endif // CIRA_COMPILER_BRIDGE_CIRA_H
