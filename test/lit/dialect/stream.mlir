// SPDX-License-Identifier: Apache-2.0
// Stream ops survive printing and parsing.
// RUN: cira-opt %s | FileCheck %s
// RUN: cira-opt %s | cira-opt | FileCheck %s
// RUN: cira-opt %s --mlir-print-op-generic | cira-opt | FileCheck %s
// RUN: mlir-opt %cira_plugin %s | FileCheck %s

!Node = !llvm.struct<"Node", (f32, ptr)>
!Graph = !llvm.struct<"Graph", (i64, ptr, ptr)>

// CHECK-LABEL: func.func @create
func.func @create(%ptrs: memref<?x!cira.handle<f32>>, %head: !cira.handle<!Node>, %a: !cira.handle<f64>, %b: memref<?xi32>, %w: !cira.remote_memref<128x256xf32, far>, %g: !cira.handle<!Graph>, %n: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c8 = arith.constant 8 : index
  // CHECK: %[[S:.*]] = cira.stream_create_strided %{{[a-z0-9]+}}, %{{[a-z0-9]+}}, %{{[a-z0-9]+}}, %{{[a-z0-9]+}} : memref<?x!cira.handle<f32>>, index, index, index -> !cira.stream
  %s = cira.stream_create_strided %ptrs, %c0, %c1, %n : memref<?x!cira.handle<f32>>, index, index, index -> !cira.stream
  // CHECK: %[[L:.*]] = cira.stream_create_indirect %{{[a-z0-9]+}}, %{{[a-z0-9]+}} : !cira.handle<!llvm.struct<"Node", (f32, ptr)>>, index -> !cira.stream
  %l = cira.stream_create_indirect %head, %c8 : !cira.handle<!Node>, index -> !cira.stream
  // CHECK: %[[X:.*]] = cira.stream_create_indexed %{{[a-z0-9]+}}, %{{[a-z0-9]+}}, %{{[a-z0-9]+}}, %{{[a-z0-9]+}}, %{{[a-z0-9]+}} : !cira.handle<f64>, memref<?xi32>, index, index, index -> !cira.stream
  %x = cira.stream_create_indexed %a, %b, %c0, %c1, %n : !cira.handle<f64>, memref<?xi32>, index, index, index -> !cira.stream
  // CHECK: %[[T:.*]] = cira.stream_create_tiled %{{[a-z0-9]+}}, %{{[a-z0-9]+}} : !cira.remote_memref<128x256xf32, far>, index -> !cira.stream
  %t = cira.stream_create_tiled %w, %c8 : !cira.remote_memref<128x256xf32, far>, index -> !cira.stream
  // CHECK: cira.stream_create_tiled %{{[a-z0-9]+}}, %{{[a-z0-9]+}}, %{{[a-z0-9]+}} : !cira.remote_memref<128x256xf32, far>, index, index -> !cira.stream
  %t2 = cira.stream_create_tiled %w, %c8, %n : !cira.remote_memref<128x256xf32, far>, index, index -> !cira.stream
  // CHECK: %[[F:.*]] = cira.stream_create_frontier %{{[a-z0-9]+}}, %{{[a-z0-9]+}} : !cira.handle<!llvm.struct<"Graph", (i64, ptr, ptr)>>, memref<?xi32> -> !cira.stream
  %f = cira.stream_create_frontier %g, %b : !cira.handle<!Graph>, memref<?xi32> -> !cira.stream
  // CHECK: cira.stream_create_frontier %{{[a-z0-9]+}}, %{{[a-z0-9]+}}, %{{[a-z0-9]+}} : !cira.handle<!llvm.struct<"Graph", (i64, ptr, ptr)>>, memref<?xi32>, index -> !cira.stream
  %f2 = cira.stream_create_frontier %g, %b, %n : !cira.handle<!Graph>, memref<?xi32>, index -> !cira.stream

  // CHECK: cira.prefetch_chain %[[L]], %{{[a-z0-9]+}} : !cira.stream, index
  cira.prefetch_chain %l, %c8 : !cira.stream, index
  // CHECK: cira.prefetch_tiles %[[T]], %{{[a-z0-9]+}} : !cira.stream, index
  cira.prefetch_tiles %t, %c8 : !cira.stream, index
  // CHECK: cira.prefetch_adjacency %[[F]], %{{[a-z0-9]+}} : !cira.stream, index
  cira.prefetch_adjacency %f, %c8 : !cira.stream, index
  // CHECK: cira.peek_stream %[[S]] : !cira.stream -> !cira.future<f32>
  %0 = cira.peek_stream %s : !cira.stream -> !cira.future<f32>
  // CHECK: cira.peek_stream %[[S]] : !cira.stream -> !cira.future<!cira.handle<f32>>
  %1 = cira.peek_stream %s : !cira.stream -> !cira.future<!cira.handle<f32>>
  // CHECK: cira.peek_stream %[[L]] : !cira.stream -> !cira.future<!llvm.struct<"Node", (f32, ptr)>>
  %2 = cira.peek_stream %l : !cira.stream -> !cira.future<!Node>
  // CHECK: cira.peek_stream %[[X]] : !cira.stream -> !cira.future<f64>
  %3 = cira.peek_stream %x : !cira.stream -> !cira.future<f64>
  // CHECK: cira.peek_adjacency %[[F]], %{{[a-z0-9]+}} : !cira.stream, index -> !cira.future<memref<?xi32>>
  %4 = cira.peek_adjacency %f, %c0 : !cira.stream, index -> !cira.future<memref<?xi32>>
  // CHECK: cira.advance_stream %[[S]] : !cira.stream
  cira.advance_stream %s : !cira.stream
  // CHECK: cira.stream_release %[[S]] : !cira.stream
  cira.stream_release %s : !cira.stream
  return
}
