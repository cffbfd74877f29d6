// SPDX-License-Identifier: Apache-2.0
// Loops that get a version for far memory, with the facts that the clang
// plug-in attaches.
// RUN: cira-opt %s --split-input-file --cira-llvm-far 2>/dev/null | FileCheck %s
// RUN: cira-opt %s --split-input-file --cira-llvm-far 2>&1 | FileCheck %s --check-prefix=REMARK

// Both arrays are walked, one of them is written: a third version in blocks.
// REMARK: cira-llvm-far: a version for far memory: 2 accesses find their pages, 2 arrays are walked in blocks of pages
// CHECK-DAG: llvm.func extern_weak @cira_loop_begin(!llvm.ptr) -> i32
// CHECK-DAG: llvm.func extern_weak @cira_loop_walk(!llvm.ptr, i32, i64) -> i64
// CHECK-LABEL: llvm.func @copy
// CHECK-SAME: changed
// CHECK: %[[VIEW:.*]] = llvm.alloca %{{.*}} x !llvm.array<120 x i8>
// The old loop.
// CHECK: ^[[OLD:bb[0-9]+]](%{{.*}}: i64):
// CHECK: llvm.load %{{.*}} {{.*}}: !llvm.ptr -> i64
// CHECK: llvm.store
// CHECK: llvm.cond_br %{{.*}}, ^[[OLDEND:bb[0-9]+]], ^[[OLD]]
// The version that looks up; sequential stores stay as they are.
// CHECK: %[[AT:.*]] = llvm.ptrtoint
// CHECK: %[[OFFSET:.*]] = llvm.sub %[[AT]]
// CHECK: %[[PAGE:.*]] = llvm.lshr %[[OFFSET]]
// CHECK: %[[INDEX:.*]] = llvm.intr.umin(%[[PAGE]], %{{.*}})
// CHECK: %[[WORD:.*]] = llvm.load %{{.*}} atomic acquire {alignment = 4 : i64} : !llvm.ptr -> i32
// CHECK: llvm.and %[[WORD]]
// CHECK: %[[AWAY:.*]] = llvm.icmp "eq"
// CHECK: llvm.cond_br %[[AWAY]], ^
// The choice between the versions by length, and in front of the loop.
// CHECK: %[[LEAST:.*]] = llvm.mlir.constant(255 : i64) : i64
// CHECK: llvm.icmp "uge" %{{.*}}, %[[LEAST]]
// CHECK: %[[BEGIN:.*]] = llvm.mlir.addressof @cira_loop_begin : !llvm.ptr
// CHECK: llvm.icmp "ne" %[[BEGIN]]
// CHECK: llvm.call @cira_loop_begin(%[[VIEW]]) : (!llvm.ptr) -> i32
// CHECK: llvm.call @cira_loop_end(%[[VIEW]]) : (!llvm.ptr) -> ()
// The loop in blocks.
// CHECK: ^[[PIECE:bb[0-9]+]](%{{[0-9]+}}: i64, %{{[0-9]+}}: i64, %{{[0-9]+}}: i64, %[[E0:[0-9]+]]: i64, %[[E1:[0-9]+]]: i64):
// CHECK: %[[K:.*]] = llvm.call @cira_loop_walk(%{{.*}}, %{{.*}}, %[[LEFT:.*]]) : (!llvm.ptr, i32, i64) -> i64
// CHECK: %[[LATER:.*]] = llvm.sub %[[LEFT]], %[[K]]
// CHECK: %[[D0:.*]] = llvm.load
// CHECK: %[[D1:.*]] = llvm.load
// CHECK: llvm.br ^[[PIECE]](%{{.*}}, %[[K]], %[[LATER]], %[[D0]], %[[D1]] :
// CHECK: llvm.getelementptr %{{.*}}[%[[E0]]]
// CHECK: llvm.load %{{.*}} {alignment = 8 : i64} : !llvm.ptr -> i64
// CHECK: llvm.getelementptr %{{.*}}[%[[E1]]]
// CHECK: llvm.store %{{.*}} {alignment = 8 : i64} : i64, !llvm.ptr
// CHECK: llvm.call @cira_loop_walk_end() : () -> ()
// The old loop tells when it ends, if it is timed.
// CHECK: ^[[OLDEND]]:
// CHECK: %[[FIELD:.*]] = llvm.getelementptr %[[VIEW]][88]
// CHECK: %[[TIMED:.*]] = llvm.load %[[FIELD]] : !llvm.ptr -> i64
// CHECK: %[[TELL:.*]] = llvm.icmp "ne" %[[TIMED]]
// CHECK: llvm.cond_br %[[TELL]], ^[[TELLS:bb[0-9]+]], ^
// CHECK: ^[[TELLS]]:
// CHECK: llvm.call @cira_loop_end(%[[VIEW]]) : (!llvm.ptr) -> ()
llvm.func @cira.first(i64, !llvm.ptr)
llvm.func @cira.count(i64, i64)
llvm.func @copy(%a: !llvm.ptr, %b: !llvm.ptr, %n: i64)
    attributes {cira.facts = {loops = [{bounded, parent = -1 : i64}]}} {
  %c0 = llvm.mlir.constant(0 : i64) : i64
  %c1 = llvm.mlir.constant(1 : i64) : i64
  llvm.call @cira.first(%c0, %b) : (i64, !llvm.ptr) -> ()
  llvm.call @cira.first(%c1, %a) : (i64, !llvm.ptr) -> ()
  %again = llvm.sub %n, %c1 : i64
  llvm.call @cira.count(%c0, %again) : (i64, i64) -> ()
  llvm.br ^loop(%c0 : i64)
^loop(%i: i64):
  %p = llvm.getelementptr %b[%i] : (!llvm.ptr, i64) -> !llvm.ptr, i64
  %x = llvm.load %p {alignment = 8 : i64, cira.facts = {always, stride_bytes = 8 : i64, walk = 0 : i64}} : !llvm.ptr -> i64
  %q = llvm.getelementptr %a[%i] : (!llvm.ptr, i64) -> !llvm.ptr, i64
  llvm.store %x, %q {alignment = 8 : i64, cira.facts = {always, stride_bytes = 8 : i64, walk = 1 : i64}} : i64, !llvm.ptr
  %j = llvm.add %i, %c1 : i64
  %done = llvm.icmp "eq" %j, %n : i64
  llvm.cond_br %done, ^end, ^loop(%j : i64) {cira.facts = {latch, loop = 0 : i64, percent = 100 : i64, steps = array<i64: 1>}}
^end:
  llvm.return
}

// -----

// A store to any place is put.
// REMARK: a version for far memory: 1 accesses find their pages, 0 arrays
// CHECK-LABEL: llvm.func @scatter
// CHECK: llvm.intr.umin
// CHECK: llvm.cond_br %{{.*}}, ^[[AWAY:bb[0-9]+]], ^[[HERE:bb[0-9]+]]
// CHECK: ^[[AWAY]]:
// CHECK: %[[BITS:.*]] = llvm.bitcast %{{.*}} : f32 to i32
// CHECK: %[[WIDE:.*]] = llvm.zext %[[BITS]] : i32 to i64
// CHECK: llvm.call @cira_loop_put(%{{.*}}, %[[WIDE]], %{{.*}}) : (!llvm.ptr, i64, i32) -> ()
// CHECK: ^[[HERE]]:
// CHECK: llvm.store %{{.*}} {alignment = 4 : i64} : f32, !llvm.ptr
llvm.func @scatter(%a: !llvm.ptr, %v: f32, %n: i64)
    attributes {cira.facts = {loops = [{bounded, parent = -1 : i64}]}} {
  %c0 = llvm.mlir.constant(0 : i64) : i64
  %c1 = llvm.mlir.constant(1 : i64) : i64
  %c77 = llvm.mlir.constant(77777 : i64) : i64
  llvm.br ^loop(%c0 : i64)
^loop(%i: i64):
  %h = llvm.mul %i, %c77 : i64
  %k = llvm.urem %h, %n : i64
  %q = llvm.getelementptr %a[%k] : (!llvm.ptr, i64) -> !llvm.ptr, f32
  llvm.store %v, %q {alignment = 4 : i64, cira.facts = {always}} : f32, !llvm.ptr
  %j = llvm.add %i, %c1 : i64
  %done = llvm.icmp "eq" %j, %n : i64
  llvm.cond_br %done, ^end, ^loop(%j : i64) {cira.facts = {latch, loop = 0 : i64, percent = 100 : i64, steps = array<i64: 1>}}
^end:
  llvm.return
}

// -----

// Rows: each version of the nest counts its rows and what is in them, and asks
// again after so many.
// REMARK: a version for far memory: {{[0-9]+}} accesses find their pages, 1 arrays
// CHECK-LABEL: llvm.func @rows
// CHECK: %[[VIEW:.*]] = llvm.alloca %{{.*}} x !llvm.array<120 x i8>
// The old nest.
// CHECK: ^[[OLD:bb[0-9]+]](%[[ROW:.*]]: i64):
// CHECK: %[[MORE:.*]] = llvm.sub %{{.*}}, %{{.*}} : i64
// CHECK: %[[PLACE:.*]] = llvm.getelementptr %[[VIEW]][72]
// CHECK: %[[LEFT:.*]] = llvm.load %[[PLACE]]
// CHECK: %[[REST:.*]] = llvm.sub %[[LEFT]], %[[MORE]]
// CHECK: llvm.store %[[REST]], %[[PLACE]]
// CHECK: llvm.cond_br %{{.*}}, ^{{.*}}, ^[[TICK:bb[0-9]+]](%{{.*}} : i64)
// CHECK: %[[CHOICE:.*]] = llvm.mlir.addressof @cira_loop_begin
// A row in one page is looked up once, a longer one walked in blocks.
// CHECK: %[[DIFFER:.*]] = llvm.xor
// CHECK: %[[APART:.*]] = llvm.or %{{.*}}, %[[DIFFER]]
// CHECK: llvm.icmp "ult" %[[APART]]
// CHECK: llvm.intr.umin
// CHECK: llvm.call @cira_loop_walk(
// The tick of the old nest is behind all of the new one.
// CHECK: ^[[TICK]](%{{.*}}: i64):
// CHECK: %[[COUNT:.*]] = llvm.sub %{{.*}}, %{{.*}} : i64
// CHECK: llvm.store %[[COUNT]]
// CHECK: %[[GOES:.*]] = llvm.icmp "sgt" %[[COUNT]]
// CHECK: llvm.cond_br %[[GOES]], ^[[OLD]](%{{.*}} : i64), ^[[ANEW:bb[0-9]+]]
// CHECK: ^[[ANEW]]:
// CHECK: llvm.call @cira_loop_end(%[[VIEW]]) : (!llvm.ptr) -> ()
llvm.func @cira.first(i64, !llvm.ptr)
llvm.func @cira.count(i64, i64)
llvm.func @rows(%row: !llvm.ptr, %a: !llvm.ptr, %out: !llvm.ptr, %n: i64)
    attributes {cira.facts = {alone, loops = [{bounded, parent = -1 : i64}, {bounded, parent = 0 : i64, varies}]}} {
  %c0 = llvm.mlir.constant(0 : i64) : i64
  %c1 = llvm.mlir.constant(1 : i64) : i64
  llvm.br ^row(%c0 : i64)
^row(%i: i64):
  %p = llvm.getelementptr %row[%i] : (!llvm.ptr, i64) -> !llvm.ptr, i64
  %length = llvm.load %p {alignment = 8 : i64, cira.facts = {always}} : !llvm.ptr -> i64
  %first = llvm.getelementptr %a[%i] : (!llvm.ptr, i64) -> !llvm.ptr, i64
  llvm.call @cira.first(%c0, %first) : (i64, !llvm.ptr) -> ()
  %again = llvm.sub %length, %c1 : i64
  llvm.call @cira.count(%c1, %again) : (i64, i64) -> ()
  llvm.br ^entry(%c0, %c0 : i64, i64) {cira.facts = {loop = 0 : i64, percent = 100 : i64, steps = array<i64: 1>}}
^entry(%e: i64, %s: i64):
  %at = llvm.add %i, %e : i64
  %q = llvm.getelementptr %a[%at] : (!llvm.ptr, i64) -> !llvm.ptr, i64
  %x = llvm.load %q {alignment = 8 : i64, cira.facts = {always, stride_bytes = 8 : i64, walk = 0 : i64, unwritten_in = 1 : i64}} : !llvm.ptr -> i64
  %t = llvm.add %s, %x : i64
  %f = llvm.add %e, %c1 : i64
  %last = llvm.icmp "eq" %f, %length : i64
  llvm.cond_br %last, ^end(%t : i64), ^entry(%f, %t : i64, i64) {cira.facts = {latch, loop = 1 : i64, percent = 100 : i64, steps = array<i64: 1, 0>}}
^end(%sum: i64):
  %o = llvm.getelementptr %out[%i] : (!llvm.ptr, i64) -> !llvm.ptr, i64
  llvm.store %sum, %o {alignment = 8 : i64, cira.facts = {always, stride_bytes = 8 : i64}} : i64, !llvm.ptr
  %j = llvm.add %i, %c1 : i64
  %done = llvm.icmp "eq" %j, %n : i64
  llvm.cond_br %done, ^out, ^row(%j : i64) {cira.facts = {latch, loop = 0 : i64, percent = 100 : i64}}
^out:
  llvm.return
}

// -----

// Reads anywhere, and writes what passes by: the written array tells where it
// is (8 bytes, flag 2), and the nest has a third version, which walks only.
// REMARK: a version for far memory: 2 accesses find their pages, 2 arrays
// CHECK-LABEL: llvm.func @gather
// The version that looks up all but what is written in order.
// CHECK-COUNT-2: llvm.intr.umin
// CHECK: %[[TWO:.*]] = llvm.mlir.constant(2 : i64) : i64
// CHECK: llvm.store %[[TWO]], %{{.*}} : i64, !llvm.ptr
// CHECK: %[[ANSWER:.*]] = llvm.call @cira_loop_begin
// CHECK: %[[NEAR:.*]] = llvm.mlir.constant(2 : i32) : i32
// CHECK: llvm.icmp "eq" %[[ANSWER]], %[[NEAR]]
// CHECK: llvm.icmp "ne" %[[ANSWER]]
// CHECK: llvm.mlir.constant(8589934600 : i64) : i64
// CHECK: llvm.call @cira_loop_walk(
// CHECK: llvm.intr.umin
// CHECK: llvm.call @cira_loop_walk(
// CHECK-NOT: llvm.intr.umin
llvm.func @cira.first(i64, !llvm.ptr)
llvm.func @cira.count(i64, i64)
llvm.func @gather(%out: !llvm.ptr, %v: !llvm.ptr, %index: !llvm.ptr, %n: i64)
    attributes {cira.facts = {loops = [{bounded, parent = -1 : i64}]}} {
  %c0 = llvm.mlir.constant(0 : i64) : i64
  %c1 = llvm.mlir.constant(1 : i64) : i64
  llvm.call @cira.first(%c0, %index) : (i64, !llvm.ptr) -> ()
  llvm.call @cira.first(%c1, %out) : (i64, !llvm.ptr) -> ()
  %again = llvm.sub %n, %c1 : i64
  llvm.call @cira.count(%c0, %again) : (i64, i64) -> ()
  llvm.br ^loop(%c0 : i64)
^loop(%i: i64):
  %p = llvm.getelementptr %index[%i] : (!llvm.ptr, i64) -> !llvm.ptr, i64
  %k = llvm.load %p {alignment = 8 : i64, cira.facts = {always, stride_bytes = 8 : i64, walk = 0 : i64, unwritten_in = 0 : i64}} : !llvm.ptr -> i64
  %e = llvm.getelementptr %v[%k] : (!llvm.ptr, i64) -> !llvm.ptr, i64
  %x = llvm.load %e {alignment = 8 : i64, cira.facts = {always}} : !llvm.ptr -> i64
  %q = llvm.getelementptr %out[%i] : (!llvm.ptr, i64) -> !llvm.ptr, i64
  llvm.store %x, %q {alignment = 8 : i64, cira.facts = {always, stride_bytes = 8 : i64, walk = 1 : i64}} : i64, !llvm.ptr
  %j = llvm.add %i, %c1 : i64
  %done = llvm.icmp "eq" %j, %n : i64
  llvm.cond_br %done, ^end, ^loop(%j : i64) {cira.facts = {latch, loop = 0 : i64, percent = 100 : i64, steps = array<i64: 1>}}
^end:
  llvm.return
}

// -----

// What is walked may be written in the loop: each store is compared with the
// block, and one that meets it ends reading at home.
// REMARK: a version for far memory: 3 accesses find their pages, 1 arrays
// CHECK-LABEL: llvm.func @count
// CHECK: %[[AT:[0-9]+]] = llvm.alloca %{{.*}} x !llvm.array<8 x i8>
// CHECK: %[[LOW:[0-9]+]] = llvm.alloca %{{.*}} x !llvm.array<8 x i8>
// CHECK: ^{{bb[0-9]+}}(%{{[0-9]+}}: i64, %{{[0-9]+}}: i64, %{{[0-9]+}}: i64, %[[D:[0-9]+]]: i64):
// CHECK: llvm.store %[[D]], %[[AT]] : i64, !llvm.ptr
// CHECK: %[[FIRST:.*]] = llvm.load %[[LOW]]
// CHECK: %[[BEFORE:.*]] = llvm.sub %[[FIRST]]
// CHECK: %[[SPAN:.*]] = llvm.add
// CHECK: llvm.call @cira_loop_walk(
// CHECK: %[[BY:.*]] = llvm.load %[[AT]] : !llvm.ptr -> i64
// CHECK: llvm.getelementptr %{{.*}}[%[[BY]]]
// CHECK: %[[FROM:.*]] = llvm.sub %{{.*}}, %[[BEFORE]]
// CHECK: llvm.icmp "ult" %[[FROM]], %[[SPAN]]
// CHECK: llvm.cond_br %{{.*}}, ^[[HIT:bb[0-9]+]], ^
// CHECK: ^[[HIT]]:
// CHECK: llvm.store %{{.*}}, %[[AT]] : i64, !llvm.ptr
llvm.func @cira.first(i64, !llvm.ptr)
llvm.func @cira.count(i64, i64)
llvm.func @count(%v: !llvm.ptr, %index: !llvm.ptr, %n: i64)
    attributes {cira.facts = {loops = [{bounded, parent = -1 : i64}]}} {
  %c0 = llvm.mlir.constant(0 : i64) : i64
  %c1 = llvm.mlir.constant(1 : i64) : i64
  llvm.call @cira.first(%c0, %index) : (i64, !llvm.ptr) -> ()
  %again = llvm.sub %n, %c1 : i64
  llvm.call @cira.count(%c0, %again) : (i64, i64) -> ()
  llvm.br ^loop(%c0 : i64)
^loop(%i: i64):
  %p = llvm.getelementptr %index[%i] : (!llvm.ptr, i64) -> !llvm.ptr, i64
  %k = llvm.load %p {alignment = 8 : i64, cira.facts = {always, stride_bytes = 8 : i64, walk = 0 : i64}} : !llvm.ptr -> i64
  %e = llvm.getelementptr %v[%k] : (!llvm.ptr, i64) -> !llvm.ptr, i64
  %x = llvm.load %e {alignment = 8 : i64, cira.facts = {always}} : !llvm.ptr -> i64
  %y = llvm.add %x, %c1 : i64
  llvm.store %y, %e {alignment = 8 : i64, cira.facts = {always}} : i64, !llvm.ptr
  %j = llvm.add %i, %c1 : i64
  %done = llvm.icmp "eq" %j, %n : i64
  llvm.cond_br %done, ^end, ^loop(%j : i64) {cira.facts = {latch, loop = 0 : i64, percent = 100 : i64, steps = array<i64: 1>}}
^end:
  llvm.return
}

// -----

// A loop that frees looks up, and walks nothing.
// REMARK: a version for far memory: 1 accesses find their pages, 0 arrays
// CHECK-LABEL: llvm.func @release
// CHECK: llvm.intr.umin
// CHECK: llvm.call @free(
// CHECK-NOT: llvm.call @cira_loop_walk(
llvm.func @cira.first(i64, !llvm.ptr)
llvm.func @cira.count(i64, i64)
llvm.func @free(!llvm.ptr)
llvm.func @release(%v: !llvm.ptr, %n: i64)
    attributes {cira.facts = {loops = [{bounded, parent = -1 : i64}]}} {
  %c0 = llvm.mlir.constant(0 : i64) : i64
  %c1 = llvm.mlir.constant(1 : i64) : i64
  llvm.call @cira.first(%c0, %v) : (i64, !llvm.ptr) -> ()
  %again = llvm.sub %n, %c1 : i64
  llvm.call @cira.count(%c0, %again) : (i64, i64) -> ()
  llvm.br ^loop(%c0 : i64)
^loop(%i: i64):
  %p = llvm.getelementptr %v[%i] : (!llvm.ptr, i64) -> !llvm.ptr, !llvm.ptr
  %x = llvm.load %p {alignment = 8 : i64, cira.facts = {always, stride_bytes = 8 : i64, walk = 0 : i64, unwritten_in = 0 : i64}} : !llvm.ptr -> !llvm.ptr
  llvm.call @free(%x) {cira.facts = {stops = 1 : i64}} : (!llvm.ptr) -> ()
  %j = llvm.add %i, %c1 : i64
  %done = llvm.icmp "eq" %j, %n : i64
  llvm.cond_br %done, ^end, ^loop(%j : i64) {cira.facts = {latch, loop = 0 : i64, percent = 100 : i64, steps = array<i64: 1>}}
^end:
  llvm.return
}
