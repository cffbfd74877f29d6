// SPDX-License-Identifier: Apache-2.0
// Loops that get no stream say why.
// RUN: cira-opt %s --cira-create-streams --verify-diagnostics | FileCheck %s

// CHECK-NOT: stream_create
func.func @f(%a: memref<?xindex>, %m: memref<?x8xindex>, %n: index, %s: !cira.stream, %h: !cira.handle<!llvm.ptr>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  // expected-remark @+1 {{cira-create-streams: missed: the loop has no cira.distance; run cira-recognize and cira-prefetch-distance first}}
  scf.for %i = %c0 to %n step %c1 {
    %v = memref.load %a[%i] : memref<?xindex>
  }
  // expected-remark @+1 {{cira-create-streams: missed: the loop has a stream already}}
  scf.for %i = %c0 to %n step %c1 {
    %v = memref.load %a[%i] {cira.access = #cira.access<strided, stride_bytes = 8, element_bytes = 8, reason = "r">} : memref<?xindex>
    cira.advance_stream %s : !cira.stream
  } {cira.distance = #cira.distance<lines = 10, pages = 64, iteration_ns = 3, latency_ns = 5000>, cira.pattern = #cira.access<strided, stride_bytes = 8, element_bytes = 8, reason = "r">}
  // expected-remark @+1 {{cira-create-streams: missed: no access has the loop's pattern; run cira-recognize again}}
  scf.for %i = %c0 to %n step %c1 {
    %v = memref.load %a[%i] : memref<?xindex>
  } {cira.distance = #cira.distance<lines = 10, pages = 64, iteration_ns = 3, latency_ns = 5000>, cira.pattern = #cira.access<strided, stride_bytes = 8, element_bytes = 8, reason = "r">}
  // expected-remark @+1 {{cira-create-streams: missed: no gain: 4 iterations x (20 - 15) ns against 50 ns to hand over}}
  scf.for %i = %c0 to %c4 step %c1 {
    %v = memref.load %a[%i] {cira.access = #cira.access<strided, stride_bytes = 8, element_bytes = 8, reason = "r">} : memref<?xindex>
  } {cira.distance = #cira.distance<lines = 1, pages = 1, iteration_ns = 1, latency_ns = 20>, cira.pattern = #cira.access<strided, stride_bytes = 8, element_bytes = 8, reason = "r">}
  // expected-remark @+1 {{cira-create-streams: missed: a strided stream needs an array of rank 1 from outside of the loop and a loop that counts}}
  scf.for %i = %c0 to %n step %c1 {
    %v = memref.load %m[%i, %i] {cira.access = #cira.access<strided, stride_bytes = 8, element_bytes = 8, reason = "r">} : memref<?x8xindex>
  } {cira.distance = #cira.distance<lines = 10, pages = 64, iteration_ns = 3, latency_ns = 5000>, cira.pattern = #cira.access<strided, stride_bytes = 8, element_bytes = 8, reason = "r">}
  // expected-remark @+1 {{cira-create-streams: missed: the code has changed since cira-recognize; run it again}}
  scf.for %i = %c0 to %n step %c1 {
    %q = arith.divsi %i, %n : index
    %v = memref.load %a[%q] {cira.access = #cira.access<strided, stride_bytes = 8, element_bytes = 8, reason = "r">} : memref<?xindex>
  } {cira.distance = #cira.distance<lines = 10, pages = 64, iteration_ns = 3, latency_ns = 5000>, cira.pattern = #cira.access<strided, stride_bytes = 8, element_bytes = 8, reason = "r">}
  // expected-remark @+1 {{cira-create-streams: missed: arithmetic between the index array and the access; a stream cannot repeat it}}
  scf.for %i = %c0 to %n step %c1 {
    %k = memref.load %a[%i] : memref<?xindex>
    %k1 = arith.addi %k, %c1 : index
    %v = memref.load %a[%k1] {cira.access = #cira.access<indexed, stride_bytes = 8, element_bytes = 8, reason = "r">} : memref<?xindex>
  } {cira.distance = #cira.distance<lines = 10, pages = 64, iteration_ns = 3, latency_ns = 5000>, cira.pattern = #cira.access<indexed, stride_bytes = 8, element_bytes = 8, reason = "r">}
  // expected-remark @+1 {{cira-create-streams: missed: the indices are not read from an array of rank 1 from outside of the loop, by a loop that counts}}
  scf.for %i = %c0 to %n step %c1 {
    %k = memref.load %m[%i, %c0] : memref<?x8xindex>
    %v = memref.load %a[%k] {cira.access = #cira.access<indexed, stride_bytes = 8, element_bytes = 8, reason = "r">} : memref<?xindex>
  } {cira.distance = #cira.distance<lines = 10, pages = 64, iteration_ns = 3, latency_ns = 5000>, cira.pattern = #cira.access<indexed, stride_bytes = 8, element_bytes = 8, reason = "r">}
  // expected-remark @+1 {{cira-create-streams: missed: the loop counts in several dimensions at once}}
  scf.parallel (%i, %j) = (%c0, %c0) to (%n, %n) step (%c1, %c1) {
    %v = memref.load %a[%i] {cira.access = #cira.access<strided, stride_bytes = 8, element_bytes = 8, reason = "r">} : memref<?xindex>
    scf.reduce
  } {cira.distance = #cira.distance<lines = 10, pages = 64, iteration_ns = 3, latency_ns = 5000>, cira.pattern = #cira.access<strided, stride_bytes = 8, element_bytes = 8, reason = "r">}
  scf.for %vi = %c0 to %n step %c1 {
    %x = memref.load %a[%vi] : memref<?xindex>
    %lo = memref.load %a[%x] : memref<?xindex>
    // expected-remark @+1 {{cira-create-streams: missed: the neighbours are not the third field of a graph behind a handle (cira.stream_create_frontier)}}
    scf.for %i = %lo to %n step %c1 {
      %v = memref.load %a[%i] {cira.access = #cira.access<frontier, stride_bytes = 8, element_bytes = 8, reason = "r">} : memref<?xindex>
    } {cira.distance = #cira.distance<lines = 10, pages = 64, iteration_ns = 3, latency_ns = 5000>, cira.pattern = #cira.access<frontier, stride_bytes = 8, element_bytes = 8, reason = "r">}
  } {cira.pattern = #cira.access<none, reason = "r">}
  // expected-remark @+1 {{cira-create-streams: missed: the link is not read in every iteration, or from another type than the head's}}
  %r = scf.for %i = %c0 to %n step %c1 iter_args(%p = %h) -> !cira.handle<!llvm.ptr> {
    %q = cira.handle_cast %p : !cira.handle<!llvm.ptr> to !cira.handle<!llvm.struct<(ptr, i64)>>
    %d = cira.load %q[1] {cira.access = #cira.access<linked, reason = "r">} : !cira.handle<!llvm.struct<(ptr, i64)>> -> i64
    %w = cira.load %p : !cira.handle<!llvm.ptr> -> !cira.handle<!llvm.ptr>
    scf.yield %w : !cira.handle<!llvm.ptr>
  } {cira.distance = #cira.distance<lines = 10, pages = 64, iteration_ns = 3, latency_ns = 5000>, cira.pattern = #cira.access<linked, reason = "r">}
  return
}

// Rows of a graph that no frontier stream can follow. The streams that are
// there came from elsewhere.
!Graph = !llvm.struct<"Graph", (i64, ptr, ptr)>
func.func @rows(%g: !cira.handle<!Graph>, %list: memref<?xindex>, %n: index, %s: !cira.stream) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  %rows = cira.load %g[1] : !cira.handle<!Graph> -> !cira.handle<index>
  %cols = cira.load %g[2] : !cira.handle<!Graph> -> !cira.handle<i32>
  // expected-remark @+1 {{missed: the loop has no cira.distance}}
  scf.for %v = %c0 to %n step %c2 {
    %x = memref.load %list[%v] : memref<?xindex>
    %b = cira.load %rows[%x] : !cira.handle<index> -> index
    // expected-remark @+1 {{cira-create-streams: missed: the vertices are not read one by one from an array of integers from outside of their loop}}
    scf.for %j = %b to %n step %c1 {
      %w = cira.load %cols[%j] {cira.access = #cira.access<frontier, stride_bytes = 4, element_bytes = 4, reason = "r">} : !cira.handle<i32> -> i32
    } {cira.distance = #cira.distance<lines = 10, pages = 64, iteration_ns = 3, latency_ns = 5000>, cira.pattern = #cira.access<frontier, stride_bytes = 4, element_bytes = 4, reason = "r">}
  }
  // expected-remark @+1 {{missed: the loop has no cira.distance}}
  scf.for %v = %c0 to %n step %c1 {
    %x = memref.load %list[%v] : memref<?xindex>
    %x1 = arith.addi %x, %c1 : index
    %b = cira.load %rows[%x1] : !cira.handle<index> -> index
    // expected-remark @+1 {{cira-create-streams: missed: the run does not begin where the graph's row of the vertex does}}
    scf.for %j = %b to %n step %c1 {
      %w = cira.load %cols[%j] {cira.access = #cira.access<frontier, stride_bytes = 4, element_bytes = 4, reason = "r">} : !cira.handle<i32> -> i32
    } {cira.distance = #cira.distance<lines = 10, pages = 64, iteration_ns = 3, latency_ns = 5000>, cira.pattern = #cira.access<frontier, stride_bytes = 4, element_bytes = 4, reason = "r">}
  }
  // expected-remark @+1 {{missed: the loop has no cira.distance}}
  scf.for %v = %c0 to %n step %c1 {
    %x = memref.load %list[%v] : memref<?xindex>
    %b = cira.load %rows[%x] : !cira.handle<index> -> index
    // expected-remark @+1 {{cira-create-streams: missed: the loop over the vertices has no cira.distance; run cira-recognize and cira-prefetch-distance first}}
    scf.for %j = %b to %n step %c1 {
      %w = cira.load %cols[%j] {cira.access = #cira.access<frontier, stride_bytes = 4, element_bytes = 4, reason = "r">} : !cira.handle<i32> -> i32
    } {cira.distance = #cira.distance<lines = 10, pages = 64, iteration_ns = 3, latency_ns = 5000>, cira.pattern = #cira.access<frontier, stride_bytes = 4, element_bytes = 4, reason = "r">}
  }
  // expected-remark @+1 {{missed: the loop has a stream already}}
  scf.for %v = %c0 to %n step %c1 {
    %x = memref.load %list[%v] : memref<?xindex>
    %b = cira.load %rows[%x] : !cira.handle<index> -> index
    // expected-remark @+1 {{cira-create-streams: missed: the loop over the vertices has a stream already}}
    scf.for %j = %b to %n step %c1 {
      %w = cira.load %cols[%j] {cira.access = #cira.access<frontier, stride_bytes = 4, element_bytes = 4, reason = "r">} : !cira.handle<i32> -> i32
    } {cira.distance = #cira.distance<lines = 10, pages = 64, iteration_ns = 3, latency_ns = 5000>, cira.pattern = #cira.access<frontier, stride_bytes = 4, element_bytes = 4, reason = "r">}
    cira.advance_stream %s : !cira.stream
  } {cira.distance = #cira.distance<lines = 10, pages = 64, iteration_ns = 3, latency_ns = 5000>}
  return
}
