// SPDX-License-Identifier: Apache-2.0
// Hints never change a result: with good addresses, past the end, null, and a
// chain that leads nowhere.
// REQUIRES: jit
// RUN: %everywhere %s | FileCheck %s

!Node = !llvm.struct<"Node", (i64, ptr)>

func.func @arrays(%n: index) -> i64 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c64 = arith.constant 64 : index
  %minus = arith.constant -64 : index
  %level1 = arith.constant 1 : i32
  %level3 = arith.constant 3 : i32
  %zero = arith.constant 0 : i64
  %null = cira.handle_null : !cira.handle<i64>
  %p = cira.alloc(%n) : !cira.handle<i64>
  scf.for %i = %c0 to %n step %c1 {
    %v = arith.index_cast %i : index to i64
    cira.store %v, %p[%i] : i64, !cira.handle<i64>
  }
  cira.prefetch_stream %null, %c64, %n : !cira.handle<i64>, index, index
  cira.install_cacheline %null, %level1 : !cira.handle<i64>, i32
  cira.evict_hint %null : !cira.handle<i64>
  %r = scf.for %i = %c0 to %n step %c64 iter_args(%s = %zero) -> i64 {
    %h = cira.handle_offset %p[%i] : !cira.handle<i64>
    cira.prefetch_stream %h, %c64, %c64 : !cira.handle<i64>, index, index
    cira.prefetch_stream %h, %minus, %c64 : !cira.handle<i64>, index, index
    cira.install_cacheline %h, %level3 : !cira.handle<i64>, i32
    %small = arith.index_cast %i : index to i32
    %one = arith.constant 1 : i32
    %two = arith.constant 2 : i32
    %mod = arith.andi %small, %one : i32
    %level = arith.addi %mod, %two : i32
    cira.install_cacheline %h, %level : !cira.handle<i64>, i32
    %v = cira.load %h : !cira.handle<i64> -> i64
    cira.evict_hint %h : !cira.handle<i64>
    %w = cira.load %h : !cira.handle<i64> -> i64
    %x = arith.addi %v, %w : i64
    %t = arith.addi %s, %x : i64
    scf.yield %t : i64
  }
  cira.dealloc %p : !cira.handle<i64>
  return %r : i64
}

// The pointer in the last node is not one.
func.func @chains(%n: index) -> i64 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c8 = arith.constant 8 : index
  %depth = arith.constant 100 : index
  %bad = arith.constant 81985529216486895 : i64
  %p = cira.alloc(%n) : !cira.handle<!Node>
  %head = cira.alloc(%c1) : !cira.handle<!cira.handle<!Node>>
  cira.store %p, %head : !cira.handle<!Node>, !cira.handle<!cira.handle<!Node>>
  %last = arith.subi %n, %c1 : index
  scf.for %i = %c0 to %last step %c1 {
    %up = arith.addi %i, %c1 : index
    %q = cira.handle_offset %p[%i] : !cira.handle<!Node>
    %next = cira.handle_offset %p[%up] : !cira.handle<!Node>
    %v = arith.index_cast %i : index to i64
    cira.store %v, %q[0] : i64, !cira.handle<!Node>
    cira.store %next, %q[1] : !cira.handle<!Node>, !cira.handle<!Node>
  }
  %q = cira.handle_offset %p[%last] : !cira.handle<!Node>
  %wild = llvm.inttoptr %bad : i64 to !llvm.ptr
  cira.store %wild, %q[1] : !llvm.ptr, !cira.handle<!Node>
  cira.prefetch_indirect %head, %c8, %depth : !cira.handle<!cira.handle<!Node>>, index, index
  %link = cira.handle_field %q[1] : !cira.handle<!Node> -> !cira.handle<!llvm.ptr>
  cira.prefetch_indirect %link, %c8, %depth : !cira.handle<!llvm.ptr>, index, index
  cira.offload @vortex {
    cira.prefetch_indirect %head, %c8, %depth : !cira.handle<!cira.handle<!Node>>, index, index
  }
  cira.barrier
  %v = cira.load %p[0] : !cira.handle<!Node> -> i64
  %fifth = cira.handle_offset %p[5] : !cira.handle<!Node>
  %w = cira.load %fifth[0] : !cira.handle<!Node> -> i64
  %r = arith.addi %v, %w : i64
  cira.dealloc %p : !cira.handle<!Node>
  cira.dealloc %head : !cira.handle<!cira.handle<!Node>>
  return %r : i64
}

// CHECK: {{^}}67043328{{$}}
// CHECK-NEXT: {{^}}5{{$}}
func.func @main() -> (i64, i64) {
  %n = arith.constant 65536 : index
  %few = arith.constant 50 : index
  %a = func.call @arrays(%n) : (index) -> i64
  %b = func.call @chains(%few) : (index) -> i64
  return %a, %b : i64, i64
}
