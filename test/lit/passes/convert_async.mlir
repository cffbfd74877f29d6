// SPDX-License-Identifier: Apache-2.0
// Loads begin early and are waited for late.
// RUN: cira-opt %s --cira-convert-async 2>/dev/null | FileCheck %s
// RUN: cira-opt %s --cira-convert-async --verify-diagnostics -o /dev/null
// RUN: mlir-opt %cira_plugin %s --pass-pipeline="builtin.module(cira-convert-async)" 2>/dev/null | FileCheck %s

!Pair = !llvm.struct<"Pair", (f32, f32)>

// The second load waits while the first is on its way.
// CHECK-LABEL: func.func @sum
// CHECK-NEXT: %[[F:.*]] = cira.load_async
// CHECK-NEXT: %[[Y:.*]] = cira.load
// CHECK-NEXT: %[[X:.*]] = cira.await %[[F]]
// CHECK-NEXT: arith.addf %[[X]], %[[Y]]
func.func @sum(%a: !cira.handle<f32>, %b: !cira.handle<f32>) -> f32 {
  // expected-remark @+1 {{cira-convert-async: hides 4985 ns of 4985 for 2 ns}}
  %x = cira.load %a : !cira.handle<f32> -> f32
  // expected-remark @+1 {{missed: 2 ns of 4985 could be hidden, issue and await cost 2 ns}}
  %y = cira.load %b : !cira.handle<f32> -> f32
  %z = arith.addf %x, %y : f32
  return %z : f32
}

// Only one branch uses the value: only that one waits.
// CHECK-LABEL: func.func @branch
// CHECK-NEXT: %[[F:.*]] = cira.load_async
// CHECK: scf.if
// CHECK-NEXT: arith.addf
// CHECK-NEXT: %[[X:.*]] = cira.await %[[F]]
// CHECK-NEXT: arith.addf %{{.*}}, %[[X]]
// CHECK: else
// CHECK-NOT: cira.await
// CHECK: return
func.func @branch(%a: !cira.handle<f32>, %c: i1, %u: f32) -> f32 {
  // expected-remark @+1 {{hides 3 ns of 4985 for 2 ns}}
  %x = cira.load %a : !cira.handle<f32> -> f32
  %1 = arith.mulf %u, %u : f32
  %2 = arith.mulf %1, %u : f32
  %3 = arith.mulf %2, %u : f32
  %r = scf.if %c -> f32 {
    %4 = arith.addf %3, %3 : f32
    %5 = arith.addf %4, %x : f32
    scf.yield %5 : f32
  } else {
    scf.yield %u : f32
  }
  return %r : f32
}

// A load does not cross a write, neither up nor down.
// CHECK-LABEL: func.func @writes
// CHECK: cira.store
// CHECK-NEXT: %[[F:.*]] = cira.load_async
// CHECK-COUNT-4: arith.mulf
// CHECK-NEXT: cira.await %[[F]]
// CHECK-NEXT: cira.store
func.func @writes(%a: !cira.handle<f32>, %b: !cira.handle<f32>, %u: f32) -> f32 {
  %1 = arith.mulf %u, %u : f32
  cira.store %u, %b : f32, !cira.handle<f32>
  %2 = arith.mulf %1, %u : f32
  %3 = arith.mulf %2, %u : f32
  %4 = arith.mulf %3, %u : f32
  // expected-remark @+1 {{hides 4 ns of 4985 for 2 ns}}
  %x = cira.load %a : !cira.handle<f32> -> f32
  %5 = arith.mulf %4, %u : f32
  cira.store %u, %b : f32, !cira.handle<f32>
  %6 = arith.mulf %5, %x : f32
  return %6 : f32
}

// Across iterations: the future of the next one is carried.
// CHECK-LABEL: func.func @pipelined
// CHECK-SAME: (%[[A:.*]]: !cira.handle<f32>, %[[B:.*]]: memref<?xi32>, %[[N:.*]]: index, %[[ZERO:.*]]: f32)
// CHECK: %[[ANY:.*]] = arith.cmpi slt, %c0, %[[N]]
// CHECK: %[[R:.*]] = scf.if %[[ANY]] -> (f32)
// CHECK: memref.load %[[B]][%c0]
// CHECK: %[[F0:.*]] = cira.load_async %[[A]]
// CHECK: %[[L:.*]]:2 = scf.for %[[I:.*]] = %c0 to %[[N]] step %c1 iter_args(%[[S:.*]] = %[[ZERO]], %[[F:.*]] = %[[F0]]) -> (f32, !cira.future<f32>)
// CHECK: %[[I1:.*]] = arith.addi %[[I]], %c1
// CHECK: %[[MORE:.*]] = arith.cmpi slt, %[[I1]], %[[N]]
// CHECK: %[[NEXT:.*]] = arith.select %[[MORE]], %[[I1]], %[[I]]
// CHECK: memref.load %[[B]][%[[NEXT]]]
// CHECK: %[[F1:.*]] = cira.load_async %[[A]]
// CHECK: cira.await %[[F]]
// CHECK: scf.yield %{{.*}}, %[[F1]] : f32, !cira.future<f32>
// CHECK: scf.yield %[[L]]#0
// CHECK: else
// CHECK-NEXT: scf.yield %[[ZERO]]
// CHECK: return %[[R]]
func.func @pipelined(%a: !cira.handle<f32>, %b: memref<?xi32>, %n: index, %zero: f32) -> f32 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  // expected-remark @+1 {{1 indexed loads begun one iteration ahead: hides 9 ns of 4985 for 7 ns}}
  %r = scf.for %i = %c0 to %n step %c1 iter_args(%s = %zero) -> f32 {
    %k = memref.load %b[%i] : memref<?xi32>
    %ki = arith.index_cast %k : i32 to index
    %v = cira.load %a[%ki] : !cira.handle<f32> -> f32
    %1 = arith.mulf %v, %v : f32
    %2 = arith.mulf %1, %v : f32
    %3 = arith.mulf %2, %v : f32
    %4 = arith.mulf %3, %v : f32
    %5 = arith.mulf %4, %v : f32
    %t = arith.addf %s, %5 : f32
    scf.yield %t : f32
  }
  return %r : f32
}

// A loop without results needs no else; the field index stays with the load.
// CHECK-LABEL: func.func @no_results
// CHECK: scf.if
// CHECK: cira.load_async %{{.*}}[1]
// CHECK: scf.for {{.*}} iter_args(%[[F:.*]] = %{{.*}}) -> (!cira.future<f32>)
// CHECK: cira.await %[[F]]
// CHECK-NOT: else
// CHECK: return
func.func @no_results(%p: memref<?x!cira.handle<!Pair>>, %n: index, %u: f32) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  // expected-remark @+1 {{1 indexed loads begun one iteration ahead}}
  scf.for %i = %c0 to %n step %c1 {
    %k = memref.load %p[%i] : memref<?x!cira.handle<!Pair>>
    %v = cira.load %k[1] : !cira.handle<!Pair> -> f32
    %c9 = arith.constant 9 : index
    scf.for %j = %c0 to %c9 step %c1 {
      %1 = arith.mulf %v, %u : f32
    }
  }
  return
}
