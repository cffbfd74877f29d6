// SPDX-License-Identifier: Apache-2.0
// Where arrays lie, as the counters tell: one of unknown size is not put into
// local memory by a pass, and one that the program puts there is counted.
// REQUIRES: jit
// RUN: cira-run --far host: --local 256K --stats=%t.json %s 524288 | FileCheck %s
// RUN: FileCheck %s --check-prefix=STATS --input-file %t.json
// CHECK: {{^}}6144{{$}}
// STATS: "far_bytes_peak": {{[4-9][0-9][0-9][0-9][0-9][0-9][0-9]}},
// STATS: "near_bytes_peak": {{[4-9][0-9][0-9][0-9][0-9][0-9][0-9]}},

func.func @touch(%h: !cira.handle<i64>, %n: index) -> i64 {
  %c0 = arith.constant 0 : index
  %page = arith.constant 512 : index
  %zero = arith.constant 0 : i64
  %three = arith.constant 3 : i64
  scf.for %i = %c0 to %n step %page {
    cira.store %three, %h[%i] : i64, !cira.handle<i64>
  }
  %r = scf.for %i = %c0 to %n step %page iter_args(%s = %zero) -> i64 {
    %v = cira.load %h[%i] : !cira.handle<i64> -> i64
    %t = arith.addi %s, %v : i64
    scf.yield %t : i64
  }
  return %r : i64
}

func.func @main(%n: index) -> i64 {
  %c0 = arith.constant 0 : index
  %page = arith.constant 512 : index
  %zero = arith.constant 0 : i64
  %three = arith.constant 3 : i64
  %here = cira.alloc(%n) tier(local) : !cira.handle<i64>
  %x = func.call @touch(%here, %n) : (!cira.handle<i64>, index) -> i64
  cira.dealloc %here : !cira.handle<i64>
  %open = cira.alloc(%n) : !cira.handle<i64>
  scf.for %i = %c0 to %n step %page {
    cira.store %three, %open[%i] : i64, !cira.handle<i64>
  }
  %y = scf.for %i = %c0 to %n step %page iter_args(%s = %zero) -> i64 {
    %v = cira.load %open[%i] : !cira.handle<i64> -> i64
    %t = arith.addi %s, %v : i64
    scf.yield %t : i64
  }
  cira.dealloc %open : !cira.handle<i64>
  %r = arith.addi %x, %y : i64
  return %r : i64
}
