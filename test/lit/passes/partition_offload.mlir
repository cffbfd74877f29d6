// SPDX-License-Identifier: Apache-2.0
// Prefetches that gain run on a device; neighbours share a hand-over.
// RUN: cira-opt %s --split-input-file --cira-partition-offload 2>/dev/null | FileCheck %s
// RUN: cira-opt %s --split-input-file --cira-partition-offload --verify-diagnostics -o /dev/null
// RUN: mlir-opt %cira_plugin %s --split-input-file --pass-pipeline="builtin.module(cira-partition-offload)" 2>/dev/null | FileCheck %s

// CHECK-LABEL: func.func @chain
// CHECK: cira.offload @vortex {
// CHECK-NEXT: cira.prefetch_chain
// CHECK-NEXT: }
func.func @chain(%s: !cira.stream) {
  %c16 = arith.constant 16 : index
  // expected-remark @+1 {{cira-partition-offload: on vortex: gain 79710 ns: 16 accesses save 79760 ns, hand-over 50 ns, device busy 0 ns}}
  cira.prefetch_chain %s, %c16 : !cira.stream, index
  return
}

// The tier of the data decides, where it is known: 2 x (200 - 15) - 50.
// CHECK-LABEL: func.func @tier
// CHECK: cira.offload @vortex
func.func @tier(%n: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  %a = cira.alloc(%n) tier(cxl) : !cira.handle<f32>
  %s = cira.stream_create_strided %a, %c0, %c1, %n : !cira.handle<f32>, index, index, index -> !cira.stream
  // expected-remark @+1 {{on vortex: gain 320 ns: 2 accesses save 370 ns, hand-over 50 ns}}
  cira.prefetch_stream %s, %c2 : !cira.stream, index
  cira.stream_release %s : !cira.stream
  return
}

// CHECK-LABEL: func.func @neighbours
// CHECK: cira.offload @vortex {
// CHECK-NEXT: cira.prefetch_stream
// CHECK-NEXT: cira.prefetch_tiles
// CHECK-NEXT: cira.prefetch_adjacency
// CHECK-NEXT: cira.prefetch_indirect
// CHECK-NEXT: }
// CHECK: cira.offload @vortex_core_1 {
// CHECK-NEXT: cira.prefetch_chain
func.func @neighbours(%a: !cira.handle<f32>, %s: !cira.stream, %t: !cira.stream, %h: !cira.handle<!llvm.ptr>) {
  %c1 = arith.constant 1 : index
  %c10 = arith.constant 10 : index
  // expected-remark @+1 {{on vortex: gain 199350 ns: 40 accesses save 199400 ns}}
  cira.prefetch_stream %a, %c1, %c10 : !cira.handle<f32>, index, index
  cira.prefetch_tiles %s, %c10 : !cira.stream, index
  cira.prefetch_adjacency %t, %c10 : !cira.stream, index
  cira.prefetch_indirect %h, %c1, %c10 : !cira.handle<!llvm.ptr>, index, index
  // One that is on a device already stays there.
  cira.offload @vortex_core_1 {
    cira.prefetch_chain %s, %c10 : !cira.stream, index
  }
  return
}

// -----

// A machine with other devices, and with a busy one: 4 x (5000 - 15 - 1000) - 50.
// CHECK: cira.offload @dpu
module attributes {cira.machine = #cira.machine<devices = ["dpu", "helper"], device_busy_ns = 1000>} {
func.func @other(%s: !cira.stream) {
  %c4 = arith.constant 4 : index
  // expected-remark @+1 {{on dpu: gain 15890 ns: 4 accesses save 19940 ns, hand-over 50 ns, device busy 4000 ns}}
  cira.prefetch_chain %s, %c4 : !cira.stream, index
  return
}
}
