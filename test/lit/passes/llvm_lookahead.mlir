// SPDX-License-Identifier: Apache-2.0
// Looking ahead in queues, in rows that lie behind one another, and in index
// arrays that may end at any time, with the facts that the clang plug-in
// attaches.
// RUN: cira-opt %s --split-input-file --cira-llvm-lookahead 2>/dev/null | FileCheck %s
// RUN: cira-opt %s --split-input-file --cira-llvm-lookahead 2>&1 | FileCheck %s --check-prefix=REMARK
// What is left for cira-llvm-prefetch is not asked for twice.
// RUN: cira-opt %s --split-input-file --cira-llvm-lookahead --cira-llvm-prefetch 2>/dev/null | FileCheck %s --check-prefix=BOTH

// A breadth-first search, of which there cannot be two: on once enough has been
// touched. The row's bounds three stages ahead, its first
// entries two, what these name one. Every load ahead is tested: in the queue by
// the page of the entry at hand, elsewhere by what has been touched.
// CHECK-LABEL: llvm.func @queue
// CHECK-SAME: changed
// CHECK: ^bb2(
// CHECK: %[[P:.*]] = llvm.getelementptr inbounds %arg3
// CHECK-NEXT: llvm.load %[[P]]
// Once in four iterations, the limits are brought up to date.
// CHECK: llvm.cond_br %{{.*}}, ^bb3, ^bb4 {cira.facts = {loop = 0 : i64, percent = 100 : i64, steps = array<i64: 1, 0>}}
// CHECK: %[[MOST:.*]] = llvm.mlir.constant(8388608 : i64)
// CHECK-NEXT: %[[ON:.*]] = llvm.icmp "uge" %{{.*}}, %[[MOST]]
// CHECK-NEXT: llvm.store %[[ON]], %[[VAR:.*]] : i1
// CHECK: ^bb4:
// CHECK-NEXT: %[[ON2:.*]] = llvm.load %[[VAR]]
// CHECK-NEXT: llvm.cond_br %[[ON2]], ^bb5, ^bb18
// CHECK: llvm.getelementptr %[[P]][48]
// CHECK: llvm.xor
// CHECK: llvm.cond_br
// CHECK: %[[U3:.*]] = llvm.load %{{.*}} {alignment = 1 : i64} : !llvm.ptr -> i32
// CHECK-NEXT: llvm.freeze %[[U3]]
// CHECK: llvm.getelementptr %arg0[
// CHECK-NEXT: llvm.intr.prefetch
// CHECK: llvm.getelementptr %[[P]][32]
// CHECK: llvm.cond_br
// CHECK: llvm.load %{{.*}} {alignment = 1 : i64} : !llvm.ptr -> i32
// CHECK: llvm.icmp "uge"
// CHECK-NEXT: llvm.icmp "ule"
// CHECK: llvm.cond_br
// CHECK: %[[S2:.*]] = llvm.load %{{.*}} {alignment = 1 : i64} : !llvm.ptr -> i64
// CHECK-NEXT: %[[F2:.*]] = llvm.freeze %[[S2]]
// CHECK-NEXT: %[[N2:.*]] = llvm.getelementptr %arg1[%[[F2]]]
// CHECK-NEXT: "llvm.intr.prefetch"(%[[N2]])
// CHECK: llvm.getelementptr %[[P]][16]
// CHECK: llvm.sub
// The first entry and the last one are tested, for all between them, and that
// no index begins again.
// CHECK: %[[FIRST:.*]] = llvm.ptrtoint
// CHECK: %[[LAST:.*]] = llvm.ptrtoint
// CHECK: llvm.sub %[[LAST]], %[[FIRST]]
// CHECK-NEXT: %[[EVEN:.*]] = llvm.icmp "eq"
// CHECK: llvm.and %{{.*}}, %[[EVEN]]
// CHECK-NEXT: llvm.cond_br
// CHECK: llvm.br ^[[SCAN:bb[0-9]+]](%{{.*}} : i64)
// CHECK: ^[[SCAN]](%{{.*}}: i64)
// CHECK: llvm.cond_br
// CHECK-NOT: llvm.cond_br
// CHECK: %[[V1:.*]] = llvm.load %{{.*}} {alignment = 1 : i64} : !llvm.ptr -> i32
// CHECK: %[[T1:.*]] = llvm.getelementptr %arg2[
// CHECK-NEXT: "llvm.intr.prefetch"(%[[T1]])
// The accesses show which memory is there.
// CHECK: %[[R:.*]] = llvm.getelementptr inbounds %arg0
// CHECK-NEXT: llvm.load %[[R]]
// CHECK-NEXT: %[[SEEN:.*]] = llvm.ptrtoint %[[R]]
// CHECK-NEXT: llvm.store %[[SEEN]]
// A row that is longer than what is looked at from the queue goes on by itself.
// CHECK: llvm.icmp "ugt"
// CHECK: llvm.getelementptr %{{.*}}[256]
// CHECK: "llvm.intr.prefetch"
// REMARK: cira-llvm-lookahead: looks 12 entries of a queue ahead, through 1 load, once 8388608 bytes are in use: 160.0 ns per iteration as it is, 80.0 ns with it; latency 80 ns, 10 lines in flight
// REMARK: cira-llvm-lookahead: looks 8 entries of a queue ahead, through 2 loads
// REMARK: cira-llvm-lookahead: looks 4 entries of a queue ahead, through 3 loads
// BOTH-LABEL: llvm.func @queue
// BOTH-COUNT-4: llvm.intr.prefetch
// BOTH-NOT: llvm.intr.prefetch
// BOTH-LABEL: llvm.func @rows
llvm.func @cira.last(i64, !llvm.ptr, i64)
llvm.func @queue(%arg0: !llvm.ptr, %arg1: !llvm.ptr, %arg2: !llvm.ptr, %arg3: !llvm.ptr) -> i64 
  attributes {cira.facts = {loops = [{parent = -1 : i64, single = "a reason", unbounded = "it is not known beforehand how often the loop runs"}, {bounded, parent = 0 : i64, percent = 1600 : i64, varies}]}} {
  %0 = llvm.mlir.constant(-4 : i64) : i64
  %1 = llvm.mlir.constant(0 : i64) : i64
  %2 = llvm.mlir.constant(1 : i64) : i64
  %3 = llvm.mlir.constant(1 : i32) : i32
  %4 = llvm.mlir.constant(2 : i64) : i64
  %5 = llvm.mlir.constant(-1 : i64) : i64
  %6 = llvm.mlir.constant(0 : i32) : i32
  %7 = llvm.getelementptr %arg1[%0] : (!llvm.ptr, i64) -> !llvm.ptr, i8
  llvm.br ^bb2(%1, %2 : i64, i64)
^bb1(%8: i64):
  %9 = llvm.icmp "ult" %12, %8 : i64
  llvm.cond_br %9, ^bb2(%12, %8 : i64, i64), ^bb7 {cira.facts = {latch, loop = 0 : i64, percent = 100 : i64}}
^bb2(%10: i64, %11: i64):
  %12 = llvm.add %10, %2 overflow<nuw> : i64
  %13 = llvm.getelementptr inbounds %arg3[%10] : (!llvm.ptr, i64) -> !llvm.ptr, i32
  %14 = llvm.load %13 {alignment = 4 : i64, cira.facts = {always, stride_bytes = 4 : i64}} : !llvm.ptr -> i32
  %15 = llvm.zext %14 : i32 to i64
  %16 = llvm.getelementptr inbounds %arg0[%15] : (!llvm.ptr, i64) -> !llvm.ptr, i64
  %17 = llvm.load %16 {alignment = 8 : i64, cira.facts = {always}} : !llvm.ptr -> i64
  %18 = llvm.add %14, %3 : i32
  %19 = llvm.zext %18 : i32 to i64
  %20 = llvm.getelementptr inbounds %arg0[%19] : (!llvm.ptr, i64) -> !llvm.ptr, i64
  %21 = llvm.load %20 {alignment = 8 : i64, cira.facts = {always}} : !llvm.ptr -> i64
  %22 = llvm.icmp "ult" %17, %21 : i64
  llvm.cond_br %22, ^bb3, ^bb1(%11 : i64) {cira.facts = {loop = 0 : i64, percent = 100 : i64, steps = array<i64: 1, 0>}}
^bb3:
  %23 = llvm.shl %21, %4 : i64
  %24 = llvm.getelementptr %7[%23] : (!llvm.ptr, i64) -> !llvm.ptr, i8
  %25 = llvm.add %21, %5 : i64
  %26 = llvm.sub %25, %17 : i64
  llvm.call @cira.last(%1, %24, %26) : (i64, !llvm.ptr, i64) -> ()
  llvm.br ^bb4(%17, %11 : i64, i64)
^bb4(%27: i64, %28: i64):
  %29 = llvm.getelementptr inbounds %arg1[%27] : (!llvm.ptr, i64) -> !llvm.ptr, i32
  %30 = llvm.load %29 {alignment = 4 : i64, cira.facts = {always, last = 0 : i64, stride_bytes = 4 : i64}} : !llvm.ptr -> i32
  %31 = llvm.zext %30 : i32 to i64
  %32 = llvm.getelementptr inbounds %arg2[%31] : (!llvm.ptr, i64) -> !llvm.ptr, i32
  %33 = llvm.load %32 {alignment = 4 : i64, cira.facts = {always}} : !llvm.ptr -> i32
  %34 = llvm.icmp "slt" %33, %6 : i32
  llvm.cond_br %34, ^bb5, ^bb6(%28 : i64) {cira.facts = {loop = 1 : i64, percent = 100 : i64, steps = array<i64: 1, 0>}}
^bb5:
  llvm.store %14, %32 {alignment = 4 : i64, cira.facts = {}} : i32, !llvm.ptr
  %35 = llvm.add %28, %2 : i64
  %36 = llvm.getelementptr inbounds %arg3[%28] : (!llvm.ptr, i64) -> !llvm.ptr, i32
  llvm.store %30, %36 {alignment = 4 : i64} : i32, !llvm.ptr
  llvm.br ^bb6(%35 : i64) {cira.facts = {loop = 1 : i64, percent = 38 : i64}}
^bb6(%37: i64):
  %38 = llvm.add %27, %2 overflow<nuw> : i64
  %39 = llvm.icmp "eq" %38, %21 : i64
  llvm.cond_br %39, ^bb1(%37 : i64), ^bb4(%38, %37 : i64, i64) {cira.facts = {latch, loop = 1 : i64, percent = 100 : i64}}
^bb7:
  llvm.return %8 : i64
}

// -----

// One row lies behind the other: ahead in the entries, across their ends. What
// has been touched is brought up to date where a row begins.
// CHECK-LABEL: llvm.func @rows
// CHECK-SAME: changed
// CHECK: llvm.cond_br
// CHECK: %[[ON:.*]] = llvm.icmp "uge"
// CHECK-NEXT: llvm.store %[[ON]], %[[VAR:.*]] : i1
// In front of a row: are its entries and 20 more there?
// CHECK: llvm.call @cira.last
// CHECK: %[[O2:.*]] = llvm.load %[[VAR]] : !llvm.ptr -> i1
// CHECK-NEXT: llvm.cond_br %[[O2]]
// CHECK: llvm.xor
// CHECK: %[[THERE:.*]] = llvm.or
// CHECK-NEXT: llvm.store %[[THERE]], %[[ROW:.*]] : i1
// CHECK: %[[C:.*]] = llvm.getelementptr inbounds %arg1
// CHECK-NEXT: llvm.load %[[C]]
// CHECK-NEXT: %[[R2:.*]] = llvm.load %[[ROW]]
// CHECK-NEXT: llvm.cond_br %[[R2]]
// CHECK: llvm.getelementptr %[[C]][80]
// CHECK: %[[K:.*]] = llvm.load %{{.*}} {alignment = 1 : i64} : !llvm.ptr -> i32
// CHECK: %[[X:.*]] = llvm.getelementptr %arg2[
// CHECK-NEXT: "llvm.intr.prefetch"(%[[X]])
// REMARK: looks 20 entries of rows ahead, through 1 load, once 8388608 bytes are in use: 16.0 ns
llvm.func @cira.last(i64, !llvm.ptr, i64)
llvm.func @rows(%arg0: !llvm.ptr, %arg1: !llvm.ptr, %arg2: !llvm.ptr, %arg3: !llvm.ptr, %arg4: i64) 
  attributes {cira.facts = {loops = [{bounded, parent = -1 : i64, single = "a reason"}, {bounded, parent = 0 : i64, percent = 1600 : i64, varies}]}} {
  %0 = llvm.mlir.constant(0 : i64) : i64
  %1 = llvm.mlir.constant(3 : i64) : i64
  %2 = llvm.mlir.constant(-1 : i64) : i64
  %3 = llvm.mlir.constant(-4 : i64) : i64
  %4 = llvm.mlir.constant(1 : i64) : i64
  %5 = llvm.mlir.constant(0.000000e+00 : f64) : f64
  %6 = llvm.mlir.constant(2 : i64) : i64
  %7 = llvm.icmp "eq" %arg4, %0 : i64
  llvm.cond_br %7, ^bb2, ^bb1
^bb1:
  %8 = llvm.load %arg0 {alignment = 8 : i64} : !llvm.ptr -> i64
  %9 = llvm.shl %arg4, %1 : i64
  %10 = llvm.getelementptr %arg0[%9] : (!llvm.ptr, i64) -> !llvm.ptr, i8
  %11 = llvm.add %arg4, %2 : i64
  llvm.call @cira.last(%0, %10, %11) : (i64, !llvm.ptr, i64) -> ()
  %12 = llvm.getelementptr %arg1[%3] : (!llvm.ptr, i64) -> !llvm.ptr, i8
  llvm.br ^bb3(%8, %0 : i64, i64)
^bb2:
  llvm.return
^bb3(%13: i64, %14: i64):
  %15 = llvm.add %14, %4 overflow<nuw> : i64
  %16 = llvm.getelementptr inbounds %arg0[%15] : (!llvm.ptr, i64) -> !llvm.ptr, i64
  %17 = llvm.load %16 {alignment = 8 : i64, cira.facts = {always, last = 0 : i64, stride_bytes = 8 : i64, unwritten}} : !llvm.ptr -> i64
  %18 = llvm.icmp "ult" %13, %17 : i64
  llvm.cond_br %18, ^bb4, ^bb5(%5 : f64) {cira.facts = {loop = 0 : i64, percent = 100 : i64, steps = array<i64: 0, 1>}}
^bb4:
  %19 = llvm.shl %17, %6 : i64
  %20 = llvm.getelementptr %12[%19] : (!llvm.ptr, i64) -> !llvm.ptr, i8
  %21 = llvm.add %17, %2 : i64
  %22 = llvm.sub %21, %13 : i64
  llvm.call @cira.last(%4, %20, %22) : (i64, !llvm.ptr, i64) -> ()
  llvm.br ^bb6(%13, %5 : i64, f64)
^bb5(%23: f64):
  %24 = llvm.getelementptr inbounds %arg3[%14] : (!llvm.ptr, i64) -> !llvm.ptr, f64
  llvm.store %23, %24 {alignment = 8 : i64, cira.facts = {always, stride_bytes = 8 : i64}} : f64, !llvm.ptr
  %25 = llvm.icmp "eq" %15, %arg4 : i64
  llvm.cond_br %25, ^bb2, ^bb3(%17, %15 : i64, i64) {cira.facts = {latch, loop = 0 : i64, percent = 100 : i64}}
^bb6(%26: i64, %27: f64):
  %28 = llvm.getelementptr inbounds %arg1[%26] : (!llvm.ptr, i64) -> !llvm.ptr, i32
  %29 = llvm.load %28 {alignment = 4 : i64, cira.facts = {always, last = 1 : i64, stride_bytes = 4 : i64, unwritten}} : !llvm.ptr -> i32
  %30 = llvm.zext %29 : i32 to i64
  %31 = llvm.getelementptr inbounds %arg2[%30] : (!llvm.ptr, i64) -> !llvm.ptr, f64
  %32 = llvm.load %31 {alignment = 8 : i64, cira.facts = {always, unwritten}} : !llvm.ptr -> f64
  %33 = llvm.fadd %27, %32  : f64
  %34 = llvm.add %26, %4 overflow<nuw> : i64
  %35 = llvm.icmp "eq" %34, %17 : i64
  llvm.cond_br %35, ^bb5(%33 : f64), ^bb6(%34, %33 : i64, f64) {cira.facts = {latch, loop = 1 : i64, percent = 100 : i64, steps = array<i64: 1, 0>}}
}

// -----

// A loop that ends when it finds something. The loop as it was stays beside it,
// twice: one that is entered by a choice in front of both, made anew when a
// period of either ends; and, in front of that, a plain one which counts
// nothing. What the loops leave goes through a variable.
// CHECK-LABEL: llvm.func @walk
// CHECK-SAME: changed
// CHECK: %[[BUDGET:.*]] = llvm.alloca %{{.*}} x i64
// CHECK: %[[PERIOD:.*]] = llvm.alloca %{{.*}} x !llvm.array<48 x i8>
// CHECK: %[[OUT:.*]] = llvm.alloca %{{.*}} x i64
// CHECK: llvm.br ^[[FRONT:bb[0-9]+]](
// CHECK: ^[[NEW:bb[0-9]+]](%[[I:.*]]: i64)
// CHECK-NEXT: llvm.store %[[I]], %[[OUT]]
// CHECK: %[[P:.*]] = llvm.getelementptr inbounds %arg1
// CHECK: llvm.getelementptr %[[P]][80]
// CHECK: llvm.load %{{.*}} {alignment = 1 : i64} : !llvm.ptr -> i32
// CHECK: "llvm.intr.prefetch"
// CHECK: llvm.cond_br %{{.*}}, ^{{.*}}, ^[[TICK:bb[0-9]+]](%{{.*}} : i64)
// CHECK: llvm.load %[[OUT]]
// CHECK-NEXT: llvm.return
// CHECK: ^[[OLD:bb[0-9]+]](%[[J:[0-9]+]]: i64)
// CHECK-NEXT: llvm.store %[[J]], %[[OUT]]
// CHECK-NOT: prefetch
// CHECK: ^[[PLAIN:bb[0-9]+]](%[[K:[0-9]+]]: i64)
// CHECK-NEXT: llvm.store %[[K]], %[[OUT]]
// CHECK-NOT: prefetch
// CHECK: llvm.cond_br %{{.*}}, ^{{bb[0-9]+}}, ^[[PLAIN]](%{{.*}} : i64)
// CHECK: llvm.call @cira_choice1_leave
// CHECK: llvm.call @cira_choice1_leave
// CHECK: ^[[FRONT]](%[[FIRST:.*]]: i64)
// CHECK: %[[IS:.*]] = llvm.call @cira_choice1_open(
// CHECK-NEXT: llvm.cond_br %[[IS]] weights([65536, 1]), ^[[PLAIN]](%[[FIRST]] : i64), ^[[ENTER:bb[0-9]+]](%[[FIRST]] : i64)
// CHECK: ^[[ENTER]](%{{.*}}: i64)
// CHECK: llvm.call @cira_choice1_enter
// CHECK-NEXT: llvm.br ^[[GO:bb[0-9]+]]
// CHECK: ^[[GO]](
// CHECK: llvm.store %{{.*}}, %[[BUDGET]]
// CHECK: llvm.cond_br %{{.*}}, ^[[NEW]](%{{.*}} : i64), ^[[OLD]](%{{.*}} : i64)
// CHECK: ^[[AGAIN:bb[0-9]+]](
// CHECK: llvm.call @cira_choice1_more
// CHECK: llvm.call @cira_choice1_next
// CHECK-NEXT: llvm.br ^[[GO]]
// CHECK: ^[[TICK]](
// CHECK: llvm.cond_br %{{.*}}, ^[[NEW]](%{{.*}} : i64), ^[[AGAIN]](%{{.*}} : i64)
// CHECK: llvm.cond_br %{{.*}}, ^[[OLD]](%{{.*}} : i64), ^[[AGAIN]](%{{.*}} : i64)
// REMARK: looks 20 iterations ahead, through 1 load, where that is faster: 16.0 ns
llvm.func @walk(%arg0: !llvm.ptr, %arg1: !llvm.ptr) -> i64 
  attributes {cira.facts = {loops = [{parent = -1 : i64, unbounded = "it is not known beforehand how often the loop runs"}]}} {
  %0 = llvm.mlir.constant(0 : i64) : i64
  %1 = llvm.mlir.constant(1 : i64) : i64
  llvm.br ^bb1(%0 : i64)
^bb1(%2: i64):
  %3 = llvm.getelementptr inbounds %arg1[%2] : (!llvm.ptr, i64) -> !llvm.ptr, i32
  %4 = llvm.load %3 {alignment = 4 : i64, cira.facts = {always, stride_bytes = 4 : i64}} : !llvm.ptr -> i32
  %5 = llvm.zext %4 : i32 to i64
  %6 = llvm.getelementptr inbounds %arg0[%5] : (!llvm.ptr, i64) -> !llvm.ptr, i64
  %7 = llvm.load %6 {alignment = 8 : i64, cira.facts = {always}} : !llvm.ptr -> i64
  %8 = llvm.and %7, %1  : i64
  %9 = llvm.icmp "eq" %8, %0 : i64
  %10 = llvm.add %2, %1 : i64
  llvm.cond_br %9, ^bb2, ^bb1(%10 : i64) {cira.facts = {latch, loop = 0 : i64, percent = 100 : i64, steps = array<i64: 1>}}
^bb2:
  llvm.return %2 : i64
}

// -----

// In steps that only the program knows, forth or back: both ends of what is
// read ahead lie in the page.
// CHECK-LABEL: llvm.func @steps
// CHECK: llvm.load %[[A:[0-9]+]] {
// CHECK: %[[BY:.*]] = llvm.mul %arg2, %{{.*}} : i64
// CHECK-NEXT: %[[FAR:.*]] = llvm.getelementptr %[[A]][%[[BY]]]
// CHECK: %[[END:.*]] = llvm.xor
// CHECK-NEXT: %[[START:.*]] = llvm.xor
// CHECK-NEXT: llvm.or %[[END]], %[[START]]
// CHECK: %[[T:.*]] = llvm.load %{{.*}} {alignment = 1 : i64} : !llvm.ptr -> !llvm.ptr
// CHECK-NEXT: %[[F:.*]] = llvm.freeze %[[T]]
// CHECK-NEXT: "llvm.intr.prefetch"(%[[F]])
// REMARK: looks 20 iterations ahead
llvm.func @steps(%arg0: !llvm.ptr, %arg1: !llvm.ptr, %arg2: i64) -> i64
  attributes {cira.facts = {loops = [{breaks, parent = -1 : i64, trips = 0 : i64, unbounded = "it is not known beforehand how often the loop runs"}]}} {
  %0 = llvm.mlir.constant(0 : i64) : i64
  %1 = llvm.mlir.constant(1 : i64) : i64
  llvm.br ^bb1(%0, %arg0 : i64, !llvm.ptr)
^bb1(%2: i64, %3: !llvm.ptr):
  %4 = llvm.load %3 {alignment = 8 : i64, cira.facts = {always}} : !llvm.ptr -> !llvm.ptr
  %5 = llvm.load %4 {alignment = 8 : i64, cira.facts = {always}} : !llvm.ptr -> i64
  %6 = llvm.icmp "sgt" %5, %0 : i64
  %7 = llvm.zext %6 : i1 to i64
  %8 = llvm.add %2, %7 : i64
  llvm.cond_br %6, ^bb3(%8 : i64), ^bb2 {cira.facts = {loop = 0 : i64, percent = 100 : i64, steps = array<i64: 0, 0>}}
^bb2:
  %9 = llvm.getelementptr inbounds %3[%arg2] : (!llvm.ptr, i64) -> !llvm.ptr, !llvm.struct<(ptr, ptr, i64)>
  %10 = llvm.icmp "ult" %9, %arg1 : !llvm.ptr
  llvm.cond_br %10, ^bb1(%8, %9 : i64, !llvm.ptr), ^bb3(%8 : i64) {cira.facts = {latch, loop = 0 : i64, percent = 97 : i64}}
^bb3(%11: i64):
  llvm.return %11 : i64
}

// -----

// The same loop inside another: it is entered often, so it ends soon.
// CHECK-LABEL: llvm.func @parts
// CHECK-NOT: llvm.intr.prefetch
// REMARK: missed: the loop is inside another and can be left in its middle
llvm.func @parts(%arg0: !llvm.ptr, %arg1: !llvm.ptr, %arg2: i64) -> i64 
  attributes {cira.facts = {loops = [{parent = -1 : i64, unbounded = "it is not known beforehand how often the loop runs"}, {breaks, parent = 0 : i64, percent = 1600 : i64, unbounded = "the loop can be left in its middle"}]}} {
  %0 = llvm.mlir.constant(0 : i64) : i64
  %1 = llvm.mlir.constant(1 : i64) : i64
  llvm.br ^bb1(%0 : i64)
^bb1(%2: i64):
  llvm.br ^bb2(%2 : i64) {cira.facts = {loop = 0 : i64, percent = 100 : i64}}
^bb2(%3: i64):
  %4 = llvm.getelementptr inbounds %arg1[%3] : (!llvm.ptr, i64) -> !llvm.ptr, i32
  %5 = llvm.load %4 {alignment = 4 : i64, cira.facts = {always, stride_bytes = 4 : i64}} : !llvm.ptr -> i32
  %6 = llvm.zext %5 : i32 to i64
  %7 = llvm.getelementptr inbounds %arg0[%6] : (!llvm.ptr, i64) -> !llvm.ptr, i64
  %8 = llvm.load %7 {alignment = 8 : i64, cira.facts = {always}} : !llvm.ptr -> i64
  %9 = llvm.and %8, %1  : i64
  %10 = llvm.icmp "eq" %9, %0 : i64
  %11 = llvm.add %3, %1 : i64
  llvm.cond_br %10, ^bb3, ^bb2(%11 : i64) {cira.facts = {latch, loop = 1 : i64, percent = 100 : i64, steps = array<i64: 1>}}
^bb3:
  %12 = llvm.icmp "ult" %11, %arg2 : i64
  llvm.cond_br %12, ^bb1(%11 : i64), ^bb4 {cira.facts = {latch, loop = 0 : i64, percent = 100 : i64}}
^bb4:
  llvm.return %11 : i64
}

// -----

// Rows that are left in their middle, of vertices that have not been found: the
// first entries of a later row are asked for where an iteration begins, found or
// not, as far as the bounds lie in what has been touched.
// CHECK-LABEL: llvm.func @found
// CHECK: %[[BY:.*]] = llvm.mul
// CHECK-NEXT: %[[FAR:.*]] = llvm.add %[[V:[0-9]+]], %[[BY]] : i64
// CHECK-NEXT: %[[ROW:.*]] = llvm.getelementptr %arg0[%[[FAR]]]
// CHECK: llvm.icmp "uge"
// CHECK-NEXT: llvm.icmp "ule"
// CHECK: %[[FIRST:.*]] = llvm.load %{{.*}} {alignment = 1 : i64} : !llvm.ptr -> i64
// CHECK-NEXT: %[[AT:.*]] = llvm.freeze %[[FIRST]]
// CHECK-NEXT: %[[LINE:.*]] = llvm.getelementptr %arg1[%[[AT]]]
// CHECK-NEXT: "llvm.intr.prefetch"(%[[LINE]])
// CHECK: llvm.getelementptr inbounds %arg3[%[[V]]]
// CHECK: call @cira_choice1_enter
// REMARK: looks 32 entries of a queue ahead, through 1 load, where that is faster
llvm.func @cira.last(i64, !llvm.ptr, i64)
llvm.func @found(%arg0: !llvm.ptr, %arg1: !llvm.ptr, %arg2: !llvm.ptr, %arg3: !llvm.ptr, %arg4: i64) attributes {cira.facts = {loops = [{bounded, parent = -1 : i64, trips = 0 : i64}, {breaks, parent = 0 : i64, percent = 305 : i64, trips = 0 : i64, unbounded = "the loop can be left in its middle"}]}} {
  %0 = llvm.mlir.constant(0 : i64) : i64
  %1 = llvm.mlir.constant(-1 : i64) : i64
  %2 = llvm.mlir.constant(2 : i64) : i64
  %3 = llvm.mlir.constant(-4 : i64) : i64
  %4 = llvm.mlir.constant(-1 : i32) : i32
  %5 = llvm.mlir.constant(8 : i64) : i64
  %6 = llvm.mlir.constant(6 : i32) : i32
  %7 = llvm.mlir.constant(63 : i32) : i32
  %8 = llvm.mlir.constant(1 : i64) : i64
  %9 = llvm.icmp "eq" %arg4, %0 : i64
  llvm.cond_br %9, ^bb2, ^bb1
^bb1:
  %10 = llvm.add %arg4, %1 : i64
  %11 = llvm.shl %arg4, %2 : i64
  %12 = llvm.add %11, %3 : i64
  %13 = llvm.getelementptr %arg3[%12] : (!llvm.ptr, i64) -> !llvm.ptr, i8
  llvm.call @cira.last(%0, %13, %10) : (i64, !llvm.ptr, i64) -> ()
  llvm.br ^bb3(%0 : i64)
^bb2:
  llvm.return
^bb3(%14: i64):
  %15 = llvm.getelementptr inbounds %arg3[%14] : (!llvm.ptr, i64) -> !llvm.ptr, i32
  %16 = llvm.load %15 {alignment = 4 : i64, cira.facts = {always, last = 0 : i64, stride_bytes = 4 : i64}} : !llvm.ptr -> i32
  %17 = llvm.icmp "sgt" %16, %4 : i32
  llvm.cond_br %17, ^bb8, ^bb4 {cira.facts = {loop = 0 : i64, percent = 100 : i64, steps = array<i64: 1>}}
^bb4:
  %18 = llvm.getelementptr inbounds %arg0[%14] : (!llvm.ptr, i64) -> !llvm.ptr, i64
  %19 = llvm.load %18 {alignment = 8 : i64, cira.facts = {stride_bytes = 8 : i64, unwritten, unwritten_in = 0 : i64}} : !llvm.ptr -> i64
  %20 = llvm.getelementptr %18[%5] : (!llvm.ptr, i64) -> !llvm.ptr, i8
  %21 = llvm.load %20 {alignment = 8 : i64, cira.facts = {stride_bytes = 8 : i64, unwritten, unwritten_in = 0 : i64}} : !llvm.ptr -> i64
  %22 = llvm.icmp "ult" %19, %21 : i64
  llvm.cond_br %22, ^bb6(%19 : i64), ^bb8 {cira.facts = {loop = 0 : i64, percent = 38 : i64}}
^bb5:
  %23 = llvm.add %25, %8 : i64
  %24 = llvm.icmp "eq" %23, %21 : i64
  llvm.cond_br %24, ^bb8, ^bb6(%23 : i64) {cira.facts = {latch, loop = 1 : i64, percent = 97 : i64}}
^bb6(%25: i64):
  %26 = llvm.getelementptr inbounds %arg1[%25] : (!llvm.ptr, i64) -> !llvm.ptr, i32
  %27 = llvm.load %26 {alignment = 4 : i64, cira.facts = {always, stride_bytes = 4 : i64, unwritten_in = 1 : i64}} : !llvm.ptr -> i32
  %28 = llvm.lshr %27, %6  : i32
  %29 = llvm.zext %28 : i32 to i64
  %30 = llvm.getelementptr inbounds %arg2[%29] : (!llvm.ptr, i64) -> !llvm.ptr, i64
  %31 = llvm.load %30 {alignment = 8 : i64, cira.facts = {always, extent_bytes = 536870905 : i64, unwritten_in = 0 : i64}} : !llvm.ptr -> i64
  %32 = llvm.and %27, %7  : i32
  %33 = llvm.zext %32 : i32 to i64
  %34 = llvm.shl %8, %33 overflow<nuw> : i64
  %35 = llvm.and %34, %31  : i64
  %36 = llvm.icmp "eq" %35, %0 : i64
  llvm.cond_br %36, ^bb5, ^bb7 {cira.facts = {loop = 1 : i64, percent = 100 : i64, steps = array<i64: 1>}}
^bb7:
  llvm.store %27, %15 {alignment = 4 : i64, cira.facts = {stride_bytes = 4 : i64}} : i32, !llvm.ptr
  llvm.br ^bb8 {cira.facts = {loop = 0 : i64, percent = 10 : i64}}
^bb8:
  %37 = llvm.add %14, %8 overflow<nuw> : i64
  %38 = llvm.icmp "eq" %37, %arg4 : i64
  llvm.cond_br %38, ^bb2, ^bb3(%37 : i64) {cira.facts = {latch, loop = 0 : i64, percent = 100 : i64}}
}
