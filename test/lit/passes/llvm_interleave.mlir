// SPDX-License-Identifier: Apache-2.0
// Loops of the LLVM dialect whose iterations follow chains, with the facts that
// the clang plug-in attaches.
// RUN: cira-opt %s --split-input-file --cira-llvm-interleave 2>/dev/null | FileCheck %s
// RUN: cira-opt %s --split-input-file --cira-llvm-interleave 2>&1 | FileCheck %s --check-prefix=REMARK

// A sum over lists: its partial results start from zero in each iteration.
// 10 lines in flight: 128 lists at a time, 256 not added up yet; 3 words and how
// it goes on for each, and a pointer.
// CHECK-LABEL: llvm.func @lists
// CHECK-SAME: changed
// CHECK-SAME: interleaved
// CHECK-DAG: %[[PERIOD:.*]] = llvm.alloca %{{.*}} x !llvm.array<48 x i8> {alignment = 16 : i64}
// CHECK-DAG: %[[SLOTS:.*]] = llvm.alloca %{{.*}} x !llvm.array<8192 x i8> {alignment = 16 : i64}
// CHECK-DAG: %[[ACTIVE:.*]] = llvm.alloca %{{.*}} x !llvm.array<1072 x i8> {alignment = 16 : i64}
// CHECK: llvm.br ^[[FRONT:bb[0-9]+]](
// The old loop, which counts its budget down, and nothing else.
// CHECK: ^[[OLD:bb[0-9]+]](%{{.*}}: i64, %{{.*}}: i64, %[[LEFT0:.*]]: i64):
// CHECK: cira.facts
// CHECK: llvm.cond_br %{{.*}}, ^bb3(%{{.*}}), ^bb2(
// CHECK: %[[FEWER:.*]] = llvm.sub %[[LEFT0]], %{{.*}} : i64
// CHECK: %[[NONE:.*]] = llvm.icmp "eq" %[[FEWER]]
// CHECK: llvm.cond_br %[[NONE]], ^[[USED_UP:bb[0-9]+]]({{.*}}), ^[[TICK:bb[0-9]+]](
// CHECK: ^bb4(%{{.*}}: i64):
// CHECK-NEXT: llvm.return
// The plain one, for executions that need no choice.
// CHECK: ^[[PLAIN:bb[0-9]+]](%{{.*}}: i64, %{{.*}}: i64):
// CHECK: llvm.cond_br %{{.*}}, ^bb4(%{{.*}} : i64), ^[[PLAIN]](%{{.*}} : i64, i64){{$}}
// The first period: which version, for how many lists? For fewer than 16 it is
// the old one; 512 are a fair sample.
// CHECK: ^[[CHOICE:bb[0-9]+]](%{{.*}}: i64, %{{.*}}: i64):
// CHECK: %[[ALL:.*]] = llvm.add %arg1
// CHECK: %[[LEAST:.*]] = llvm.mlir.constant(16 : i64)
// CHECK: %[[UNIT:.*]] = llvm.mlir.constant(512 : i32)
// CHECK: %[[SITE:.*]] = llvm.mlir.addressof @cira.choice0
// CHECK: %[[WORD:.*]] = llvm.call @cira_choice1_enter(%[[SITE]], %[[PERIOD]], %[[ALL]], %[[LEAST]], %[[UNIT]], %{{.*}})
// CHECK: llvm.br ^[[GO:bb[0-9]+]](%{{.*}}, %{{.*}}, %[[ALL]], %[[WORD]] :
// CHECK: ^[[GO]](%{{.*}}: i64, %{{.*}}: i64, %[[LEFT1:.*]]: i64, %[[WORD1:.*]]: i64):
// CHECK: %[[CHANGED:.*]] = llvm.icmp "uge" %[[WORD1]]
// CHECK: %[[BUDGET:.*]] = llvm.and %[[WORD1]]
// CHECK: llvm.cond_br %[[CHANGED]], ^[[CHANGED0:bb[0-9]+]]({{.*}}%[[LEFT1]], %[[BUDGET]] : {{.*}}), ^[[OLD]]({{.*}}%[[BUDGET]] :
// The next one.
// CHECK: ^[[AGAIN:bb[0-9]+]](%{{.*}}: i64, %{{.*}}: i64, %[[LEFT2:.*]]: i64):
// CHECK: %[[WORD2:.*]] = llvm.call @cira_choice1_next(%{{.*}}, %[[PERIOD]], %[[LEFT2]])
// CHECK: llvm.br ^[[GO]](%{{.*}}, %{{.*}}, %[[LEFT2]], %[[WORD2]] :
// A period of the changed loop.
// CHECK: ^[[CHANGED0]](%[[I:.*]]: i64, %[[S:.*]]: i64, %[[LEFT:.*]]: i64, %[[REST:.*]]: i64):
// CHECK: %[[TOTAL:.*]] = llvm.intr.umin(%[[LEFT]], %[[REST]])
// CHECK: llvm.br ^[[TOP:bb[0-9]+]](%[[I]], %[[S]], %{{.*}}, %[[I]] :
// As many begin as the ring and those that go on leave room for. What the steps
// do not need is parked.
// CHECK: ^[[TOP]](%{{.*}}: i64, %[[SO_FAR:.*]]: i64, %[[RETIRED:.*]]: i64, %[[BEGUN:.*]]: i64, %[[GOING:.*]]: i64, %{{.*}}: i64):
// CHECK-DAG: %[[RING:.*]] = llvm.mlir.constant(256 : i64)
// CHECK-DAG: %[[WIDTH:.*]] = llvm.mlir.constant(128 : i64)
// CHECK: llvm.add %[[RETIRED]], %[[RING]]
// CHECK: llvm.sub %[[WIDTH]], %[[GOING]]
// CHECK: %[[LIMIT:.*]] = llvm.intr.umin
// CHECK: %[[PARK:.*]] = llvm.getelementptr %[[ACTIVE]][1032]
// CHECK: llvm.store %[[SO_FAR]], %[[PARK]]
// CHECK: llvm.br ^[[START:bb[0-9]+]](%[[BEGUN]], %[[GOING]], %{{.*}}
// CHECK: ^[[START]](%[[NEW:.*]]: i64, %{{.*}}: i64, %{{.*}}: i64):
// CHECK-NEXT: llvm.icmp "ult" %[[NEW]]
// CHECK-NEXT: llvm.cond_br %{{.*}}, ^[[FRESH:bb[0-9]+]], ^[[ALL_BEGUN:bb[0-9]+]]
// A step behind a wait: whose turn is it?
// CHECK: ^[[TURN:bb[0-9]+]](%[[K:.*]]: i64, %[[KEPT:.*]]: i64, %[[COUNT:.*]]: i64):
// CHECK-NEXT: llvm.icmp "ult" %[[K]], %[[COUNT]]
// CHECK-NEXT: llvm.cond_br %{{.*}}, ^[[GOES_ON:bb[0-9]+]], ^[[ALL_DONE:bb[0-9]+]]
// Is the oldest done?
// CHECK: ^[[RETIRE:bb[0-9]+]](%[[OLDEST:.*]]: i64, %{{.*}}: i64, %{{.*}}: i64):
// CHECK-NEXT: llvm.icmp "ult" %[[OLDEST]]
// On the way out, the period ends.
// CHECK: ^[[OUT:bb[0-9]+]](%{{[0-9]+}}: i64):
// CHECK: llvm.call @cira_choice1_leave(%{{.*}}, %[[PERIOD]], %{{.*}})
// CHECK: llvm.br ^bb4(
// A new one joins those that go on. Its sum starts from zero.
// CHECK: ^[[FRESH]]:
// CHECK: llvm.store %{{.*}}, %{{.*}} : i32, !llvm.ptr
// CHECK: %[[HEAD:.*]] = llvm.load %{{.*}} : !llvm.ptr -> !llvm.ptr
// CHECK: %[[ZERO:.*]] = llvm.mlir.constant(0 : i64) : i64
// CHECK-NEXT: llvm.br ^[[FIRST:bb[0-9]+]](%[[HEAD]], %[[ZERO]] : !llvm.ptr, i64)
// CHECK: ^[[FIRST]](
// CHECK: "llvm.intr.prefetch"
// CHECK: llvm.br ^[[START]](
// CHECK: ^[[GOES_ON]]:
// CHECK: %[[SLOT:.*]] = llvm.load %{{.*}} : !llvm.ptr -> !llvm.ptr
// Behind a round, what was parked is there again.
// CHECK: ^[[ALL_DONE]]:
// CHECK: llvm.load %{{.*}} : !llvm.ptr -> i64
// CHECK: llvm.br ^[[RETIRE]](
// The end of a list: 1 says that its sum is there. The last one takes its place.
// CHECK: ^[[DONE:bb[0-9]+]](%[[GOT:.*]]: i64):
// CHECK: llvm.store %[[GOT]], %{{.*}} : i64, !llvm.ptr
// CHECK: %[[DONE_CODE:.*]] = llvm.mlir.constant(1 : i32)
// CHECK: llvm.store %[[DONE_CODE]]
// CHECK: llvm.store %{{.*}}, %{{.*}} : !llvm.ptr, !llvm.ptr
// CHECK: llvm.br ^[[TURN]](%[[K]], %[[KEPT]], %{{.*}} :
// What lives across the wait goes to the slot.
// CHECK: ^[[NODE:bb[0-9]+]](%[[AT:.*]]: !llvm.ptr, %[[SUM:.*]]: i64):
// CHECK-NEXT: llvm.store %[[AT]], %[[SLOT]] : !llvm.ptr, !llvm.ptr
// CHECK-NEXT: llvm.getelementptr %[[SLOT]][8]
// CHECK-NEXT: llvm.store %[[SUM]], %{{.*}} : i64, !llvm.ptr
// CHECK-NEXT: "llvm.intr.prefetch"(%[[AT]]) <{cache = 1 : i32, hint = 2 : i32, rw = 0 : i32}>
// CHECK: llvm.br ^[[TURN]](
// And on from there.
// CHECK: %[[AT2:.*]] = llvm.load %[[SLOT]] : !llvm.ptr -> !llvm.ptr
// CHECK-NEXT: llvm.load %[[AT2]] : !llvm.ptr -> i64
// CHECK: llvm.cond_br %{{.*}}, ^[[DONE]](%{{.*}} : i64), ^[[NODE]](
// The sums of the lists, in their order.
// CHECK: %[[ADDED:.*]] = llvm.load %{{.*}} : !llvm.ptr -> i64
// CHECK-NEXT: llvm.add %{{.*}}, %[[ADDED]] : i64
// Was that all of the old loop, or all of the period?
// CHECK: ^[[TICK]](%{{.*}}: i64, %{{.*}}: i64):
// CHECK-NEXT: llvm.br ^[[OLD]]({{.*}}%[[FEWER]] :
// CHECK: ^[[USED_UP]](%{{.*}}: i64):
// CHECK: %[[REMAIN:.*]] = llvm.sub
// CHECK: llvm.icmp "ne" %[[REMAIN]]
// CHECK: llvm.cond_br %{{.*}}, ^[[AGAIN]]({{.*}}%[[REMAIN]] : {{.*}}), ^[[OUT]](
// REMARK: cira-llvm-interleave: interleaved 128 iterations where that is faster: 1 kinds of waits, 160.0 ns per iteration as it is, 26.2 ns interleaved; latency 80 ns, 10 lines in flight, 4.2 ns of computing, 32 bytes kept for each
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
// CHECK: llvm.alloca %{{.*}} x !llvm.array<12288 x i8>
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
