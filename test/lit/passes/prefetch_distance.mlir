// SPDX-License-Identifier: Apache-2.0
// Distances from the machine model: latency over iteration time, rounded up.
// RUN: cira-opt %s --split-input-file --cira-recognize --cira-prefetch-distance 2>/dev/null | FileCheck %s
// RUN: cira-opt %s --split-input-file --cira-recognize --cira-prefetch-distance 2>&1 | FileCheck %s --check-prefix=REMARK

// Two ops per iteration, 1 ns each; 80 / 2 lines, 5000 / 2 pages.
// CHECK-LABEL: func.func @assumed_far
// CHECK: cira.distance = #cira.distance<lines = 40, pages = 2500, iteration_ns = 2, latency_ns = 5000>
// REMARK: cira-prefetch-distance: 40 iterations ahead for lines (80 ns), 2500 for pages (5000 ns), at 2 ns per iteration; tier far (assumed, the code does not say)
func.func @assumed_far(%m: memref<?xf32>, %n: index, %zero: f32) -> f32 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %r = scf.for %i = %c0 to %n step %c1 iter_args(%s = %zero) -> f32 {
    %v = memref.load %m[%i] : memref<?xf32>
    %t = arith.addf %s, %v : f32
    scf.yield %t : f32
  }
  return %r : f32
}

// -----

// The tier is known from the allocation or from the type.
// CHECK-LABEL: func.func @known_tier
// CHECK: cira.distance = #cira.distance<lines = 100, pages = 100, iteration_ns = 2, latency_ns = 200>
// CHECK: cira.distance = #cira.distance<lines = 160, pages = 200, iteration_ns = 2, latency_ns = 400>
// REMARK: 100 iterations ahead for lines (200 ns), 100 for pages (200 ns), at 2 ns per iteration; tier cxl{{$}}
// REMARK: 160 iterations ahead for lines (400 ns), 200 for pages (400 ns), at 2 ns per iteration; tier remote_cxl; bounded by what may be in flight
func.func @known_tier(%n: index, %m: !cira.remote_memref<?xf32, remote_cxl>, %x: f32) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %a = cira.alloc(%n) tier(cxl) : !cira.handle<f32>
  scf.for %i = %c0 to %n step %c1 {
    %y = arith.addf %x, %x : f32
    cira.store %y, %a[%i] : f32, !cira.handle<f32>
  }
  %p = cira.remote_cast %m : !cira.remote_memref<?xf32, remote_cxl> to memref<?xf32>
  scf.for %i = %c0 to %n step %c1 {
    %y = arith.addf %x, %x : f32
    memref.store %y, %p[%i] : memref<?xf32>
  }
  return
}

// -----

// A measured bandwidth bounds the time of an iteration from below: a page of
// 4096 bytes at 1000 bytes per microsecond takes 4096 ns.
// CHECK-LABEL: func.func @bandwidth
// CHECK: cira.distance = #cira.distance<lines = 1, pages = 2, iteration_ns = 4096, latency_ns = 5000>
module attributes {cira.machine = #cira.machine<far_bytes_per_us = 1000>} {
func.func @bandwidth(%a: memref<?xf32>, %b: memref<?xindex>, %n: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  scf.for %i = %c0 to %n step %c1 {
    %k = memref.load %b[%i] : memref<?xindex>
    %v = memref.load %a[%k] : memref<?xf32>
  }
  return
}
}

// -----

// An inner loop counts as often as it runs.
// CHECK-LABEL: func.func @nested
// CHECK: cira.distance = #cira.distance<lines = 1, pages = 13, iteration_ns = 402, latency_ns = 5000>
func.func @nested(%a: memref<?xf32>, %n: index, %x: f32) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c100 = arith.constant 100 : index
  scf.for %i = %c0 to %n step %c1 {
    %v = memref.load %a[%i] : memref<?xf32>
    scf.for %j = %c0 to %c100 step %c1 {
      %0 = arith.addf %x, %v : f32
      %1 = arith.addf %0, %v : f32
      %2 = arith.addf %1, %v : f32
      %3 = arith.addf %2, %v : f32
    }
  }
  return
}
