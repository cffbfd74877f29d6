// SPDX-License-Identifier: Apache-2.0
// Hints whose numbers make no sense end soon and change nothing: strides and
// counts beyond any address, one element over and over, a chain that is a ring.
// REQUIRES: jit
// RUN: cira-run --far host: --local 256K --entry wild %s -- 0 9223372036854775807 3 | FileCheck %s --check-prefix=WILD
// RUN: cira-run --far host: --local 256K --entry wild %s -- -9223372036854775808 9223372036854775807 1 | FileCheck %s --check-prefix=WILD
// RUN: cira-run --far host: --local 256K --entry wild %s -- 512 1000000000000 1 | FileCheck %s --check-prefix=WILD
// RUN: cira-run --far host: --local 256K --entry wild %s -- -1 1000000000000 1 | FileCheck %s --check-prefix=WILD
// RUN: cira-run --far host: --local 256K --entry wild %s -- 1 9223372036854775807 9223372036854775807 | FileCheck %s --check-prefix=WILD
// RUN: cira-run --far host: --local 1G --entry wild %s -- 0 9223372036854775807 3 | FileCheck %s --check-prefix=WILD
// WILD: {{^}}7{{$}}
// RUN: cira-run --far host: --local 256K --entry cycle %s 9223372036854775807 | FileCheck %s --check-prefix=CYCLE
// RUN: cira-run --far host: --local 1G --entry cycle %s 9223372036854775807 | FileCheck %s --check-prefix=CYCLE
// CYCLE: {{^}}99980000{{$}}

!N = !llvm.struct<"N", (i64, ptr)>

func.func @wild(%stride: index, %count: index, %d: index) -> i64 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %n = arith.constant 100000 : index
  %o = arith.constant 7 : i64
  %lvl = arith.index_cast %d : index to i32
  %h = cira.alloc(%n) tier(far) : !cira.handle<i64>
  cira.store %o, %h[5] : i64, !cira.handle<i64>
  %q = cira.handle_offset %h[%d] : !cira.handle<i64>
  cira.prefetch_stream %h, %stride, %count : !cira.handle<i64>, index, index
  cira.prefetch_stream %q, %stride, %count : !cira.handle<i64>, index, index
  cira.evict_hint %q : !cira.handle<i64>
  cira.install_cacheline %q, %lvl : !cira.handle<i64>, i32
  %s = cira.stream_create_strided %h, %c0, %c1, %n : !cira.handle<i64>, index, index, index -> !cira.stream
  cira.prefetch_stream %s, %d : !cira.stream, index
  cira.offload @vortex { cira.prefetch_stream %s, %d : !cira.stream, index }
  scf.for %i = %c0 to %n step %c1 { cira.advance_stream %s : !cira.stream }
  cira.prefetch_stream %s, %d : !cira.stream, index
  cira.stream_release %s : !cira.stream
  %v = cira.load %h[5] : !cira.handle<i64> -> i64
  return %v : i64
}
// A chain without an end.
func.func @cycle(%depth: index) -> i64 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c8 = arith.constant 8 : index
  %n = arith.constant 5000 : index
  %z = arith.constant 0 : i64
  %h = cira.alloc(%n) tier(far) : !cira.handle<!N>
  %cell = cira.alloc(%c1) tier(far) : !cira.handle<!cira.handle<!N>>
  cira.store %h, %cell : !cira.handle<!N>, !cira.handle<!cira.handle<!N>>
  scf.for %i = %c0 to %n step %c1 {
    %j = arith.addi %i, %c1 : index
    %k = arith.remui %j, %n : index
    %a = cira.handle_offset %h[%i] : !cira.handle<!N>
    %b = cira.handle_offset %h[%k] : !cira.handle<!N>
    %v = arith.index_cast %i : index to i64
    cira.store %v, %a[0] : i64, !cira.handle<!N>
    cira.store %b, %a[1] : !cira.handle<!N>, !cira.handle<!N>
  }
  cira.prefetch_indirect %cell, %c8, %depth : !cira.handle<!cira.handle<!N>>, index, index
  cira.offload @vortex { cira.prefetch_indirect %cell, %c8, %depth : !cira.handle<!cira.handle<!N>>, index, index }
  %s = cira.stream_create_indirect %h, %c8 : !cira.handle<!N>, index -> !cira.stream
  cira.offload @vortex { cira.prefetch_chain %s, %depth : !cira.stream, index }
  %m = arith.muli %n, %c8 : index
  %r = scf.for %i = %c0 to %m step %c1 iter_args(%a = %z) -> i64 {
    %f = cira.peek_stream %s : !cira.stream -> !cira.future<!N>
    %v = cira.await %f : !cira.future<!N> -> !N
    cira.advance_stream %s : !cira.stream
    %d = cira.extract %v[0] : !N -> i64
    %b = arith.addi %a, %d : i64
    scf.yield %b : i64
  }
  cira.stream_release %s : !cira.stream
  cira.barrier
  return %r : i64
}
