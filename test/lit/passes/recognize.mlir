// SPDX-License-Identifier: Apache-2.0
// Each pattern is found, on the access and on the loop.
// RUN: cira-opt %s --cira-recognize 2>/dev/null | FileCheck %s
// RUN: cira-opt %s --cira-recognize --cira-recognize 2>/dev/null | FileCheck %s
// RUN: cira-opt %s --split-input-file --verify-diagnostics --cira-recognize -o /dev/null
// RUN: mlir-opt %cira_plugin %s --pass-pipeline="builtin.module(cira-recognize)" 2>/dev/null | FileCheck %s

!Node = !llvm.struct<"Node", (f32, ptr)>

// CHECK-LABEL: func.func @strided
// CHECK: cira.load {{.*}} {cira.access = #cira.access<strided, stride_bytes = 32, element_bytes = 8,
// CHECK: } {cira.pattern = #cira.access<strided, stride_bytes = 32, element_bytes = 8,
// CHECK: memref.load {{.*}} {cira.access = #cira.access<strided, stride_bytes = 32, element_bytes = 4,
func.func @strided(%m: memref<?x8xf32>, %h: !cira.handle<i64>, %n: index, %x: f32, %k: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  // expected-remark @+1 {{cira-recognize: strided by 32 bytes, 8 bytes each: the address is linear in the loop counter}}
  scf.for %i = %c0 to %n step %c2 {
    %j = arith.muli %i, %c2 : index
    %j2 = arith.addi %j, %k : index
    %v = cira.load %h[%j2] : !cira.handle<i64> -> i64
  }
  // expected-remark @+1 {{cira-recognize: strided by 32 bytes, 4 bytes each}}
  scf.for %i = %c0 to %n step %c1 {
    %v = memref.load %m[%i, %k] : memref<?x8xf32>
  }
  return
}

// CHECK-LABEL: func.func @pointer_walk
// CHECK: cira.load {{.*}} {cira.access = #cira.access<strided, stride_bytes = 24, element_bytes = 8, reason = "the pointer moves by a constant">}
func.func @pointer_walk(%h: !cira.handle<f64>, %n: index, %zero: f64) -> f64 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  // expected-remark @+1 {{strided by 24 bytes, 8 bytes each: the pointer moves by a constant}}
  %r:2 = scf.for %i = %c0 to %n step %c1 iter_args(%p = %h, %s = %zero) -> (!cira.handle<f64>, f64) {
    %v = cira.load %p : !cira.handle<f64> -> f64
    %t = arith.addf %s, %v : f64
    %q = cira.handle_offset %p[3] : !cira.handle<f64>
    scf.yield %q, %t : !cira.handle<f64>, f64
  }
  return %r#1 : f64
}

// CHECK-LABEL: func.func @pointers
// CHECK: memref.load {{.*}} {cira.access = #cira.access<strided, stride_bytes = 8,
// CHECK: cira.load {{.*}} {cira.access = #cira.access<indexed, stride_bytes = 8, element_bytes = 4,
// CHECK: } {cira.pattern = #cira.access<indexed,
func.func @pointers(%ptrs: memref<?x!cira.handle<f32>>, %n: index, %zero: f32) -> f32 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  // expected-remark @+1 {{indexed, 4 bytes each, indices strided by 8 bytes: the address depends on a value that is read with a stride}}
  %r = scf.for %i = %c0 to %n step %c1 iter_args(%s = %zero) -> f32 {
    %ptr = memref.load %ptrs[%i] : memref<?x!cira.handle<f32>>
    %val = cira.load %ptr : !cira.handle<f32> -> f32
    %t = arith.addf %s, %val : f32
    scf.yield %t : f32
  }
  return %r : f32
}

// CHECK-LABEL: func.func @gather
// CHECK: cira.load {{.*}} {cira.access = #cira.access<indexed, stride_bytes = 4, element_bytes = 8,
func.func @gather(%a: !cira.handle<f64>, %b: memref<?xi32>, %n: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  // expected-remark @+1 {{indexed, 8 bytes each, indices strided by 4 bytes}}
  scf.parallel (%i) = (%c0) to (%n) step (%c1) {
    %k = memref.load %b[%i] : memref<?xi32>
    %ki = arith.index_cast %k : i32 to index
    %v = cira.load %a[%ki] : !cira.handle<f64> -> f64
    scf.reduce
  }
  return
}

// CHECK-LABEL: func.func @traverse_list
// CHECK: cira.load {{.*}}[0] {cira.access = #cira.access<linked, offset_bytes = 8, element_bytes = 4,
// CHECK: cira.load {{.*}}[1] {cira.access = #cira.access<linked, offset_bytes = 8, element_bytes = 8,
// CHECK: attributes {cira.pattern = #cira.access<linked, offset_bytes = 8,
func.func @traverse_list(%head: !cira.handle<!Node>) -> f32 {
  %zero = arith.constant 0.0 : f32
  %true = arith.constant true
  // expected-remark @+1 {{linked, link at byte 8 of the node: the next address is read from the node}}
  %result:2 = scf.while (%node = %head, %sum = %zero) : (!cira.handle<!Node>, f32) -> (!cira.handle<!Node>, f32) {
    %is_null = cira.handle_is_null %node : !cira.handle<!Node>
    %go = arith.xori %is_null, %true : i1
    scf.condition(%go) %node, %sum : !cira.handle<!Node>, f32
  } do {
  ^bb0(%node: !cira.handle<!Node>, %sum: f32):
    %data = cira.load %node[0] : !cira.handle<!Node> -> f32
    %next = cira.load %node[1] : !cira.handle<!Node> -> !cira.handle<!Node>
    %new_sum = arith.addf %sum, %data : f32
    scf.yield %next, %new_sum : !cira.handle<!Node>, f32
  }
  return %result#1 : f32
}

// A whole node at a time, asynchronously.
// CHECK-LABEL: func.func @whole_node
// CHECK: cira.load_async {{.*}} {cira.access = #cira.access<linked, offset_bytes = 8, element_bytes = 16,
func.func @whole_node(%head: !cira.handle<!Node>) {
  // expected-remark @+1 {{linked, link at byte 8 of the node}}
  %result = scf.while (%node = %head) : (!cira.handle<!Node>) -> !cira.handle<!Node> {
    %is_null = cira.handle_is_null %node : !cira.handle<!Node>
    scf.condition(%is_null) %node : !cira.handle<!Node>
  } do {
  ^bb0(%node: !cira.handle<!Node>):
    %f = cira.load_async %node : !cira.handle<!Node> -> !cira.future<!Node>
    %n = cira.await %f : !cira.future<!Node> -> !Node
    %next = cira.extract %n[1] : !Node -> !cira.handle<!Node>
    scf.yield %next : !cira.handle<!Node>
  }
  return
}

// CHECK-LABEL: func.func @bfs
// CHECK: memref.load {{.*}} {cira.access = #cira.access<strided,
// CHECK: memref.load {{.*}} {cira.access = #cira.access<indexed,
// CHECK: memref.load {{.*}} {cira.access = #cira.access<indexed,
// CHECK: memref.load {{.*}} {cira.access = #cira.access<frontier, stride_bytes = 4, element_bytes = 4,
// CHECK: memref.load {{.*}} {cira.access = #cira.access<indexed, stride_bytes = 4, element_bytes = 4,
// CHECK: } {cira.pattern = #cira.access<frontier,
// CHECK: } {cira.pattern = #cira.access<indexed,
func.func @bfs(%offs: memref<?xi64>, %cols: memref<?xi32>, %frontier: memref<?xi32>, %dist: memref<?xi32>, %n: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  // expected-remark @+1 {{indexed, 8 bytes each, indices strided by 4 bytes}}
  scf.for %v = %c0 to %n step %c1 {
    %vertex = memref.load %frontier[%v] : memref<?xi32>
    %vi = arith.index_cast %vertex : i32 to index
    %v1 = arith.addi %vi, %c1 : index
    %b = memref.load %offs[%vi] : memref<?xi64>
    %e = memref.load %offs[%v1] : memref<?xi64>
    %bi = arith.index_cast %b : i64 to index
    %ei = arith.index_cast %e : i64 to index
    // expected-remark @+1 {{frontier, 4 bytes each: the run is the row of a vertex read from a list}}
    scf.for %j = %bi to %ei step %c1 {
      %u = memref.load %cols[%j] : memref<?xi32>
      %ui = arith.index_cast %u : i32 to index
      %d = memref.load %dist[%ui] : memref<?xi32>
    }
  }
  return
}
