// SPDX-License-Identifier: Apache-2.0
// Functions with cira ops in them are inlined, also into offload regions; a
// cira.call is not.
// RUN: cira-opt %s --inline | FileCheck %s

func.func private @get(%h: !cira.handle<f32>) -> f32 {
  %v = cira.load %h : !cira.handle<f32> -> f32
  return %v : f32
}

// CHECK-LABEL: func.func @caller
// CHECK-NEXT: cira.load
// CHECK-NEXT: cira.offload
// CHECK-NEXT: cira.load
// CHECK: cira.call @get
func.func @caller(%h: !cira.handle<f32>) -> (f32, f32, f32) {
  %a = func.call @get(%h) : (!cira.handle<f32>) -> f32
  %b = cira.offload @vortex -> f32 {
    %v = func.call @get(%h) : (!cira.handle<f32>) -> f32
    cira.yield %v : f32
  }
  %c = cira.call @get(%h) : (!cira.handle<f32>) -> f32
  return %a, %b, %c : f32, f32, f32
}
