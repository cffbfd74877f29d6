// SPDX-License-Identifier: Apache-2.0
// Arrays go to the farthest tier in which nothing waits.
// RUN: cira-opt %s --cira-recognize --cira-prefetch-distance --cira-place 2>/dev/null | FileCheck %s
// RUN: cira-opt %s --cira-recognize --cira-prefetch-distance --cira-place -o /dev/null 2>&1 | FileCheck %s --check-prefix=REMARK
// RUN: mlir-opt %cira_plugin %s --pass-pipeline="builtin.module(cira-recognize,cira-prefetch-distance,cira-place)" 2>/dev/null | FileCheck %s

// REMARK: cira-place: local: fits into the last-level cache (33554432 bytes)
// CHECK-LABEL: func.func @small
// CHECK: cira.alloc(%{{.*}}) tier(local)
func.func @small() {
  %c1000 = arith.constant 1000 : index
  %a = cira.alloc(%c1000) : !cira.handle<f32>
  cira.dealloc %a : !cira.handle<f32>
  return
}

// A strided walk is asked for early enough, wherever it is.
// REMARK: cira-place: far (5000 ns): of 1 accesses the worst is asked for 5000 ns ahead
// CHECK-LABEL: func.func @strided
// CHECK: cira.alloc(%{{.*}}) tier(far)
func.func @strided(%n: index, %x: f32) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %a = cira.alloc(%n) : !cira.handle<f32>
  %p = cira.handle_offset %a[1] : !cira.handle<f32>
  scf.for %i = %c0 to %n step %c1 {
    cira.store %x, %p[%i] : f32, !cira.handle<f32>
  }
  cira.dealloc %a : !cira.handle<f32>
  return
}

// 64 requests in flight, 4 ns per iteration: 256 ns hide CXL memory, and not more.
// REMARK: cira-place: cxl (200 ns): of 1 accesses the worst is asked for 256 ns ahead
// CHECK-LABEL: func.func @gather
// CHECK: cira.alloc(%{{.*}}) tier(cxl)
func.func @gather(%n: index, %b: memref<?xindex>, %x: f32) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %a = cira.alloc(%n) : !cira.handle<f32>
  scf.for %i = %c0 to %n step %c1 {
    %k = memref.load %b[%i] : memref<?xindex>
    %v = cira.load %a[%k] : !cira.handle<f32> -> f32
    %1 = arith.addf %v, %x : f32
    %2 = arith.addf %1, %x : f32
  }
  cira.dealloc %a : !cira.handle<f32>
  return
}

// Not used in a loop: far.
// REMARK: cira-place: far: no access in a loop waits
// CHECK-LABEL: func.func @once
// CHECK: cira.alloc(%{{.*}}) tier(far)
func.func @once(%n: index) -> f32 {
  %a = cira.alloc(%n) : !cira.handle<f32>
  %v = cira.load %a : !cira.handle<f32> -> f32
  cira.dealloc %a : !cira.handle<f32>
  return %v : f32
}
