// SPDX-License-Identifier: Apache-2.0
// Strided streams: forwards, backwards, over pointers (their values and what
// they point to), over a view with a stride, moved without looking, past the
// end, and passed to a function that does not see where it was made.
// REQUIRES: jit
// RUN: %everywhere %s | FileCheck %s

func.func @fill(%m: memref<?xi64>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %n = memref.dim %m, %c0 : memref<?xi64>
  scf.for %i = %c0 to %n step %c1 {
    %v = arith.index_cast %i : index to i64
    memref.store %v, %m[%i] : memref<?xi64>
  }
  return
}

// Elements start, start + stride, ...; each weighs more than the one before it.
func.func @weighted(%m: memref<?xi64>, %start: index, %stride: index, %n: index) -> i64 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %d = arith.constant 512 : index
  %zero = arith.constant 0 : i64
  %s = cira.stream_create_strided %m, %start, %stride, %n
      : memref<?xi64>, index, index, index -> !cira.stream
  cira.offload @vortex {
    cira.prefetch_stream %s, %d : !cira.stream, index
  }
  %r = scf.for %i = %c0 to %n step %c1 iter_args(%t = %zero) -> i64 {
    %f = cira.peek_stream %s : !cira.stream -> !cira.future<i64>
    %v = cira.await %f : !cira.future<i64> -> i64
    cira.advance_stream %s : !cira.stream
    %w = arith.index_cast %i : index to i64
    %x = arith.muli %v, %w : i64
    %u = arith.addi %t, %x : i64
    scf.yield %u : i64
  }
  // There is nothing left: this does nothing.
  cira.advance_stream %s : !cira.stream
  cira.stream_release %s : !cira.stream
  return %r : i64
}

func.func @every_second(%m: memref<?xi64>, %n: index) -> i64 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  %zero = arith.constant 0 : i64
  %s = cira.stream_create_strided %m, %c0, %c1, %n
      : memref<?xi64>, index, index, index -> !cira.stream
  %r = scf.for %i = %c0 to %n step %c2 iter_args(%t = %zero) -> i64 {
    cira.advance_stream %s : !cira.stream
    %f = cira.peek_stream %s : !cira.stream -> !cira.future<i64>
    %v = cira.await %f : !cira.future<i64> -> i64
    cira.advance_stream %s : !cira.stream
    %u = arith.addi %t, %v : i64
    scf.yield %u : i64
  }
  cira.stream_release %s : !cira.stream
  return %r : i64
}

func.func @view(%m: memref<?xi64>, %n: index) -> i64 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c5 = arith.constant 5 : index
  %zero = arith.constant 0 : i64
  %fifth = arith.divui %n, %c5 : index
  %v5 = memref.subview %m[3] [%fifth] [5]
      : memref<?xi64> to memref<?xi64, strided<[5], offset: 3>>
  %s = cira.stream_create_strided %v5, %c0, %c1, %fifth
      : memref<?xi64, strided<[5], offset: 3>>, index, index, index -> !cira.stream
  %r = scf.for %i = %c0 to %fifth step %c1 iter_args(%t = %zero) -> i64 {
    %f = cira.peek_stream %s : !cira.stream -> !cira.future<i64>
    %v = cira.await %f : !cira.future<i64> -> i64
    cira.advance_stream %s : !cira.stream
    %u = arith.addi %t, %v : i64
    scf.yield %u : i64
  }
  cira.stream_release %s : !cira.stream
  return %r : i64
}

// A stream over handles: what they point to, the handles, and both in turn.
func.func @pointers(%m: memref<?xi64>, %n: index) -> (i64, i64, i64) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %prime = arith.constant 40503 : index
  %d = arith.constant 64 : index
  %zero = arith.constant 0 : i64
  %base = cira.handle_cast %m : memref<?xi64> to !cira.handle<i64>
  %p = memref.alloc(%n) : memref<?x!cira.handle<i64>>
  scf.for %i = %c0 to %n step %c1 {
    %wild = arith.muli %i, %prime : index
    %at = arith.remui %wild, %n : index
    %h = cira.handle_offset %base[%at] : !cira.handle<i64>
    memref.store %h, %p[%i] : memref<?x!cira.handle<i64>>
  }
  %s = cira.stream_create_strided %p, %c0, %c1, %n
      : memref<?x!cira.handle<i64>>, index, index, index -> !cira.stream
  cira.prefetch_stream %s, %d : !cira.stream, index
  %r = scf.for %i = %c0 to %n step %c1 iter_args(%t = %zero) -> i64 {
    %f = cira.peek_stream %s : !cira.stream -> !cira.future<i64>
    %v = cira.await %f : !cira.future<i64> -> i64
    cira.advance_stream %s : !cira.stream
    %w = arith.index_cast %i : index to i64
    %x = arith.muli %v, %w : i64
    %u = arith.addi %t, %x : i64
    scf.yield %u : i64
  }
  cira.stream_release %s : !cira.stream
  %s2 = cira.stream_create_strided %p, %c0, %c1, %n
      : memref<?x!cira.handle<i64>>, index, index, index -> !cira.stream
  %r2 = scf.for %i = %c0 to %n step %c1 iter_args(%t = %zero) -> i64 {
    %f = cira.peek_stream %s2 : !cira.stream -> !cira.future<!cira.handle<i64>>
    %h = cira.await %f : !cira.future<!cira.handle<i64>> -> !cira.handle<i64>
    %v = cira.load %h : !cira.handle<i64> -> i64
    cira.advance_stream %s2 : !cira.stream
    %w = arith.index_cast %i : index to i64
    %x = arith.muli %v, %w : i64
    %u = arith.addi %t, %x : i64
    scf.yield %u : i64
  }
  cira.stream_release %s2 : !cira.stream
  %s3 = cira.stream_create_strided %p, %c0, %c1, %n
      : memref<?x!cira.handle<i64>>, index, index, index -> !cira.stream
  %r3 = scf.for %i = %c0 to %n step %c1 iter_args(%t = %zero) -> i64 {
    %f = cira.peek_stream %s3 : !cira.stream -> !cira.future<!cira.handle<i64>>
    %h = cira.await %f : !cira.future<!cira.handle<i64>> -> !cira.handle<i64>
    %v = cira.load %h : !cira.handle<i64> -> i64
    %g = cira.peek_stream %s3 : !cira.stream -> !cira.future<i64>
    %v2 = cira.await %g : !cira.future<i64> -> i64
    cira.advance_stream %s3 : !cira.stream
    %x = arith.subi %v, %v2 : i64
    %u = arith.ori %t, %x : i64
    scf.yield %u : i64
  }
  cira.stream_release %s3 : !cira.stream
  memref.dealloc %p : memref<?x!cira.handle<i64>>
  return %r, %r2, %r3 : i64, i64, i64
}

func.func @consume(%s: !cira.stream, %n: index) -> i64 attributes {no_inline} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %zero = arith.constant 0 : i64
  %r = scf.for %i = %c0 to %n step %c1 iter_args(%t = %zero) -> i64 {
    %f = cira.peek_stream %s : !cira.stream -> !cira.future<i64>
    %v = cira.await %f : !cira.future<i64> -> i64
    cira.advance_stream %s : !cira.stream
    %u = arith.addi %t, %v : i64
    scf.yield %u : i64
  }
  return %r : i64
}

// The front moves between two functions.
func.func @passed(%m: memref<?xi64>, %n: index) -> i64 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  %half = arith.divui %n, %c2 : index
  %s = cira.stream_create_strided %m, %c0, %c1, %n
      : memref<?xi64>, index, index, index -> !cira.stream
  %a = func.call @consume(%s, %half) : (!cira.stream, index) -> i64
  %f = cira.peek_stream %s : !cira.stream -> !cira.future<i64>
  %v = cira.await %f : !cira.future<i64> -> i64
  cira.advance_stream %s : !cira.stream
  %rest = arith.subi %half, %c1 : index
  %b = func.call @consume(%s, %rest) : (!cira.stream, index) -> i64
  cira.stream_release %s : !cira.stream
  %ab = arith.addi %a, %b : i64
  %abv = arith.addi %ab, %v : i64
  return %abv : i64
}

// CHECK: {{^}}93822844764160{{$}}
// CHECK-NEXT: {{^}}46910348656640{{$}}
// CHECK-NEXT: {{^}}1073741824{{$}}
// CHECK-NEXT: {{^}}429490176{{$}}
// CHECK-NEXT: {{^}}70371637886976{{$}}
// CHECK-NEXT: {{^}}70371637886976{{$}}
// CHECK-NEXT: {{^}}0{{$}}
// CHECK-NEXT: {{^}}2147450880{{$}}
func.func @main() -> (i64, i64, i64, i64, i64, i64, i64, i64) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %minus = arith.constant -1 : index
  %n = arith.constant 65536 : index
  %last = arith.constant 65535 : index
  %m = memref.alloc(%n) : memref<?xi64>
  func.call @fill(%m) : (memref<?xi64>) -> ()
  %a = func.call @weighted(%m, %c0, %c1, %n) : (memref<?xi64>, index, index, index) -> i64
  %b = func.call @weighted(%m, %last, %minus, %n) : (memref<?xi64>, index, index, index) -> i64
  %c = func.call @every_second(%m, %n) : (memref<?xi64>, index) -> i64
  %d = func.call @view(%m, %n) : (memref<?xi64>, index) -> i64
  %e:3 = func.call @pointers(%m, %n) : (memref<?xi64>, index) -> (i64, i64, i64)
  %f = func.call @passed(%m, %n) : (memref<?xi64>, index) -> i64
  memref.dealloc %m : memref<?xi64>
  return %a, %b, %c, %d, %e#0, %e#1, %e#2, %f
      : i64, i64, i64, i64, i64, i64, i64, i64
}
