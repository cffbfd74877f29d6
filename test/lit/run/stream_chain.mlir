// SPDX-License-Identifier: Apache-2.0
// Chains: in the order of addresses and in another, walked twice (the second
// time along what the first has learnt), without looking at every node, one node,
// none, and a chain whose first word is the link.
// REQUIRES: jit
// RUN: %everywhere %s | FileCheck %s

!Node = !llvm.struct<"Node", (i64, ptr)>

func.func @build(%n: index, %prime: index) -> !cira.handle<!Node> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %nodes = cira.alloc(%n) : !cira.handle<!Node>
  %null = cira.handle_null : !cira.handle<!Node>
  scf.for %i = %c0 to %n step %c1 {
    %wild = arith.muli %i, %prime : index
    %at = arith.remui %wild, %n : index
    %node = cira.handle_offset %nodes[%at] : !cira.handle<!Node>
    %v = arith.index_cast %i : index to i64
    cira.store %v, %node[0] : i64, !cira.handle<!Node>
    %up = arith.addi %i, %c1 : index
    %wild2 = arith.muli %up, %prime : index
    %at2 = arith.remui %wild2, %n : index
    %there = cira.handle_offset %nodes[%at2] : !cira.handle<!Node>
    %is_last = arith.cmpi eq, %up, %n : index
    %link = arith.select %is_last, %null, %there : !cira.handle<!Node>
    cira.store %link, %node[1] : !cira.handle<!Node>, !cira.handle<!Node>
  }
  return %nodes : !cira.handle<!Node>
}

// The k-th node weighs k.
func.func @walk(%head: !cira.handle<!Node>) -> i64 {
  %zero = arith.constant 0 : i64
  %one = arith.constant 1 : i64
  %true = arith.constant true
  %c8 = arith.constant 8 : index
  %c16 = arith.constant 16 : index
  %s = cira.stream_create_indirect %head, %c8 : !cira.handle<!Node>, index -> !cira.stream
  cira.offload @vortex_core_0 {
    cira.prefetch_chain %s, %c16 : !cira.stream, index
  }
  %r:3 = scf.while (%node = %head, %sum = %zero, %k = %zero)
      : (!cira.handle<!Node>, i64, i64) -> (!cira.handle<!Node>, i64, i64) {
    %end = cira.handle_is_null %node : !cira.handle<!Node>
    %more = arith.xori %end, %true : i1
    scf.condition(%more) %node, %sum, %k : !cira.handle<!Node>, i64, i64
  } do {
  ^bb0(%node: !cira.handle<!Node>, %sum: i64, %k: i64):
    %f = cira.peek_stream %s : !cira.stream -> !cira.future<!Node>
    %v = cira.await %f : !cira.future<!Node> -> !Node
    %data = cira.extract %v[0] : !Node -> i64
    %next = cira.extract %v[1] : !Node -> !cira.handle<!Node>
    cira.advance_stream %s : !cira.stream
    %x = arith.muli %data, %k : i64
    %t = arith.addi %sum, %x : i64
    %up = arith.addi %k, %one : i64
    scf.yield %next, %t, %up : !cira.handle<!Node>, i64, i64
  }
  cira.stream_release %s : !cira.stream
  return %r#1 : i64
}

// Every third node; `count` of them.
func.func @skip(%head: !cira.handle<!Node>, %count: index) -> i64 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %zero = arith.constant 0 : i64
  %c8 = arith.constant 8 : index
  %s = cira.stream_create_indirect %head, %c8 : !cira.handle<!Node>, index -> !cira.stream
  %r = scf.for %i = %c0 to %count step %c1 iter_args(%t = %zero) -> i64 {
    cira.advance_stream %s : !cira.stream
    cira.advance_stream %s : !cira.stream
    %f = cira.peek_stream %s : !cira.stream -> !cira.future<!Node>
    %v = cira.await %f : !cira.future<!Node> -> !Node
    %data = cira.extract %v[0] : !Node -> i64
    cira.advance_stream %s : !cira.stream
    %u = arith.addi %t, %data : i64
    scf.yield %u : i64
  }
  cira.stream_release %s : !cira.stream
  return %r : i64
}

// Nodes that are only a link.
func.func @bare(%n: index) -> index {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %true = arith.constant true
  %p = cira.alloc(%n) : !cira.handle<!llvm.ptr>
  %null = cira.handle_null : !cira.handle<!llvm.ptr>
  %raw_null = cira.handle_cast %null : !cira.handle<!llvm.ptr> to !llvm.ptr
  %last = arith.subi %n, %c1 : index
  scf.for %i = %c0 to %last step %c1 {
    %up = arith.addi %i, %c1 : index
    %h = cira.handle_offset %p[%up] : !cira.handle<!llvm.ptr>
    %raw = cira.handle_cast %h : !cira.handle<!llvm.ptr> to !llvm.ptr
    cira.store %raw, %p[%i] : !llvm.ptr, !cira.handle<!llvm.ptr>
  }
  cira.store %raw_null, %p[%last] : !llvm.ptr, !cira.handle<!llvm.ptr>
  %s = cira.stream_create_indirect %p, %c0 : !cira.handle<!llvm.ptr>, index -> !cira.stream
  %raw_head = cira.handle_cast %p : !cira.handle<!llvm.ptr> to !llvm.ptr
  %r:2 = scf.while (%node = %raw_head, %k = %c0) : (!llvm.ptr, index) -> (!llvm.ptr, index) {
    %h = cira.handle_cast %node : !llvm.ptr to !cira.handle<!llvm.ptr>
    %end = cira.handle_is_null %h : !cira.handle<!llvm.ptr>
    %more = arith.xori %end, %true : i1
    scf.condition(%more) %node, %k : !llvm.ptr, index
  } do {
  ^bb0(%node: !llvm.ptr, %k: index):
    %f = cira.peek_stream %s : !cira.stream -> !cira.future<!llvm.ptr>
    %next = cira.await %f : !cira.future<!llvm.ptr> -> !llvm.ptr
    cira.advance_stream %s : !cira.stream
    %up = arith.addi %k, %c1 : index
    scf.yield %next, %up : !llvm.ptr, index
  }
  cira.stream_release %s : !cira.stream
  cira.dealloc %p : !cira.handle<!llvm.ptr>
  return %r#1 : index
}

// The list grows by a node at its end after it was learnt.
func.func @grown(%head: !cira.handle<!Node>, %n: index) -> i64 {
  %c1 = arith.constant 1 : index
  %v = arith.constant 1000000 : i64
  %prime = arith.constant 20011 : index
  %last = arith.subi %n, %c1 : index
  %wild = arith.muli %last, %prime : index
  %at = arith.remui %wild, %n : index
  %end = cira.handle_offset %head[%at] : !cira.handle<!Node>
  %more = cira.alloc(%c1) : !cira.handle<!Node>
  %null = cira.handle_null : !cira.handle<!Node>
  cira.store %v, %more[0] : i64, !cira.handle<!Node>
  cira.store %null, %more[1] : !cira.handle<!Node>, !cira.handle<!Node>
  cira.store %more, %end[1] : !cira.handle<!Node>, !cira.handle<!Node>
  %r = func.call @walk(%head) : (!cira.handle<!Node>) -> i64
  cira.dealloc %more : !cira.handle<!Node>
  return %r : i64
}

// Sum of k^2 three times, then with 32768 * 1000000 more.
// CHECK: {{^}}11727587164160{{$}}
// CHECK-NEXT: {{^}}11727587164160{{$}}
// CHECK-NEXT: {{^}}11727587164160{{$}}
// CHECK-NEXT: {{^}}11760355164160{{$}}
// CHECK-NEXT: {{^}}150005000{{$}}
// CHECK-NEXT: {{^}}0{{$}}
// CHECK-NEXT: {{^}}0{{$}}
// CHECK-NEXT: {{^}}5000{{$}}
func.func @main() -> (i64, i64, i64, i64, i64, i64, i64, index) {
  %c1 = arith.constant 1 : index
  %prime = arith.constant 20011 : index
  %n = arith.constant 32768 : index
  %third = arith.constant 10000 : index
  %m = arith.constant 5000 : index
  %straight = func.call @build(%n, %c1) : (index, index) -> !cira.handle<!Node>
  %a = func.call @walk(%straight) : (!cira.handle<!Node>) -> i64
  cira.dealloc %straight : !cira.handle<!Node>
  %wild = func.call @build(%n, %prime) : (index, index) -> !cira.handle<!Node>
  %b = func.call @walk(%wild) : (!cira.handle<!Node>) -> i64
  %c = func.call @walk(%wild) : (!cira.handle<!Node>) -> i64
  %d = func.call @grown(%wild, %n) : (!cira.handle<!Node>, index) -> i64
  %e = func.call @skip(%wild, %third) : (!cira.handle<!Node>, index) -> i64
  cira.dealloc %wild : !cira.handle<!Node>
  %single = func.call @build(%c1, %c1) : (index, index) -> !cira.handle<!Node>
  %f = func.call @walk(%single) : (!cira.handle<!Node>) -> i64
  cira.dealloc %single : !cira.handle<!Node>
  %null = cira.handle_null : !cira.handle<!Node>
  %g = func.call @walk(%null) : (!cira.handle<!Node>) -> i64
  %h = func.call @bare(%m) : (index) -> index
  return %a, %b, %c, %d, %e, %f, %g, %h : i64, i64, i64, i64, i64, i64, i64, index
}
