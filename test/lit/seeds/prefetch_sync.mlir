// SPDX-License-Identifier: Apache-2.0
// The listings "Prefetch Operations" and "Synchronization Primitives".
// Corrections: docs/dialect/seed-listings.md.
// RUN: cira-opt %s | cira-opt | FileCheck %s

!Node = !llvm.struct<"Node", (f32, ptr)>

// CHECK-LABEL: func.func @prefetch
func.func @prefetch(%base: !cira.handle<f32>, %stride: index, %count: index,
                    %head: !cira.handle<!cira.handle<!Node>>, %offset: index, %depth: index,
                    %addr: !cira.handle<i8>, %level: i32) {
  // Stream prefetch for regular access patterns (arrays)
  // CHECK: cira.prefetch_stream
  cira.prefetch_stream %base, %stride, %count : !cira.handle<f32>, index, index

  // Indirect prefetch for pointer-chasing (linked structures)
  // CHECK: cira.prefetch_indirect
  cira.prefetch_indirect %head, %offset, %depth : !cira.handle<!cira.handle<!Node>>, index, index

  // Install cache line explicitly at specified LLC level
  // CHECK: cira.install_cacheline
  cira.install_cacheline %addr, %level : !cira.handle<i8>, i32

  // Hint for cache eviction (prevent pollution from streaming data)
  // CHECK: cira.evict_hint
  cira.evict_hint %addr : !cira.handle<i8>
  return
}

// CHECK-LABEL: func.func @sync
func.func @sync() {
  // Barrier between host CPU and memory-side accelerator
  // CHECK: cira.barrier
  cira.barrier

  // Signal completion of computation phase
  // CHECK: cira.release
  cira.release

  // Create explicit synchronization token
  // CHECK: cira.sync_token_create
  %token = cira.sync_token_create
  cira.offload @vortex {
    cira.sync_token_signal %token
  }
  // CHECK: cira.sync_token_wait
  cira.sync_token_wait %token
  return
}
