// SPDX-License-Identifier: Apache-2.0
// Everything else that a program may be made of: structured loops, memrefs of
// all kinds, vectors, functions of the math dialect, complex numbers.
// REQUIRES: jit
// RUN: %everywhere %s | FileCheck %s

memref.global "private" constant @table : memref<4xi32> = dense<[2, 3, 5, 7]>

func.func @loops(%n: index) -> i64 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c10 = arith.constant 10 : index
  %zero = arith.constant 0 : i64
  %m = memref.alloc(%n) : memref<?xi64>
  scf.parallel (%i) = (%c0) to (%n) step (%c1) {
    %v = arith.index_cast %i : index to i64
    memref.store %v, %m[%i] : memref<?xi64>
    scf.reduce
  }
  %s = scf.parallel (%i) = (%c0) to (%n) step (%c1) init (%zero) -> i64 {
    %v = memref.load %m[%i] : memref<?xi64>
    scf.reduce(%v : i64) {
    ^bb0(%a: i64, %b: i64):
      %x = arith.addi %a, %b : i64
      scf.reduce.return %x : i64
    }
  }
  %t = scf.index_switch %c10 -> i64
  case 3 {
    scf.yield %zero : i64
  }
  default {
    scf.yield %s : i64
  }
  memref.dealloc %m : memref<?xi64>
  return %t : i64
}

func.func @memrefs() -> (i32, i32, i32, i32) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  %c3 = arith.constant 3 : index
  %four = arith.constant 4 : i32
  %table = memref.get_global @table : memref<4xi32>
  %m = memref.alloc() : memref<4x4xi32>
  scf.for %i = %c0 to %c3 step %c1 {
    %v = memref.load %table[%i] : memref<4xi32>
    memref.store %v, %m[%i, %c2] : memref<4x4xi32>
  }
  %column = memref.subview %m[0, 2] [4, 1] [1, 1]
      : memref<4x4xi32> to memref<4xi32, strided<[4], offset: 2>>
  %flat = memref.alloca() : memref<4xi32>
  memref.copy %column, %flat : memref<4xi32, strided<[4], offset: 2>> to memref<4xi32>
  %a = memref.load %flat[%c2] : memref<4xi32>
  %old = memref.atomic_rmw addi %four, %flat[%c1] : (i32, memref<4xi32>) -> i32
  %b = memref.load %flat[%c1] : memref<4xi32>
  %big = memref.atomic_rmw maxs %four, %flat[%c0] : (i32, memref<4xi32>) -> i32
  %c = memref.load %flat[%c0] : memref<4xi32>
  %r = memref.collapse_shape %m [[0, 1]] : memref<4x4xi32> into memref<16xi32>
  %six = arith.constant 6 : index
  %d = memref.load %r[%six] : memref<16xi32>
  memref.dealloc %m : memref<4x4xi32>
  return %a, %b, %c, %d : i32, i32, i32, i32
}

func.func @vectors(%n: index) -> (f32, f32) {
  %c0 = arith.constant 0 : index
  %c8 = arith.constant 8 : index
  %one = arith.constant 1.0 : f32
  %pad = arith.constant 0.0 : f32
  %zero = arith.constant dense<0.0> : vector<8xf32>
  %m = memref.alloc(%n) : memref<?xf32>
  scf.for %i = %c0 to %n step %c8 {
    %v = vector.broadcast %one : f32 to vector<8xf32>
    vector.transfer_write %v, %m[%i] : vector<8xf32>, memref<?xf32>
  }
  %s = scf.for %i = %c0 to %n step %c8 iter_args(%t = %zero) -> vector<8xf32> {
    %v = vector.transfer_read %m[%i], %pad : memref<?xf32>, vector<8xf32>
    %u = arith.addf %t, %v : vector<8xf32>
    scf.yield %u : vector<8xf32>
  }
  %r = vector.reduction <add>, %s : vector<8xf32> into f32
  %lane = vector.extract %s[7] : f32 from vector<8xf32>
  memref.dealloc %m : memref<?xf32>
  return %r, %lane : f32, f32
}

func.func @numbers(%x: f64) -> (f64, f64, i64, f64) {
  %two = arith.constant 2.0 : f64
  %a = math.sqrt %x : f64
  %b = math.atan2 %x, %x : f64
  %c = math.tanh %two : f64
  %d = arith.addf %b, %c : f64
  %i7 = arith.constant -7 : i64
  %i2 = arith.constant 2 : i64
  %e = arith.floordivsi %i7, %i2 : i64
  %z = complex.create %x, %two : complex<f64>
  %zz = complex.mul %z, %z : complex<f64>
  %re = complex.re %zz : complex<f64>
  return %a, %d, %e, %re : f64, f64, i64, f64
}

// CHECK: {{^}}1225{{$}}
// CHECK-NEXT: {{^}}5{{$}}
// CHECK-NEXT: {{^}}7{{$}}
// CHECK-NEXT: {{^}}4{{$}}
// CHECK-NEXT: {{^}}3{{$}}
// CHECK-NEXT: {{^}}1003{{$}}
// CHECK-NEXT: {{^}}125{{$}}
// CHECK-NEXT: {{^}}3{{$}}
// CHECK-NEXT: {{^}}1.749425{{[0-9]+}}{{$}}
// CHECK-NEXT: {{^}}-4{{$}}
// CHECK-NEXT: {{^}}77{{$}}
func.func @main() -> (i64, i32, i32, i32, i32, f32, f32, f64, f64, i64, f64) {
  %n = arith.constant 50 : index
  %m = arith.constant 1003 : index
  %x = arith.constant 9.0 : f64
  %a = func.call @loops(%n) : (index) -> i64
  %b:4 = func.call @memrefs() : () -> (i32, i32, i32, i32)
  %c:2 = func.call @vectors(%m) : (index) -> (f32, f32)
  %d:4 = func.call @numbers(%x) : (f64) -> (f64, f64, i64, f64)
  return %a, %b#0, %b#1, %b#2, %b#3, %c#0, %c#1, %d#0, %d#1, %d#2, %d#3
      : i64, i32, i32, i32, i32, f32, f32, f64, f64, i64, f64
}
