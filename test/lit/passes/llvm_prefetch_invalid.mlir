// SPDX-License-Identifier: Apache-2.0
// Accesses that are left alone, each with its reason, and facts that
// contradict themselves.
// RUN: cira-opt %s --split-input-file --cira-llvm-prefetch --verify-diagnostics | FileCheck %s

// CHECK-NOT: llvm.intr.prefetch
// CHECK-NOT: changed

// No branch depends on the value: the core overlaps the loads itself.
llvm.func @cira.last(i64, !llvm.ptr, i64)
llvm.func @plain_sum(%a: !llvm.ptr, %b: !llvm.ptr, %last: !llvm.ptr, %n: i64) -> i32
    attributes {cira.facts = {loops = [{bounded, parent = -1 : i64}]}} {
  %c0 = llvm.mlir.constant(0 : i64) : i64
  %c1 = llvm.mlir.constant(1 : i64) : i64
  %z = llvm.mlir.constant(0 : i32) : i32
  llvm.call @cira.last(%c0, %last, %n) : (i64, !llvm.ptr, i64) -> ()
  llvm.br ^loop(%c0, %z : i64, i32)
^loop(%i: i64, %s: i32):
  %p = llvm.getelementptr %b[%i] : (!llvm.ptr, i64) -> !llvm.ptr, i32
  %x = llvm.load %p {cira.facts = {always, last = 0 : i64, stride_bytes = 4 : i64}} : !llvm.ptr -> i32
  %q = llvm.getelementptr %a[%x] : (!llvm.ptr, i32) -> !llvm.ptr, i32
  // expected-remark @+1 {{cira-llvm-prefetch: missed: the core itself keeps as many of these lines under way as it can}}
  %v = llvm.load %q {cira.facts = {always}} : !llvm.ptr -> i32
  %t = llvm.add %s, %v : i32
  %j = llvm.add %i, %c1 : i64
  %done = llvm.icmp "eq" %j, %n : i64
  llvm.cond_br %done, ^end, ^loop(%j, %t : i64, i32) {cira.facts = {latch, loop = 0 : i64, percent = 100 : i64, steps = array<i64: 1, 0>}}
^end:
  llvm.return %t : i32
}

// -----

// The loop may end early, so nothing may be read ahead.
llvm.func @unbounded(%a: !llvm.ptr, %b: !llvm.ptr, %n: i64)
    attributes {cira.facts = {loops = [{unbounded = "the loop can be left in its middle", parent = -1 : i64}]}} {
  %c0 = llvm.mlir.constant(0 : i64) : i64
  %c1 = llvm.mlir.constant(1 : i64) : i64
  llvm.br ^loop(%c0 : i64)
^loop(%i: i64):
  %p = llvm.getelementptr %b[%i] : (!llvm.ptr, i64) -> !llvm.ptr, i32
  %x = llvm.load %p {cira.facts = {always, stride_bytes = 4 : i64}} : !llvm.ptr -> i32
  %q = llvm.getelementptr %a[%x] : (!llvm.ptr, i32) -> !llvm.ptr, i32
  // expected-remark @+1 {{missed: the loop can be left in its middle}}
  %v = llvm.load %q {cira.facts = {always}} : !llvm.ptr -> i1
  llvm.cond_br %v, ^next, ^end {cira.facts = {loop = 0 : i64, percent = 100 : i64, steps = array<i64: 1>}}
^next:
  %j = llvm.add %i, %c1 : i64
  %done = llvm.icmp "eq" %j, %n : i64
  llvm.cond_br %done, ^end, ^loop(%j : i64) {cira.facts = {latch, loop = 0 : i64, percent = 100 : i64}}
^end:
  llvm.return
}

// -----

// Reasons that lie in the address.
llvm.func @cira.last(i64, !llvm.ptr, i64)
llvm.func @addresses(%a: !llvm.ptr, %b: !llvm.ptr, %last: !llvm.ptr, %n: i64)
    attributes {cira.facts = {loops = [{bounded, parent = -1 : i64}]}} {
  %c0 = llvm.mlir.constant(0 : i64) : i64
  %c1 = llvm.mlir.constant(1 : i64) : i64
  llvm.call @cira.last(%c0, %last, %n) : (i64, !llvm.ptr, i64) -> ()
  llvm.br ^loop(%c0, %a : i64, !llvm.ptr)
^loop(%i: i64, %node: !llvm.ptr):
  %p = llvm.getelementptr %b[%i] : (!llvm.ptr, i64) -> !llvm.ptr, i32
  %x = llvm.load %p {cira.facts = {always, last = 0 : i64, stride_bytes = 4 : i64}} : !llvm.ptr -> i32
  // expected-remark @+1 {{missed: the address follows from the iteration before}}
  %next = llvm.load %node {cira.facts = {always}} : !llvm.ptr -> !llvm.ptr
  %q = llvm.getelementptr %a[%x] : (!llvm.ptr, i32) -> !llvm.ptr, i32
  // expected-remark @+1 {{missed: it touches at most 4096 bytes, which stay in the cache}}
  %v = llvm.load %q {cira.facts = {always, extent_bytes = 4096 : i64}} : !llvm.ptr -> i1
  %q2 = llvm.getelementptr %last[%x] : (!llvm.ptr, i32) -> !llvm.ptr, i32
  // expected-remark @+1 {{missed: the core itself keeps as many of these lines under way as it can}}
  %y = llvm.load %q2 {cira.facts = {always}} : !llvm.ptr -> i32
  %q3 = llvm.getelementptr %a[%y] : (!llvm.ptr, i32) -> !llvm.ptr, i8
  // expected-remark @+1 {{missed: the loop may write where the address is read from}}
  %u = llvm.load %q3 {cira.facts = {always}} : !llvm.ptr -> i1
  llvm.cond_br %v, ^rare, ^next {cira.facts = {loop = 0 : i64, percent = 100 : i64, steps = array<i64: 1, 0>}}
^rare:
  %q4 = llvm.getelementptr %b[%x] : (!llvm.ptr, i32) -> !llvm.ptr, i32
  // expected-remark @+1 {{missed: it is done in few iterations only}}
  llvm.store %x, %q4 {cira.facts = {}} : i32, !llvm.ptr
  llvm.br ^next {cira.facts = {loop = 0 : i64, percent = 5 : i64}}
^next:
  %j = llvm.add %i, %c1 : i64
  %done = llvm.icmp "eq" %j, %n : i64
  llvm.cond_br %done, ^end, ^loop(%j, %next : i64, !llvm.ptr) {cira.facts = {latch, loop = 0 : i64, percent = 100 : i64}}
^end:
  llvm.return
}

// -----

// The index may be written before its iteration: what is there now may be no
// index, and m may not be read with it.
llvm.func @cira.last(i64, !llvm.ptr, i64)
llvm.func @written(%a: !llvm.ptr, %m: !llvm.ptr, %b: !llvm.ptr, %last: !llvm.ptr, %n: i64)
    attributes {cira.facts = {loops = [{bounded, parent = -1 : i64}]}} {
  %c0 = llvm.mlir.constant(0 : i64) : i64
  %c1 = llvm.mlir.constant(1 : i64) : i64
  llvm.call @cira.last(%c0, %last, %n) : (i64, !llvm.ptr, i64) -> ()
  llvm.br ^loop(%c0 : i64)
^loop(%i: i64):
  %p = llvm.getelementptr %b[%i] : (!llvm.ptr, i64) -> !llvm.ptr, i32
  %x = llvm.load %p {cira.facts = {always, last = 0 : i64, stride_bytes = 4 : i64}} : !llvm.ptr -> i32
  %q = llvm.getelementptr %m[%x] : (!llvm.ptr, i32) -> !llvm.ptr, i32
  %y = llvm.load %q {cira.facts = {always, extent_bytes = 8 : i64, unwritten}} : !llvm.ptr -> i32 // expected-remark {{missed: it touches at most 8 bytes}}
  %r = llvm.getelementptr %a[%y] : (!llvm.ptr, i32) -> !llvm.ptr, i8
  // expected-remark @+1 {{missed: the loop may write where the address is read from}}
  %v = llvm.load %r {cira.facts = {always}} : !llvm.ptr -> i1
  %j = llvm.add %i, %c1 : i64
  llvm.store %c0, %p {cira.facts = {always, stride_bytes = 4 : i64}} : i64, !llvm.ptr
  llvm.cond_br %v, ^loop(%j : i64), ^end {cira.facts = {latch, loop = 0 : i64, percent = 100 : i64, steps = array<i64: 1>}}
^end:
  llvm.return
}

// -----

// Too short for its distance; and a row of an outer loop.
llvm.func @cira.last(i64, !llvm.ptr, i64)
llvm.func @short(%a: !llvm.ptr, %b: !llvm.ptr, %last: !llvm.ptr, %n: i64)
    attributes {cira.facts = {loops = [{bounded, parent = -1 : i64, trips = 30 : i64}]}} {
  %c0 = llvm.mlir.constant(0 : i64) : i64
  %c1 = llvm.mlir.constant(1 : i64) : i64
  llvm.call @cira.last(%c0, %last, %n) : (i64, !llvm.ptr, i64) -> ()
  llvm.br ^loop(%c0 : i64)
^loop(%i: i64):
  %p = llvm.getelementptr %b[%i] : (!llvm.ptr, i64) -> !llvm.ptr, i32
  %x = llvm.load %p {cira.facts = {always, last = 0 : i64, stride_bytes = 4 : i64}} : !llvm.ptr -> i32
  %q = llvm.getelementptr %a[%x] : (!llvm.ptr, i32) -> !llvm.ptr, i32
  // expected-remark @+1 {{missed: the loop runs 30 times, too short to gain by a distance of 20 and 524288 cached lines}}
  %v = llvm.load %q {cira.facts = {always}} : !llvm.ptr -> i1
  llvm.cond_br %v, ^found, ^next {cira.facts = {loop = 0 : i64, percent = 100 : i64, steps = array<i64: 1>}}
^found:
  llvm.store %v, %last : i1, !llvm.ptr
  llvm.br ^next {cira.facts = {loop = 0 : i64, percent = 50 : i64}}
^next:
  %j = llvm.add %i, %c1 : i64
  %done = llvm.icmp "eq" %j, %n : i64
  llvm.cond_br %done, ^end, ^loop(%j : i64) {cira.facts = {latch, loop = 0 : i64, percent = 100 : i64}}
^end:
  llvm.return
}

// -----

// Written, but too short to choose between two versions of it; and a recurrence
// that something read has a part in.
llvm.func @cira.last(i64, !llvm.ptr, i64)
llvm.func @updates(%a: !llvm.ptr, %b: !llvm.ptr, %last: !llvm.ptr, %n: i64)
    attributes {cira.facts = {loops = [{bounded, parent = -1 : i64, trips = 100 : i64}]}} {
  %c0 = llvm.mlir.constant(0 : i64) : i64
  %c1 = llvm.mlir.constant(1 : i64) : i64
  %z = llvm.mlir.constant(0 : i32) : i32
  llvm.call @cira.last(%c0, %last, %n) : (i64, !llvm.ptr, i64) -> ()
  llvm.br ^loop(%c0, %z : i64, i32)
^loop(%i: i64, %hash: i32):
  %p = llvm.getelementptr %b[%i] : (!llvm.ptr, i64) -> !llvm.ptr, i32
  %x = llvm.load %p {cira.facts = {always, last = 0 : i64, stride_bytes = 4 : i64}} : !llvm.ptr -> i32
  %q = llvm.getelementptr %a[%x] : (!llvm.ptr, i32) -> !llvm.ptr, i32
  // expected-remark @+1 {{missed: the loop is too short to choose from two of it}}
  llvm.store %x, %q {cira.facts = {always}} : i32, !llvm.ptr
  %more = llvm.add %hash, %x : i32
  %q2 = llvm.getelementptr %last[%more] : (!llvm.ptr, i32) -> !llvm.ptr, i32
  // expected-remark @+1 {{missed: the address follows from the iteration before}}
  llvm.store %x, %q2 {cira.facts = {always}} : i32, !llvm.ptr
  %j = llvm.add %i, %c1 : i64
  %done = llvm.icmp "eq" %j, %n : i64
  llvm.cond_br %done, ^end, ^loop(%j, %more : i64, i32) {cira.facts = {latch, loop = 0 : i64, percent = 100 : i64, steps = array<i64: 1, 0>}}
^end:
  llvm.return
}

// -----

// expected-error @+1 {{cira.facts: no such parent: 3; loops are numbered from 0, outer ones first}}
llvm.func @parent() attributes {cira.facts = {loops = [{parent = 3 : i64}]}} {
  llvm.return
}

// -----

llvm.func @number() attributes {cira.facts = {loops = [{parent = -1 : i64}]}} {
  llvm.br ^loop
^loop:
  // expected-error @+1 {{cira.facts: no such loop: 7; loops are numbered from 0, outer ones first}}
  llvm.br ^loop {cira.facts = {loop = 7 : i64}}
}

// -----

// expected-error @+1 {{cira.facts must be a dictionary}}
llvm.func @kind() attributes {cira.facts = 3 : i64} {
  llvm.return
}

// -----

// Prefetches could gain where the core asks for the lines itself, but time must be
// able to choose.
module attributes {cira.machine = #cira.machine<prefetches_in_flight = 32>} {
  llvm.func @cira.last(i64, !llvm.ptr, i64)
  llvm.func @cira.count(i64, i64)
  llvm.func @single(%a: !llvm.ptr, %b: !llvm.ptr, %last: !llvm.ptr, %n: i64) -> i32
      attributes {cira.facts = {loops = [{bounded, parent = -1 : i64, single = "it is"}]}} {
    %c0 = llvm.mlir.constant(0 : i64) : i64
    %c1 = llvm.mlir.constant(1 : i64) : i64
    %z = llvm.mlir.constant(0 : i32) : i32
    llvm.call @cira.last(%c0, %last, %n) : (i64, !llvm.ptr, i64) -> ()
    llvm.call @cira.count(%c0, %n) : (i64, i64) -> ()
    llvm.br ^loop(%c0, %z : i64, i32)
  ^loop(%i: i64, %sum: i32):
    %p = llvm.getelementptr %b[%i] : (!llvm.ptr, i64) -> !llvm.ptr, i32
    %x = llvm.load %p {cira.facts = {always, last = 0 : i64, stride_bytes = 4 : i64}} : !llvm.ptr -> i32
    %q = llvm.getelementptr %a[%x] : (!llvm.ptr, i32) -> !llvm.ptr, i32
    // expected-remark @+1 {{missed: the core itself may keep as many of these lines under way, and there cannot be two of the loop to choose from}}
    %v = llvm.load %q {cira.facts = {always}} : !llvm.ptr -> i32
    %s = llvm.add %sum, %v : i32
    %j = llvm.add %i, %c1 : i64
    %done = llvm.icmp "eq" %j, %n : i64
    llvm.cond_br %done, ^end, ^loop(%j, %s : i64, i32) {cira.facts = {latch, loop = 0 : i64, percent = 100 : i64, steps = array<i64: 1, 0>}}
  ^end:
    llvm.return %s : i32
  }
}

// -----

// The loop inside begins anew before anything can be asked for, and the work that
// it does for each line of the loop outside gives that line the time it takes.
module attributes {cira.machine = #cira.machine<prefetches_in_flight = 32>} {
  llvm.func @cira.last(i64, !llvm.ptr, i64)
  llvm.func @cira.count(i64, i64)
  llvm.func @no_choice(%a: !llvm.ptr, %b: !llvm.ptr, %last: !llvm.ptr, %n: i64)
      attributes {cira.facts = {loops = [{bounded, parent = -1 : i64, single = "it is"}, {bounded, parent = 0 : i64, percent = 1600 : i64, trips = 16 : i64}]}} {
    %c0 = llvm.mlir.constant(0 : i64) : i64
    %c1 = llvm.mlir.constant(1 : i64) : i64
    %c15 = llvm.mlir.constant(15 : i64) : i64
    %c16 = llvm.mlir.constant(16 : i64) : i64
    llvm.call @cira.last(%c1, %last, %n) : (i64, !llvm.ptr, i64) -> ()
    llvm.call @cira.count(%c0, %n) : (i64, i64) -> ()
    llvm.br ^outside(%c0 : i64)
  ^outside(%k: i64):
    %e = llvm.getelementptr %b[%k] : (!llvm.ptr, i64) -> !llvm.ptr, i32
    %f = llvm.load %e {cira.facts = {always, last = 1 : i64, stride_bytes = 4 : i64}} : !llvm.ptr -> i32
    %g = llvm.getelementptr %a[%f] : (!llvm.ptr, i32) -> !llvm.ptr, i32
    // expected-remark @+1 {{missed: no gain: }}
    %h = llvm.load %g {cira.facts = {always}} : !llvm.ptr -> i32
    llvm.call @cira.last(%c0, %last, %c15) : (i64, !llvm.ptr, i64) -> ()
    llvm.br ^inside(%c0 : i64) {cira.facts = {loop = 0 : i64, percent = 100 : i64, steps = array<i64: 1>}}
  ^inside(%i: i64):
    %p = llvm.getelementptr %b[%i] : (!llvm.ptr, i64) -> !llvm.ptr, i32
    %x = llvm.load %p {cira.facts = {always, last = 0 : i64, stride_bytes = 4 : i64, turns}} : !llvm.ptr -> i32
    %q = llvm.getelementptr %a[%x] : (!llvm.ptr, i32) -> !llvm.ptr, i32
    // expected-remark @+1 {{missed: the loop begins anew before anything can be asked for}}
    %v = llvm.load %q {cira.facts = {always}} : !llvm.ptr -> i32
    %j = llvm.add %i, %c1 : i64
    %done = llvm.icmp "eq" %j, %c16 : i64
    llvm.cond_br %done, ^next, ^inside(%j : i64) {cira.facts = {latch, loop = 1 : i64, percent = 100 : i64, steps = array<i64: 1>}}
  ^next:
    %l = llvm.add %k, %c1 : i64
    %over = llvm.icmp "eq" %l, %n : i64
    llvm.cond_br %over, ^end, ^outside(%l : i64) {cira.facts = {latch, loop = 0 : i64, percent = 100 : i64}}
  ^end:
    llvm.return
  }
}
