// SPDX-License-Identifier: Apache-2.0
// The edge loop of the design notes: edges in far memory, each with pointers to
// two nodes, which an update function changes.
//
//   cira-run --far shm: --local 8M examples/mlir/edge_loop.mlir 1048576
//
// main(edges) gives the sum over all nodes. `edges` is a power of two; there are
// a quarter as many nodes.

!Node = !llvm.struct<"Node", (f32)>
!Edge = !llvm.struct<"Edge", (ptr, ptr, f32)>

module attributes {cira.fields = {Edge = ["from", "to", "weight"]}} {
  // to.value += weight + the low digit of from.value: all numbers stay exact.
  func.func @update_node(%edge: !llvm.ptr, %from: !llvm.ptr, %to: !llvm.ptr) {
    %e = cira.handle_cast %edge : !llvm.ptr to !cira.handle<!Edge>
    %f = cira.handle_cast %from : !llvm.ptr to !cira.handle<!Node>
    %t = cira.handle_cast %to : !llvm.ptr to !cira.handle<!Node>
    %weight = cira.load %e[2] : !cira.handle<!Edge> -> f32
    %x = cira.load %f[0] : !cira.handle<!Node> -> f32
    %y = cira.load %t[0] : !cira.handle<!Node> -> f32
    %eight = arith.constant 8.0 : f32
    %low = arith.remf %x, %eight : f32
    %y1 = arith.addf %y, %weight : f32
    %y2 = arith.addf %y1, %low : f32
    cira.store %y2, %t[0] : f32, !cira.handle<!Node>
    return
  }

  // Edge k: from node k mod n to node (a k + c) mod n, weight k mod 4.
  func.func @fill(%edges: !cira.remote_memref<?x!Edge, cxl>, %count: index,
                  %nodes: !cira.handle<!Node>, %n: index) {
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %c3 = arith.constant 3 : index
    %a = arith.constant 1664525 : index
    %c = arith.constant 1013904223 : index
    %zero = arith.constant 0.0 : f32
    %mask = arith.subi %n, %c1 : index
    %first = cira.handle_cast %edges : !cira.remote_memref<?x!Edge, cxl> to !cira.handle<!Edge>
    scf.for %i = %c0 to %n step %c1 {
      %node = cira.handle_offset %nodes[%i] : !cira.handle<!Node>
      cira.store %zero, %node[0] : f32, !cira.handle<!Node>
    }
    scf.for %k = %c0 to %count step %c1 {
      %edge = cira.handle_offset %first[%k] : !cira.handle<!Edge>
      %i = arith.andi %k, %mask : index
      %scaled = arith.muli %k, %a : index
      %moved = arith.addi %scaled, %c : index
      %j = arith.andi %moved, %mask : index
      %from = cira.handle_offset %nodes[%i] : !cira.handle<!Node>
      %to = cira.handle_offset %nodes[%j] : !cira.handle<!Node>
      %low = arith.andi %k, %c3 : index
      %low_i32 = arith.index_cast %low : index to i32
      %weight = arith.sitofp %low_i32 : i32 to f32
      cira.store %from, %edge[0] : !cira.handle<!Node>, !cira.handle<!Edge>
      cira.store %to, %edge[1] : !cira.handle<!Node>, !cira.handle<!Edge>
      cira.store %weight, %edge[2] : f32, !cira.handle<!Edge>
    }
    return
  }

  func.func @edges(%num_edges: index, %prefetch_distance: index,
                   %nodes: !cira.handle<!Node>, %n: index) {
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %line = arith.constant 2 : index // edges in a cache line: 64 / 24 bytes
    // Allocate graph in remote memory
    %edge_data = cira.alloc(%num_edges) : !cira.remote_memref<?x!Edge, cxl>
    func.call @fill(%edge_data, %num_edges, %nodes, %n)
        : (!cira.remote_memref<?x!Edge, cxl>, index, !cira.handle<!Node>, index) -> ()

    // Execute graph traversal
    scf.for %i = %c0 to %num_edges step %line {
      // Prefetch next cache line
      %ahead = cira.offload.load_edge %edge_data[%i], %prefetch_distance
          : !cira.remote_memref<?x!Edge, cxl>, index -> !cira.handle<!Edge>
      %rest = arith.subi %num_edges, %i : index
      %here = arith.minsi %rest, %line : index
      scf.for %j = %c0 to %here step %c1 {
        %k = arith.addi %i, %j : index
        %edge = cira.offload.load_edge %edge_data[%k], %c0
            : !cira.remote_memref<?x!Edge, cxl>, index -> !cira.handle<!Edge>

        // Prefetch node data, of the next edge too if there is one
        %last = arith.subi %num_edges, %c1 : index
        %is_last = arith.cmpi eq, %k, %last : index
        %next = arith.select %is_last, %c0, %c1 : index
        %node_from = cira.offload.load_node %edge, "from", %next
            : !cira.handle<!Edge>, index -> !cira.handle<!Node>
        %node_to = cira.offload.load_node %edge, "to", %next
            : !cira.handle<!Edge>, index -> !cira.handle<!Node>

        // Get physical addresses for computation
        %paddr_from = cira.offload.get_paddr "from", %node_from : !cira.handle<!Node> -> !llvm.ptr
        %paddr_to = cira.offload.get_paddr "to", %node_to : !cira.handle<!Node> -> !llvm.ptr

        // Execute update function
        cira.call @update_node(%edge, %paddr_from, %paddr_to)
            : (!cira.handle<!Edge>, !llvm.ptr, !llvm.ptr) -> ()
      }

      // Evict processed cache line
      cira.offload.evict_edge %edge_data[%i] : !cira.remote_memref<?x!Edge, cxl>
    }
    cira.dealloc %edge_data : !cira.remote_memref<?x!Edge, cxl>
    return
  }

  func.func @main(%num_edges: index) -> f32 {
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %c2 = arith.constant 2 : index
    %distance = arith.constant 16 : index
    %zero = arith.constant 0.0 : f32
    %n = arith.shrui %num_edges, %c2 : index
    %nodes = cira.alloc(%n) tier(far) : !cira.handle<!Node>
    func.call @edges(%num_edges, %distance, %nodes, %n)
        : (index, index, !cira.handle<!Node>, index) -> ()
    %sum = scf.for %i = %c0 to %n step %c1 iter_args(%s = %zero) -> f32 {
      %node = cira.handle_offset %nodes[%i] : !cira.handle<!Node>
      %v = cira.load %node[0] : !cira.handle<!Node> -> f32
      %t = arith.addf %s, %v : f32
      scf.yield %t : f32
    }
    cira.dealloc %nodes : !cira.handle<!Node>
    return %sum : f32
  }
}
