// SPDX-License-Identifier: Apache-2.0
// a[b[i]] with positions of every width, forwards and backwards, and of an array
// of handles.
// REQUIRES: jit
// RUN: %everywhere %s | FileCheck %s

func.func @gather(%a: !cira.handle<f64>, %b: memref<?xi32>, %n: index) -> f64 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %minus = arith.constant -1 : index
  %d = arith.constant 128 : index
  %zero = arith.constant 0.0 : f64
  %last = arith.subi %n, %c1 : index
  %s = cira.stream_create_indexed %a, %b, %last, %minus, %n
    : !cira.handle<f64>, memref<?xi32>, index, index, index -> !cira.stream
  cira.offload @helper {
    cira.prefetch_stream %s, %d : !cira.stream, index
  }
  %r = scf.for %i = %c0 to %n step %c1 iter_args(%t = %zero) -> f64 {
    %f = cira.peek_stream %s : !cira.stream -> !cira.future<f64>
    %v = cira.await %f : !cira.future<f64> -> f64
    cira.advance_stream %s : !cira.stream
    %k = arith.index_cast %i : index to i64
    %w = arith.sitofp %k : i64 to f64
    %x = arith.mulf %v, %w : f64
    %u = arith.addf %t, %x : f64
    scf.yield %u : f64
  }
  cira.stream_release %s : !cira.stream
  return %r : f64
}

func.func @widths(%a: !cira.handle<f64>) -> (f64, f64, f64, f64) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c100 = arith.constant 100 : index
  %zero = arith.constant 0.0 : f64
  %b8 = memref.alloc(%c100) : memref<?xi8>
  %b16 = memref.alloc(%c100) : memref<?xi16>
  %b64 = memref.alloc(%c100) : memref<?xi64>
  %bx = memref.alloc(%c100) : memref<?xindex>
  scf.for %i = %c0 to %c100 step %c1 {
    %i8 = arith.index_cast %i : index to i8
    %i16 = arith.index_cast %i : index to i16
    %i64 = arith.index_cast %i : index to i64
    memref.store %i8, %b8[%i] : memref<?xi8>
    memref.store %i16, %b16[%i] : memref<?xi16>
    memref.store %i64, %b64[%i] : memref<?xi64>
    memref.store %i, %bx[%i] : memref<?xindex>
  }
  %s8 = cira.stream_create_indexed %a, %b8, %c0, %c1, %c100
    : !cira.handle<f64>, memref<?xi8>, index, index, index -> !cira.stream
  %s16 = cira.stream_create_indexed %a, %b16, %c0, %c1, %c100
    : !cira.handle<f64>, memref<?xi16>, index, index, index -> !cira.stream
  %s64 = cira.stream_create_indexed %a, %b64, %c0, %c1, %c100
    : !cira.handle<f64>, memref<?xi64>, index, index, index -> !cira.stream
  %sx = cira.stream_create_indexed %a, %bx, %c0, %c1, %c100
    : !cira.handle<f64>, memref<?xindex>, index, index, index -> !cira.stream
  %r:4 = scf.for %i = %c0 to %c100 step %c1
      iter_args(%t8 = %zero, %t16 = %zero, %t64 = %zero, %tx = %zero)
      -> (f64, f64, f64, f64) {
    %f8 = cira.peek_stream %s8 : !cira.stream -> !cira.future<f64>
    %f16 = cira.peek_stream %s16 : !cira.stream -> !cira.future<f64>
    %f64 = cira.peek_stream %s64 : !cira.stream -> !cira.future<f64>
    %fx = cira.peek_stream %sx : !cira.stream -> !cira.future<f64>
    cira.advance_stream %s8 : !cira.stream
    cira.advance_stream %s16 : !cira.stream
    cira.advance_stream %s64 : !cira.stream
    cira.advance_stream %sx : !cira.stream
    %v8 = cira.await %f8 : !cira.future<f64> -> f64
    %v16 = cira.await %f16 : !cira.future<f64> -> f64
    %v64 = cira.await %f64 : !cira.future<f64> -> f64
    %vx = cira.await %fx : !cira.future<f64> -> f64
    %u8 = arith.addf %t8, %v8 : f64
    %u16 = arith.addf %t16, %v16 : f64
    %u64 = arith.addf %t64, %v64 : f64
    %ux = arith.addf %tx, %vx : f64
    scf.yield %u8, %u16, %u64, %ux : f64, f64, f64, f64
  }
  cira.stream_release %s8 : !cira.stream
  cira.stream_release %s16 : !cira.stream
  cira.stream_release %s64 : !cira.stream
  cira.stream_release %sx : !cira.stream
  memref.dealloc %b8 : memref<?xi8>
  memref.dealloc %b16 : memref<?xi16>
  memref.dealloc %b64 : memref<?xi64>
  memref.dealloc %bx : memref<?xindex>
  return %r#0, %r#1, %r#2, %r#3 : f64, f64, f64, f64
}

// The elements are handles; what they point to is one load further.
func.func @handles(%a: !cira.handle<f64>, %b: memref<?xi32>, %n: index) -> f64 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %zero = arith.constant 0.0 : f64
  %p = memref.alloc(%n) : memref<?x!cira.handle<f64>>
  scf.for %i = %c0 to %n step %c1 {
    %h = cira.handle_offset %a[%i] : !cira.handle<f64>
    memref.store %h, %p[%i] : memref<?x!cira.handle<f64>>
  }
  %s = cira.stream_create_indexed %p, %b, %c0, %c1, %n
    : memref<?x!cira.handle<f64>>, memref<?xi32>, index, index, index -> !cira.stream
  %r = scf.for %i = %c0 to %n step %c1 iter_args(%t = %zero) -> f64 {
    %f = cira.peek_stream %s : !cira.stream -> !cira.future<f64>
    %v = cira.await %f : !cira.future<f64> -> f64
    cira.advance_stream %s : !cira.stream
    %u = arith.addf %t, %v : f64
    scf.yield %u : f64
  }
  cira.stream_release %s : !cira.stream
  memref.dealloc %p : memref<?x!cira.handle<f64>>
  return %r : f64
}

// CHECK: {{^}}8773489459200{{$}}
// CHECK-COUNT-4: {{^}}4950{{$}}
// CHECK: {{^}}536854528{{$}}
func.func @main() -> (f64, f64, f64, f64, f64, f64) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %prime = arith.constant 20011 : index
  %n = arith.constant 32768 : index
  %a = cira.alloc(%n) : !cira.handle<f64>
  %b = memref.alloc(%n) : memref<?xi32>
  scf.for %i = %c0 to %n step %c1 {
    %k = arith.index_cast %i : index to i64
    %v = arith.sitofp %k : i64 to f64
    cira.store %v, %a[%i] : f64, !cira.handle<f64>
    %wild = arith.muli %i, %prime : index
    %at = arith.remui %wild, %n : index
    %at32 = arith.index_cast %at : index to i32
    memref.store %at32, %b[%i] : memref<?xi32>
  }
  %r = func.call @gather(%a, %b, %n) : (!cira.handle<f64>, memref<?xi32>, index) -> f64
  %w:4 = func.call @widths(%a) : (!cira.handle<f64>) -> (f64, f64, f64, f64)
  %h = func.call @handles(%a, %b, %n) : (!cira.handle<f64>, memref<?xi32>, index) -> f64
  memref.dealloc %b : memref<?xi32>
  cira.dealloc %a : !cira.handle<f64>
  return %r, %w#0, %w#1, %w#2, %w#3, %h : f64, f64, f64, f64, f64, f64
}
