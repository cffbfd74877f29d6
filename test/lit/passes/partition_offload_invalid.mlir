// SPDX-License-Identifier: Apache-2.0
// Prefetches that stay on the host say why.
// RUN: cira-opt %s --split-input-file --cira-partition-offload --verify-diagnostics | FileCheck %s

// CHECK-NOT: cira.offload
func.func @unknown(%s: !cira.stream, %d: index) {
  // expected-remark @+1 {{cira-partition-offload: missed: the number of accesses is not a constant}}
  cira.prefetch_chain %s, %d : !cira.stream, index
  return
}

// -----

module attributes {cira.machine = #cira.machine<sync_ns = 1050>} {
func.func @no_gain(%n: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  %a = cira.alloc(%n) tier(cxl) : !cira.handle<f32>
  // expected-remark @+1 {{missed: gain -680 ns: 2 accesses save 370 ns, hand-over 1050 ns, device busy 0 ns}}
  cira.prefetch_stream %a, %c1, %c2 : !cira.handle<f32>, index, index
  return
}
}

// -----

module attributes {cira.machine = #cira.machine<devices = []>} {
func.func @no_device(%s: !cira.stream) {
  %c16 = arith.constant 16 : index
  // expected-remark @+1 {{missed: the machine has no device}}
  cira.prefetch_chain %s, %c16 : !cira.stream, index
  return
}
}
