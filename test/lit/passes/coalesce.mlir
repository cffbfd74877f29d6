// SPDX-License-Identifier: Apache-2.0
// Neighbouring asynchronous loads become one request.
// RUN: cira-opt %s --cira-coalesce 2>/dev/null | FileCheck %s
// RUN: cira-opt %s --cira-coalesce --verify-diagnostics -o /dev/null
// RUN: mlir-opt %cira_plugin %s --pass-pipeline="builtin.module(cira-coalesce)" 2>/dev/null | FileCheck %s

!Node = !llvm.struct<"Node", (f32, ptr)>

// Each future keeps its load; indices become offsets and fields.
// CHECK-LABEL: func.func @run
// CHECK-SAME: (%[[A:.*]]: !cira.handle<f32>, %[[B:.*]]: !cira.handle<!llvm.struct<"Node", (f32, ptr)>>, %[[I:.*]]: index)
// CHECK: %[[J:.*]] = arith.addi
// CHECK-DAG: %[[P:.*]] = cira.handle_offset %[[A]][%[[J]]] : !cira.handle<f32>
// CHECK-DAG: %[[Q:.*]] = cira.handle_field %[[B]][1] : !cira.handle<{{.*}}> -> !cira.handle<!llvm.ptr>
// CHECK-DAG: %[[R:.*]] = cira.handle_offset %[[A]][-2] : !cira.handle<f32>
// CHECK: %[[F:.*]]:4 = cira.load_async_batch %[[A]], %[[P]], %[[Q]], %[[R]]
// CHECK-NOT: cira.load_async
// CHECK: cira.await %[[F]]#0 : !cira.future<f32>
// CHECK: cira.await %[[F]]#1 : !cira.future<f32>
// CHECK: cira.await %[[F]]#2 : !cira.future<!llvm.ptr>
// CHECK: cira.await %[[F]]#3 : !cira.future<f32>
func.func @run(%a: !cira.handle<f32>, %b: !cira.handle<!Node>, %i: index) -> (f32, f32, !llvm.ptr, f32) {
  %f = cira.load_async %a : !cira.handle<f32> -> !cira.future<f32>
  %j = arith.addi %i, %i : index
  %g = cira.load_async %a[%j] : !cira.handle<f32> -> !cira.future<f32>
  %h = cira.load_async %b[1] : !cira.handle<!Node> -> !cira.future<!llvm.ptr>
  // expected-remark @+1 {{cira-coalesce: 4 loads in one request; saves 150 ns (3 x 50 ns to hand over)}}
  %k = cira.load_async %a[-2] : !cira.handle<f32> -> !cira.future<f32>
  %0 = cira.await %f : !cira.future<f32> -> f32
  %1 = cira.await %g : !cira.future<f32> -> f32
  %2 = cira.await %h : !cira.future<!llvm.ptr> -> !llvm.ptr
  %3 = cira.await %k : !cira.future<f32> -> f32
  return %0, %1, %2, %3 : f32, f32, !llvm.ptr, f32
}

// A link that is read as a handle stays one.
// CHECK-LABEL: func.func @links
// CHECK: cira.load_async_batch {{.*}} -> !cira.future<!cira.handle<f32>>, !cira.future<!cira.handle<f32>>
func.func @links(%a: !cira.handle<!Node>, %b: !cira.handle<!Node>) -> (!cira.handle<f32>, !cira.handle<f32>) {
  %f = cira.load_async %a[1] : !cira.handle<!Node> -> !cira.future<!cira.handle<f32>>
  // expected-remark @+1 {{2 loads in one request}}
  %g = cira.load_async %b[1] : !cira.handle<!Node> -> !cira.future<!cira.handle<f32>>
  %0 = cira.await %f : !cira.future<!cira.handle<f32>> -> !cira.handle<f32>
  %1 = cira.await %g : !cira.future<!cira.handle<f32>> -> !cira.handle<f32>
  return %0, %1 : !cira.handle<f32>, !cira.handle<f32>
}
