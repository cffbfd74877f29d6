// SPDX-License-Identifier: Apache-2.0
// Loops with chains that are left alone, each with its reason, and facts that
// contradict themselves.
// RUN: cira-opt %s --split-input-file --cira-llvm-interleave --verify-diagnostics | FileCheck %s

// CHECK-NOT: llvm.intr.prefetch
// CHECK-NOT: changed

// A sum of floating point: its order is what the program says.
llvm.func @cira.count(i64, i64)
llvm.func @lists(%heads: !llvm.ptr, %times: i64, %n: i64) -> f64
    attributes {cira.facts = {loops = [{bounded, parent = -1 : i64}, {parent = 0 : i64, percent = 200 : i64}]}} {
  %c0 = llvm.mlir.constant(0 : i64) : i64
  %c1 = llvm.mlir.constant(1 : i64) : i64
  %f0 = llvm.mlir.constant(0.0 : f64) : f64
  %null = llvm.mlir.zero : !llvm.ptr
  llvm.call @cira.count(%c0, %times) : (i64, i64) -> ()
  llvm.br ^loop(%c0, %f0 : i64, f64)
^loop(%i: i64, %s: f64):
  // expected-remark @+1 {{cira-llvm-interleave: missed: iterations not interleaved: a sum of floating point passes through the chain, and its order may not change}}
  %p = llvm.getelementptr %heads[%i] : (!llvm.ptr, i64) -> !llvm.ptr, !llvm.ptr
  %head = llvm.load %p {cira.facts = {always, stride_bytes = 8 : i64, unwritten_in = 0 : i64}} : !llvm.ptr -> !llvm.ptr
  llvm.br ^first {cira.facts = {loop = 0 : i64, percent = 100 : i64, steps = array<i64: 1, 0>}}
^first:
  llvm.br ^node(%head, %s : !llvm.ptr, f64) {cira.facts = {loop = 0 : i64, percent = 100 : i64}}
^node(%at: !llvm.ptr, %t: f64):
  %v = llvm.load %at {cira.facts = {always, unwritten_in = 0 : i64}} : !llvm.ptr -> f64
  %u = llvm.fadd %t, %v : f64
  %q = llvm.getelementptr %at[8] : (!llvm.ptr) -> !llvm.ptr, i8
  %next = llvm.load %q {cira.facts = {always, unwritten_in = 0 : i64}} : !llvm.ptr -> !llvm.ptr
  %end = llvm.icmp "eq" %next, %null : !llvm.ptr
  llvm.cond_br %end, ^after(%u : f64), ^node(%next, %u : !llvm.ptr, f64) {cira.facts = {latch, loop = 1 : i64, percent = 100 : i64, steps = array<i64: 0, 0>}}
^after(%w: f64):
  %j = llvm.add %i, %c1 : i64
  %done = llvm.icmp "eq" %j, %n : i64
  llvm.cond_br %done, ^out(%w : f64), ^loop(%j, %w : i64, f64) {cira.facts = {latch, loop = 0 : i64, percent = 100 : i64}}
^out(%r: f64):
  llvm.return %r : f64
}

// -----

// What an iteration begins with follows from the one before.
llvm.func @cira.count(i64, i64)
llvm.func @lists(%heads: !llvm.ptr, %times: i64, %n: i64) -> i64
    attributes {cira.facts = {loops = [{bounded, parent = -1 : i64}, {parent = 0 : i64, percent = 200 : i64}]}} {
  %c0 = llvm.mlir.constant(0 : i64) : i64
  %c1 = llvm.mlir.constant(1 : i64) : i64
  %f0 = llvm.mlir.constant(0.0 : f64) : f64
  %null = llvm.mlir.zero : !llvm.ptr
  llvm.call @cira.count(%c0, %times) : (i64, i64) -> ()
  llvm.br ^loop(%c0, %c0 : i64, i64)
^loop(%i: i64, %s: i64):
  // expected-remark @+1 {{cira-llvm-interleave: missed: iterations not interleaved: where a chain begins follows from what the iteration before found}}
  %p = llvm.getelementptr %heads[%i] : (!llvm.ptr, i64) -> !llvm.ptr, !llvm.ptr
  %head = llvm.load %p {cira.facts = {always, stride_bytes = 8 : i64, unwritten_in = 0 : i64}} : !llvm.ptr -> !llvm.ptr
  llvm.br ^first {cira.facts = {loop = 0 : i64, percent = 100 : i64, steps = array<i64: 1, 0>}}
^first:
  llvm.br ^node(%head, %s : !llvm.ptr, i64) {cira.facts = {loop = 0 : i64, percent = 100 : i64}}
^node(%at: !llvm.ptr, %t: i64):
  %v = llvm.load %at {cira.facts = {always, unwritten_in = 0 : i64}} : !llvm.ptr -> i64
  %u = llvm.shl %t, %v : i64
  %q = llvm.getelementptr %at[8] : (!llvm.ptr) -> !llvm.ptr, i8
  %next = llvm.load %q {cira.facts = {always, unwritten_in = 0 : i64}} : !llvm.ptr -> !llvm.ptr
  %end = llvm.icmp "eq" %next, %null : !llvm.ptr
  llvm.cond_br %end, ^after(%u : i64), ^node(%next, %u : !llvm.ptr, i64) {cira.facts = {latch, loop = 1 : i64, percent = 100 : i64, steps = array<i64: 0, 0>}}
^after(%w: i64):
  %j = llvm.add %i, %c1 : i64
  %done = llvm.icmp "eq" %j, %n : i64
  llvm.cond_br %done, ^out(%w : i64), ^loop(%j, %w : i64, i64) {cira.facts = {latch, loop = 0 : i64, percent = 100 : i64}}
^out(%r: i64):
  llvm.return %r : i64
}

// -----

// Nothing says that the nodes are not written.
llvm.func @cira.count(i64, i64)
llvm.func @lists(%heads: !llvm.ptr, %times: i64, %n: i64) -> i64
    attributes {cira.facts = {loops = [{bounded, parent = -1 : i64}, {parent = 0 : i64, percent = 200 : i64}]}} {
  %c0 = llvm.mlir.constant(0 : i64) : i64
  %c1 = llvm.mlir.constant(1 : i64) : i64
  %f0 = llvm.mlir.constant(0.0 : f64) : f64
  %null = llvm.mlir.zero : !llvm.ptr
  llvm.call @cira.count(%c0, %times) : (i64, i64) -> ()
  llvm.br ^loop(%c0, %c0 : i64, i64)
^loop(%i: i64, %s: i64):
  // expected-remark @+1 {{cira-llvm-interleave: missed: iterations not interleaved: the loop may write where the chain is read}}
  %p = llvm.getelementptr %heads[%i] : (!llvm.ptr, i64) -> !llvm.ptr, !llvm.ptr
  %head = llvm.load %p {cira.facts = {always, stride_bytes = 8 : i64, unwritten_in = 0 : i64}} : !llvm.ptr -> !llvm.ptr
  llvm.br ^first {cira.facts = {loop = 0 : i64, percent = 100 : i64, steps = array<i64: 1, 0>}}
^first:
  llvm.br ^node(%head, %s : !llvm.ptr, i64) {cira.facts = {loop = 0 : i64, percent = 100 : i64}}
^node(%at: !llvm.ptr, %t: i64):
  %v = llvm.load %at {cira.facts = {always}} : !llvm.ptr -> i64
  %u = llvm.add %t, %v : i64
  %q = llvm.getelementptr %at[8] : (!llvm.ptr) -> !llvm.ptr, i8
  %next = llvm.load %q {cira.facts = {always}} : !llvm.ptr -> !llvm.ptr
  %end = llvm.icmp "eq" %next, %null : !llvm.ptr
  llvm.cond_br %end, ^after(%u : i64), ^node(%next, %u : !llvm.ptr, i64) {cira.facts = {latch, loop = 1 : i64, percent = 100 : i64, steps = array<i64: 0, 0>}}
^after(%w: i64):
  %j = llvm.add %i, %c1 : i64
  %done = llvm.icmp "eq" %j, %n : i64
  llvm.cond_br %done, ^out(%w : i64), ^loop(%j, %w : i64, i64) {cira.facts = {latch, loop = 0 : i64, percent = 100 : i64}}
^out(%r: i64):
  llvm.return %r : i64
}

// -----

// A write in front of the chain, not at the top of the iteration.
llvm.func @cira.count(i64, i64)
llvm.func @lists(%heads: !llvm.ptr, %times: i64, %n: i64) -> i64
    attributes {cira.facts = {loops = [{bounded, parent = -1 : i64}, {parent = 0 : i64, percent = 200 : i64}]}} {
  %c0 = llvm.mlir.constant(0 : i64) : i64
  %c1 = llvm.mlir.constant(1 : i64) : i64
  %f0 = llvm.mlir.constant(0.0 : f64) : f64
  %null = llvm.mlir.zero : !llvm.ptr
  llvm.call @cira.count(%c0, %times) : (i64, i64) -> ()
  llvm.br ^loop(%c0, %c0 : i64, i64)
^loop(%i: i64, %s: i64):
  // expected-remark @+1 {{cira-llvm-interleave: missed: iterations not interleaved: there is a write or a call in front of the end of the chain}}
  %p = llvm.getelementptr %heads[%i] : (!llvm.ptr, i64) -> !llvm.ptr, !llvm.ptr
  %head = llvm.load %p {cira.facts = {always, stride_bytes = 8 : i64, unwritten_in = 0 : i64}} : !llvm.ptr -> !llvm.ptr
  llvm.br ^first {cira.facts = {loop = 0 : i64, percent = 100 : i64, steps = array<i64: 1, 0>}}
^first:
  llvm.store %i, %heads : i64, !llvm.ptr
  llvm.br ^node(%head, %s : !llvm.ptr, i64) {cira.facts = {loop = 0 : i64, percent = 100 : i64}}
^node(%at: !llvm.ptr, %t: i64):
  %v = llvm.load %at {cira.facts = {always, unwritten_in = 0 : i64}} : !llvm.ptr -> i64
  %u = llvm.add %t, %v : i64
  %q = llvm.getelementptr %at[8] : (!llvm.ptr) -> !llvm.ptr, i8
  %next = llvm.load %q {cira.facts = {always, unwritten_in = 0 : i64}} : !llvm.ptr -> !llvm.ptr
  %end = llvm.icmp "eq" %next, %null : !llvm.ptr
  llvm.cond_br %end, ^after(%u : i64), ^node(%next, %u : !llvm.ptr, i64) {cira.facts = {latch, loop = 1 : i64, percent = 100 : i64, steps = array<i64: 0, 0>}}
^after(%w: i64):
  %j = llvm.add %i, %c1 : i64
  %done = llvm.icmp "eq" %j, %n : i64
  llvm.cond_br %done, ^out(%w : i64), ^loop(%j, %w : i64, i64) {cira.facts = {latch, loop = 0 : i64, percent = 100 : i64}}
^out(%r: i64):
  llvm.return %r : i64
}

// -----

// A loop that may not be there twice.
llvm.func @cira.count(i64, i64)
llvm.func @lists(%heads: !llvm.ptr, %times: i64, %n: i64) -> i64
    attributes {cira.facts = {loops = [{bounded, parent = -1 : i64, single = "exceptions are caught inside"}, {parent = 0 : i64, percent = 200 : i64}]}} {
  %c0 = llvm.mlir.constant(0 : i64) : i64
  %c1 = llvm.mlir.constant(1 : i64) : i64
  %f0 = llvm.mlir.constant(0.0 : f64) : f64
  %null = llvm.mlir.zero : !llvm.ptr
  llvm.call @cira.count(%c0, %times) : (i64, i64) -> ()
  llvm.br ^loop(%c0, %c0 : i64, i64)
^loop(%i: i64, %s: i64):
  // expected-remark @+1 {{cira-llvm-interleave: missed: iterations not interleaved: exceptions are caught inside}}
  %p = llvm.getelementptr %heads[%i] : (!llvm.ptr, i64) -> !llvm.ptr, !llvm.ptr
  %head = llvm.load %p {cira.facts = {always, stride_bytes = 8 : i64, unwritten_in = 0 : i64}} : !llvm.ptr -> !llvm.ptr
  llvm.br ^first {cira.facts = {loop = 0 : i64, percent = 100 : i64, steps = array<i64: 1, 0>}}
^first:
  llvm.br ^node(%head, %s : !llvm.ptr, i64) {cira.facts = {loop = 0 : i64, percent = 100 : i64}}
^node(%at: !llvm.ptr, %t: i64):
  %v = llvm.load %at {cira.facts = {always, unwritten_in = 0 : i64}} : !llvm.ptr -> i64
  %u = llvm.add %t, %v : i64
  %q = llvm.getelementptr %at[8] : (!llvm.ptr) -> !llvm.ptr, i8
  %next = llvm.load %q {cira.facts = {always, unwritten_in = 0 : i64}} : !llvm.ptr -> !llvm.ptr
  %end = llvm.icmp "eq" %next, %null : !llvm.ptr
  llvm.cond_br %end, ^after(%u : i64), ^node(%next, %u : !llvm.ptr, i64) {cira.facts = {latch, loop = 1 : i64, percent = 100 : i64, steps = array<i64: 0, 0>}}
^after(%w: i64):
  %j = llvm.add %i, %c1 : i64
  %done = llvm.icmp "eq" %j, %n : i64
  llvm.cond_br %done, ^out(%w : i64), ^loop(%j, %w : i64, i64) {cira.facts = {latch, loop = 0 : i64, percent = 100 : i64}}
^out(%r: i64):
  llvm.return %r : i64
}

// -----

// It runs too short.
llvm.func @cira.count(i64, i64)
llvm.func @lists(%heads: !llvm.ptr, %times: i64, %n: i64) -> i64
    attributes {cira.facts = {loops = [{bounded, parent = -1 : i64, trips = 5 : i64}, {parent = 0 : i64, percent = 200 : i64}]}} {
  %c0 = llvm.mlir.constant(0 : i64) : i64
  %c1 = llvm.mlir.constant(1 : i64) : i64
  %f0 = llvm.mlir.constant(0.0 : f64) : f64
  %null = llvm.mlir.zero : !llvm.ptr
  llvm.call @cira.count(%c0, %times) : (i64, i64) -> ()
  llvm.br ^loop(%c0, %c0 : i64, i64)
^loop(%i: i64, %s: i64):
  // expected-remark @+1 {{cira-llvm-interleave: missed: iterations not interleaved: the loop runs 5 times, and gains from 16 on}}
  %p = llvm.getelementptr %heads[%i] : (!llvm.ptr, i64) -> !llvm.ptr, !llvm.ptr
  %head = llvm.load %p {cira.facts = {always, stride_bytes = 8 : i64, unwritten_in = 0 : i64}} : !llvm.ptr -> !llvm.ptr
  llvm.br ^first {cira.facts = {loop = 0 : i64, percent = 100 : i64, steps = array<i64: 1, 0>}}
^first:
  llvm.br ^node(%head, %s : !llvm.ptr, i64) {cira.facts = {loop = 0 : i64, percent = 100 : i64}}
^node(%at: !llvm.ptr, %t: i64):
  %v = llvm.load %at {cira.facts = {always, unwritten_in = 0 : i64}} : !llvm.ptr -> i64
  %u = llvm.add %t, %v : i64
  %q = llvm.getelementptr %at[8] : (!llvm.ptr) -> !llvm.ptr, i8
  %next = llvm.load %q {cira.facts = {always, unwritten_in = 0 : i64}} : !llvm.ptr -> !llvm.ptr
  %end = llvm.icmp "eq" %next, %null : !llvm.ptr
  llvm.cond_br %end, ^after(%u : i64), ^node(%next, %u : !llvm.ptr, i64) {cira.facts = {latch, loop = 1 : i64, percent = 100 : i64, steps = array<i64: 0, 0>}}
^after(%w: i64):
  %j = llvm.add %i, %c1 : i64
  %done = llvm.icmp "eq" %j, %n : i64
  llvm.cond_br %done, ^out(%w : i64), ^loop(%j, %w : i64, i64) {cira.facts = {latch, loop = 0 : i64, percent = 100 : i64}}
^out(%r: i64):
  llvm.return %r : i64
}

// -----

// Nobody computes how often it runs.
llvm.func @cira.count(i64, i64)
llvm.func @lists(%heads: !llvm.ptr, %times: i64, %n: i64) -> i64
    attributes {cira.facts = {loops = [{bounded, parent = -1 : i64}, {parent = 0 : i64, percent = 200 : i64}]}} {
  %c0 = llvm.mlir.constant(0 : i64) : i64
  %c1 = llvm.mlir.constant(1 : i64) : i64
  %f0 = llvm.mlir.constant(0.0 : f64) : f64
  %null = llvm.mlir.zero : !llvm.ptr
  llvm.br ^loop(%c0, %c0 : i64, i64)
^loop(%i: i64, %s: i64):
  // expected-remark @+1 {{cira-llvm-interleave: missed: iterations not interleaved: nobody knows how often the loop runs}}
  %p = llvm.getelementptr %heads[%i] : (!llvm.ptr, i64) -> !llvm.ptr, !llvm.ptr
  %head = llvm.load %p {cira.facts = {always, stride_bytes = 8 : i64, unwritten_in = 0 : i64}} : !llvm.ptr -> !llvm.ptr
  llvm.br ^first {cira.facts = {loop = 0 : i64, percent = 100 : i64, steps = array<i64: 1, 0>}}
^first:
  llvm.br ^node(%head, %s : !llvm.ptr, i64) {cira.facts = {loop = 0 : i64, percent = 100 : i64}}
^node(%at: !llvm.ptr, %t: i64):
  %v = llvm.load %at {cira.facts = {always, unwritten_in = 0 : i64}} : !llvm.ptr -> i64
  %u = llvm.add %t, %v : i64
  %q = llvm.getelementptr %at[8] : (!llvm.ptr) -> !llvm.ptr, i8
  %next = llvm.load %q {cira.facts = {always, unwritten_in = 0 : i64}} : !llvm.ptr -> !llvm.ptr
  %end = llvm.icmp "eq" %next, %null : !llvm.ptr
  llvm.cond_br %end, ^after(%u : i64), ^node(%next, %u : !llvm.ptr, i64) {cira.facts = {latch, loop = 1 : i64, percent = 100 : i64, steps = array<i64: 0, 0>}}
^after(%w: i64):
  %j = llvm.add %i, %c1 : i64
  %done = llvm.icmp "eq" %j, %n : i64
  llvm.cond_br %done, ^out(%w : i64), ^loop(%j, %w : i64, i64) {cira.facts = {latch, loop = 0 : i64, percent = 100 : i64}}
^out(%r: i64):
  llvm.return %r : i64
}

// -----

// It may end early; nothing is said, as for any loop.
llvm.func @cira.count(i64, i64)
llvm.func @lists(%heads: !llvm.ptr, %times: i64, %n: i64) -> i64
    attributes {cira.facts = {loops = [{parent = -1 : i64, unbounded = "the loop can be left in its middle"}, {parent = 0 : i64, percent = 200 : i64}]}} {
  %c0 = llvm.mlir.constant(0 : i64) : i64
  %c1 = llvm.mlir.constant(1 : i64) : i64
  %f0 = llvm.mlir.constant(0.0 : f64) : f64
  %null = llvm.mlir.zero : !llvm.ptr
  llvm.call @cira.count(%c0, %times) : (i64, i64) -> ()
  llvm.br ^loop(%c0, %c0 : i64, i64)
^loop(%i: i64, %s: i64):
  %p = llvm.getelementptr %heads[%i] : (!llvm.ptr, i64) -> !llvm.ptr, !llvm.ptr
  %head = llvm.load %p {cira.facts = {always, stride_bytes = 8 : i64, unwritten_in = 0 : i64}} : !llvm.ptr -> !llvm.ptr
  llvm.br ^first {cira.facts = {loop = 0 : i64, percent = 100 : i64, steps = array<i64: 1, 0>}}
^first:
  llvm.br ^node(%head, %s : !llvm.ptr, i64) {cira.facts = {loop = 0 : i64, percent = 100 : i64}}
^node(%at: !llvm.ptr, %t: i64):
  %v = llvm.load %at {cira.facts = {always, unwritten_in = 0 : i64}} : !llvm.ptr -> i64
  %u = llvm.add %t, %v : i64
  %q = llvm.getelementptr %at[8] : (!llvm.ptr) -> !llvm.ptr, i8
  %next = llvm.load %q {cira.facts = {always, unwritten_in = 0 : i64}} : !llvm.ptr -> !llvm.ptr
  %end = llvm.icmp "eq" %next, %null : !llvm.ptr
  llvm.cond_br %end, ^after(%u : i64), ^node(%next, %u : !llvm.ptr, i64) {cira.facts = {latch, loop = 1 : i64, percent = 100 : i64, steps = array<i64: 0, 0>}}
^after(%w: i64):
  %j = llvm.add %i, %c1 : i64
  %done = llvm.icmp "eq" %j, %n : i64
  llvm.cond_br %done, ^out(%w : i64), ^loop(%j, %w : i64, i64) {cira.facts = {latch, loop = 0 : i64, percent = 100 : i64}}
^out(%r: i64):
  llvm.return %r : i64
}

// -----

// What the chain reads stays in the cache: no chain to wait for.
llvm.func @cira.count(i64, i64)
llvm.func @lists(%heads: !llvm.ptr, %times: i64, %n: i64) -> i64
    attributes {cira.facts = {loops = [{bounded, parent = -1 : i64}, {parent = 0 : i64, percent = 200 : i64}]}} {
  %c0 = llvm.mlir.constant(0 : i64) : i64
  %c1 = llvm.mlir.constant(1 : i64) : i64
  %f0 = llvm.mlir.constant(0.0 : f64) : f64
  %null = llvm.mlir.zero : !llvm.ptr
  llvm.call @cira.count(%c0, %times) : (i64, i64) -> ()
  llvm.br ^loop(%c0, %c0 : i64, i64)
^loop(%i: i64, %s: i64):
  %p = llvm.getelementptr %heads[%i] : (!llvm.ptr, i64) -> !llvm.ptr, !llvm.ptr
  %head = llvm.load %p {cira.facts = {always, stride_bytes = 8 : i64, unwritten_in = 0 : i64}} : !llvm.ptr -> !llvm.ptr
  llvm.br ^first {cira.facts = {loop = 0 : i64, percent = 100 : i64, steps = array<i64: 1, 0>}}
^first:
  llvm.br ^node(%head, %s : !llvm.ptr, i64) {cira.facts = {loop = 0 : i64, percent = 100 : i64}}
^node(%at: !llvm.ptr, %t: i64):
  %v = llvm.load %at {cira.facts = {always, unwritten_in = 0 : i64, extent_bytes = 4096 : i64}} : !llvm.ptr -> i64
  %u = llvm.add %t, %v : i64
  %q = llvm.getelementptr %at[8] : (!llvm.ptr) -> !llvm.ptr, i8
  %next = llvm.load %q {cira.facts = {always, unwritten_in = 0 : i64, extent_bytes = 4096 : i64}} : !llvm.ptr -> !llvm.ptr
  %end = llvm.icmp "eq" %next, %null : !llvm.ptr
  llvm.cond_br %end, ^after(%u : i64), ^node(%next, %u : !llvm.ptr, i64) {cira.facts = {latch, loop = 1 : i64, percent = 100 : i64, steps = array<i64: 0, 0>}}
^after(%w: i64):
  %j = llvm.add %i, %c1 : i64
  %done = llvm.icmp "eq" %j, %n : i64
  llvm.cond_br %done, ^out(%w : i64), ^loop(%j, %w : i64, i64) {cira.facts = {latch, loop = 0 : i64, percent = 100 : i64}}
^out(%r: i64):
  llvm.return %r : i64
}

// -----

// The same value each time leads on: no chain.
llvm.func @cira.count(i64, i64)
llvm.func @lists(%heads: !llvm.ptr, %times: i64, %n: i64) -> i64
    attributes {cira.facts = {loops = [{bounded, parent = -1 : i64}, {parent = 0 : i64, percent = 200 : i64}]}} {
  %c0 = llvm.mlir.constant(0 : i64) : i64
  %c1 = llvm.mlir.constant(1 : i64) : i64
  %f0 = llvm.mlir.constant(0.0 : f64) : f64
  %null = llvm.mlir.zero : !llvm.ptr
  llvm.call @cira.count(%c0, %times) : (i64, i64) -> ()
  llvm.br ^loop(%c0, %c0 : i64, i64)
^loop(%i: i64, %s: i64):
  %p = llvm.getelementptr %heads[%i] : (!llvm.ptr, i64) -> !llvm.ptr, !llvm.ptr
  %head = llvm.load %p {cira.facts = {always, stride_bytes = 8 : i64, unwritten_in = 0 : i64}} : !llvm.ptr -> !llvm.ptr
  llvm.br ^first {cira.facts = {loop = 0 : i64, percent = 100 : i64, steps = array<i64: 1, 0>}}
^first:
  llvm.br ^node(%head, %s : !llvm.ptr, i64) {cira.facts = {loop = 0 : i64, percent = 100 : i64}}
^node(%at: !llvm.ptr, %t: i64):
  %v = llvm.load %at {cira.facts = {always, unwritten_in = 0 : i64}} : !llvm.ptr -> i64
  %u = llvm.add %t, %v : i64
  %q = llvm.getelementptr %at[8] : (!llvm.ptr) -> !llvm.ptr, i8
  %next = llvm.load %q {cira.facts = {always, unwritten_in = 0 : i64}} : !llvm.ptr -> !llvm.ptr
  %end = llvm.icmp "eq" %next, %null : !llvm.ptr
  llvm.cond_br %end, ^after(%u : i64), ^node(%head, %u : !llvm.ptr, i64) {cira.facts = {latch, loop = 1 : i64, percent = 100 : i64, steps = array<i64: 0, 0>}}
^after(%w: i64):
  %j = llvm.add %i, %c1 : i64
  %done = llvm.icmp "eq" %j, %n : i64
  llvm.cond_br %done, ^out(%w : i64), ^loop(%j, %w : i64, i64) {cira.facts = {latch, loop = 0 : i64, percent = 100 : i64}}
^out(%r: i64):
  llvm.return %r : i64
}

// -----

// expected-error @+1 {{cira.facts: no such parent: 3; loops are numbered from 0, outer ones first}}
llvm.func @contradiction() attributes {cira.facts = {loops = [{parent = 3 : i64}]}} {
  llvm.return
}
