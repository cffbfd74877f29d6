// SPDX-License-Identifier: Apache-2.0
// alloc and dealloc in every tier, remote_memrefs with and without a layout,
// remote_cast, and memrefs: aligned, empty, grown, of handles.
// REQUIRES: jit
// RUN: %everywhere %s | FileCheck %s

func.func @write_and_sum(%m: memref<?x64xi32>) -> i64 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c64 = arith.constant 64 : index
  %zero = arith.constant 0 : i64
  %n = memref.dim %m, %c0 : memref<?x64xi32>
  scf.for %i = %c0 to %n step %c1 {
    scf.for %j = %c0 to %c64 step %c1 {
      %k = arith.muli %i, %c64 : index
      %l = arith.addi %k, %j : index
      %v = arith.index_cast %l : index to i32
      memref.store %v, %m[%i, %j] : memref<?x64xi32>
    }
  }
  %r = scf.for %i = %c0 to %n step %c1 iter_args(%s = %zero) -> i64 {
    %row = scf.for %j = %c0 to %c64 step %c1 iter_args(%t = %s) -> i64 {
      %v = memref.load %m[%i, %j] : memref<?x64xi32>
      %w = arith.extsi %v : i32 to i64
      %u = arith.addi %t, %w : i64
      scf.yield %u : i64
    }
    scf.yield %row : i64
  }
  return %r : i64
}

func.func @tiers(%n: index) -> i64 {
  %a = cira.alloc(%n) : !cira.remote_memref<?x64xi32, far>
  %b = cira.alloc(%n) : !cira.remote_memref<?x64xi32, cxl>
  %c = cira.alloc(%n) : !cira.remote_memref<?x64xi32, remote_cxl>
  %d = cira.alloc(%n) : !cira.remote_memref<?x64xi32, local>
  %ma = cira.remote_cast %a : !cira.remote_memref<?x64xi32, far> to memref<?x64xi32>
  %mb = cira.remote_cast %b : !cira.remote_memref<?x64xi32, cxl> to memref<?x64xi32>
  %mc = cira.remote_cast %c : !cira.remote_memref<?x64xi32, remote_cxl> to memref<?x64xi32>
  %md = cira.remote_cast %d : !cira.remote_memref<?x64xi32, local> to memref<?x64xi32>
  %ra = func.call @write_and_sum(%ma) : (memref<?x64xi32>) -> i64
  %rb = func.call @write_and_sum(%mb) : (memref<?x64xi32>) -> i64
  %rc = func.call @write_and_sum(%mc) : (memref<?x64xi32>) -> i64
  %rd = func.call @write_and_sum(%md) : (memref<?x64xi32>) -> i64
  %s0 = arith.addi %ra, %rb : i64
  %s1 = arith.addi %rc, %rd : i64
  %s = arith.addi %s0, %s1 : i64
  %back = cira.remote_cast %ma : memref<?x64xi32> to !cira.remote_memref<?x64xi32, far>
  cira.dealloc %back : !cira.remote_memref<?x64xi32, far>
  cira.dealloc %b : !cira.remote_memref<?x64xi32, cxl>
  cira.dealloc %c : !cira.remote_memref<?x64xi32, remote_cxl>
  cira.dealloc %d : !cira.remote_memref<?x64xi32, local>
  return %s : i64
}

// Every third element of an array, seen from its third one on.
func.func @layout(%n: index) -> i64 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %zero = arith.constant 0 : i64
  %a = cira.alloc(%n) : !cira.remote_memref<?xi64, far, strided<[3], offset: 2>>
  %m = cira.remote_cast %a : !cira.remote_memref<?xi64, far, strided<[3], offset: 2>>
      to memref<?xi64, strided<[3], offset: 2>>
  scf.for %i = %c0 to %n step %c1 {
    %v = arith.index_cast %i : index to i64
    memref.store %v, %m[%i] : memref<?xi64, strided<[3], offset: 2>>
  }
  %s = cira.stream_create_strided %a, %c0, %c1, %n
      : !cira.remote_memref<?xi64, far, strided<[3], offset: 2>>, index, index, index
      -> !cira.stream
  %r = scf.for %i = %c0 to %n step %c1 iter_args(%t = %zero) -> i64 {
    %f = cira.peek_stream %s : !cira.stream -> !cira.future<i64>
    %v = cira.await %f : !cira.future<i64> -> i64
    cira.advance_stream %s : !cira.stream
    %u = arith.addi %t, %v : i64
    scf.yield %u : i64
  }
  cira.stream_release %s : !cira.stream
  cira.dealloc %a : !cira.remote_memref<?xi64, far, strided<[3], offset: 2>>
  return %r : i64
}

// memref.alloc: an alignment that a vector needs, no elements, and growing.
func.func @memrefs(%n: index) -> (i64, index, i64) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c255 = arith.constant 255 : index
  %v = arith.constant 42 : i64
  %a = memref.alloc(%n) {alignment = 256} : memref<?xi64>
  %at = memref.extract_aligned_pointer_as_index %a : memref<?xi64> -> index
  %off = arith.andi %at, %c255 : index
  %none = memref.alloc(%c0) : memref<?xi64>
  %size = memref.dim %none, %c0 : memref<?xi64>
  %rest = arith.addi %off, %size : index
  %last = arith.subi %n, %c1 : index
  memref.store %v, %a[%last] : memref<?xi64>
  %more = arith.addi %n, %n : index
  %b = memref.realloc %a(%more) : memref<?xi64> to memref<?xi64>
  %kept = memref.load %b[%last] : memref<?xi64>
  %end = arith.subi %more, %c1 : index
  memref.store %kept, %b[%end] : memref<?xi64>
  %far = memref.load %b[%end] : memref<?xi64>
  memref.dealloc %b : memref<?xi64>
  memref.dealloc %none : memref<?xi64>
  return %kept, %rest, %far : i64, index, i64
}

// CHECK: {{^}}33546240
// CHECK-NEXT: {{^}}1999000
// CHECK-NEXT: {{^}}42
// CHECK-NEXT: {{^}}0
// CHECK-NEXT: {{^}}42
func.func @main() -> (i64, i64, i64, index, i64) {
  %n = arith.constant 64 : index
  %m = arith.constant 2000 : index
  %a = func.call @tiers(%n) : (index) -> i64
  %b = func.call @layout(%m) : (index) -> i64
  %c:3 = func.call @memrefs(%m) : (index) -> (i64, index, i64)
  return %a, %b, %c#0, %c#1, %c#2 : i64, i64, i64, index, i64
}
