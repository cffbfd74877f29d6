// SPDX-License-Identifier: Apache-2.0
// Loops that get no version for far memory, each with its reason.
// RUN: cira-opt %s --split-input-file --cira-llvm-far --verify-diagnostics | FileCheck %s

// CHECK-NOT: cira_loop_begin
// CHECK-NOT: changed

// A call that may free memory.
llvm.func @other()
llvm.func @calls(%a: !llvm.ptr, %n: i64)
    attributes {cira.facts = {loops = [{parent = -1 : i64}]}} {
  %c0 = llvm.mlir.constant(0 : i64) : i64
  %c1 = llvm.mlir.constant(1 : i64) : i64
  llvm.br ^loop(%c0 : i64)
^loop(%i: i64):
  %p = llvm.getelementptr %a[%i] : (!llvm.ptr, i64) -> !llvm.ptr, i64
  %x = llvm.load %p {alignment = 8 : i64, cira.facts = {always}} : !llvm.ptr -> i64
  llvm.call @other() {cira.facts = {stops = 2 : i64}} : () -> ()
  %j = llvm.add %i, %x : i64
  %done = llvm.icmp "eq" %j, %n : i64
  // expected-remark @+1 {{cira-llvm-far: missed: no version for far memory: there is a call or fence that may free memory or wait}}
  llvm.cond_br %done, ^end, ^loop(%j : i64) {cira.facts = {latch, loop = 0 : i64, percent = 100 : i64, steps = array<i64: 0>}}
^end:
  llvm.return
}

// -----

// Nothing but a variable of the function.
llvm.func @near(%n: i64)
    attributes {cira.facts = {loops = [{parent = -1 : i64}]}} {
  %c1 = llvm.mlir.constant(1 : i64) : i64
  %c0 = llvm.mlir.constant(0 : i64) : i64
  %room = llvm.alloca %c1 x !llvm.array<256 x i64> : (i64) -> !llvm.ptr
  llvm.br ^loop(%c0 : i64)
^loop(%i: i64):
  %p = llvm.getelementptr %room[%i] : (!llvm.ptr, i64) -> !llvm.ptr, i64
  %x = llvm.load %p {alignment = 8 : i64, cira.facts = {always}} : !llvm.ptr -> i64
  %j = llvm.add %i, %x : i64
  %done = llvm.icmp "eq" %j, %n : i64
  // expected-remark @+1 {{missed: no version for far memory: nothing in it may be far}}
  llvm.cond_br %done, ^end, ^loop(%j : i64) {cira.facts = {latch, loop = 0 : i64, percent = 100 : i64, steps = array<i64: 0>}}
^end:
  llvm.return
}

// -----

// What it reads might lie across the end of a page; what it computes is used
// behind it and not handed there.
llvm.func @across(%a: !llvm.ptr, %n: i64)
    attributes {cira.facts = {loops = [{parent = -1 : i64}]}} {
  %c0 = llvm.mlir.constant(0 : i64) : i64
  llvm.br ^loop(%c0 : i64)
^loop(%i: i64):
  %p = llvm.getelementptr %a[%i] : (!llvm.ptr, i64) -> !llvm.ptr, i8
  %x = llvm.load %p {alignment = 1 : i64, cira.facts = {always}} : !llvm.ptr -> i64
  %j = llvm.add %i, %x : i64
  %done = llvm.icmp "eq" %j, %n : i64
  // expected-remark @+1 {{missed: no version for far memory: nothing in it may be far}}
  llvm.cond_br %done, ^end, ^loop(%j : i64) {cira.facts = {latch, loop = 0 : i64, percent = 100 : i64, steps = array<i64: 0>}}
^end:
  llvm.return
}

// -----

llvm.func @behind(%a: !llvm.ptr, %n: i64) -> i64
    attributes {cira.facts = {loops = [{parent = -1 : i64}]}} {
  %c0 = llvm.mlir.constant(0 : i64) : i64
  llvm.br ^loop(%c0 : i64)
^loop(%i: i64):
  %p = llvm.getelementptr %a[%i] : (!llvm.ptr, i64) -> !llvm.ptr, i64
  %x = llvm.load %p {alignment = 8 : i64, cira.facts = {always}} : !llvm.ptr -> i64
  %j = llvm.add %i, %x : i64
  %done = llvm.icmp "eq" %j, %n : i64
  // expected-remark @+1 {{missed: no version for far memory: what it computes is used behind it}}
  llvm.cond_br %done, ^end, ^loop(%j : i64) {cira.facts = {latch, loop = 0 : i64, percent = 100 : i64, steps = array<i64: 0>}}
^end:
  llvm.return %x : i64
}

// -----

// It may not be copied; it is over too soon.
llvm.func @single(%a: !llvm.ptr, %n: i64)
    attributes {cira.facts = {loops = [{parent = -1 : i64, single = "there is a call that must stay the only one"}, {parent = -1 : i64, trips = 8 : i64}]}} {
  %c0 = llvm.mlir.constant(0 : i64) : i64
  llvm.br ^loop(%c0 : i64)
^loop(%i: i64):
  %p = llvm.getelementptr %a[%i] : (!llvm.ptr, i64) -> !llvm.ptr, i64
  %x = llvm.load %p {alignment = 8 : i64, cira.facts = {always}} : !llvm.ptr -> i64
  %done = llvm.icmp "eq" %x, %n : i64
  // expected-remark @+1 {{missed: no version for far memory: it may not be copied}}
  llvm.cond_br %done, ^next, ^loop(%x : i64) {cira.facts = {latch, loop = 0 : i64, percent = 100 : i64, steps = array<i64: 0>}}
^next:
  llvm.br ^short(%c0 : i64)
^short(%k: i64):
  %q = llvm.getelementptr %a[%k] : (!llvm.ptr, i64) -> !llvm.ptr, i64
  %y = llvm.load %q {alignment = 8 : i64, cira.facts = {always}} : !llvm.ptr -> i64
  %over = llvm.icmp "eq" %y, %n : i64
  // expected-remark @+1 {{missed: no version for far memory: it is over too soon}}
  llvm.cond_br %over, ^end, ^short(%y : i64) {cira.facts = {latch, loop = 1 : i64, percent = 100 : i64, steps = array<i64: 0>}}
^end:
  llvm.return
}
