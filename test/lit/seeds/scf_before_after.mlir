// SPDX-License-Identifier: Apache-2.0
// The listing "Lowering from SCF", before and after; and the passes turn the
// first into the second. Corrections: docs/dialect/seed-listings.md.
// RUN: cira-opt %s | cira-opt | FileCheck %s
// RUN: cira-opt %s --cira-default 2>/dev/null | FileCheck %s --check-prefix=OPT

// CHECK-LABEL: func.func @before
// OPT-LABEL: func.func @before
// OPT: %[[S:.*]] = cira.stream_create_strided
// OPT: cira.prefetch_stream %[[S]]
// OPT: scf.for
// OPT: cira.peek_stream %[[S]] : !cira.stream -> !cira.future<f32>
// OPT-NEXT: cira.await
// OPT: cira.advance_stream %[[S]]
func.func @before(%ptrs: memref<?x!cira.handle<f32>>, %n: index, %zero: f32) -> f32 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  // Input: SCF loop with memory access
  %r = scf.for %i = %c0 to %n step %c1 iter_args(%sum = %zero) -> f32 {
    // CHECK: memref.load
    %ptr = memref.load %ptrs[%i] : memref<?x!cira.handle<f32>>
    // CHECK: cira.load
    %val = cira.load %ptr : !cira.handle<f32> -> f32
    // ... use %val ...
    %new = arith.addf %sum, %val : f32
    scf.yield %new : f32
  }
  return %r : f32
}

// CHECK-LABEL: func.func @after
func.func @after(%ptrs: memref<?x!cira.handle<f32>>, %n: index, %zero: f32, %prefetch_distance: index) -> f32 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  // After CIRA transformation: prefetch + async access
  // CHECK: cira.stream_create_strided
  %stream = cira.stream_create_strided %ptrs, %c0, %c1, %n
      : memref<?x!cira.handle<f32>>, index, index, index -> !cira.stream
  cira.offload @vortex {
    // CHECK: cira.prefetch_stream
    cira.prefetch_stream %stream, %prefetch_distance : !cira.stream, index
  }
  %r = scf.for %i = %c0 to %n step %c1 iter_args(%sum = %zero) -> f32 {
    // CHECK: cira.peek_stream
    %future = cira.peek_stream %stream : !cira.stream -> !cira.future<f32>
    %val = cira.await %future : !cira.future<f32> -> f32
    // CHECK: cira.advance_stream
    cira.advance_stream %stream : !cira.stream
    // ... use %val ...
    %new = arith.addf %sum, %val : f32
    scf.yield %new : f32
  }
  cira.stream_release %stream : !cira.stream
  return %r : f32
}
