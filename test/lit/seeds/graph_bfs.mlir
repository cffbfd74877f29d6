// SPDX-License-Identifier: Apache-2.0
// The listing "Graph BFS with Remotable Pointers". Corrections:
// docs/dialect/seed-listings.md.
// RUN: cira-opt %s | cira-opt | FileCheck %s

!Graph = !llvm.struct<"Graph", (i64, ptr, ptr)>

// CHECK-LABEL: module @graph_bfs
module @graph_bfs {
  // Graph stored in CXL memory
  // CHECK: func.func @bfs
  func.func @bfs(%graph: !cira.handle<!Graph>, %source: index, %lookahead: index,
                 %visited: memref<?xi32>, %distance: memref<?xi32>) {
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %zero = arith.constant 0 : i32
    %one = arith.constant 1 : i32
    %vertices = cira.load %graph[0] : !cira.handle<!Graph> -> i64
    %num_vertices = arith.index_cast %vertices : i64 to index
    %frontier = memref.alloc(%num_vertices) : memref<?xi32>
    %next_frontier = memref.alloc(%num_vertices) : memref<?xi32>
    %next_size = memref.alloc() : memref<1xi32>

    // Initialize
    %source_i32 = arith.index_cast %source : index to i32
    memref.store %source_i32, %frontier[%c0] : memref<?xi32>
    memref.store %one, %visited[%source] : memref<?xi32>
    memref.store %zero, %distance[%source] : memref<?xi32>

    %result:4 = scf.while (%level = %zero, %size = %c1, %now = %frontier, %later = %next_frontier)
        : (i32, index, memref<?xi32>, memref<?xi32>) -> (i32, index, memref<?xi32>, memref<?xi32>) {
      %more = arith.cmpi ne, %size, %c0 : index
      scf.condition(%more) %level, %size, %now, %later : i32, index, memref<?xi32>, memref<?xi32>
    } do {
    ^bb0(%level: i32, %size: index, %now: memref<?xi32>, %later: memref<?xi32>):
      %next_level = arith.addi %level, %one : i32
      memref.store %zero, %next_size[%c0] : memref<1xi32>

      // Create stream for frontier vertices' adjacency lists
      // CHECK: cira.stream_create_frontier
      %adj_stream = cira.stream_create_frontier %graph, %now, %size :
          !cira.handle<!Graph>, memref<?xi32>, index -> !cira.stream

      // Offload adjacency list prefetching
      // CHECK: cira.offload @vortex
      cira.offload @vortex {
        // Vortex cores prefetch neighbor lists in parallel
        // CHECK: cira.prefetch_adjacency
        cira.prefetch_adjacency %adj_stream, %lookahead :
            !cira.stream, index
      }

      // Process frontier (data arrives from LLC)
      scf.parallel (%v) = (%c0) to (%size) step (%c1) {
        // CHECK: cira.peek_adjacency
        %adj_future = cira.peek_adjacency %adj_stream, %v :
            !cira.stream, index -> !cira.future<memref<?xi32>>
        // CHECK: cira.await
        %neighbors = cira.await %adj_future : !cira.future<memref<?xi32>> -> memref<?xi32>
        %num_neighbors = memref.dim %neighbors, %c0 : memref<?xi32>

        // Process neighbors
        scf.for %n = %c0 to %num_neighbors step %c1 {
          %neighbor = memref.load %neighbors[%n] : memref<?xi32>
          %u = arith.index_cast %neighbor : i32 to index
          // Update next_frontier: whoever claims the vertex first.
          %seen = memref.atomic_rmw assign %one, %visited[%u] : (i32, memref<?xi32>) -> i32
          %is_new = arith.cmpi eq, %seen, %zero : i32
          scf.if %is_new {
            memref.store %next_level, %distance[%u] : memref<?xi32>
            %at = memref.atomic_rmw addi %one, %next_size[%c0] : (i32, memref<1xi32>) -> i32
            %slot = arith.index_cast %at : i32 to index
            memref.store %neighbor, %later[%slot] : memref<?xi32>
          }
        }
        // CHECK: cira.advance_stream
        cira.advance_stream %adj_stream : !cira.stream
      }
      // CHECK: cira.stream_release
      cira.stream_release %adj_stream : !cira.stream

      // Swap frontiers
      %count = memref.load %next_size[%c0] : memref<1xi32>
      %new_size = arith.index_cast %count : i32 to index
      scf.yield %next_level, %new_size, %later, %now : i32, index, memref<?xi32>, memref<?xi32>
    }
    memref.dealloc %frontier : memref<?xi32>
    memref.dealloc %next_frontier : memref<?xi32>
    memref.dealloc %next_size : memref<1xi32>
    return
  }
}
