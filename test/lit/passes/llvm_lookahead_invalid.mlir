// SPDX-License-Identifier: Apache-2.0
// Loops that do not look ahead, each with its reason, and facts that contradict
// themselves.
// RUN: cira-opt %s --split-input-file --cira-llvm-lookahead --verify-diagnostics | FileCheck %s

// CHECK-NOT: llvm.intr.prefetch
// CHECK-NOT: changed

// Something in the loop may free what is read, each time.
llvm.func @cira.last(i64, !llvm.ptr, i64)
llvm.func @wait()
llvm.func @stops(%arg0: !llvm.ptr, %arg1: !llvm.ptr, %arg2: !llvm.ptr, %arg3: !llvm.ptr) -> i64 
  attributes {cira.facts = {loops = [{parent = -1 : i64, unbounded = "it is not known beforehand how often the loop runs"}, {bounded, parent = 0 : i64, percent = 1600 : i64, varies}]}} {
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
// expected-remark @+1 {{cira-llvm-lookahead: missed: a call in the loop may free memory or wait}}
  %17 = llvm.load %16 {alignment = 8 : i64, cira.facts = {always}} : !llvm.ptr -> i64
  %18 = llvm.add %14, %3 : i32
  %19 = llvm.zext %18 : i32 to i64
  %20 = llvm.getelementptr inbounds %arg0[%19] : (!llvm.ptr, i64) -> !llvm.ptr, i64
  %21 = llvm.load %20 {alignment = 8 : i64, cira.facts = {always}} : !llvm.ptr -> i64
  llvm.call @wait() {cira.facts = {stops = 2 : i64}} : () -> ()
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

// Every read is checked by another that knows better.
llvm.func @cira.last(i64, !llvm.ptr, i64)
llvm.func @watched(%arg0: !llvm.ptr, %arg1: !llvm.ptr, %arg2: !llvm.ptr, %arg3: !llvm.ptr) -> i64 
  attributes {cira.facts = {watched, loops = [{parent = -1 : i64, unbounded = "it is not known beforehand how often the loop runs"}, {bounded, parent = 0 : i64, percent = 1600 : i64, varies}]}} {
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
// expected-remark @+1 {{missed: a sanitizer watches what is read}}
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

// Pointers that may leave their object show nothing.
llvm.func @cira.last(i64, !llvm.ptr, i64)
llvm.func @leaves(%arg0: !llvm.ptr, %arg1: !llvm.ptr, %arg2: !llvm.ptr, %arg3: !llvm.ptr) -> i64 
  attributes {cira.facts = {loops = [{parent = -1 : i64, unbounded = "it is not known beforehand how often the loop runs"}, {bounded, parent = 0 : i64, percent = 1600 : i64, varies}]}} {
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
  %13 = llvm.getelementptr %arg3[%10] : (!llvm.ptr, i64) -> !llvm.ptr, i32
  %14 = llvm.load %13 {alignment = 4 : i64, cira.facts = {always, stride_bytes = 4 : i64}} : !llvm.ptr -> i32
  %15 = llvm.zext %14 : i32 to i64
  %16 = llvm.getelementptr %arg0[%15] : (!llvm.ptr, i64) -> !llvm.ptr, i64
// expected-remark @+1 {{missed: no gain by looking ahead in a walk: 16.0 ns per iteration as it is, 16.5 ns with it}}
  %17 = llvm.load %16 {alignment = 8 : i64, cira.facts = {always}} : !llvm.ptr -> i64
  %18 = llvm.add %14, %3 : i32
  %19 = llvm.zext %18 : i32 to i64
  %20 = llvm.getelementptr %arg0[%19] : (!llvm.ptr, i64) -> !llvm.ptr, i64
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
  %29 = llvm.getelementptr %arg1[%27] : (!llvm.ptr, i64) -> !llvm.ptr, i32
  %30 = llvm.load %29 {alignment = 4 : i64, cira.facts = {always, last = 0 : i64, stride_bytes = 4 : i64}} : !llvm.ptr -> i32
  %31 = llvm.zext %30 : i32 to i64
  %32 = llvm.getelementptr %arg2[%31] : (!llvm.ptr, i64) -> !llvm.ptr, i32
  %33 = llvm.load %32 {alignment = 4 : i64, cira.facts = {always}} : !llvm.ptr -> i32
  %34 = llvm.icmp "slt" %33, %6 : i32
  llvm.cond_br %34, ^bb5, ^bb6(%28 : i64) {cira.facts = {loop = 1 : i64, percent = 100 : i64, steps = array<i64: 1, 0>}}
^bb5:
  llvm.store %14, %32 {alignment = 4 : i64, cira.facts = {}} : i32, !llvm.ptr
  %35 = llvm.add %28, %2 : i64
  %36 = llvm.getelementptr %arg3[%28] : (!llvm.ptr, i64) -> !llvm.ptr, i32
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

// So much is done in an iteration that waiting is no part of it.
module attributes {cira.machine = #cira.machine<local_latency_ns = 2, op_ns = 4>} {
llvm.func @cira.last(i64, !llvm.ptr, i64)
llvm.func @gains_nothing(%arg0: !llvm.ptr, %arg1: !llvm.ptr, %arg2: !llvm.ptr, %arg3: !llvm.ptr) -> i64 
  attributes {cira.facts = {loops = [{parent = -1 : i64, unbounded = "it is not known beforehand how often the loop runs"}, {bounded, parent = 0 : i64, percent = 1600 : i64, varies}]}} {
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
// expected-remark @+1 {{missed: no gain by looking ahead in a queue: 106.2 ns per iteration as it is, 232.2 ns with it}}
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

}

// -----

// What a byte chooses from stays in the cache; a volatile index is read once.
llvm.func @byte(%arg0: !llvm.ptr, %arg1: !llvm.ptr) -> i64 
  attributes {cira.facts = {loops = [{parent = -1 : i64, unbounded = "it is not known beforehand how often the loop runs"}]}} {
  %0 = llvm.mlir.constant(0 : i64) : i64
  %1 = llvm.mlir.constant(1 : i64) : i64
  llvm.br ^bb1(%0 : i64)
^bb1(%2: i64):
  %3 = llvm.getelementptr inbounds %arg1[%2] : (!llvm.ptr, i64) -> !llvm.ptr, i32
  %4 = llvm.load %3 {alignment = 4 : i64, cira.facts = {always, stride_bytes = 4 : i64}} : !llvm.ptr -> i8
  %5 = llvm.zext %4 : i8 to i64
  %6 = llvm.getelementptr inbounds %arg0[%5] : (!llvm.ptr, i64) -> !llvm.ptr, i64
  %7 = llvm.load %6 {alignment = 8 : i64, cira.facts = {always}} : !llvm.ptr -> i64
  %8 = llvm.and %7, %1  : i64
  %9 = llvm.icmp "eq" %8, %0 : i64
  %10 = llvm.add %2, %1 : i64
  llvm.cond_br %9, ^bb2, ^bb1(%10 : i64) {cira.facts = {latch, loop = 0 : i64, percent = 100 : i64, steps = array<i64: 1>}}
^bb2:
  llvm.return %2 : i64
}
llvm.func @special(%arg0: !llvm.ptr, %arg1: !llvm.ptr) -> i64 
  attributes {cira.facts = {loops = [{parent = -1 : i64, unbounded = "it is not known beforehand how often the loop runs"}]}} {
  %0 = llvm.mlir.constant(0 : i64) : i64
  %1 = llvm.mlir.constant(1 : i64) : i64
  llvm.br ^bb1(%0 : i64)
^bb1(%2: i64):
  %3 = llvm.getelementptr inbounds %arg1[%2] : (!llvm.ptr, i64) -> !llvm.ptr, i32
  %4 = llvm.load %3 {alignment = 4 : i64, cira.facts = {always, special, stride_bytes = 4 : i64}} : !llvm.ptr -> i32
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

// expected-error @+1 {{cira.facts: no such parent: 3; loops are numbered from 0, outer ones first}}
llvm.func @parent() attributes {cira.facts = {loops = [{parent = 3 : i64}]}} {
  llvm.return
}
