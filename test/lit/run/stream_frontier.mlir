// SPDX-License-Identifier: Apache-2.0
// Neighbour lists of a set of vertices: all of a frontier and a part of it,
// looked at in order and backwards, with 32-bit and 64-bit vertex numbers, and a
// vertex without neighbours. Vertex v has v mod 5 neighbours: v + 1, v + 2, ...
// REQUIRES: jit
// RUN: %everywhere %s | FileCheck %s

!Graph = !llvm.struct<"Graph", (i64, ptr, ptr)>

func.func @graph(%n: index) -> (!cira.handle<!Graph>, memref<?xi64>, memref<?xi32>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c5 = arith.constant 5 : index
  %zero = arith.constant 0 : i64
  %up = arith.addi %n, %c1 : index
  %twice = arith.addi %n, %n : index
  %room = arith.addi %twice, %c5 : index
  %rows = memref.alloc(%up) : memref<?xi64>
  %edges = memref.alloc(%room) : memref<?xi32>
  memref.store %zero, %rows[%c0] : memref<?xi64>
  scf.for %v = %c0 to %n step %c1 {
    %degree = arith.remui %v, %c5 : index
    %first64 = memref.load %rows[%v] : memref<?xi64>
    %first = arith.index_cast %first64 : i64 to index
    scf.for %k = %c0 to %degree step %c1 {
      %at = arith.addi %first, %k : index
      %k1 = arith.addi %k, %c1 : index
      %to = arith.addi %v, %k1 : index
      %to32 = arith.index_cast %to : index to i32
      memref.store %to32, %edges[%at] : memref<?xi32>
    }
    %end = arith.addi %first, %degree : index
    %end64 = arith.index_cast %end : index to i64
    %v1 = arith.addi %v, %c1 : index
    memref.store %end64, %rows[%v1] : memref<?xi64>
  }
  %g = cira.alloc(%c1) : !cira.handle<!Graph>
  %n64 = arith.index_cast %n : index to i64
  %rows_h = cira.handle_cast %rows : memref<?xi64> to !cira.handle<i64>
  %edges_h = cira.handle_cast %edges : memref<?xi32> to !cira.handle<i32>
  cira.store %n64, %g[0] : i64, !cira.handle<!Graph>
  cira.store %rows_h, %g[1] : !cira.handle<i64>, !cira.handle<!Graph>
  cira.store %edges_h, %g[2] : !cira.handle<i32>, !cira.handle<!Graph>
  return %g, %rows, %edges : !cira.handle<!Graph>, memref<?xi64>, memref<?xi32>
}

// Sum over the list of (neighbour * (place in the list + 1)).
func.func @list_sum(%list: memref<?xi32>, %t: i64) -> i64 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %degree = memref.dim %list, %c0 : memref<?xi32>
  %r = scf.for %k = %c0 to %degree step %c1 iter_args(%s = %t) -> i64 {
    %to = memref.load %list[%k] : memref<?xi32>
    %wide = arith.extsi %to : i32 to i64
    %k1 = arith.addi %k, %c1 : index
    %weight = arith.index_cast %k1 : index to i64
    %x = arith.muli %wide, %weight : i64
    %u = arith.addi %s, %x : i64
    scf.yield %u : i64
  }
  return %r : i64
}

func.func @forwards(%g: !cira.handle<!Graph>, %frontier: memref<?xi32>, %n: index) -> i64 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %ahead = arith.constant 16 : index
  %zero = arith.constant 0 : i64
  %s = cira.stream_create_frontier %g, %frontier, %n
      : !cira.handle<!Graph>, memref<?xi32>, index -> !cira.stream
  cira.offload @vortex {
    cira.prefetch_adjacency %s, %ahead : !cira.stream, index
  }
  %r = scf.for %i = %c0 to %n step %c1 iter_args(%t = %zero) -> i64 {
    %f = cira.peek_adjacency %s, %i : !cira.stream, index -> !cira.future<memref<?xi32>>
    %list = cira.await %f : !cira.future<memref<?xi32>> -> memref<?xi32>
    %u = func.call @list_sum(%list, %t) : (memref<?xi32>, i64) -> i64
    cira.advance_stream %s : !cira.stream
    scf.yield %u : i64
  }
  cira.stream_release %s : !cira.stream
  return %r : i64
}

func.func @backwards(%g: !cira.handle<!Graph>, %frontier: memref<?xi64>) -> i64 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %zero = arith.constant 0 : i64
  %n = memref.dim %frontier, %c0 : memref<?xi64>
  %last = arith.subi %n, %c1 : index
  %s = cira.stream_create_frontier %g, %frontier
      : !cira.handle<!Graph>, memref<?xi64> -> !cira.stream
  %r = scf.for %i = %c0 to %n step %c1 iter_args(%t = %zero) -> i64 {
    %at = arith.subi %last, %i : index
    %f = cira.peek_adjacency %s, %at : !cira.stream, index -> !cira.future<memref<?xi32>>
    %list = cira.await %f : !cira.future<memref<?xi32>> -> memref<?xi32>
    %u = func.call @list_sum(%list, %t) : (memref<?xi32>, i64) -> i64
    cira.advance_stream %s : !cira.stream
    scf.yield %u : i64
  }
  cira.stream_release %s : !cira.stream
  return %r : i64
}

// CHECK: {{^}}2147647468{{$}}
// CHECK-NEXT: {{^}}1074422665{{$}}
// CHECK-NEXT: {{^}}2147647468{{$}}
func.func @main() -> (i64, i64, i64) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  %prime = arith.constant 7001 : index
  %n = arith.constant 32768 : index
  %half = arith.divui %n, %c2 : index
  %g:3 = func.call @graph(%n) : (index) -> (!cira.handle<!Graph>, memref<?xi64>, memref<?xi32>)
  %f32 = memref.alloc(%n) : memref<?xi32>
  %f64 = memref.alloc(%n) : memref<?xi64>
  scf.for %i = %c0 to %n step %c1 {
    %wild = arith.muli %i, %prime : index
    %v = arith.remui %wild, %n : index
    %v32 = arith.index_cast %v : index to i32
    %v64 = arith.index_cast %v : index to i64
    memref.store %v32, %f32[%i] : memref<?xi32>
    memref.store %v64, %f64[%i] : memref<?xi64>
  }
  %a = func.call @forwards(%g#0, %f32, %n) : (!cira.handle<!Graph>, memref<?xi32>, index) -> i64
  %b = func.call @forwards(%g#0, %f32, %half) : (!cira.handle<!Graph>, memref<?xi32>, index) -> i64
  %c = func.call @backwards(%g#0, %f64) : (!cira.handle<!Graph>, memref<?xi64>) -> i64
  memref.dealloc %f32 : memref<?xi32>
  memref.dealloc %f64 : memref<?xi64>
  memref.dealloc %g#1 : memref<?xi64>
  memref.dealloc %g#2 : memref<?xi32>
  cira.dealloc %g#0 : !cira.handle<!Graph>
  return %a, %b, %c : i64, i64, i64
}
