// SPDX-License-Identifier: Apache-2.0
// Types of the dialect in signatures, loops and memrefs; and the whole pipeline
// leaves nothing but the LLVM dialect, which translates.
// RUN: cira-opt %s --cira-finish-llvm --reconcile-unrealized-casts | FileCheck %s
// RUN: cira-opt %s --cira-to-llvm | FileCheck %s
// RUN: cira-opt %s --cira-to-llvm | mlir-translate --mlir-to-llvmir | FileCheck %s --check-prefix=IR
// RUN: mlir-opt %cira_plugin --pass-pipeline='builtin.module(cira-to-llvm)' %s | FileCheck %s

// What passes noted on the module and its ops is dropped.
// CHECK: module {
module attributes {cira.machine = #cira.machine<far_latency_ns = 2400>} {
  // CHECK-LABEL: llvm.func @types
  // CHECK-SAME: !llvm.ptr, %{{.*}}: !llvm.ptr, %{{.*}}: i64,
  // CHECK-SAME: !llvm.struct<(ptr, i64, f32)>
  // CHECK-SAME: !llvm.struct<(ptr, i64, ptr)>
  // CHECK-SAME: !llvm.struct<(ptr, ptr, i64, array<2 x i64>, array<2 x i64>)>
  // IR-LABEL: define void @types(ptr %0, ptr %1, i64 %2, { ptr, i64, float } %3, { ptr, i64, ptr } %4, { ptr, ptr, i64, [2 x i64], [2 x i64] } %5)
  func.func @types(%h: !cira.handle<f32>, %s: !cira.stream, %t: !cira.token,
                   %f: !cira.future<f32>, %g: !cira.future<!cira.handle<i8>>,
                   %m: !cira.remote_memref<?x4xf32, far>) {
    return
  }

  // CHECK-LABEL: llvm.func @blocks
  // CHECK: llvm.cond_br %{{.*}}, ^bb1(%{{.*}} : !llvm.ptr), ^bb{{[12]}}(%{{.*}} : !llvm.ptr)
  // CHECK: ^bb1(%{{.*}}: !llvm.ptr):
  func.func @blocks(%c: i1, %a: !cira.handle<f32>, %b: !cira.handle<f32>) -> !cira.handle<f32> {
    cf.cond_br %c, ^bb1(%a : !cira.handle<f32>), ^bb2(%b : !cira.handle<f32>)
  ^bb1(%x: !cira.handle<f32>):
    return %x : !cira.handle<f32>
  ^bb2(%y: !cira.handle<f32>):
    return %y : !cira.handle<f32>
  }

  // CHECK-LABEL: llvm.func @handles
  // CHECK: llvm.load %{{.*}} : !llvm.ptr -> !llvm.ptr
  func.func @handles(%m: memref<?x!cira.handle<f32>>, %i: index) -> !cira.handle<f32> {
    %h = memref.load %m[%i] {cira.access = #cira.access<none, reason = "x">}
        : memref<?x!cira.handle<f32>>
    return %h : !cira.handle<f32>
  }

  // What LLVM has no instruction for is a call of the C library.
  // CHECK-LABEL: llvm.func @library
  // CHECK: llvm.call @atan2
  func.func @library(%x: f64) -> f64 {
    %y = math.atan2 %x, %x : f64
    return %y : f64
  }
}
