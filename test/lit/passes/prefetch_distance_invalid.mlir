// SPDX-License-Identifier: Apache-2.0
// Loops without a distance say why, and lose one they had.
// RUN: cira-opt %s --cira-prefetch-distance --verify-diagnostics | FileCheck %s

// CHECK-NOT: cira.distance
func.func @f(%m: memref<?xf32>, %n: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  // expected-remark @+1 {{cira-prefetch-distance: missed: the loop has no cira.pattern; run cira-recognize first}}
  scf.for %i = %c0 to %n step %c1 {
    %v = memref.load %m[%i] : memref<?xf32>
  }
  // expected-remark @+1 {{cira-prefetch-distance: missed: no pattern: because}}
  scf.for %i = %c0 to %n step %c1 {
    %v = memref.load %m[%i] : memref<?xf32>
  } {cira.pattern = #cira.access<none, reason = "because">,
     cira.distance = #cira.distance<lines = 1, pages = 1, iteration_ns = 1, latency_ns = 1>}
  return
}
