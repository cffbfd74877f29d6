// SPDX-License-Identifier: Apache-2.0
// load_async, load_async_batch, await, store_async with and without a token, and
// fence, on 1 MiB with a stride that leaves a page at each step.
// REQUIRES: jit
// RUN: %everywhere %s | FileCheck %s

!Pair = !llvm.struct<"Pair", (i64, i64)>

func.func @fill(%n: index) -> !cira.handle<!Pair> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c3 = arith.constant 3 : i64
  %h = cira.alloc(%n) : !cira.handle<!Pair>
  scf.for %i = %c0 to %n step %c1 {
    %q = cira.handle_offset %h[%i] : !cira.handle<!Pair>
    %a = arith.index_cast %i : index to i64
    %b = arith.muli %a, %c3 : i64
    cira.store_async %a, %q[0] : i64, !cira.handle<!Pair>
    cira.store_async %b, %q[1] : i64, !cira.handle<!Pair>
  }
  cira.fence
  return %h : !cira.handle<!Pair>
}

// Begun one iteration ahead, awaited in the next: the future is carried.
func.func @carried(%h: !cira.handle<!Pair>, %n: index) -> i64 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %prime = arith.constant 40503 : index
  %zero = arith.constant 0 : i64
  %last = arith.subi %n, %c1 : index
  %first = cira.load_async %h : !cira.handle<!Pair> -> !cira.future<!Pair>
  %r:2 = scf.for %i = %c0 to %last step %c1 iter_args(%f = %first, %s = %zero)
      -> (!cira.future<!Pair>, i64) {
    %up = arith.addi %i, %c1 : index
    %wild = arith.muli %up, %prime : index
    %at = arith.remui %wild, %n : index
    %q = cira.handle_offset %h[%at] : !cira.handle<!Pair>
    %next = cira.load_async %q : !cira.handle<!Pair> -> !cira.future<!Pair>
    %v = cira.await %f : !cira.future<!Pair> -> !Pair
    %b = cira.extract %v[1] : !Pair -> i64
    %t = arith.addi %s, %b : i64
    scf.yield %next, %t : !cira.future<!Pair>, i64
  }
  %v = cira.await %r#0 : !cira.future<!Pair> -> !Pair
  %b = cira.extract %v[1] : !Pair -> i64
  %t = arith.addi %r#1, %b : i64
  return %t : i64
}

// Four loads in one request, on four pages.
func.func @batch(%h: !cira.handle<!Pair>, %n: index) -> i64 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  %zero = arith.constant 0 : i64
  %quarter = arith.divui %n, %c4 : index
  %half = arith.addi %quarter, %quarter : index
  %most = arith.addi %half, %quarter : index
  %r = scf.for %i = %c0 to %quarter step %c1 iter_args(%s = %zero) -> i64 {
    %p0 = cira.handle_offset %h[%i] : !cira.handle<!Pair>
    %p1 = cira.handle_offset %p0[%quarter] : !cira.handle<!Pair>
    %p2 = cira.handle_offset %p0[%half] : !cira.handle<!Pair>
    %p3 = cira.handle_offset %p0[%most] : !cira.handle<!Pair>
    %q3 = cira.handle_field %p3[0] : !cira.handle<!Pair> -> !cira.handle<i64>
    %f:4 = cira.load_async_batch %p0, %p1, %p2, %q3
      : !cira.handle<!Pair>, !cira.handle<!Pair>, !cira.handle<!Pair>, !cira.handle<i64>
      -> !cira.future<!Pair>, !cira.future<!Pair>, !cira.future<!Pair>, !cira.future<i64>
    %d = cira.await %f#3 : !cira.future<i64> -> i64
    %c = cira.await %f#2 : !cira.future<!Pair> -> !Pair
    %a = cira.await %f#0 : !cira.future<!Pair> -> !Pair
    %b = cira.await %f#1 : !cira.future<!Pair> -> !Pair
    %x = cira.extract %a[0] : !Pair -> i64
    %y = cira.extract %b[0] : !Pair -> i64
    %z = cira.extract %c[0] : !Pair -> i64
    %s0 = arith.addi %s, %x : i64
    %s1 = arith.addi %s0, %y : i64
    %s2 = arith.addi %s1, %z : i64
    %s3 = arith.addi %s2, %d : i64
    scf.yield %s3 : i64
  }
  return %r : i64
}

// Each store has taken effect when its token is signalled.
func.func @tokens(%h: !cira.handle<!Pair>, %n: index) -> i64 {
  %c0 = arith.constant 0 : index
  %c255 = arith.constant 255 : index
  %zero = arith.constant 0 : i64
  %v = arith.constant 7 : i64
  %r = scf.for %i = %c0 to %n step %c255 iter_args(%s = %zero) -> i64 {
    %q = cira.handle_offset %h[%i] : !cira.handle<!Pair>
    %done = cira.store_async %v, %q[0] : i64, !cira.handle<!Pair> -> !cira.token
    cira.sync_token_wait %done
    %now = cira.load %q[0] : !cira.handle<!Pair> -> i64
    %t = arith.addi %s, %now : i64
    scf.yield %t : i64
  }
  return %r : i64
}

// A future that one branch alone awaits, and one that nobody does.
func.func @sometimes(%h: !cira.handle<!Pair>, %n: index) -> i64 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c7 = arith.constant 7 : index
  %zero = arith.constant 0 : i64
  %r = scf.for %i = %c0 to %n step %c1 iter_args(%s = %zero) -> i64 {
    %q = cira.handle_offset %h[%i] : !cira.handle<!Pair>
    %f = cira.load_async %q[1] : !cira.handle<!Pair> -> !cira.future<i64>
    %unused = cira.load_async %q[0] : !cira.handle<!Pair> -> !cira.future<i64>
    %rest = arith.remui %i, %c7 : index
    %seventh = arith.cmpi eq, %rest, %c0 : index
    %t = scf.if %seventh -> i64 {
      %b = cira.await %f : !cira.future<i64> -> i64
      %t = arith.addi %s, %b : i64
      scf.yield %t : i64
    } else {
      scf.yield %s : i64
    }
    scf.yield %t : i64
  }
  return %r : i64
}

// 3 * (0 + ... + 65535), the sum itself, 3 * (the multiples of 7), 7 * 258
// CHECK: {{^}}6442352640{{$}}
// CHECK-NEXT: {{^}}2147450880{{$}}
// CHECK-NEXT: {{^}}920392263{{$}}
// CHECK-NEXT: {{^}}1806{{$}}
func.func @main() -> (i64, i64, i64, i64) {
  %n = arith.constant 65536 : index
  %h = func.call @fill(%n) : (index) -> !cira.handle<!Pair>
  %a = func.call @carried(%h, %n) : (!cira.handle<!Pair>, index) -> i64
  %b = func.call @batch(%h, %n) : (!cira.handle<!Pair>, index) -> i64
  %c = func.call @sometimes(%h, %n) : (!cira.handle<!Pair>, index) -> i64
  %d = func.call @tokens(%h, %n) : (!cira.handle<!Pair>, index) -> i64
  cira.dealloc %h : !cira.handle<!Pair>
  return %a, %b, %c, %d : i64, i64, i64, i64
}
