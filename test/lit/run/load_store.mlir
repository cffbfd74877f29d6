// SPDX-License-Identifier: Apache-2.0
// load, store, extract, and the arithmetic on handles: structs, arrays, vectors
// and plain elements, 1 MiB of them, so that pages come and go.
// REQUIRES: jit
// RUN: %everywhere %s | FileCheck %s

!Pair = !llvm.struct<"Pair", (i8, f64, ptr)>
!Grid = !llvm.struct<"Grid", (i32, array<4 x i16>, vector<4xf32>)>

// Each pair holds its number and a pointer to the one before it.
func.func @pairs(%n: index) -> (f64, i64) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %zero = arith.constant 0.0 : f64
  %none = arith.constant 0 : i64
  %true = arith.constant true
  %p = cira.alloc(%n) : !cira.handle<!Pair>
  %null = cira.handle_null : !cira.handle<!Pair>
  %last = scf.for %i = %c0 to %n step %c1 iter_args(%before = %null) -> !cira.handle<!Pair> {
    %q = cira.handle_offset %p[%i] : !cira.handle<!Pair>
    %small = arith.index_cast %i : index to i8
    %number = arith.index_cast %i : index to i64
    %real = arith.sitofp %number : i64 to f64
    cira.store %small, %q[0] : i8, !cira.handle<!Pair>
    cira.store %real, %q[1] : f64, !cira.handle<!Pair>
    cira.store %before, %q[2] : !cira.handle<!Pair>, !cira.handle<!Pair>
    scf.yield %q : !cira.handle<!Pair>
  }
  %r:3 = scf.while (%q = %last, %sum = %zero, %smalls = %none)
      : (!cira.handle<!Pair>, f64, i64) -> (!cira.handle<!Pair>, f64, i64) {
    %end = cira.handle_is_null %q : !cira.handle<!Pair>
    %more = arith.xori %end, %true : i1
    scf.condition(%more) %q, %sum, %smalls : !cira.handle<!Pair>, f64, i64
  } do {
  ^bb0(%q: !cira.handle<!Pair>, %sum: f64, %smalls: i64):
    %whole = cira.load %q : !cira.handle<!Pair> -> !Pair
    %real = cira.extract %whole[1] : !Pair -> f64
    %next = cira.extract %whole[2] : !Pair -> !cira.handle<!Pair>
    %field = cira.handle_field %q[0] : !cira.handle<!Pair> -> !cira.handle<i8>
    %small = cira.load %field : !cira.handle<i8> -> i8
    %wide = arith.extsi %small : i8 to i64
    %s = arith.addf %sum, %real : f64
    %t = arith.addi %smalls, %wide : i64
    scf.yield %next, %s, %t : !cira.handle<!Pair>, f64, i64
  }
  cira.dealloc %p : !cira.handle<!Pair>
  return %r#1, %r#2 : f64, i64
}

// Containers in memory and as values, indexed by constants and by variables.
func.func @containers() -> (i64, f32) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  %c1000 = arith.constant 1000 : index
  %zero = arith.constant 0 : i64
  %fzero = arith.constant 0.0 : f32
  %g = cira.alloc(%c1000) tier(far) : !cira.handle<!Grid>
  scf.for %i = %c0 to %c1000 step %c1 {
    %q = cira.handle_offset %g[%i] : !cira.handle<!Grid>
    %cells = cira.handle_field %q[1] : !cira.handle<!Grid> -> !cira.handle<!llvm.array<4 x i16>>
    %lanes = cira.handle_field %q[2] : !cira.handle<!Grid> -> !cira.handle<vector<4xf32>>
    scf.for %k = %c0 to %c4 step %c1 {
      %sum = arith.addi %i, %k : index
      %cell = arith.index_cast %sum : index to i16
      cira.store %cell, %cells[%k] : i16, !cira.handle<!llvm.array<4 x i16>>
      %wide = arith.index_cast %k : index to i32
      %lane = arith.sitofp %wide : i32 to f32
      cira.store %lane, %lanes[%k] : f32, !cira.handle<vector<4xf32>>
    }
  }
  %r:2 = scf.for %i = %c0 to %c1000 step %c1 iter_args(%a = %zero, %b = %fzero) -> (i64, f32) {
    %q = cira.handle_offset %g[%i] : !cira.handle<!Grid>
    %cells = cira.load %q[1] : !cira.handle<!Grid> -> !llvm.array<4 x i16>
    %lanes = cira.load %q[2] : !cira.handle<!Grid> -> vector<4xf32>
    %k = arith.remui %i, %c4 : index
    %x = cira.extract %cells[%k] : !llvm.array<4 x i16> -> i16
    %y = cira.extract %cells[3] : !llvm.array<4 x i16> -> i16
    %u = cira.extract %lanes[%k] : vector<4xf32> -> f32
    %v = cira.extract %lanes[3] : vector<4xf32> -> f32
    %xw = arith.extsi %x : i16 to i64
    %yw = arith.extsi %y : i16 to i64
    %xy = arith.addi %xw, %yw : i64
    %uv = arith.addf %u, %v : f32
    %a2 = arith.addi %a, %xy : i64
    %b2 = arith.addf %b, %uv : f32
    scf.yield %a2, %b2 : i64, f32
  }
  cira.dealloc %g : !cira.handle<!Grid>
  return %r#0, %r#1 : i64, f32
}

// Casts and views: the same bytes under other types.
func.func @casts() -> (i32, i32, i1, i1) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c64 = arith.constant 64 : index
  %v = arith.constant 16909060 : i32
  %h = cira.alloc(%c64) : !cira.handle<i32>
  %view = cira.handle_view %h, %c64 : !cira.handle<i32>, index -> memref<?xi32>
  scf.for %i = %c0 to %c64 step %c1 {
    memref.store %v, %view[%i] : memref<?xi32>
  }
  %again = cira.handle_cast %view : memref<?xi32> to !cira.handle<i32>
  %bytes = cira.handle_cast %again : !cira.handle<i32> to !cira.handle<i8>
  %byte = cira.load %bytes[5] : !cira.handle<i8> -> i8
  %raw = cira.handle_cast %h : !cira.handle<i32> to !llvm.ptr
  %plain = llvm.load %raw : !llvm.ptr -> i32
  %back = cira.handle_cast %raw : !llvm.ptr to !cira.handle<i32>
  %one = cira.handle_is_null %back : !cira.handle<i32>
  %zero = llvm.mlir.zero : !llvm.ptr
  %none = cira.handle_cast %zero : !llvm.ptr to !cira.handle<i32>
  %two = cira.handle_is_null %none : !cira.handle<i32>
  %fifth = cira.handle_offset %h[5] : !cira.handle<i32>
  %wide = arith.extui %byte : i8 to i32
  %x = cira.load %fifth[-5] : !cira.handle<i32> -> i32
  %sum = arith.subi %x, %plain : i32
  %result = arith.addi %sum, %wide : i32
  cira.dealloc %h : !cira.handle<i32>
  return %result, %plain, %one, %two : i32, i32, i1, i1
}

// CHECK: {{^}}1073720970{{$}}
// CHECK-NEXT: {{^}}-23158{{$}}
// CHECK-NEXT: {{^}}1003500{{$}}
// CHECK-NEXT: {{^}}4500{{$}}
// CHECK-NEXT: {{^}}3{{$}}
// CHECK-NEXT: {{^}}16909060{{$}}
// CHECK-NEXT: {{^}}0{{$}}
// CHECK-NEXT: {{^}}1{{$}}
func.func @main() -> (f64, i64, i64, f32, i32, i32, i1, i1) {
  %n = arith.constant 46341 : index
  %p:2 = func.call @pairs(%n) : (index) -> (f64, i64)
  %g:2 = func.call @containers() : () -> (i64, f32)
  %c:4 = func.call @casts() : () -> (i32, i32, i1, i1)
  return %p#0, %p#1, %g#0, %g#1, %c#0, %c#1, %c#2, %c#3
      : f64, i64, i64, f32, i32, i32, i1, i1
}
