// SPDX-License-Identifier: Apache-2.0
// What the ops become: addresses, inlined checks, calls of the runtime, and a
// stream's position on the stack. What comes out of it is run in test/lit/run/.
// RUN: cira-opt %s --split-input-file --cira-outline-offload --cira-lower-ops | FileCheck %s
// RUN: mlir-opt %cira_plugin --split-input-file --pass-pipeline='builtin.module(cira-outline-offload,cira-lower-ops)' %s | FileCheck %s

!Node = !llvm.struct<"Node", (f32, ptr)>

// CHECK-LABEL: func.func @load_store
// CHECK-SAME: %[[H:.*]]: !cira.handle<!llvm.struct<"Node", (f32, ptr)>>, %[[I:.*]]: index
func.func @load_store(%h: !cira.handle<!Node>, %i: index) -> !cira.handle<!Node> {
  // CHECK: %[[P:.*]] = builtin.unrealized_conversion_cast %[[H]] : {{.*}} to !llvm.ptr
  // CHECK: %[[I64:.*]] = builtin.unrealized_conversion_cast %[[I]] : index to i64
  // CHECK: %[[SIZE:.*]] = llvm.mlir.constant(16 : i64)
  // CHECK: %[[OFF:.*]] = llvm.mul %[[I64]], %[[SIZE]]
  // CHECK: %[[Q:.*]] = llvm.getelementptr %[[P]][%[[OFF]]] : (!llvm.ptr, i64) -> !llvm.ptr, i8
  %q = cira.handle_offset %h[%i] : !cira.handle<!Node>
  // CHECK: %[[EIGHT:.*]] = llvm.mlir.constant(8 : i64)
  // CHECK: %[[LINK:.*]] = llvm.getelementptr %[[Q]][%[[EIGHT]]]
  // CHECK: %[[NEXT:.*]] = llvm.load %[[LINK]] : !llvm.ptr -> !llvm.ptr
  %next = cira.load %q[1] : !cira.handle<!Node> -> !cira.handle<!Node>
  // A struct goes field by field.
  // CHECK: llvm.load %[[NEXT]] : !llvm.ptr -> f32
  // CHECK: llvm.load %{{.*}} : !llvm.ptr -> !llvm.ptr
  %whole = cira.load %next : !cira.handle<!Node> -> !Node
  // CHECK: llvm.store %{{.*}}, %[[Q]] : f32, !llvm.ptr
  %data = cira.extract %whole[0] : !Node -> f32
  cira.store %data, %q[0] : f32, !cira.handle<!Node>
  // CHECK-NOT: {{ cira\.}}
  return %next : !cira.handle<!Node>
}

// -----

// Here: prefetch the line, and load at the await. Not here: a request.
// CHECK-DAG: llvm.func @cira_abi_load_begin(!llvm.ptr, i64) -> i64
// CHECK-DAG: llvm.func @cira_abi_load_end(i64, !llvm.ptr)
// CHECK-DAG: llvm.mlir.global external constant @cira_abi_range()
// CHECK-LABEL: func.func @async
func.func @async(%h: !cira.handle<i64>) -> i64 {
  // CHECK: %[[SLOT:.*]] = llvm.alloca
  // CHECK: %[[TICKET:.*]] = llvm.call @cira_inline_load_begin(
  %f = cira.load_async %h : !cira.handle<i64> -> !cira.future<i64>
  // CHECK: scf.if %{{.*}} -> (i64) {
  // CHECK: llvm.load
  // CHECK: } else {
  // CHECK: llvm.call @cira_abi_load_end(%{{.*}}, %[[SLOT]])
  %v = cira.await %f : !cira.future<i64> -> i64
  return %v : i64
}
// CHECK: llvm.func internal @cira_inline_load_begin(%[[P:.*]]: !llvm.ptr, %[[N:.*]]: i64) -> i64 attributes {always_inline
// CHECK: %[[HERE:.*]] = llvm.call @cira_inline_is_here(%[[P]])
// CHECK: %[[TICKET:.*]] = scf.if %[[HERE]] -> (i64) {
// CHECK: llvm.intr.prefetch
// CHECK: } else {
// CHECK: llvm.call @cira_abi_load_begin(%[[P]], %[[N]])
// CHECK: llvm.return %[[TICKET]]
// CHECK: llvm.func internal @cira_inline_is_here(
// CHECK: llvm.mlir.addressof @cira_abi_range

// -----

// With cira.checked the runtime sees each step.
// CHECK: module attributes {cira.checked}
module attributes {cira.checked} {
  // CHECK-LABEL: func.func @checked
  // CHECK-NOT: @cira_abi_range
  // CHECK: llvm.call @cira_abi_stream_strided
  // CHECK: llvm.call @cira_abi_stream_peek
  // CHECK: llvm.call @cira_abi_stream_advance
  // CHECK: llvm.call @cira_abi_load_begin
  // CHECK: llvm.call @cira_abi_store_begin
  func.func @checked(%m: memref<?xf32>, %h: !cira.handle<f32>, %n: index) -> f32 {
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %s = cira.stream_create_strided %m, %c0, %c1, %n
        : memref<?xf32>, index, index, index -> !cira.stream
    %f = cira.peek_stream %s : !cira.stream -> !cira.future<f32>
    cira.advance_stream %s : !cira.stream
    %v = cira.await %f : !cira.future<f32> -> f32
    cira.stream_release %s : !cira.stream
    %g = cira.load_async %h : !cira.handle<f32> -> !cira.future<f32>
    %w = cira.await %g : !cira.future<f32> -> f32
    cira.store_async %v, %h : f32, !cira.handle<f32>
    return %w : f32
  }
}

// -----

!Node = !llvm.struct<"Node", (f32, ptr)>

// The region that only asks ahead does not take the position out of sight.
// CHECK-LABEL: func.func @chain
// CHECK: %[[FRONT:.*]] = llvm.alloca %{{.*}} x !llvm.array<32 x i8>
// CHECK: llvm.call @cira_abi_stream_chain
// CHECK: llvm.mlir.addressof @offload_0_thunk_0
// CHECK: llvm.call @cira_abi_offload_begin
// CHECK: llvm.call @cira_inline_stream_peek(%[[S:.*]], %[[FRONT]])
// CHECK: llvm.call @cira_inline_chain_advance(%[[S]], %[[FRONT]], %{{.*}})
// CHECK: llvm.call @cira_abi_stream_release(%[[S]])
func.func @chain(%head: !cira.handle<!Node>) -> f32 {
  %c8 = arith.constant 8 : index
  %c16 = arith.constant 16 : index
  %s = cira.stream_create_indirect %head, %c8 : !cira.handle<!Node>, index -> !cira.stream
  cira.offload @vortex_core_2 {
    cira.prefetch_chain %s, %c16 : !cira.stream, index
  }
  %f = cira.peek_stream %s : !cira.stream -> !cira.future<!Node>
  %v = cira.await %f : !cira.future<!Node> -> !Node
  cira.advance_stream %s : !cira.stream
  cira.stream_release %s : !cira.stream
  %data = cira.extract %v[0] : !Node -> f32
  return %data : f32
}
// CHECK: llvm.func internal @offload_0_thunk_0(%[[R:.*]]: !llvm.ptr)
// CHECK: llvm.load %[[R]] {alignment = 8 : i64} : !llvm.ptr -> !llvm.ptr
// CHECK: func.call @offload_0(
// CHECK: llvm.func internal @cira_inline_stream_peek(
// CHECK: llvm.call @cira_abi_stream_refill
// CHECK: llvm.func internal @cira_inline_chain_advance(
// CHECK: llvm.call @cira_abi_stream_skip
// CHECK: llvm.call @cira_abi_chain_next

// -----

// One that leaves the function is moved by calls.
// CHECK-LABEL: func.func @passed
// CHECK-NOT: llvm.array<32 x i8>
// CHECK: llvm.call @cira_abi_stream_peek
// CHECK: llvm.call @cira_abi_stream_advance
func.func private @other(!cira.stream)
func.func @passed(%m: memref<?xf32>, %n: index) -> f32 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %s = cira.stream_create_strided %m, %c0, %c1, %n
      : memref<?xf32>, index, index, index -> !cira.stream
  func.call @other(%s) : (!cira.stream) -> ()
  %f = cira.peek_stream %s : !cira.stream -> !cira.future<f32>
  cira.advance_stream %s : !cira.stream
  %v = cira.await %f : !cira.future<f32> -> f32
  return %v : f32
}

// -----

// Arrays of the program lie in far memory; a size that overflows is refused by
// the runtime, not wrapped.
// CHECK-LABEL: func.func @memrefs
// CHECK: llvm.intr.umul.with.overflow
// CHECK: llvm.mlir.constant(9223372036854775807 : i64)
// CHECK: llvm.call @cira_abi_alloc(%{{.*}}, %{{.*}}) : (i64, i32) -> !llvm.ptr
// CHECK: llvm.call @cira_abi_dealloc
// CHECK-NOT: memref.alloc
func.func @memrefs(%n: index) {
  %m = memref.alloc(%n) : memref<?x4x!cira.handle<f32>>
  memref.dealloc %m : memref<?x4x!cira.handle<f32>>
  return
}
