// SPDX-License-Identifier: Apache-2.0
// The named pipeline is the sequence of its stages, also from the plug-in, and
// may run twice.
// RUN: cira-opt %s --cira-default 2>/dev/null > %t.named
// RUN: cira-opt %s --pass-pipeline="builtin.module(cira-check-tokens,cira-recognize,cira-prefetch-distance,cira-place,cira-prefetch-distance,cira-create-streams,cira-partition-offload,cira-convert-async,cira-coalesce)" 2>/dev/null > %t.stages
// RUN: diff %t.named %t.stages
// RUN: mlir-opt %cira_plugin %s --pass-pipeline="builtin.module(cira-default)" 2>/dev/null > %t.plugin
// RUN: diff %t.named %t.plugin
// RUN: cira-opt %t.named --cira-default 2>/dev/null | FileCheck %s
// RUN: cira-opt %t.named --pass-pipeline="builtin.module(func.func(canonicalize,cse,cira-default))" -o /dev/null 2>/dev/null

// CHECK-LABEL: func.func @f
// CHECK-COUNT-1: cira.stream_create_indexed
// CHECK-NOT: stream_create
// CHECK: cira.offload @vortex
// CHECK: cira.peek_stream
func.func @f(%a: !cira.handle<f64>, %b: memref<?xi32>, %n: index, %zero: f64) -> f64 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %r = scf.for %i = %c0 to %n step %c1 iter_args(%s = %zero) -> f64 {
    %k = memref.load %b[%i] : memref<?xi32>
    %ki = arith.index_cast %k : i32 to index
    %v = cira.load %a[%ki] : !cira.handle<f64> -> f64
    %t = arith.addf %s, %v : f64
    scf.yield %t : f64
  }
  return %r : f64
}
