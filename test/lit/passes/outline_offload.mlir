// SPDX-License-Identifier: Apache-2.0
// Captured values and operands become arguments, constants are made again, the
// results stay; what is a call already is left alone.
// RUN: cira-opt %s --cira-outline-offload | FileCheck %s
// RUN: cira-opt %s --cira-outline-offload --cira-outline-offload | FileCheck %s
// RUN: mlir-opt %cira_plugin --pass-pipeline='builtin.module(cira-outline-offload)' %s | FileCheck %s

// CHECK-LABEL: func.func @ahead(
// CHECK-SAME: %[[S:.*]]: !cira.stream
func.func @ahead(%s: !cira.stream) {
  %c16 = arith.constant 16 : index
  // CHECK: cira.offload @vortex {
  // CHECK-NEXT: cira.call @offload_0(%[[S]]) : (!cira.stream) -> ()
  // CHECK-NEXT: }
  cira.offload @vortex {
    cira.prefetch_chain %s, %c16 : !cira.stream, index
  }
  return
}

// CHECK-LABEL: func.func @results(
// CHECK-SAME: %[[P:.*]]: !cira.handle<f32>, %[[N:.*]]: index, %[[X:.*]]: f32
func.func @results(%p: !cira.handle<f32>, %n: index, %x: f32) -> (f32, i64) {
  // CHECK: %[[R:.*]]:2 = cira.offload @helper_core_3 -> f32, i64 {
  // CHECK-NEXT: %[[V:.*]]:2 = cira.call @offload_1(%[[P]], %[[N]], %[[X]]) : (!cira.handle<f32>, index, f32) -> (f32, i64)
  // CHECK-NEXT: cira.yield %[[V]]#0, %[[V]]#1 : f32, i64
  // CHECK-NEXT: } {note = 1 : i64}
  %r:2 = cira.offload @helper_core_3(%p, %n : !cira.handle<f32>, index) -> f32, i64 {
  ^bb0(%base: !cira.handle<f32>, %i: index):
    %v = cira.load %base[%i] : !cira.handle<f32> -> f32
    %zero = arith.constant 0.0 : f32
    %positive = arith.cmpf ogt, %v, %zero : f32
    %w = scf.if %positive -> f32 {
      %w = arith.addf %v, %x : f32
      scf.yield %w : f32
    } else {
      scf.yield %x : f32
    }
    %one = arith.constant 1 : i64
    cira.yield %w, %one : f32, i64
  } {note = 1 : i64}
  // CHECK: return %[[R]]#0, %[[R]]#1
  return %r#0, %r#1 : f32, i64
}

// The region is a call of the program's own function already.
// CHECK-LABEL: func.func @is_call(
func.func @is_call(%s: !cira.stream) {
  // CHECK: cira.call @own(
  cira.offload @vortex {
    cira.call @own(%s) : (!cira.stream) -> ()
  }
  return
}
func.func private @own(!cira.stream)

// CHECK: func.func private @offload_0(%[[S:.*]]: !cira.stream) attributes {llvm.linkage = #llvm.linkage<internal>} {
// CHECK-NEXT: %[[C:.*]] = arith.constant 16 : index
// CHECK-NEXT: cira.prefetch_chain %[[S]], %[[C]]
// CHECK-NEXT: return
// CHECK: func.func private @offload_1(%[[B:.*]]: !cira.handle<f32>, %[[I:.*]]: index, %[[Y:.*]]: f32) -> (f32, i64)
// CHECK: cira.load %[[B]][%[[I]]]
// CHECK: arith.addf %{{.*}}, %[[Y]]
// CHECK: return %{{.*}}, %{{.*}} : f32, i64
// CHECK-NOT: func.func private @offload
