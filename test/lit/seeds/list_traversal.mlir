// SPDX-License-Identifier: Apache-2.0
// The listing "Stream-Based Pointer Chasing", original and transformed; and
// the passes turn the first into the second. Corrections:
// docs/dialect/seed-listings.md.
// RUN: cira-opt %s | cira-opt | FileCheck %s
// RUN: cira-opt %s --cira-default 2>/dev/null | FileCheck %s --check-prefix=OPT

!Node = !llvm.struct<"Node", (f32, ptr)>

// CHECK-LABEL: func.func @traverse_list(
// OPT-LABEL: func.func @traverse_list(
// OPT: %[[S:.*]] = cira.stream_create_indirect
// OPT: cira.prefetch_chain %[[S]]
// OPT: cira.peek_stream %[[S]]
// OPT-NEXT: cira.await
// OPT-NEXT: cira.extract %{{.*}}[0]
// OPT-NEXT: cira.extract %{{.*}}[1]
// OPT: cira.advance_stream %[[S]]
func.func @traverse_list(%head: !cira.handle<!Node>) -> f32 {
  %zero = arith.constant 0.0 : f32
  %true = arith.constant true
  %result:2 = scf.while (%node = %head, %sum = %zero)
      : (!cira.handle<!Node>, f32) -> (!cira.handle<!Node>, f32) {
    %is_null = cira.handle_is_null %node : !cira.handle<!Node>
    %more = arith.xori %is_null, %true : i1
    scf.condition(%more) %node, %sum : !cira.handle<!Node>, f32
  } do {
  ^bb0(%node: !cira.handle<!Node>, %sum: f32):
    // PROBLEM: This load stalls 150-300ns on CXL memory
    // CHECK: cira.load
    %data = cira.load %node[0] : !cira.handle<!Node> -> f32
    // CHECK: cira.load
    %next = cira.load %node[1] : !cira.handle<!Node> -> !cira.handle<!Node>
    %new_sum = arith.addf %sum, %data : f32
    scf.yield %next, %new_sum : !cira.handle<!Node>, f32
  }
  return %result#1 : f32
}

// CHECK-LABEL: func.func @traverse_list_optimized(
func.func @traverse_list_optimized(%head: !cira.handle<!Node>) -> f32 {
  %zero = arith.constant 0.0 : f32
  %true = arith.constant true
  %c8 = arith.constant 8 : index   // Offset to 'next' pointer
  %c16 = arith.constant 16 : index // Prefetch depth

  // Create indirect stream for pointer chasing
  // CHECK: cira.stream_create_indirect
  %stream = cira.stream_create_indirect %head, %c8 :
      !cira.handle<!Node>, index -> !cira.stream

  // Offload prefetching to memory-side Vortex RISC-V core
  // CHECK: cira.offload @vortex_core_0
  cira.offload @vortex_core_0 {
    // CHECK-NEXT: cira.prefetch_chain
    cira.prefetch_chain %stream, %c16 : !cira.stream, index
  }

  // Main loop - data now arrives from LLC instead of CXL
  %result:2 = scf.while (%node = %head, %sum = %zero)
      : (!cira.handle<!Node>, f32) -> (!cira.handle<!Node>, f32) {
    %is_null = cira.handle_is_null %node : !cira.handle<!Node>
    %more = arith.xori %is_null, %true : i1
    scf.condition(%more) %node, %sum : !cira.handle<!Node>, f32
  } do {
  ^bb0(%node: !cira.handle<!Node>, %sum: f32):
    // Peek stream - data prefetched by Vortex core
    // CHECK: cira.peek_stream
    %future = cira.peek_stream %stream : !cira.stream -> !cira.future<!Node>
    // CHECK-NEXT: cira.await
    %node_data = cira.await %future : !cira.future<!Node> -> !Node

    %data = cira.extract %node_data[0] : !Node -> f32
    %next = cira.extract %node_data[1] : !Node -> !cira.handle<!Node>

    %new_sum = arith.addf %sum, %data : f32
    // CHECK: cira.advance_stream
    cira.advance_stream %stream : !cira.stream
    scf.yield %next, %new_sum : !cira.handle<!Node>, f32
  }
  // CHECK: cira.stream_release
  cira.stream_release %stream : !cira.stream
  return %result#1 : f32
}
