// SPDX-License-Identifier: Apache-2.0
// Ordering ops survive printing and parsing.
// RUN: cira-opt %s | FileCheck %s
// RUN: cira-opt %s | cira-opt | FileCheck %s
// RUN: cira-opt %s --mlir-print-op-generic | cira-opt | FileCheck %s
// RUN: mlir-opt %cira_plugin %s | FileCheck %s

// CHECK-LABEL: func.func @sync
func.func @sync(%s: !cira.stream, %d: index) {
  // CHECK: %[[T:.*]] = cira.sync_token_create
  %token = cira.sync_token_create
  // CHECK: cira.offload @vortex
  cira.offload @vortex {
    // CHECK: cira.sync_token_signal %[[T]]
    cira.sync_token_signal %token
  }
  // CHECK: cira.sync_token_wait %[[T]]
  cira.sync_token_wait %token
  // CHECK: cira.barrier
  cira.barrier
  // CHECK: cira.release
  cira.release
  // CHECK: cira.fence
  cira.fence
  return
}
