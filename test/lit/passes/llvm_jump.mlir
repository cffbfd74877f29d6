// SPDX-License-Identifier: Apache-2.0
// Lists that get the two modes of cira_jump_step, with the facts that the clang
// plug-in attaches.
// RUN: cira-opt %s --split-input-file --cira-llvm-jump 2>/dev/null | FileCheck %s
// RUN: cira-opt %s --split-input-file --cira-llvm-jump 2>&1 | FileCheck %s --check-prefix=REMARK

// 2 x 80 ns / 8 ns: 20 nodes ahead; a quarter of 32 MiB in lines.
// REMARK: cira-llvm-jump: walked again, prefetched 20 nodes ahead along a table of its order, if it has 131072 nodes or more: 80.0 ns per node as it is, 8.0 ns with it; latency 80 ns, 10 lines in flight
// CHECK: llvm.func @cira_jump_step(!llvm.ptr, !llvm.ptr, i64, i64) -> i64
// CHECK-LABEL: llvm.func @sum
// CHECK-SAME: changed
// CHECK: llvm.br ^bb9(%arg0, %{{.*}} : !llvm.ptr, i64)
// CHECK: ^bb1(%[[A:.*]]: !llvm.ptr, %[[B:.*]]: i64, %[[MODE:.*]]: i1, %[[C:.*]]: !llvm.ptr, %[[L:.*]]: i64):
// CHECK-NEXT: llvm.br ^bb6(%[[A]], %[[B]], %[[C]], %[[L]] : !llvm.ptr, i64, !llvm.ptr, i64)
// CHECK: ^bb2(%[[P:.*]]: !llvm.ptr, %[[S:.*]]: i64):
// CHECK-NEXT: llvm.cond_br %[[MODE]], ^bb3, ^bb4
// CHECK: ^bb3:
// CHECK-NEXT: %[[AHEAD:.*]] = llvm.load %[[CURSOR:.*]] : !llvm.ptr -> !llvm.ptr
// CHECK-NEXT: "llvm.intr.prefetch"(%[[AHEAD]]) <{cache = 1 : i32, hint = 2 : i32, rw = 0 : i32}>
// CHECK-NEXT: %[[AFTER:.*]] = llvm.getelementptr %[[CURSOR]][8]
// CHECK: %[[BITS:.*]] = llvm.ptrtoint %[[AFTER]]
// CHECK: llvm.mlir.constant(2047 : i64)
// CHECK: llvm.cond_br %{{.*}} weights([1, 255]), ^bb5(%[[AFTER]] : !llvm.ptr), ^bb6(%[[P]], %[[S]], %[[AFTER]], %[[LEFT:.*]] : !llvm.ptr, i64, !llvm.ptr, i64)
// CHECK: ^bb4:
// CHECK: %[[FEWER:.*]] = llvm.add %[[LEFT]]
// CHECK: llvm.cond_br %{{.*}} weights([1, 255]), ^bb5(%[[CURSOR]] : !llvm.ptr), ^bb6(%[[P]], %[[S]], %[[CURSOR]], %[[FEWER]] : !llvm.ptr, i64, !llvm.ptr, i64)
// CHECK: ^bb5(%[[AT:.*]]: !llvm.ptr):
// CHECK: %[[K:.*]] = llvm.mlir.constant(20 : i64)
// CHECK: %[[MIN:.*]] = llvm.mlir.constant(131072 : i64)
// CHECK: %[[WENT:.*]] = llvm.call @cira_jump_step(%[[P]], %[[AT]], %[[K]], %[[MIN]])
// CHECK: %[[IS:.*]] = llvm.icmp "ugt" %[[WENT]]
// CHECK: %[[AS:.*]] = llvm.inttoptr %[[WENT]]
// CHECK: llvm.br ^bb1(%[[P]], %[[S]], %[[IS]], %[[AS]], %[[WENT]] :
// CHECK: ^bb6(%[[N:.*]]: !llvm.ptr, %{{.*}}: i64, %[[CURSOR]]: !llvm.ptr, %[[LEFT]]: i64):
// CHECK: %[[NEXT:.*]] = llvm.load %[[N]]
// CHECK: llvm.cond_br %{{.*}}, ^bb2(%[[NEXT]], %{{.*}} : !llvm.ptr, i64), ^bb7
// The first 256 nodes are walked by a copy, of which LLVM does four at a time.
// CHECK: ^bb8(%[[N:.*]]: !llvm.ptr, %{{.*}}: i64):
// CHECK: llvm.cond_br %{{.*}}, ^bb11(%{{.*}} : !llvm.ptr, i64), ^bb7
// CHECK: ^bb9(%[[P:.*]]: !llvm.ptr, %[[S:.*]]: i64):
// CHECK-NEXT: %[[BLOCK:.*]] = llvm.mlir.constant(256 : i64) : i64
// CHECK-NEXT: llvm.store %[[BLOCK]], %[[ROOM:.*]] :
// CHECK-NEXT: llvm.br ^bb8(%[[P]], %[[S]] :
// CHECK: ^bb10(%[[P:.*]]: !llvm.ptr, %[[S:.*]]: i64):
// CHECK-NEXT: %[[NO:.*]] = llvm.mlir.constant(false) : i1
// CHECK-NEXT: %[[NULL:.*]] = llvm.mlir.zero : !llvm.ptr
// CHECK-NEXT: %[[ONE:.*]] = llvm.mlir.constant(1 : i64) : i64
// CHECK-NEXT: llvm.br ^bb1(%[[P]], %[[S]], %[[NO]], %[[NULL]], %[[ONE]] : !llvm.ptr, i64, i1, !llvm.ptr, i64)
// CHECK: ^bb11(%[[P:.*]]: !llvm.ptr, %[[S:.*]]: i64):
// CHECK: %[[LEFT:.*]] = llvm.sub
// CHECK: llvm.store %[[LEFT]], %[[ROOM]]
// CHECK: llvm.cond_br %{{.*}}, ^bb8(%[[P]], %[[S]] : !llvm.ptr, i64), ^bb10(%[[P]], %[[S]] : !llvm.ptr, i64) {loop_annotation = #loop_annotation
llvm.func @sum(%head: !llvm.ptr) -> i64
    attributes {cira.facts = {loops = [{parent = -1 : i64, walks}]}} {
  %zero = llvm.mlir.zero : !llvm.ptr
  %c0 = llvm.mlir.constant(0 : i64) : i64
  llvm.br ^loop(%head, %c0 : !llvm.ptr, i64)
^loop(%n: !llvm.ptr, %s: i64):
  %p = llvm.getelementptr %n[8] : (!llvm.ptr) -> !llvm.ptr, i8
  %v = llvm.load %p : !llvm.ptr -> i64
  %t = llvm.add %s, %v : i64
  %next = llvm.load %n : !llvm.ptr -> !llvm.ptr
  %more = llvm.icmp "ne" %next, %zero : !llvm.ptr
  llvm.cond_br %more, ^loop(%next, %t : !llvm.ptr, i64), ^end {cira.facts = {latch, loop = 0 : i64, percent = 100 : i64, steps = array<i64: 0, 0>}}
^end:
  llvm.return %t : i64
}

// -----

// The links lie inside of the nodes, 24 bytes in, and another line of a node is
// written: both lines are asked for. The loop ends at a sentinel, in its middle.
// REMARK: prefetched 10 nodes ahead
// REMARK-SAME: 65536 nodes or more
// CHECK-LABEL: llvm.func @member
// CHECK: ^bb3:
// CHECK-NEXT: %[[AHEAD:.*]] = llvm.load %{{.*}} : !llvm.ptr -> !llvm.ptr
// CHECK-NEXT: %[[LINK:.*]] = llvm.getelementptr %[[AHEAD]][24]
// CHECK-NEXT: "llvm.intr.prefetch"(%[[LINK]])
// CHECK-NEXT: %[[OTHER:.*]] = llvm.getelementptr %[[AHEAD]][-104]
// CHECK-NEXT: "llvm.intr.prefetch"(%[[OTHER]])
llvm.func @member(%list: !llvm.ptr, %v: i64)
    attributes {cira.facts = {loops = [{parent = -1 : i64, walks}]}} {
  %head = llvm.load %list : !llvm.ptr -> !llvm.ptr
  llvm.br ^loop(%head : !llvm.ptr)
^loop(%n: !llvm.ptr):
  %end = llvm.icmp "eq" %n, %list : !llvm.ptr
  llvm.cond_br %end, ^end, ^body {cira.facts = {loop = 0 : i64, percent = 100 : i64, steps = array<i64: 0>}}
^body:
  %q = llvm.getelementptr %n[-104] : (!llvm.ptr) -> !llvm.ptr, i8
  llvm.store %v, %q : i64, !llvm.ptr
  %p = llvm.getelementptr %n[24] : (!llvm.ptr) -> !llvm.ptr, i8
  %link = llvm.load %p : !llvm.ptr -> !llvm.ptr
  %next = llvm.getelementptr %link[-24] : (!llvm.ptr) -> !llvm.ptr, i8
  llvm.br ^loop(%next : !llvm.ptr) {cira.facts = {latch, loop = 0 : i64, percent = 97 : i64}}
^end:
  llvm.return
}
