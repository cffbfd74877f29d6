// SPDX-License-Identifier: Apache-2.0
// The `cira` dialect: its name, its C++ namespace and what it depends on.
// Reading order: this file, CiraEnums.td, CiraAttrs.td, CiraTypes.td, then
// the ops by group (CiraMemoryOps.td, CiraStreamOps.td, CiraOffloadOps.td,
// CiraSyncOps.td). Everything that can be said in TableGen is said here; the
// C++ behind it lies in compiler/bridge/.
#ifndef CIRA_DIALECT_TD
#define CIRA_DIALECT_TD

include "mlir/IR/OpBase.td"
include "mlir/IR/EnumAttr.td"
include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/BuiltinAttributes.td"
include "mlir/IR/BuiltinTypeInterfaces.td"
include "mlir/IR/CommonTypeConstraints.td"
include "mlir/IR/CommonAttrConstraints.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/SideEffectInterfaces.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/CallInterfaces.td"
include "mlir/Interfaces/ControlFlowInterfaces.td"

def CIRA_Dialect : Dialect {
  let name = "cira";
  let cppNamespace = "::cira";
  let summary = "Memory that is elsewhere, and ways not to wait for it";
  let description = [{
    The dialect says three things that `memref` and `llvm.ptr` cannot: that
    bytes may be far away (`!cira.handle<T>`, `!cira.remote_memref<...>`), that
    a load has begun but is not finished (`!cira.future<T>`), and how the next
    addresses follow from the present ones (`!cira.stream`).

    Memory model. All far memory is ordinary, byte addressable memory of one
    process: a handle is an ordinary pointer, a missing page is fetched by
    whoever touches it. So each op that moves data ahead of its use
    (`prefetch_*`, `install_cacheline`, `evict_hint`, `offload` of these) is a
    hint: leaving it out changes the time and never a result. Ops that carry
    data (`load`, `store`, `load_async`, `await`, `store_async`, `peek_*`)
    order like this:

    * `load` and `store` behave as the loads and stores of one thread: in
      program order, no atomicity beyond a naturally aligned word.
    * a `load_async` reads its bytes once, at some moment between itself and
      its `await`. If the same thread stores to these bytes in between, the
      value is the old or the new one, unspecified which.
    * a `store_async` takes effect at some moment between itself and the next
      `fence`, or the wait on its token. Its value is taken when it is issued.
      A load of these bytes by the same thread before that fence sees the old
      or the new value, unspecified which.
    * a `peek_*` reads, like `load_async`, the current element of its stream;
      elements may have been read ahead at any time since the stream was made.
      So a stream may only replace loads of bytes that nothing writes while
      the stream lives.
    * an `offload` region runs as a thread of its own. `sync_token_signal`
      releases and `sync_token_wait` acquires; `barrier` does both between the
      host and all regions that it started.
    * `release` makes this thread's writes visible to other ranks at their next
      acquire; two ranks that write the same byte without it race.

    A future is awaited exactly once. A stream ends with `stream_release`.
  }];
  let useDefaultTypePrinterParser = 1;
  let useDefaultAttributePrinterParser = 1;
  let hasOperationAttrVerify = 1;
  let hasConstantMaterializer = 1;
  let dependentDialects = ["::mlir::LLVM::LLVMDialect",
                           "::mlir::arith::ArithDialect"];
}

class CIRA_Op<string mnemonic, list<Trait> traits = []>
    : Op<CIRA_Dialect, mnemonic, traits>;

// What an op touches besides memory. Separate resources keep, for example, a
// hint from being dropped as useless without making it order against loads.
def CIRA_CacheResource : Resource<"::cira::CacheResource">;
def CIRA_StreamResource : Resource<"::cira::StreamResource">;
def CIRA_FutureResource : Resource<"::cira::FutureResource">;
def CIRA_SyncResource : Resource<"::cira::SyncResource">;

#endif // CIRA_DIALECT_TD
