// SPDX-License-Identifier: Apache-2.0
// Lists that are left alone, each with its reason, and loops that are no lists.
// RUN: cira-opt %s --split-input-file --cira-llvm-jump --verify-diagnostics | FileCheck %s

// CHECK-NOT: cira_jump_step
// CHECK-NOT: changed

// The heads are in an array.
llvm.func @many(%heads: !llvm.ptr, %i: i64)
    attributes {cira.facts = {loops = [{parent = -1 : i64, walks}]}} {
  %zero = llvm.mlir.zero : !llvm.ptr
  %at = llvm.getelementptr %heads[%i] : (!llvm.ptr, i64) -> !llvm.ptr, !llvm.ptr
  %head = llvm.load %at : !llvm.ptr -> !llvm.ptr
  llvm.br ^loop(%head : !llvm.ptr)
^loop(%n: !llvm.ptr):
  // expected-remark @+1 {{cira-llvm-jump: missed: its head is an element of an array: one of many lists, each too short for a table}}
  %next = llvm.load %n : !llvm.ptr -> !llvm.ptr
  %more = llvm.icmp "ne" %next, %zero : !llvm.ptr
  llvm.cond_br %more, ^loop(%next : !llvm.ptr), ^end {cira.facts = {latch, loop = 0 : i64, percent = 100 : i64, steps = array<i64: 0>}}
^end:
  llvm.return
}

// -----

// A profile says that it is short.
llvm.func @short(%head: !llvm.ptr)
    attributes {cira.facts = {loops = [{parent = -1 : i64, trips = 300 : i64, walks}]}} {
  %zero = llvm.mlir.zero : !llvm.ptr
  llvm.br ^loop(%head : !llvm.ptr)
^loop(%n: !llvm.ptr):
  // expected-remark @+1 {{missed: the list has about 300 nodes, too few for a table}}
  %next = llvm.load %n : !llvm.ptr -> !llvm.ptr
  %more = llvm.icmp "ne" %next, %zero : !llvm.ptr
  llvm.cond_br %more, ^loop(%next : !llvm.ptr), ^end {cira.facts = {latch, loop = 0 : i64, percent = 100 : i64, steps = array<i64: 0>}}
^end:
  llvm.return
}

// -----

// On a machine whose memory is as near as its cache.
module attributes {cira.machine = #cira.machine<local_latency_ns = 1>} {
llvm.func @near(%head: !llvm.ptr)
    attributes {cira.facts = {loops = [{parent = -1 : i64, walks}]}} {
  %zero = llvm.mlir.zero : !llvm.ptr
  llvm.br ^loop(%head : !llvm.ptr)
^loop(%n: !llvm.ptr):
  // expected-remark @+1 {{missed: no gain: 1.0 ns per node as it is, 1.8 ns with a table of its order}}
  %next = llvm.load %n : !llvm.ptr -> !llvm.ptr
  %more = llvm.icmp "ne" %next, %zero : !llvm.ptr
  llvm.cond_br %more, ^loop(%next : !llvm.ptr), ^end {cira.facts = {latch, loop = 0 : i64, percent = 100 : i64, steps = array<i64: 0>}}
^end:
  llvm.return
}
}

// -----

// A switch leads to the loop.
llvm.func @switch(%head: !llvm.ptr, %k: i32)
    attributes {cira.facts = {loops = [{parent = -1 : i64, walks}]}} {
  %zero = llvm.mlir.zero : !llvm.ptr
  llvm.switch %k : i32, ^end [ 3: ^loop(%head : !llvm.ptr) ]
^loop(%n: !llvm.ptr):
  // expected-remark @+1 {{missed: something else than branches leads to the loop's beginning}}
  %next = llvm.load %n : !llvm.ptr -> !llvm.ptr
  %more = llvm.icmp "ne" %next, %zero : !llvm.ptr
  llvm.cond_br %more, ^loop(%next : !llvm.ptr), ^end {cira.facts = {latch, loop = 0 : i64, percent = 100 : i64, steps = array<i64: 0>}}
^end:
  llvm.return
}

// -----

// No fact, no list; a header that another pass changed; a value that is loaded
// from somewhere else.
llvm.func @none(%head: !llvm.ptr)
    attributes {cira.facts = {loops = [{parent = -1 : i64}, {parent = -1 : i64, walks}, {parent = -1 : i64, walks}]}} {
  %zero = llvm.mlir.zero : !llvm.ptr
  llvm.br ^first(%head : !llvm.ptr)
^first(%n: !llvm.ptr):
  %next = llvm.load %n : !llvm.ptr -> !llvm.ptr
  %more = llvm.icmp "ne" %next, %zero : !llvm.ptr
  llvm.cond_br %more, ^first(%next : !llvm.ptr), ^between {cira.facts = {latch, loop = 0 : i64, percent = 100 : i64, steps = array<i64: 0>}}
^between:
  llvm.br ^second(%head : !llvm.ptr)
^second(%o: !llvm.ptr):
  %next2 = llvm.load %o : !llvm.ptr -> !llvm.ptr
  %more2 = llvm.icmp "ne" %next2, %zero : !llvm.ptr
  llvm.cond_br %more2, ^second(%next2 : !llvm.ptr), ^last {cira.facts = {latch, loop = 1 : i64, percent = 100 : i64, steps = array<i64: 0, 1>}}
^last:
  llvm.br ^third(%head : !llvm.ptr)
^third(%p: !llvm.ptr):
  %next3 = llvm.load %head : !llvm.ptr -> !llvm.ptr
  %more3 = llvm.icmp "ne" %next3, %zero : !llvm.ptr
  llvm.cond_br %more3, ^third(%next3 : !llvm.ptr), ^end {cira.facts = {latch, loop = 2 : i64, percent = 100 : i64, steps = array<i64: 0>}}
^end:
  llvm.return
}

// -----

// expected-error @+1 {{cira.facts: no such parent: 3; loops are numbered from 0, outer ones first}}
llvm.func @parent() attributes {cira.facts = {loops = [{parent = 3 : i64, walks}]}} {
  llvm.return
}
