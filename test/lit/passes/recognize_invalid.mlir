// SPDX-License-Identifier: Apache-2.0
// Loops in which no pattern is found say why.
// RUN: cira-opt %s --cira-recognize --verify-diagnostics | FileCheck %s

!Tree = !llvm.struct<"Tree", (ptr, ptr)>
func.func private @next(!cira.handle<f32>) -> !cira.handle<f32>

func.func @none(%m: memref<?x?xf32>, %a: memref<?xindex>, %n: index, %k: index, %h: !cira.handle<f32>, %w: memref<?xf32, strided<[2]>>, %vs: memref<?xvector<[4]xf32>>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  // expected-remark @+1 {{cira-recognize: missed: no pattern: stride unknown: the loop's step is not a constant}}
  scf.for %i = %c0 to %n step %k {
    %v = memref.load %a[%i] : memref<?xindex>
  }
  // expected-remark @+1 {{cira-recognize: missed: no pattern: stride unknown: an inner size of the memref is not a constant}}
  scf.for %i = %c0 to %n step %c1 {
    %v = memref.load %m[%i, %c0] : memref<?x?xf32>
  }
  // expected-remark @+1 {{cira-recognize: missed: no pattern: stride unknown: the index is a product of variables}}
  scf.for %i = %c0 to %n step %c1 {
    %sq = arith.muli %i, %i : index
    %v = memref.load %a[%sq] : memref<?xindex>
  }
  // expected-remark @+1 {{cira-recognize: missed: no pattern: the address stays the same in the loop}}
  scf.for %i = %c0 to %n step %c1 {
    %v = memref.load %a[%k] : memref<?xindex>
  }
  // expected-remark @+1 {{indexed}}
  scf.for %i = %c0 to %n step %c1 {
    %1 = memref.load %a[%i] : memref<?xindex>
    %2 = memref.load %a[%1] : memref<?xindex>
    // CHECK: cira.access = #cira.access<none, element_bytes = 8, reason = "the address is two indirections away">
    %3 = memref.load %a[%2] : memref<?xindex>
  }
  // expected-remark @+1 {{cira-recognize: missed: no pattern: the base is made anew in each iteration}}
  scf.for %i = %c0 to %n step %c1 {
    %f = cira.alloc(%n) : !cira.handle<f32>
    %3 = cira.load %f : !cira.handle<f32> -> f32
  }
  // expected-remark @+1 {{cira-recognize: missed: no pattern: the loop itself touches no memory}}
  scf.for %i = %c0 to %n step %c1 {
  }
  // A pointer that hangs on a linked node.
  %x = cira.handle_null : !cira.handle<!Tree>
  // expected-remark @+1 {{linked, link at byte 0 of the node}}
  %r = scf.for %i = %c0 to %n step %c1 iter_args(%p = %x) -> !cira.handle<!Tree> {
    %q = cira.load %p[0] : !cira.handle<!Tree> -> !cira.handle<!Tree>
    %o = cira.load %p[1] : !cira.handle<!Tree> -> !cira.handle<f32>
    // CHECK: cira.access = #cira.access<none, element_bytes = 4, reason = "the address is read from a linked node">
    %v = cira.load %o : !cira.handle<f32> -> f32
    scf.yield %q : !cira.handle<!Tree>
  }
  // expected-remark @+1 {{missed: no pattern: the pointer is carried, but not read from the node it points to}}
  %s = scf.for %i = %c0 to %n step %c1 iter_args(%p = %h) -> !cira.handle<f32> {
    %v = cira.load %p : !cira.handle<f32> -> f32
    %q = func.call @next(%p) : (!cira.handle<f32>) -> !cira.handle<f32>
    scf.yield %q : !cira.handle<f32>
  }
  // expected-remark @+1 {{missed: no pattern: stride unknown: the pointer moves by a variable}}
  %t = scf.for %i = %c0 to %n step %c1 iter_args(%p = %h) -> !cira.handle<f32> {
    %v = cira.load %p : !cira.handle<f32> -> f32
    %q = cira.handle_offset %p[%n] : !cira.handle<f32>
    scf.yield %q : !cira.handle<f32>
  }
  // expected-remark @+1 {{missed: no pattern: stride unknown: the memref is not row-major}}
  scf.for %i = %c0 to %n step %c1 {
    %v = memref.load %w[%i] : memref<?xf32, strided<[2]>>
  }
  // expected-remark @+1 {{missed: no pattern: the size of an element is not known}}
  scf.for %i = %c0 to %n step %c1 {
    %v = memref.load %vs[%i] : memref<?xvector<[4]xf32>>
  }
  // A stride that overflows is none.
  %big = arith.constant 9223372036854775807 : index
  // expected-remark @+1 {{missed: no pattern: the stride overflows}}
  scf.for %i = %c0 to %n step %big {
    %v = memref.load %a[%i] : memref<?xindex>
  }
  return
}
