// SPDX-License-Identifier: Apache-2.0
// Breadth-first search, as in the design notes, on a graph in compressed rows
// that does not fit into local memory.
//
//   cira-run --far shm: --local 8M examples/mlir/graph_bfs.mlir 262144 16
//
// main(vertices, degree) builds a uniform random graph, searches it from vertex 0
// and gives the number of vertices reached and a checksum of their distances.
// `vertices` is a power of two.

!Graph = !llvm.struct<"Graph", (i64, ptr, ptr)>

// Graph stored in CXL memory
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
    %adj_stream = cira.stream_create_frontier %graph, %now, %size :
        !cira.handle<!Graph>, memref<?xi32>, index -> !cira.stream

    // Offload adjacency list prefetching
    cira.offload @vortex {
      // Vortex cores prefetch neighbor lists in parallel
      cira.prefetch_adjacency %adj_stream, %lookahead :
          !cira.stream, index
    }

    // Process frontier (data arrives from LLC)
    scf.parallel (%v) = (%c0) to (%size) step (%c1) {
      %adj_future = cira.peek_adjacency %adj_stream, %v :
          !cira.stream, index -> !cira.future<memref<?xi32>>
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
      cira.advance_stream %adj_stream : !cira.stream
    }
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

// Vertex v has `degree` neighbours, from a 64-bit mix of the edge's number.
func.func @build(%n: index, %degree: index) -> !cira.handle<!Graph> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %one = arith.constant 1 : index
  %mul = arith.constant 6364136223846793005 : i64
  %add = arith.constant 1442695040888963407 : i64
  %shift = arith.constant 33 : i64
  %rows_n = arith.addi %n, %c1 : index
  %edges = arith.muli %n, %degree : index
  %mask = arith.subi %n, %c1 : index
  %graph = cira.alloc(%one) tier(local) : !cira.handle<!Graph>
  %rows = cira.alloc(%rows_n) tier(far) : !cira.handle<i64>
  %neighbours = cira.alloc(%edges) tier(far) : !cira.handle<i32>
  scf.for %v = %c0 to %rows_n step %c1 {
    %begin = arith.muli %v, %degree : index
    %begin_i64 = arith.index_cast %begin : index to i64
    cira.store %begin_i64, %rows[%v] : i64, !cira.handle<i64>
  }
  scf.for %e = %c0 to %edges step %c1 {
    %e_i64 = arith.index_cast %e : index to i64
    %x = arith.muli %e_i64, %mul : i64
    %y = arith.addi %x, %add : i64
    %y2 = arith.muli %y, %mul : i64
    %z = arith.shrui %y2, %shift : i64
    %z_index = arith.index_cast %z : i64 to index
    %to = arith.andi %z_index, %mask : index
    %to_i32 = arith.index_cast %to : index to i32
    cira.store %to_i32, %neighbours[%e] : i32, !cira.handle<i32>
  }
  %n_i64 = arith.index_cast %n : index to i64
  cira.store %n_i64, %graph[0] : i64, !cira.handle<!Graph>
  cira.store %rows, %graph[1] : !cira.handle<i64>, !cira.handle<!Graph>
  cira.store %neighbours, %graph[2] : !cira.handle<i32>, !cira.handle<!Graph>
  return %graph : !cira.handle<!Graph>
}

func.func @main(%n: index, %degree: index) -> (i64, i64) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %lookahead = arith.constant 8 : index
  %unseen = arith.constant 0 : i32
  %zero = arith.constant 0 : i64
  %one = arith.constant 1 : i64
  %graph = func.call @build(%n, %degree) : (index, index) -> !cira.handle<!Graph>
  %visited = memref.alloc(%n) : memref<?xi32>
  %distance = memref.alloc(%n) : memref<?xi32>
  scf.for %v = %c0 to %n step %c1 {
    memref.store %unseen, %visited[%v] : memref<?xi32>
    memref.store %unseen, %distance[%v] : memref<?xi32>
  }
  func.call @bfs(%graph, %c0, %lookahead, %visited, %distance)
      : (!cira.handle<!Graph>, index, index, memref<?xi32>, memref<?xi32>) -> ()
  %reached, %sum = scf.for %v = %c0 to %n step %c1
      iter_args(%r = %zero, %s = %zero) -> (i64, i64) {
    %seen = memref.load %visited[%v] : memref<?xi32>
    %seen_i64 = arith.extsi %seen : i32 to i64
    %r1 = arith.addi %r, %seen_i64 : i64
    %d = memref.load %distance[%v] : memref<?xi32>
    %d_i64 = arith.extsi %d : i32 to i64
    %v_i64 = arith.index_cast %v : index to i64
    %weight = arith.addi %v_i64, %one : i64
    %term = arith.muli %d_i64, %weight : i64
    %s1 = arith.addi %s, %term : i64
    scf.yield %r1, %s1 : i64, i64
  }
  memref.dealloc %visited : memref<?xi32>
  memref.dealloc %distance : memref<?xi32>
  return %reached, %sum : i64, i64
}
