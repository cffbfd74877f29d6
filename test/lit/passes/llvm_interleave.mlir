// SPDX-License-Identifier: Apache-2.0
// Loops of the LLVM dialect whose iterations follow chains, with the facts that
// the clang plug-in attaches.
// RUN: cira-opt %s --split-input-file --cira-llvm-interleave 2>/dev/null | FileCheck %s
// RUN: cira-opt %s --split-input-file --cira-llvm-interleave 2>&1 | FileCheck %s --check-prefix=REMARK

// A sum over lists: its partial results start from zero in each iteration.
// 10 lines in flight: 128 lists at a time; 3 words for each, and a pointer.
// CHECK-LABEL: llvm.func @lists
// CHECK-SAME: changed
// CHECK-SAME: interleaved
// CHECK-DAG: %[[SLOTS:.*]] = llvm.alloca %{{.*}} x !llvm.array<3072 x i8> {alignment = 64 : i64}
// CHECK-DAG: %[[ACTIVE:.*]] = llvm.alloca %{{.*}} x !llvm.array<1024 x i8> {alignment = 64 : i64}
// CHECK: llvm.br ^[[CHOICE:bb[0-9]+]](
// The old loop, as it was.
// CHECK: ^bb1(
// CHECK: cira.facts
// CHECK: ^bb4(%{{.*}}: i64):
// CHECK-NEXT: llvm.return
// The choice: are there enough lists?
// CHECK: ^[[CHOICE]](%{{.*}}: i64, %{{.*}}: i64):
// CHECK: %[[LEAST:.*]] = llvm.mlir.constant(65535 : i64)
// CHECK: %[[LONG:.*]] = llvm.icmp "uge" %arg1, %[[LEAST]]
// CHECK: llvm.cond_br %[[LONG]], ^[[GROUP:bb[0-9]+]]({{.*}}), ^bb1(
// A group, at most 128 lists.
// CHECK: ^[[GROUP]](%[[I:.*]]: i64, %[[S:.*]]: i64, %[[LEFT:.*]]: i64):
// CHECK: %[[WIDTH:.*]] = llvm.mlir.constant(128 : i64)
// CHECK: %[[SIZE:.*]] = llvm.intr.umin(%[[LEFT]], %[[WIDTH]])
// CHECK: llvm.br ^[[TURN:bb[0-9]+]](
// A step: whose turn is it?
// CHECK: ^[[TURN]](%[[K:.*]]: i64, %[[KEPT:.*]]: i64, %[[COUNT:.*]]: i64, %[[FIRST:.*]]: i1, %{{.*}}: i64):
// CHECK-NEXT: llvm.icmp "ult" %[[K]], %[[COUNT]]
// CHECK-NEXT: llvm.cond_br %{{.*}}, ^[[STEP:bb[0-9]+]], ^[[ENDS:bb[0-9]+]]
// CHECK: ^[[STEP]]:
// CHECK: %[[SLOT:.*]] = llvm.select %[[FIRST]]
// CHECK: llvm.cond_br %[[FIRST]], ^[[BEGIN:bb[0-9]+]], ^[[RESUME:bb[0-9]+]]
// The next round, or the late part.
// CHECK: ^[[ENDS]]:
// CHECK: llvm.cond_br %{{.*}}, ^[[TURN]]({{.*}}), ^[[LATE:bb[0-9]+]](
// The sum of each list starts from zero.
// CHECK: ^[[BEGIN]]:
// CHECK: %[[HEAD:.*]] = llvm.load %{{.*}} : !llvm.ptr -> !llvm.ptr
// CHECK: %[[ZERO:.*]] = llvm.mlir.constant(0 : i64) : i64
// CHECK-NEXT: llvm.br ^[[NODE:bb[0-9]+]](%[[HEAD]], %[[ZERO]] : !llvm.ptr, i64)
// What lives across the wait goes to the slot.
// CHECK: ^[[NODE]](%[[AT:.*]]: !llvm.ptr, %[[SUM:.*]]: i64):
// CHECK-NEXT: llvm.store %[[AT]], %[[SLOT]] : !llvm.ptr, !llvm.ptr
// CHECK-NEXT: llvm.getelementptr %[[SLOT]][8]
// CHECK-NEXT: llvm.store %[[SUM]], %{{.*}} : i64, !llvm.ptr
// CHECK-NEXT: "llvm.intr.prefetch"(%[[AT]]) <{cache = 1 : i32, hint = 3 : i32, rw = 0 : i32}>
// CHECK: llvm.store %[[SLOT]]
// CHECK: llvm.br ^[[TURN]](
// And on from there.
// CHECK: %[[AT2:.*]] = llvm.load %[[SLOT]] : !llvm.ptr -> !llvm.ptr
// CHECK-NEXT: llvm.load %[[AT2]] : !llvm.ptr -> i64
// CHECK: llvm.cond_br %{{.*}}, ^{{.*}}(%{{.*}} : i64), ^[[NODE]](
// The sums of the lists, in their order.
// CHECK: %[[ADDED:.*]] = llvm.load %{{.*}} : !llvm.ptr -> i64
// CHECK-NEXT: llvm.add %{{.*}}, %[[ADDED]] : i64
// REMARK: cira-llvm-interleave: interleaved 128 iterations from 65536 on: 1 kinds of waits, 160.0 ns per iteration as it is, 24.2 ns interleaved; latency 80 ns, 10 lines in flight, 4.2 ns of computing, 24 bytes kept for each
llvm.func @cira.count(i64, i64)
llvm.func @lists(%heads: !llvm.ptr, %times: i64, %n: i64) -> i64
    attributes {cira.facts = {loops = [{bounded, parent = -1 : i64}, {parent = 0 : i64, percent = 200 : i64}]}} {
  %c0 = llvm.mlir.constant(0 : i64) : i64
  %c1 = llvm.mlir.constant(1 : i64) : i64
  %null = llvm.mlir.zero : !llvm.ptr
  llvm.call @cira.count(%c0, %times) : (i64, i64) -> ()
  llvm.br ^loop(%c0, %c0 : i64, i64)
^loop(%i: i64, %s: i64):
  %p = llvm.getelementptr %heads[%i] : (!llvm.ptr, i64) -> !llvm.ptr, !llvm.ptr
  %head = llvm.load %p {cira.facts = {always, stride_bytes = 8 : i64, unwritten_in = 0 : i64}} : !llvm.ptr -> !llvm.ptr
  llvm.br ^node(%head, %s : !llvm.ptr, i64) {cira.facts = {loop = 0 : i64, percent = 100 : i64, steps = array<i64: 1, 0>}}
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

// A binary search: what it has found is stored in the order of iterations. The
// key, both ends and the middle live across the wait.
// CHECK-LABEL: llvm.func @search
// CHECK-SAME: changed
// CHECK: llvm.alloca %{{.*}} x !llvm.array<5120 x i8>
// CHECK: "llvm.intr.prefetch"
// CHECK: %[[FOUND:.*]] = llvm.load %{{.*}} : !llvm.ptr -> i64
// CHECK: llvm.store %{{.*}}, %{{.*}} : i64, !llvm.ptr
llvm.func @cira.count(i64, i64)
llvm.func @search(%a: !llvm.ptr, %keys: !llvm.ptr, %out: !llvm.ptr, %length: i64, %times: i64, %n: i64)
    attributes {cira.facts = {loops = [{bounded, parent = -1 : i64}, {parent = 0 : i64, percent = 2000 : i64}]}} {
  %c0 = llvm.mlir.constant(0 : i64) : i64
  %c1 = llvm.mlir.constant(1 : i64) : i64
  llvm.call @cira.count(%c0, %times) : (i64, i64) -> ()
  llvm.br ^loop(%c0 : i64)
^loop(%i: i64):
  %p = llvm.getelementptr %keys[%i] : (!llvm.ptr, i64) -> !llvm.ptr, i64
  %key = llvm.load %p {cira.facts = {always, stride_bytes = 8 : i64, unwritten_in = 0 : i64}} : !llvm.ptr -> i64
  llvm.br ^half(%c0, %length : i64, i64) {cira.facts = {loop = 0 : i64, percent = 100 : i64, steps = array<i64: 1>}}
^half(%low: i64, %high: i64):
  %d = llvm.sub %high, %low : i64
  %h = llvm.lshr %d, %c1 : i64
  %m = llvm.add %low, %h : i64
  %q = llvm.getelementptr %a[%m] : (!llvm.ptr, i64) -> !llvm.ptr, i64
  %v = llvm.load %q {cira.facts = {always, unwritten_in = 0 : i64}} : !llvm.ptr -> i64
  %below = llvm.icmp "ult" %v, %key : i64
  %m1 = llvm.add %m, %c1 : i64
  %low2 = llvm.select %below, %m1, %low : i1, i64
  %high2 = llvm.select %below, %high, %m : i1, i64
  %on = llvm.icmp "ult" %low2, %high2 : i64
  llvm.cond_br %on, ^half(%low2, %high2 : i64, i64), ^after(%low2 : i64) {cira.facts = {latch, loop = 1 : i64, percent = 100 : i64, steps = array<i64: 0, 0>}}
^after(%place: i64):
  %o = llvm.getelementptr %out[%i] : (!llvm.ptr, i64) -> !llvm.ptr, i64
  llvm.store %place, %o {cira.facts = {always, stride_bytes = 8 : i64}} : i64, !llvm.ptr
  %j = llvm.add %i, %c1 : i64
  %done = llvm.icmp "eq" %j, %n : i64
  llvm.cond_br %done, ^out, ^loop(%j : i64) {cira.facts = {latch, loop = 0 : i64, percent = 100 : i64}}
^out:
  llvm.return
}
