// SPDX-License-Identifier: Apache-2.0
// Seed 3's usage example, in the dialect. Corrections:
// docs/dialect/seed-listings.md.
// RUN: cira-opt %s | cira-opt | FileCheck %s

!Node = !llvm.struct<"Node", (f32)>
!Edge = !llvm.struct<"Edge", (ptr, ptr, f32)>

module attributes {cira.fields = {Edge = ["from", "to", "weight"]}} {
  func.func private @update_node(!llvm.ptr, !llvm.ptr, !llvm.ptr)

  // CHECK-LABEL: func.func @edges
  func.func @edges(%num_edges: index, %prefetch_distance: index) -> !cira.remote_memref<?x!Edge, cxl> {
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %line = arith.constant 2 : index // edges in a cache line: 64 / 24 bytes
    // Allocate graph in remote memory
    // CHECK: cira.alloc
    %edge_data = cira.alloc(%num_edges) : !cira.remote_memref<?x!Edge, cxl>
    func.call @fill(%edge_data) : (!cira.remote_memref<?x!Edge, cxl>) -> ()

    // Execute graph traversal
    scf.for %i = %c0 to %num_edges step %line {
      // Prefetch next cache line
      // CHECK: cira.offload.load_edge
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
        // CHECK: cira.offload.load_node {{.*}}, "from"
        %node_from = cira.offload.load_node %edge, "from", %next
            : !cira.handle<!Edge>, index -> !cira.handle<!Node>
        // CHECK: cira.offload.load_node {{.*}}, "to"
        %node_to = cira.offload.load_node %edge, "to", %next
            : !cira.handle<!Edge>, index -> !cira.handle<!Node>

        // Get physical addresses for computation
        // CHECK: cira.offload.get_paddr "from"
        %paddr_from = cira.offload.get_paddr "from", %node_from : !cira.handle<!Node> -> !llvm.ptr
        // CHECK: cira.offload.get_paddr "to"
        %paddr_to = cira.offload.get_paddr "to", %node_to : !cira.handle<!Node> -> !llvm.ptr

        // Execute update function
        // CHECK: cira.call @update_node
        cira.call @update_node(%edge, %paddr_from, %paddr_to)
            : (!cira.handle<!Edge>, !llvm.ptr, !llvm.ptr) -> ()
      }

      // Evict processed cache line
      // CHECK: cira.offload.evict_edge
      cira.offload.evict_edge %edge_data[%i] : !cira.remote_memref<?x!Edge, cxl>
    }
    return %edge_data : !cira.remote_memref<?x!Edge, cxl>
  }
  func.func private @fill(!cira.remote_memref<?x!Edge, cxl>)
}
