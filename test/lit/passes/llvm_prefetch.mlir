// SPDX-License-Identifier: Apache-2.0
// Prefetches of indirect accesses in loops of the LLVM dialect, with the facts
// that the clang plug-in attaches.
// RUN: cira-opt %s --split-input-file --cira-llvm-prefetch 2>/dev/null | FileCheck %s
// RUN: cira-opt %s --split-input-file --cira-llvm-prefetch 2>&1 | FileCheck %s --check-prefix=REMARK

// A branch depends on a[b[i]]. Two lines' latency of 80 ns, 8 ns per iteration:
// 20 ahead, 80 bytes of b.
// CHECK-LABEL: llvm.func @branchy
// CHECK-SAME: changed
// CHECK: %[[LEAST:.*]] = llvm.mlir.constant(131072 : i64)
// CHECK: %[[LONG:.*]] = llvm.icmp "uge" %arg3, %[[LEAST]]
// CHECK: ^bb1(%[[I:.*]]: i64):
// CHECK: %[[P:.*]] = llvm.getelementptr %arg1[%[[I]]]
// CHECK-NEXT: llvm.cond_br %[[LONG]], ^bb2, ^bb4
// CHECK-NEXT: ^bb2:
// CHECK-NEXT: %[[P2:.*]] = llvm.getelementptr %[[P]][80] : (!llvm.ptr) -> !llvm.ptr, i8
// CHECK-NEXT: %[[IN:.*]] = llvm.icmp "ule" %[[P2]], %arg2 : !llvm.ptr
// CHECK-NEXT: llvm.cond_br %[[IN]], ^bb3, ^bb4
// CHECK-NEXT: ^bb3:
// CHECK-NEXT: %[[X2:.*]] = llvm.load %[[P2]] {alignment = 4 : i64}
// CHECK-NEXT: %[[W2:.*]] = llvm.zext %[[X2]]
// CHECK-NEXT: %[[Q2:.*]] = llvm.getelementptr %arg0[%[[W2]]]
// CHECK-NEXT: "llvm.intr.prefetch"(%[[Q2]]) <{cache = 1 : i32, hint = 2 : i32, rw = 0 : i32}>
// CHECK-NEXT: llvm.br ^bb4
// CHECK-NEXT: ^bb4:
// CHECK-NEXT: llvm.load %[[P]]
// REMARK: cira-llvm-prefetch: prefetched 20 iterations ahead (a branch depends on it): 16.0 ns per iteration as it is, 8.0 ns with it; latency 80 ns, 10 lines in flight
llvm.func @cira.last(i64, !llvm.ptr, i64)
llvm.func @branchy(%a: !llvm.ptr, %b: !llvm.ptr, %last: !llvm.ptr, %n: i64)
    attributes {cira.facts = {loops = [{bounded, parent = -1 : i64}]}} {
  %c0 = llvm.mlir.constant(0 : i64) : i64
  %c1 = llvm.mlir.constant(1 : i64) : i64
  %z = llvm.mlir.constant(0 : i32) : i32
  llvm.call @cira.last(%c0, %last, %n) : (i64, !llvm.ptr, i64) -> ()
  llvm.br ^loop(%c0 : i64)
^loop(%i: i64):
  %p = llvm.getelementptr %b[%i] : (!llvm.ptr, i64) -> !llvm.ptr, i32
  %x = llvm.load %p {alignment = 4 : i64, cira.facts = {always, last = 0 : i64, stride_bytes = 4 : i64}} : !llvm.ptr -> i32
  %w = llvm.zext %x : i32 to i64
  %q = llvm.getelementptr %a[%w] : (!llvm.ptr, i64) -> !llvm.ptr, i32
  %v = llvm.load %q {cira.facts = {always}} : !llvm.ptr -> i32
  %is = llvm.icmp "eq" %v, %z : i32
  llvm.cond_br %is, ^found, ^next {cira.facts = {loop = 0 : i64, percent = 100 : i64, steps = array<i64: 1>}}
^found:
  llvm.store %z, %last : i32, !llvm.ptr
  llvm.br ^next {cira.facts = {loop = 0 : i64, percent = 50 : i64}}
^next:
  %j = llvm.add %i, %c1 : i64
  %done = llvm.icmp "eq" %j, %n : i64
  llvm.cond_br %done, ^end, ^loop(%j : i64) {cira.facts = {latch, loop = 0 : i64, percent = 100 : i64}}
^end:
  llvm.return
}

// -----

// On a machine with many lines in flight stores wait for each other too. The
// line is asked for to be written, the loop runs down, the index is hashed. Time
// chooses: the old loop is there too, and both count down what they were given.
// CHECK-LABEL: llvm.func @update
// CHECK: ^bb1(%{{.*}}: !llvm.ptr):
// CHECK: %[[P2:.*]] = llvm.getelementptr %{{.*}}[-388] : (!llvm.ptr) -> !llvm.ptr, i8
// CHECK-NEXT: llvm.icmp "uge" %[[P2]], %arg2 : !llvm.ptr
// CHECK: %[[X2:.*]] = llvm.load %[[P2]]
// CHECK: %[[H2:.*]] = llvm.mul %[[X2]]
// CHECK: %[[Q2:.*]] = llvm.getelementptr %arg0[%[[H2]]]
// CHECK: "llvm.intr.prefetch"(%[[Q2]]) <{cache = 1 : i32, hint = 2 : i32, rw = 1 : i32}>
// CHECK: llvm.store
// CHECK: %[[LEFT:.*]] = llvm.sub
// CHECK: %[[OVER:.*]] = llvm.icmp "eq" %[[LEFT]]
// CHECK-NEXT: llvm.cond_br %[[OVER]], ^{{.*}}, ^bb1(
// CHECK-NOT: llvm.intr.prefetch
// CHECK: llvm.add %arg3
// CHECK: llvm.call @cira_choice1_enter(
// CHECK: llvm.call @cira_choice1_next(
// REMARK: prefetched 97 iterations ahead where that is faster (it is written): 9.2 ns per iteration as it is, 3.5 ns with it; latency 147 ns, 48 lines in flight
module attributes {cira.machine = #cira.machine<local_latency_ns = 147, lines_in_flight = 48>} {
  llvm.func @cira.last(i64, !llvm.ptr, i64)
  llvm.func @update(%a: !llvm.ptr, %b: !llvm.ptr, %last: !llvm.ptr, %n: i64)
      attributes {cira.facts = {loops = [{bounded, parent = -1 : i64}]}} {
    %c0 = llvm.mlir.constant(0 : i64) : i64
    %c1 = llvm.mlir.constant(-1 : i64) : i64
    llvm.call @cira.last(%c0, %last, %n) : (i64, !llvm.ptr, i64) -> ()
    llvm.br ^loop(%b : !llvm.ptr)
  ^loop(%p: !llvm.ptr):
    %x = llvm.load %p {cira.facts = {always, last = 0 : i64, stride_bytes = -4 : i64}} : !llvm.ptr -> i32
    %h = llvm.mul %x, %x : i32
    %q = llvm.getelementptr %a[%h] : (!llvm.ptr, i32) -> !llvm.ptr, i32
    %v = llvm.load %q {cira.facts = {always}} : !llvm.ptr -> i32
    llvm.store %v, %q {cira.facts = {always}} : i32, !llvm.ptr
    %r = llvm.getelementptr %p[%c1] : (!llvm.ptr, i64) -> !llvm.ptr, i32
    %done = llvm.icmp "eq" %r, %last : !llvm.ptr
    llvm.cond_br %done, ^end, ^loop(%r : !llvm.ptr) {cira.facts = {latch, loop = 0 : i64, percent = 100 : i64, steps = array<i64: -4>}}
  ^end:
    llvm.return
  }
}

// -----

// a[m[b[i]]] with a branch: m is read at one distance, so it is asked for at two.
// CHECK-LABEL: llvm.func @two_levels
// CHECK: llvm.getelementptr %{{.*}}[80] : (!llvm.ptr) -> !llvm.ptr, i8
// CHECK: llvm.getelementptr %{{.*}}[40] : (!llvm.ptr) -> !llvm.ptr, i8
// CHECK: llvm.load
// CHECK: llvm.load
// CHECK: llvm.intr.prefetch
// REMARK: prefetched 20 iterations ahead (a branch depends on it): 32.0 ns
// REMARK: prefetched 10 iterations ahead (a branch depends on it)
llvm.func @cira.last(i64, !llvm.ptr, i64)
llvm.func @two_levels(%a: !llvm.ptr, %m: !llvm.ptr, %b: !llvm.ptr, %last: !llvm.ptr, %n: i64)
    attributes {cira.facts = {loops = [{bounded, parent = -1 : i64}]}} {
  %c0 = llvm.mlir.constant(0 : i64) : i64
  %c1 = llvm.mlir.constant(1 : i64) : i64
  llvm.call @cira.last(%c0, %last, %n) : (i64, !llvm.ptr, i64) -> ()
  llvm.br ^loop(%c0 : i64)
^loop(%i: i64):
  %p = llvm.getelementptr %b[%i] : (!llvm.ptr, i64) -> !llvm.ptr, i32
  %x = llvm.load %p {cira.facts = {always, last = 0 : i64, stride_bytes = 4 : i64, unwritten}} : !llvm.ptr -> i32
  %q = llvm.getelementptr %m[%x] : (!llvm.ptr, i32) -> !llvm.ptr, i32
  %y = llvm.load %q {cira.facts = {always, unwritten}} : !llvm.ptr -> i32
  %r = llvm.getelementptr %a[%y] : (!llvm.ptr, i32) -> !llvm.ptr, i8
  %v = llvm.load %r {cira.facts = {always}} : !llvm.ptr -> i1
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

// A counter that is hashed needs no read ahead, and so no test; that the loop is
// long enough must be known.
// CHECK-LABEL: llvm.func @hashed_counter
// CHECK-NOT: llvm.icmp "ule"
// CHECK: %[[I2:.*]] = llvm.add %{{.*}}, %{{.*}} : i64
// CHECK-NEXT: %[[H2:.*]] = llvm.mul %[[I2]], %[[I2]]
// CHECK-NEXT: %[[Q2:.*]] = llvm.getelementptr %arg0[%[[H2]]]
// CHECK-NEXT: "llvm.intr.prefetch"(%[[Q2]])
llvm.func @hashed_counter(%a: !llvm.ptr, %n: i64)
    attributes {cira.facts = {loops = [{bounded, parent = -1 : i64, trips = 1000000 : i64}]}} {
  %c0 = llvm.mlir.constant(0 : i64) : i64
  %c1 = llvm.mlir.constant(1 : i64) : i64
  llvm.br ^loop(%c0 : i64)
^loop(%i: i64):
  %h = llvm.mul %i, %i : i64
  %q = llvm.getelementptr %a[%h] : (!llvm.ptr, i64) -> !llvm.ptr, i8
  %v = llvm.load %q {cira.facts = {always}} : !llvm.ptr -> i1
  llvm.cond_br %v, ^found, ^next {cira.facts = {loop = 0 : i64, percent = 100 : i64, steps = array<i64: 1>}}
^found:
  llvm.store %v, %a : i1, !llvm.ptr
  llvm.br ^next {cira.facts = {loop = 0 : i64, percent = 50 : i64}}
^next:
  %j = llvm.add %i, %c1 : i64
  %done = llvm.icmp "eq" %j, %n : i64
  llvm.cond_br %done, ^end, ^loop(%j : i64) {cira.facts = {latch, loop = 0 : i64, percent = 100 : i64}}
^end:
  llvm.return
}

// -----

// A hash probe: the loop inside walks a chain. Its first node is asked for by
// the loop around it, the bucket at a distance more; one test is enough. The
// second node is known where there is a first one.
// CHECK-LABEL: llvm.func @chain
// CHECK: llvm.getelementptr %{{.*}}[84] : (!llvm.ptr) -> !llvm.ptr, i8
// CHECK: llvm.icmp "ule"
// CHECK: llvm.intr.prefetch
// CHECK-NOT: llvm.icmp
// CHECK: llvm.getelementptr %{{.*}}[56] : (!llvm.ptr) -> !llvm.ptr, i8
// CHECK: %[[X2:.*]] = llvm.load
// CHECK-NEXT: %[[Q2:.*]] = llvm.getelementptr %arg0[%[[X2]]]
// CHECK-NEXT: %[[T2:.*]] = llvm.load %[[Q2]]
// CHECK-NEXT: "llvm.intr.prefetch"(%[[T2]])
// CHECK: llvm.getelementptr %{{.*}}[28] : (!llvm.ptr) -> !llvm.ptr, i8
// CHECK: %[[HEAD:.*]] = llvm.load {{.*}} -> !llvm.ptr
// CHECK: %[[NONE:.*]] = llvm.icmp "eq" %[[HEAD]]
// CHECK-NEXT: llvm.cond_br %[[NONE]], ^[[OUT:bb[0-9]+]], ^[[IN:bb[0-9]+]]
// CHECK-NEXT: ^[[IN]]:
// CHECK-NEXT: %[[SECOND:.*]] = llvm.load %[[HEAD]]
// CHECK-NEXT: "llvm.intr.prefetch"(%[[SECOND]])
// CHECK-NEXT: llvm.br ^[[OUT]]
// CHECK-NOT: llvm.intr.prefetch
// REMARK: prefetched 21 iterations ahead (a branch depends on it): 48.0 ns
// REMARK: prefetched 14 iterations ahead (a branch depends on it): 48.0 ns
// REMARK: prefetched 7 iterations ahead (a branch depends on it): 48.0 ns
llvm.func @cira.last(i64, !llvm.ptr, i64)
llvm.func @chain(%heads: !llvm.ptr, %keys: !llvm.ptr, %last: !llvm.ptr, %n: i64)
    attributes {cira.facts = {loops = [{bounded, parent = -1 : i64},
      {parent = 0 : i64, percent = 800 : i64, unbounded = "it is not known beforehand how often the loop runs"}]}} {
  %c0 = llvm.mlir.constant(0 : i64) : i64
  %c1 = llvm.mlir.constant(1 : i64) : i64
  %null = llvm.mlir.zero : !llvm.ptr
  llvm.call @cira.last(%c0, %last, %n) : (i64, !llvm.ptr, i64) -> ()
  llvm.br ^outer(%c0 : i64)
^outer(%i: i64):
  %p = llvm.getelementptr %keys[%i] : (!llvm.ptr, i64) -> !llvm.ptr, i32
  %x = llvm.load %p {cira.facts = {always, last = 0 : i64, stride_bytes = 4 : i64, unwritten}} : !llvm.ptr -> i32
  %q = llvm.getelementptr %heads[%x] : (!llvm.ptr, i32) -> !llvm.ptr, !llvm.ptr
  %head = llvm.load %q {cira.facts = {always, unwritten}} : !llvm.ptr -> !llvm.ptr
  %none = llvm.icmp "eq" %head, %null : !llvm.ptr
  llvm.cond_br %none, ^next, ^inner(%head : !llvm.ptr) {cira.facts = {loop = 0 : i64, percent = 100 : i64, steps = array<i64: 1>}}
^inner(%t: !llvm.ptr):
  %t8 = llvm.getelementptr %t[%c1] : (!llvm.ptr, i64) -> !llvm.ptr, i64
  %link = llvm.load %t {cira.facts = {always}} : !llvm.ptr -> !llvm.ptr
  %v = llvm.load %t8 {cira.facts = {always}} : !llvm.ptr -> i64
  llvm.store %v, %last : i64, !llvm.ptr
  %end = llvm.icmp "eq" %link, %null : !llvm.ptr
  llvm.cond_br %end, ^next, ^inner(%link : !llvm.ptr) {cira.facts = {latch, loop = 1 : i64, percent = 100 : i64, steps = array<i64: 0>}}
^next:
  %j = llvm.add %i, %c1 : i64
  %done = llvm.icmp "eq" %j, %n : i64
  llvm.cond_br %done, ^end, ^outer(%j : i64) {cira.facts = {latch, loop = 0 : i64, percent = 100 : i64}}
^end:
  llvm.return
}

// -----

// A generator of random numbers says where the loop writes. A second one runs
// ahead: it is moved on where the changed loop is entered, and once in each
// iteration.
// CHECK-LABEL: llvm.func @random
// CHECK-DAG: %[[AHEAD:.*]] = llvm.alloca
// CHECK: ^bb[[START:[0-9]+]](%[[R0:.*]]: i64, %{{.*}}: i64):
// CHECK: llvm.br ^[[STEP:bb[0-9]+]](
// CHECK: ^[[STEP]](%[[K:.*]]: i64):
// CHECK: llvm.load %[[VARIABLE:.*]] : !llvm.ptr -> i64
// CHECK: llvm.shl
// CHECK: llvm.store %{{.*}}, %[[VARIABLE]] : i64, !llvm.ptr
// CHECK: llvm.icmp "ult"
// CHECK-NEXT: llvm.cond_br %{{.*}}, ^[[STEP]](%{{.*}} : i64), ^[[DONE:bb[0-9]+]]
// CHECK: ^[[DONE]]:
// CHECK-NEXT: llvm.br ^[[LOOP:bb[0-9]+]](
// CHECK: ^[[LOOP]](
// CHECK: %[[R:.*]] = llvm.load %[[VARIABLE]]
// CHECK-NEXT: %[[NEXT:.*]] = llvm.shl %[[R]]
// CHECK: llvm.intr.prefetch
// CHECK-SAME: rw = 1
// CHECK: llvm.store %{{.*}}, %[[VARIABLE]]
// REMARK: prefetched {{[0-9]+}} iterations ahead where that is faster (it is written)
llvm.func @cira.count(i64, i64)
llvm.func @random(%a: !llvm.ptr, %mask: i64, %times: i64, %n: i64)
    attributes {cira.facts = {loops = [{bounded, parent = -1 : i64}]}} {
  %c0 = llvm.mlir.constant(0 : i64) : i64
  %c1 = llvm.mlir.constant(1 : i64) : i64
  %c7 = llvm.mlir.constant(7 : i64) : i64
  llvm.call @cira.count(%c0, %times) : (i64, i64) -> ()
  llvm.br ^loop(%c7, %c0 : i64, i64)
^loop(%r: i64, %i: i64):
  %twice = llvm.shl %r, %c1 : i64
  %s = llvm.xor %twice, %c7 : i64
  %w = llvm.and %s, %mask : i64
  %q = llvm.getelementptr %a[%w] : (!llvm.ptr, i64) -> !llvm.ptr, i64
  %v = llvm.load %q {cira.facts = {always}} : !llvm.ptr -> i64
  %x = llvm.xor %v, %s : i64
  llvm.store %x, %q {cira.facts = {always}} : i64, !llvm.ptr
  %j = llvm.add %i, %c1 : i64
  %done = llvm.icmp "eq" %j, %n : i64
  llvm.cond_br %done, ^end, ^loop(%s, %j : i64, i64) {cira.facts = {latch, loop = 0 : i64, percent = 100 : i64, steps = array<i64: 0, 1>}}
^end:
  llvm.return
}

// -----

// What is interleaved, too, has too much around it for LLVM to make two of it:
// short executions get a loop of their own, which is the old one.
// CHECK-LABEL: llvm.func @short_too
// CHECK: %[[LONG:.*]] = llvm.icmp "uge" %arg3, %{{.*}}
// CHECK: llvm.br ^[[ENTER:bb[0-9]+]](%{{.*}} : i64)
// CHECK: ^[[LOOP:bb[0-9]+]](%{{.*}}: i64):
// CHECK-NOT: llvm.cond_br %[[LONG]]
// CHECK: llvm.intr.prefetch
// CHECK: ^[[COPY:bb[0-9]+]](%{{.*}}: i64):
// CHECK-NOT: llvm.intr.prefetch
// CHECK: ^[[ENTER]](%{{.*}}: i64):
// CHECK: llvm.cond_br %[[LONG]], ^[[LOOP]](%{{.*}}), ^[[COPY]](
llvm.func @cira.last(i64, !llvm.ptr, i64)
llvm.func @short_too(%a: !llvm.ptr, %b: !llvm.ptr, %last: !llvm.ptr, %n: i64)
    attributes {cira.facts = {loops = [{bounded, interleaved, parent = -1 : i64}]}} {
  %c0 = llvm.mlir.constant(0 : i64) : i64
  %c1 = llvm.mlir.constant(1 : i64) : i64
  %z = llvm.mlir.constant(0 : i32) : i32
  llvm.call @cira.last(%c0, %last, %n) : (i64, !llvm.ptr, i64) -> ()
  llvm.br ^loop(%c0 : i64)
^loop(%i: i64):
  %p = llvm.getelementptr %b[%i] : (!llvm.ptr, i64) -> !llvm.ptr, i32
  %x = llvm.load %p {cira.facts = {always, last = 0 : i64, stride_bytes = 4 : i64}} : !llvm.ptr -> i32
  %q = llvm.getelementptr %a[%x] : (!llvm.ptr, i32) -> !llvm.ptr, i32
  %v = llvm.load %q {cira.facts = {always}} : !llvm.ptr -> i32
  %is = llvm.icmp "eq" %v, %z : i32
  llvm.cond_br %is, ^found, ^next {cira.facts = {loop = 0 : i64, percent = 100 : i64, steps = array<i64: 1>}}
^found:
  llvm.store %z, %last : i32, !llvm.ptr
  llvm.br ^next {cira.facts = {loop = 0 : i64, percent = 50 : i64}}
^next:
  %j = llvm.add %i, %c1 : i64
  %done = llvm.icmp "eq" %j, %n : i64
  llvm.cond_br %done, ^end, ^loop(%j : i64) {cira.facts = {latch, loop = 0 : i64, percent = 100 : i64}}
^end:
  llvm.return
}

// -----

// More prefetches than loads can be under way: time chooses, though the core asks
// for these lines itself. What a prefetch reads comes another distance earlier.
// CHECK-LABEL: llvm.func @plain_sum
// CHECK-COUNT-2: llvm.intr.prefetch
// CHECK-NOT: llvm.intr.prefetch
// CHECK: llvm.call @cira_choice1_enter(
// REMARK: prefetched 64 iterations ahead where that is faster (another address is read through it): 16.0 ns per iteration as it is, 5.5 ns with it; latency 80 ns, 32 lines in flight
// REMARK: prefetched 32 iterations ahead where that is faster (more prefetches than loads can be under way)
module attributes {cira.machine = #cira.machine<prefetches_in_flight = 32>} {
  llvm.func @cira.last(i64, !llvm.ptr, i64)
  llvm.func @plain_sum(%a: !llvm.ptr, %m: !llvm.ptr, %b: !llvm.ptr, %last: !llvm.ptr, %n: i64) -> i32
      attributes {cira.facts = {loops = [{bounded, parent = -1 : i64}]}} {
    %c0 = llvm.mlir.constant(0 : i64) : i64
    %c1 = llvm.mlir.constant(1 : i64) : i64
    %z = llvm.mlir.constant(0 : i32) : i32
    llvm.call @cira.last(%c0, %last, %n) : (i64, !llvm.ptr, i64) -> ()
    llvm.br ^loop(%c0, %z : i64, i32)
  ^loop(%i: i64, %s: i32):
    %p = llvm.getelementptr %b[%i] : (!llvm.ptr, i64) -> !llvm.ptr, i32
    %x = llvm.load %p {cira.facts = {always, last = 0 : i64, stride_bytes = 4 : i64, unwritten}} : !llvm.ptr -> i32
    %r = llvm.getelementptr %m[%x] : (!llvm.ptr, i32) -> !llvm.ptr, i32
    %y = llvm.load %r {cira.facts = {always, unwritten}} : !llvm.ptr -> i32
    %q = llvm.getelementptr %a[%y] : (!llvm.ptr, i32) -> !llvm.ptr, i32
    %v = llvm.load %q {cira.facts = {always}} : !llvm.ptr -> i32
    %t = llvm.add %s, %v : i32
    %j = llvm.add %i, %c1 : i64
    %done = llvm.icmp "eq" %j, %n : i64
    llvm.cond_br %done, ^end, ^loop(%j, %t : i64, i32) {cira.facts = {latch, loop = 0 : i64, percent = 100 : i64, steps = array<i64: 1, 0>}}
  ^end:
    llvm.return %t : i32
  }
}

// -----

// The loop inside begins anew with the array that it has changed: behind its last
// iteration comes its first. The choice is around the loop outside.
// CHECK-LABEL: llvm.func @turns
// CHECK: ^bb2(%{{.*}}: i64):
// CHECK: %[[P:.*]] = llvm.getelementptr %arg1
// CHECK: %[[P2:.*]] = llvm.getelementptr %[[P]][{{[0-9]+}}] : (!llvm.ptr) -> !llvm.ptr, i8
// CHECK: %[[IN:.*]] = llvm.icmp "ule" %[[P2]], %arg2 : !llvm.ptr
// CHECK: %[[SHIFT:.*]] = llvm.select %[[IN]]
// CHECK: %[[BYTES:.*]] = llvm.mul %[[SHIFT]]
// CHECK: %[[AT:.*]] = llvm.getelementptr %[[P]][%[[BYTES]]] : (!llvm.ptr, i64) -> !llvm.ptr, i8
// CHECK: %[[X2:.*]] = llvm.load %[[AT]]
// CHECK: %[[Y2:.*]] = llvm.mul %[[X2]]
// CHECK: "llvm.intr.prefetch"
// CHECK-NOT: llvm.intr.prefetch
// CHECK: llvm.call @cira_choice1_enter(
// REMARK: prefetched 97 iterations ahead where that is faster (it is written)
module attributes {cira.machine = #cira.machine<local_latency_ns = 147, lines_in_flight = 48>} {
  llvm.func @cira.last(i64, !llvm.ptr, i64)
  llvm.func @cira.count(i64, i64)
  llvm.func @turns(%a: !llvm.ptr, %b: !llvm.ptr, %last: !llvm.ptr, %n: i64)
      attributes {cira.facts = {loops = [{bounded, parent = -1 : i64}, {bounded, parent = 0 : i64, percent = 12800 : i64, trips = 128 : i64}]}} {
    %c0 = llvm.mlir.constant(0 : i64) : i64
    %c1 = llvm.mlir.constant(1 : i64) : i64
    %c127 = llvm.mlir.constant(127 : i64) : i64
    %c128 = llvm.mlir.constant(128 : i64) : i64
    llvm.call @cira.count(%c0, %n) : (i64, i64) -> ()
    llvm.br ^outside(%c0 : i64)
  ^outside(%k: i64):
    llvm.call @cira.last(%c0, %last, %c127) : (i64, !llvm.ptr, i64) -> ()
    llvm.br ^inside(%c0 : i64) {cira.facts = {loop = 0 : i64, percent = 100 : i64, steps = array<i64: 1>}}
  ^inside(%i: i64):
    %p = llvm.getelementptr %b[%i] : (!llvm.ptr, i64) -> !llvm.ptr, i32
    %x = llvm.load %p {cira.facts = {always, last = 0 : i64, stride_bytes = 4 : i64, turns}} : !llvm.ptr -> i32
    %y = llvm.mul %x, %x : i32
    llvm.store %y, %p {cira.facts = {always, stride_bytes = 4 : i64}} : i32, !llvm.ptr
    %q = llvm.getelementptr %a[%y] : (!llvm.ptr, i32) -> !llvm.ptr, i32
    %v = llvm.load %q {cira.facts = {always}} : !llvm.ptr -> i32
    llvm.store %y, %q {cira.facts = {always}} : i32, !llvm.ptr
    %j = llvm.add %i, %c1 : i64
    %done = llvm.icmp "eq" %j, %c128 : i64
    llvm.cond_br %done, ^next, ^inside(%j : i64) {cira.facts = {latch, loop = 1 : i64, percent = 100 : i64, steps = array<i64: 1>}}
  ^next:
    %l = llvm.add %k, %c1 : i64
    %over = llvm.icmp "eq" %l, %n : i64
    llvm.cond_br %over, ^end, ^outside(%l : i64) {cira.facts = {latch, loop = 0 : i64, percent = 100 : i64}}
  ^end:
    llvm.return
  }
}
