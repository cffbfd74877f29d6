// SPDX-License-Identifier: Apache-2.0
// Work handed to a device beside the memory, and the edge and node loads of
// the graph engine. Field names are looked up in the module attribute
// `cira.fields`, since LLVM structs have none:
//   cira.fields = {Edge = ["from", "to", "weight"]}
#ifndef CIRA_OFFLOAD_OPS_TD
#define CIRA_OFFLOAD_OPS_TD

include "CiraTypes.td"

def CIRA_OffloadOp : CIRA_Op<"offload", [
    SingleBlockImplicitTerminator<"::cira::YieldOp">, RecursiveMemoryEffects,
    DeclareOpInterfaceMethods<RegionBranchOpInterface,
                              ["getEntrySuccessorOperands"]>]> {
  let summary = "run a region on a device beside the memory";
  let description = [{
    The device is one that the machine model lists, with `_core_N` or `_N`
    behind its name to pick one core. The region may use values from outside
    (they are captured when the op is reached) and may be given operands as
    block arguments.

    Without results the host goes on at once; the region is done, and its
    writes are visible, after the next `barrier`, or after a wait on a token
    that it signals. With results the host waits for them here. A device
    cannot offload in turn.

    ```mlir
    func.func @two_forms(%s: !cira.stream, %d: index, %p: !cira.handle<f32>) -> f32 {
      cira.offload @vortex_core_0 {
        cira.prefetch_chain %s, %d : !cira.stream, index
      }
      %sum = cira.offload @helper(%p, %d : !cira.handle<f32>, index) -> f32 {
      ^bb0(%base: !cira.handle<f32>, %i: index):
        %v = cira.load %base[%i] : !cira.handle<f32> -> f32
        cira.yield %v : f32
      }
      return %sum : f32
    }
    ```
  }];
  let arguments = (ins FlatSymbolRefAttr:$device,
    Arg<Variadic<AnyType>, "become the block arguments">:$inputs);
  let results = (outs Variadic<AnyType>:$results);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = [{
    $device (`(` $inputs^ `:` qualified(type($inputs)) `)`)?
    (`->` qualified(type($results))^)? $body attr-dict
  }];
  let hasVerifier = 1;
}

def CIRA_YieldOp : CIRA_Op<"yield", [Pure, Terminator, ReturnLike,
                                     HasParent<"::cira::OffloadOp">]> {
  let summary = "end an offload region and give its results";
  let description = [{
    Its operands become the results of the `offload` around it. Left out where
    there are none.

    ```mlir
    func.func @one() -> i64 {
      %r = cira.offload @helper -> i64 {
        %c1 = arith.constant 1 : i64
        cira.yield %c1 : i64
      }
      return %r : i64
    }
    ```
  }];
  let arguments = (ins Variadic<AnyType>:$values);
  let builders = [OpBuilder<(ins), [{ (void)$_state; }]>];
  let assemblyFormat = "attr-dict ($values^ `:` qualified(type($values)))?";
  let hasVerifier = 1;
}

def CIRA_CallOp : CIRA_Op<"call", [CallOpInterface,
    DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "call a function with addresses of data that is here";
  let description = [{
    A direct call, on the host or inside an offload region. A handle may be
    passed where the function takes `!llvm.ptr`: it is the same address.

    ```mlir
    func.func private @update_node(!llvm.ptr, f32)
    func.func @run(%n: !cira.handle<f32>, %x: f32) {
      cira.call @update_node(%n, %x) : (!cira.handle<f32>, f32) -> ()
      return
    }
    ```
  }];
  let arguments = (ins FlatSymbolRefAttr:$callee, Variadic<AnyType>:$operands);
  let results = (outs Variadic<AnyType>:$results);
  let assemblyFormat = [{
    $callee `(` $operands `)` attr-dict `:` functional-type($operands, $results)
  }];
  let extraClassDeclaration = [{
    operand_range getArgOperands() { return getOperands(); }
    ::mlir::MutableOperandRange getArgOperandsMutable() {
      return getOperandsMutable();
    }
    ::mlir::CallInterfaceCallable getCallableForCallee() {
      return (*this)->getAttrOfType<::mlir::SymbolRefAttr>("callee");
    }
    void setCalleeFromCallable(::mlir::CallInterfaceCallable callee) {
      (*this)->setAttr("callee", callee.get<::mlir::SymbolRefAttr>());
    }
  }];
}

//===-- Edges and nodes ---------------------------------------------------===//

def CIRA_LoadEdgeOp : CIRA_Op<"offload.load_edge"> {
  let summary = "fetch one edge, and ask for a later one";
  let description = [{
    Makes edge `index` of the edge array present and gives its handle; waits
    for it. If `distance` is not 0, edge `index + distance` is asked for as a
    hint, if it exists.

    ```mlir
    !Edge = !llvm.struct<"Edge", (ptr, ptr, f32)>
    func.func @edge(%edges: !cira.remote_memref<?x!Edge, cxl>, %i: index, %d: index)
        -> !cira.handle<!Edge> {
      %e = cira.offload.load_edge %edges[%i], %d
        : !cira.remote_memref<?x!Edge, cxl>, index -> !cira.handle<!Edge>
      return %e : !cira.handle<!Edge>
    }
    ```
  }];
  let arguments = (ins
    Arg<CIRA_RemoteMemRef, "the edges, rank 1",
        [MemRead, MemWrite<CIRA_CacheResource>]>:$edges,
    Arg<Index, "which edge">:$index,
    Arg<Index, "how many edges ahead to ask for; 0: none">:$distance);
  let results = (outs CIRA_Handle:$edge);
  let assemblyFormat = [{
    $edges `[` $index `]` `,` $distance attr-dict `:` qualified(type($edges))
    `,` type($distance) `->` qualified(type($edge))
  }];
  let hasVerifier = 1;
}

def CIRA_LoadNodeOp : CIRA_Op<"offload.load_node"> {
  let summary = "fetch the node that a field of an edge points to";
  let description = [{
    Reads the pointer in the named field of the edge, makes the node there
    present and gives its handle; waits for it. If `distance` is not 0, the
    node that the edge `distance` places further in the edge array points to
    is asked for as a hint: so the edge must be an element of an array that
    reaches that far, or the distance 0.

    ```mlir
    !Node = !llvm.struct<"Node", (f32)>
    !Edge = !llvm.struct<"Edge", (ptr, ptr, f32)>
    module attributes {cira.fields = {Edge = ["from", "to", "weight"]}} {
      func.func @from(%e: !cira.handle<!Edge>, %d: index) -> !cira.handle<!Node> {
        %n = cira.offload.load_node %e, "from", %d
          : !cira.handle<!Edge>, index -> !cira.handle<!Node>
        return %n : !cira.handle<!Node>
      }
    }
    ```
  }];
  let arguments = (ins
    Arg<CIRA_Handle, "the edge", [MemRead, MemWrite<CIRA_CacheResource>]>:$edge,
    StrAttr:$field,
    Arg<Index, "how many edges ahead to ask for; 0: none">:$distance);
  let results = (outs CIRA_Handle:$node);
  let assemblyFormat = [{
    $edge `,` $field `,` $distance attr-dict `:` qualified(type($edge))
    `,` type($distance) `->` qualified(type($node))
  }];
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    /// Index of the named field in the edge's struct, or a failure.
    ::llvm::FailureOr<unsigned> getFieldIndex();
  }];
}

def CIRA_GetPaddrOp : CIRA_Op<"offload.get_paddr", [Pure]> {
  let summary = "the address of a fetched node, for foreign code";
  let description = [{
    The address under which any code on this machine reaches the node. `field`
    repeats the field that the node was fetched through, so that one edge's
    two nodes cannot be mixed up unseen.

    ```mlir
    !Node = !llvm.struct<"Node", (f32)>
    func.func @address(%n: !cira.handle<!Node>) -> !llvm.ptr {
      %p = cira.offload.get_paddr "from", %n : !cira.handle<!Node> -> !llvm.ptr
      return %p : !llvm.ptr
    }
    ```
  }];
  let arguments = (ins StrAttr:$field, CIRA_Handle:$node);
  let results = (outs
    Type<CPred<"::llvm::isa<::mlir::LLVM::LLVMPointerType>($_self)">,
         "an !llvm.ptr">:$address);
  let assemblyFormat = [{
    $field `,` $node attr-dict `:` qualified(type($node)) `->` type($address)
  }];
  let hasVerifier = 1;
}

def CIRA_EvictEdgeOp : CIRA_Op<"offload.evict_edge"> {
  let summary = "an edge will not be needed again soon";
  let description = [{
    As `evict_hint`, for element `index` of an edge array.

    ```mlir
    !Edge = !llvm.struct<"Edge", (ptr, ptr, f32)>
    func.func @done(%edges: !cira.remote_memref<?x!Edge, cxl>, %i: index) {
      cira.offload.evict_edge %edges[%i] : !cira.remote_memref<?x!Edge, cxl>
      return
    }
    ```
  }];
  let arguments = (ins
    Arg<CIRA_RemoteMemRef, "the edges, rank 1",
        [MemWrite<CIRA_CacheResource>]>:$edges,
    Arg<Index, "which edge">:$index);
  let assemblyFormat = "$edges `[` $index `]` attr-dict `:` qualified(type($edges))";
  let hasVerifier = 1;
}

#endif // CIRA_OFFLOAD_OPS_TD
