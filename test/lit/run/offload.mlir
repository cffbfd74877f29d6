// SPDX-License-Identifier: Apache-2.0
// Regions on other threads: results, operands and captured values of all kinds,
// control flow and calls inside, order by barrier and by token.
// REQUIRES: jit
// RUN: %everywhere %s | FileCheck %s

!Pair = !llvm.struct<"Pair", (i32, f64)>

func.func private @square(%x: i64) -> i64 {
  %y = arith.muli %x, %x : i64
  return %y : i64
}

// Operands become block arguments; %scale is captured, the constant made anew.
func.func @results(%p: !cira.handle<i64>, %n: index, %scale: i64) -> (i64, i64) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %zero = arith.constant 0 : i64
  %r:2 = cira.offload @helper(%p, %n : !cira.handle<i64>, index) -> i64, i64 {
  ^bb0(%base: !cira.handle<i64>, %count: index):
    %s:2 = scf.for %i = %c0 to %count step %c1 iter_args(%a = %zero, %b = %zero) -> (i64, i64) {
      %v = cira.load %base[%i] : !cira.handle<i64> -> i64
      %w = cira.call @square(%v) : (i64) -> i64
      %odd = arith.trunci %v : i64 to i1
      %u = scf.if %odd -> i64 {
        %t = arith.muli %w, %scale : i64
        scf.yield %t : i64
      } else {
        scf.yield %zero : i64
      }
      %a2 = arith.addi %a, %u : i64
      %b2 = arith.addi %b, %v : i64
      scf.yield %a2, %b2 : i64, i64
    }
    cira.yield %s#0, %s#1 : i64, i64
  }
  return %r#0, %r#1 : i64, i64
}

// Values of many types go in and come out.
func.func @types(%a: i8, %b: f32, %v: vector<4xf32>, %m: memref<?xi64>, %pair: !Pair)
    -> (i8, f32, f32, i64, f64) {
  %c1 = arith.constant 1 : index
  %r:5 = cira.offload @vortex_core_1 -> i8, f32, vector<4xf32>, memref<?xi64>, !Pair {
    %w = arith.addf %v, %v : vector<4xf32>
    cira.yield %a, %b, %w, %m, %pair : i8, f32, vector<4xf32>, memref<?xi64>, !Pair
  }
  %lane = cira.extract %r#2[3] : vector<4xf32> -> f32
  %second = memref.load %r#3[%c1] : memref<?xi64>
  %real = cira.extract %r#4[1] : !Pair -> f64
  return %r#0, %r#1, %lane, %second, %real : i8, f32, f32, i64, f64
}

// Four regions write a quarter each; the barrier makes all of it visible.
func.func @quarters(%p: !cira.handle<i64>, %n: index) -> i64 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  %zero = arith.constant 0 : i64
  %quarter = arith.divui %n, %c4 : index
  scf.for %k = %c0 to %c4 step %c1 {
    %begin = arith.muli %k, %quarter : index
    %end = arith.addi %begin, %quarter : index
    cira.offload @helper {
      scf.for %i = %begin to %end step %c1 {
        %v = arith.index_cast %i : index to i64
        %w = arith.addi %v, %v : i64
        cira.store %w, %p[%i] : i64, !cira.handle<i64>
      }
    }
  }
  cira.barrier
  %r = scf.for %i = %c0 to %n step %c1 iter_args(%s = %zero) -> i64 {
    %v = cira.load %p[%i] : !cira.handle<i64> -> i64
    %t = arith.addi %s, %v : i64
    scf.yield %t : i64
  }
  return %r : i64
}

// A chain of hand-overs: the host signals, the region waits, works, signals.
func.func @tokens(%p: !cira.handle<i64>, %rounds: index) -> i64 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %one = arith.constant 1 : i64
  %zero = arith.constant 0 : i64
  cira.store %zero, %p[0] : i64, !cira.handle<i64>
  scf.for %i = %c0 to %rounds step %c1 {
    %go = cira.sync_token_create
    %done = cira.sync_token_create
    cira.offload @helper_0 {
      cira.sync_token_wait %go
      %v = cira.load %p[0] : !cira.handle<i64> -> i64
      %w = arith.addi %v, %one : i64
      cira.store %w, %p[0] : i64, !cira.handle<i64>
      cira.sync_token_signal %done
    }
    %v = cira.load %p[0] : !cira.handle<i64> -> i64
    %w = arith.addi %v, %one : i64
    cira.store %w, %p[0] : i64, !cira.handle<i64>
    cira.sync_token_signal %go
    cira.sync_token_wait %done
    cira.sync_token_wait %done
  }
  cira.release
  %r = cira.load %p[0] : !cira.handle<i64> -> i64
  return %r : i64
}

// CHECK: {{^}}70368744112128{{$}}
// CHECK-NEXT: {{^}}536854528{{$}}
// CHECK-NEXT: {{^}}-7{{$}}
// CHECK-NEXT: {{^}}1.5{{$}}
// CHECK-NEXT: {{^}}5{{$}}
// CHECK-NEXT: {{^}}1{{$}}
// CHECK-NEXT: {{^}}0.25{{$}}
// CHECK-NEXT: {{^}}1073709056{{$}}
// CHECK-NEXT: {{^}}200{{$}}
func.func @main() -> (i64, i64, i8, f32, f32, i64, f64, i64, i64) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %n = arith.constant 32768 : index
  %rounds = arith.constant 100 : index
  %scale = arith.constant 12 : i64
  %p = cira.alloc(%n) : !cira.handle<i64>
  %m = cira.handle_view %p, %n : !cira.handle<i64>, index -> memref<?xi64>
  scf.for %i = %c0 to %n step %c1 {
    %v = arith.index_cast %i : index to i64
    cira.store %v, %p[%i] : i64, !cira.handle<i64>
  }
  %r:2 = func.call @results(%p, %n, %scale) : (!cira.handle<i64>, index, i64) -> (i64, i64)
  %a = arith.constant -7 : i8
  %b = arith.constant 1.5 : f32
  %v = arith.constant dense<[1.0, 2.0, 3.0, 2.5]> : vector<4xf32>
  %undef = llvm.mlir.undef : !Pair
  %i = arith.constant 3 : i32
  %f = arith.constant 0.25 : f64
  %pair0 = llvm.insertvalue %i, %undef[0] : !Pair
  %pair = llvm.insertvalue %f, %pair0[1] : !Pair
  %t:5 = func.call @types(%a, %b, %v, %m, %pair)
      : (i8, f32, vector<4xf32>, memref<?xi64>, !Pair) -> (i8, f32, f32, i64, f64)
  %q = func.call @quarters(%p, %n) : (!cira.handle<i64>, index) -> i64
  %k = func.call @tokens(%p, %rounds) : (!cira.handle<i64>, index) -> i64
  cira.dealloc %p : !cira.handle<i64>
  return %r#0, %r#1, %t#0, %t#1, %t#2, %t#3, %t#4, %q, %k
      : i64, i64, i8, f32, f32, i64, f64, i64, i64
}
