// SPDX-License-Identifier: Apache-2.0
// Loads that must stay apart stay apart, and say why.
// RUN: cira-opt %s --cira-coalesce --verify-diagnostics | FileCheck %s

// CHECK-NOT: cira.load_async_batch
func.func @apart(%a: !cira.handle<f32>, %p: !cira.handle<!cira.handle<f32>>, %x: f32) -> (f32, f32, f32) {
  // expected-remark @+1 {{cira-coalesce: missed: no neighbour: the future is used before the next load}}
  %q = cira.load_async %p : !cira.handle<!cira.handle<f32>> -> !cira.future<!cira.handle<f32>>
  %h = cira.await %q : !cira.future<!cira.handle<f32>> -> !cira.handle<f32>
  // expected-remark @+1 {{cira-coalesce: missed: no neighbour: an op in between touches memory or waits}}
  %f = cira.load_async %h : !cira.handle<f32> -> !cira.future<f32>
  cira.store %x, %a : f32, !cira.handle<f32>
  // expected-remark @+1 {{missed: no neighbour: an op in between touches memory or waits}}
  %g = cira.load_async %a : !cira.handle<f32> -> !cira.future<f32>
  cira.fence
  // expected-remark @+1 {{missed: no neighbour: an op in between touches memory or waits}}
  %k = cira.load_async %a : !cira.handle<f32> -> !cira.future<f32>
  %0 = cira.await %f : !cira.future<f32> -> f32
  %1 = cira.await %g : !cira.future<f32> -> f32
  %2 = cira.await %k : !cira.future<f32> -> f32
  // expected-remark @+1 {{missed: no neighbour: no other load follows}}
  %u = cira.load_async %a : !cira.handle<f32> -> !cira.future<f32>
  return %0, %1, %2 : f32, f32, f32
}
