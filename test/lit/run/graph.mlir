// SPDX-License-Identifier: Apache-2.0
// load_edge, load_node, get_paddr and evict_edge: an edge array with its nodes,
// in order and from the end, with and without a look ahead.
// REQUIRES: jit
// RUN: %everywhere %s | FileCheck %s

!Node = !llvm.struct<"Node", (f32)>
!Edge = !llvm.struct<"Edge", (ptr, ptr, f32)>

module attributes {cira.fields = {Edge = ["from", "to", "weight"]}} {
  // to += from * weight, on plain pointers.
  func.func private @update(%edge: !llvm.ptr, %from: !llvm.ptr, %to: !llvm.ptr) {
    %w_at = llvm.getelementptr %edge[16] : (!llvm.ptr) -> !llvm.ptr, i8
    %w = llvm.load %w_at : !llvm.ptr -> f32
    %a = llvm.load %from : !llvm.ptr -> f32
    %b = llvm.load %to : !llvm.ptr -> f32
    %x = arith.mulf %a, %w : f32
    %y = arith.addf %b, %x : f32
    llvm.store %y, %to : f32, !llvm.ptr
    return
  }

  func.func @step(%edges: !cira.remote_memref<?x!Edge, cxl>, %k: index, %d: index) {
    %c0 = arith.constant 0 : index
    %edge = cira.offload.load_edge %edges[%k], %d
        : !cira.remote_memref<?x!Edge, cxl>, index -> !cira.handle<!Edge>
    %from = cira.offload.load_node %edge, "from", %c0
        : !cira.handle<!Edge>, index -> !cira.handle<!Node>
    %to = cira.offload.load_node %edge, "to", %c0
        : !cira.handle<!Edge>, index -> !cira.handle<!Node>
    %from_p = cira.offload.get_paddr "from", %from : !cira.handle<!Node> -> !llvm.ptr
    %to_p = cira.offload.get_paddr "to", %to : !cira.handle<!Node> -> !llvm.ptr
    cira.call @update(%edge, %from_p, %to_p)
        : (!cira.handle<!Edge>, !llvm.ptr, !llvm.ptr) -> ()
    cira.offload.evict_edge %edges[%k] : !cira.remote_memref<?x!Edge, cxl>
    return
  }

  // Edge k goes from node k to node 7 k; node k begins with 1.
  // CHECK: {{^}}18432{{$}}
  func.func @main() -> f32 {
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %c7 = arith.constant 7 : index
    %ahead = arith.constant 32 : index
    %n = arith.constant 16384 : index
    %one = arith.constant 1.0 : f32
    %quarter = arith.constant 0.25 : f32
    %zero = arith.constant 0.0 : f32
    %nodes = cira.alloc(%n) : !cira.handle<!Node>
    %edges = cira.alloc(%n) : !cira.remote_memref<?x!Edge, cxl>
    %base = cira.handle_cast %edges : !cira.remote_memref<?x!Edge, cxl> to !cira.handle<!Edge>
    scf.for %i = %c0 to %n step %c1 {
      %node = cira.handle_offset %nodes[%i] : !cira.handle<!Node>
      cira.store %one, %node[0] : f32, !cira.handle<!Node>
      %wild = arith.muli %i, %c7 : index
      %at = arith.remui %wild, %n : index
      %to = cira.handle_offset %nodes[%at] : !cira.handle<!Node>
      %edge = cira.handle_offset %base[%i] : !cira.handle<!Edge>
      cira.store %node, %edge[0] : !cira.handle<!Node>, !cira.handle<!Edge>
      cira.store %to, %edge[1] : !cira.handle<!Node>, !cira.handle<!Edge>
      %low = arith.andi %i, %c1 : index
      %odd = arith.cmpi eq, %low, %c1 : index
      %w = arith.select %odd, %quarter, %zero : f32
      cira.store %w, %edge[2] : f32, !cira.handle<!Edge>
    }
    // Odd edges end at odd nodes and even ones add nothing: set all nodes back
    // to 1 in between, so that the order does not matter.
    %last = arith.subi %n, %c1 : index
    scf.for %i = %c0 to %n step %c1 {
      func.call @step(%edges, %i, %ahead) : (!cira.remote_memref<?x!Edge, cxl>, index, index) -> ()
      %node = cira.handle_offset %nodes[%i] : !cira.handle<!Node>
      cira.store %one, %node[0] : f32, !cira.handle<!Node>
    }
    scf.for %i = %c0 to %n step %c1 {
      %node = cira.handle_offset %nodes[%i] : !cira.handle<!Node>
      cira.store %one, %node[0] : f32, !cira.handle<!Node>
    }
    %r = scf.for %i = %c0 to %n step %c1 iter_args(%s = %zero) -> f32 {
      %at = arith.subi %last, %i : index
      func.call @step(%edges, %at, %c0) : (!cira.remote_memref<?x!Edge, cxl>, index, index) -> ()
      %edge = cira.handle_offset %base[%at] : !cira.handle<!Edge>
      %to = cira.load %edge[1] : !cira.handle<!Edge> -> !cira.handle<!Node>
      %v = cira.load %to[0] : !cira.handle<!Node> -> f32
      cira.store %one, %to[0] : f32, !cira.handle<!Node>
      %t = arith.addf %s, %v : f32
      scf.yield %t : f32
    }
    cira.dealloc %edges : !cira.remote_memref<?x!Edge, cxl>
    cira.dealloc %nodes : !cira.handle<!Node>
    return %r : f32
  }
}
