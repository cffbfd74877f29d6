// SPDX-License-Identifier: Apache-2.0
// Loads that stay as they are say why.
// RUN: cira-opt %s --split-input-file --cira-convert-async --verify-diagnostics | FileCheck %s

// CHECK-NOT: cira.load_async
func.func @at_once(%a: !cira.handle<f32>) -> f32 {
  // expected-remark @+1 {{cira-convert-async: missed: 0 ns of 4985 could be hidden, issue and await cost 2 ns}}
  %x = cira.load %a : !cira.handle<f32> -> f32
  %y = arith.mulf %x, %x : f32
  return %y : f32
}

// A value nobody uses is left to canonicalisation.
func.func @unused(%a: !cira.handle<f32>) {
  %x = cira.load %a : !cira.handle<f32> -> f32
  return
}

func.func @fenced(%a: !cira.handle<f32>, %u: f32) -> f32 {
  %1 = arith.mulf %u, %u : f32
  %2 = arith.mulf %1, %u : f32
  %3 = arith.mulf %2, %u : f32
  cira.fence
  // expected-remark @+1 {{missed: 0 ns of 4985 could be hidden}}
  %x = cira.load %a : !cira.handle<f32> -> f32
  cira.barrier
  %4 = arith.mulf %3, %x : f32
  return %4 : f32
}

// A value used after the branch too is awaited before it.
func.func @both(%a: !cira.handle<f32>, %c: i1, %u: f32) -> (f32, f32) {
  // expected-remark @+1 {{missed: 0 ns of 4985 could be hidden}}
  %x = cira.load %a : !cira.handle<f32> -> f32
  %r = scf.if %c -> f32 {
    %1 = arith.mulf %u, %u : f32
    %2 = arith.mulf %1, %x : f32
    scf.yield %2 : f32
  } else {
    scf.yield %u : f32
  }
  return %r, %x : f32, f32
}

func.func @loops(%a: !cira.handle<f32>, %b: memref<?xindex>, %n: index, %u: f32) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  // expected-remark @+1 {{missed: one iteration ahead hides 3 ns of 4985 and costs 6 ns; a stream reaches further}}
  scf.for %i = %c0 to %n step %c1 {
    %k = memref.load %b[%i] : memref<?xindex>
    // expected-remark @+1 {{missed: 0 ns of 4985 could be hidden}}
    %v = cira.load %a[%k] : !cira.handle<f32> -> f32
    %w = arith.mulf %v, %u : f32
  }
  // expected-remark @+1 {{missed: 1 indexed loads, but the loop writes memory or synchronises}}
  scf.for %i = %c0 to %n step %c1 {
    %k = memref.load %b[%i] : memref<?xindex>
    // expected-remark @+1 {{missed: 0 ns of 4985 could be hidden}}
    %v = cira.load %a[%k] : !cira.handle<f32> -> f32
    %w = arith.mulf %v, %u : f32
    cira.store %w, %a[%k] : f32, !cira.handle<f32>
  }
  return
}

// -----

// In local memory there is little to hide.
// CHECK-NOT: cira.load_async
module attributes {cira.machine = #cira.machine<op_ns = 40>} {
func.func @near(%n: index, %u: f32) -> f32 {
  %a = cira.alloc(%n) tier(local) : !cira.handle<f32>
  // expected-remark @+1 {{missed: 65 ns of 65 could be hidden, issue and await cost 80 ns}}
  %x = cira.load %a : !cira.handle<f32> -> f32
  %1 = arith.mulf %u, %u : f32
  %2 = arith.mulf %1, %u : f32
  %3 = arith.mulf %2, %x : f32
  return %3 : f32
}
}
