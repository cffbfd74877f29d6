// SPDX-License-Identifier: Apache-2.0
// Offload regions, calls, and edge and node loads survive printing and
// parsing.
// RUN: cira-opt %s | FileCheck %s
// RUN: cira-opt %s | cira-opt | FileCheck %s
// RUN: cira-opt %s --mlir-print-op-generic | cira-opt | FileCheck %s
// RUN: mlir-opt %cira_plugin %s | FileCheck %s

!Node = !llvm.struct<"Node", (f32)>
!Edge = !llvm.struct<"Edge", (ptr, ptr, f32)>

// CHECK: module attributes {cira.fields = {Edge = ["from", "to", "weight"]}, cira.machine = #cira.machine<far_latency_ns = 2400, devices = ["vortex", "dpu"]>}
module attributes {cira.fields = {Edge = ["from", "to", "weight"]}, cira.machine = #cira.machine<devices = ["vortex", "dpu"], far_latency_ns = 2400>} {

func.func private @update_node(!llvm.ptr, f32)
llvm.func @foreign(!llvm.ptr)

// CHECK-LABEL: func.func @offload
func.func @offload(%s: !cira.stream, %d: index, %p: !cira.handle<f32>) -> f32 {
  // CHECK: cira.offload @vortex_core_0 {
  // CHECK-NEXT: cira.prefetch_chain
  // CHECK-NEXT: }
  cira.offload @vortex_core_0 {
    cira.prefetch_chain %s, %d : !cira.stream, index
  }
  // CHECK: cira.offload @dpu_1(%{{[a-z0-9]+}}, %{{[a-z0-9]+}} : !cira.handle<f32>, index) -> f32 {
  // CHECK-NEXT: ^bb0(%[[B:.*]]: !cira.handle<f32>, %[[I:.*]]: index):
  // CHECK-NEXT: %[[V:.*]] = cira.load %[[B]][%[[I]]]
  // CHECK-NEXT: cira.yield %[[V]] : f32
  %r = cira.offload @dpu_1(%p, %d : !cira.handle<f32>, index) -> f32 {
  ^bb0(%base: !cira.handle<f32>, %i: index):
    %v = cira.load %base[%i] : !cira.handle<f32> -> f32
    cira.yield %v : f32
  }
  // CHECK: cira.offload @vortex -> !cira.handle<f32>, i64 {
  // CHECK: cira.yield %{{.*}} : !cira.handle<f32>, i64
  // CHECK-NEXT: } {note}
  %q:2 = cira.offload @vortex -> !cira.handle<f32>, i64 {
    %c = arith.constant 1 : i64
    cira.yield %p, %c : !cira.handle<f32>, i64
  } {note}
  return %r : f32
}

// CHECK-LABEL: func.func @calls
func.func @calls(%n: !cira.handle<!Node>, %x: f32) {
  // CHECK: cira.call @update_node(%{{[a-z0-9]+}}, %{{[a-z0-9]+}}) : (!cira.handle<!llvm.struct<"Node", (f32)>>, f32) -> ()
  cira.call @update_node(%n, %x) : (!cira.handle<!Node>, f32) -> ()
  // CHECK: cira.call @foreign
  cira.call @foreign(%n) : (!cira.handle<!Node>) -> ()
  return
}

// CHECK-LABEL: func.func @edges
func.func @edges(%edges: !cira.remote_memref<?x!Edge, cxl>, %i: index, %d: index) -> !llvm.ptr {
  // CHECK: %[[E:.*]] = cira.offload.load_edge %{{[a-z0-9]+}}[%{{[a-z0-9]+}}], %{{[a-z0-9]+}} : !cira.remote_memref<?x!llvm.struct<"Edge", (ptr, ptr, f32)>, cxl>, index -> !cira.handle<!llvm.struct<"Edge", (ptr, ptr, f32)>>
  %e = cira.offload.load_edge %edges[%i], %d : !cira.remote_memref<?x!Edge, cxl>, index -> !cira.handle<!Edge>
  // CHECK: %[[N:.*]] = cira.offload.load_node %[[E]], "from", %{{[a-z0-9]+}} : !cira.handle<!llvm.struct<"Edge", (ptr, ptr, f32)>>, index -> !cira.handle<!llvm.struct<"Node", (f32)>>
  %n = cira.offload.load_node %e, "from", %d : !cira.handle<!Edge>, index -> !cira.handle<!Node>
  // CHECK: cira.offload.get_paddr "from", %[[N]] : !cira.handle<!llvm.struct<"Node", (f32)>> -> !llvm.ptr
  %p = cira.offload.get_paddr "from", %n : !cira.handle<!Node> -> !llvm.ptr
  // CHECK: cira.offload.evict_edge %{{[a-z0-9]+}}[%{{[a-z0-9]+}}] : !cira.remote_memref<?x!llvm.struct<"Edge", (ptr, ptr, f32)>, cxl>
  cira.offload.evict_edge %edges[%i] : !cira.remote_memref<?x!Edge, cxl>
  return %p : !llvm.ptr
}
}
