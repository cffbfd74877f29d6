// SPDX-License-Identifier: Apache-2.0
// The listing "Asynchronous Load/Store". Corrections: docs/dialect/seed-listings.md.
// RUN: cira-opt %s | cira-opt | FileCheck %s

// CHECK-LABEL: func.func @async_load_store
func.func @async_load_store(%handle: !cira.handle<f32>, %x: f32) -> f32 {
  // Initiate async load - returns immediately with a future
  // CHECK: cira.load_async
  %future = cira.load_async %handle : !cira.handle<f32> -> !cira.future<f32>

  // ... perform independent computation here ...
  %y = arith.mulf %x, %x : f32

  // Block until load completes and extract value
  // CHECK: cira.await
  %value = cira.await %future : !cira.future<f32> -> f32

  // Async store (fire-and-forget with optional fence)
  // CHECK: cira.store_async
  cira.store_async %value, %handle : f32, !cira.handle<f32>
  cira.fence
  return %y : f32
}
