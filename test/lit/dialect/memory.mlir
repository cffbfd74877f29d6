// SPDX-License-Identifier: Apache-2.0
// Memory ops and types survive printing and parsing, in the custom and in the
// generic form.
// RUN: cira-opt %s | FileCheck %s
// RUN: cira-opt %s | cira-opt | FileCheck %s
// RUN: cira-opt %s --mlir-print-op-generic | cira-opt | FileCheck %s
// RUN: cira-opt %s --emit-bytecode | cira-opt | FileCheck %s
// RUN: mlir-opt %cira_plugin %s | FileCheck %s

!Node = !llvm.struct<"Node", (f32, ptr)>

// CHECK-LABEL: func.func @load_store
func.func @load_store(%node: !cira.handle<!Node>, %a: !cira.handle<f32>, %i: index) {
  // CHECK: cira.load %{{.*}}[0] : !cira.handle<!llvm.struct<"Node", (f32, ptr)>> -> f32
  %data = cira.load %node[0] : !cira.handle<!Node> -> f32
  // CHECK: cira.load %{{.*}}[1] : !cira.handle<!llvm.struct<"Node", (f32, ptr)>> -> !cira.handle<!llvm.struct<"Node", (f32, ptr)>>
  %next = cira.load %node[1] : !cira.handle<!Node> -> !cira.handle<!Node>
  // CHECK: cira.load %{{.*}}[1] : {{.*}} -> !llvm.ptr
  %ptr = cira.load %node[1] : !cira.handle<!Node> -> !llvm.ptr
  // CHECK: cira.load %{{[a-z0-9]+}} : !cira.handle<f32> -> f32
  %v = cira.load %a : !cira.handle<f32> -> f32
  // CHECK: cira.load %{{[a-z0-9]+}}[%{{[a-z0-9]+}}] : !cira.handle<f32> -> f32
  %w = cira.load %a[%i] : !cira.handle<f32> -> f32
  // CHECK: cira.load %{{[a-z0-9]+}}[-1] {note} : !cira.handle<f32> -> f32
  %x = cira.load %a[-1] {note} : !cira.handle<f32> -> f32
  // CHECK: cira.store %{{[a-z0-9]+}}, %{{[a-z0-9]+}} : f32, !cira.handle<f32>
  cira.store %v, %a : f32, !cira.handle<f32>
  // CHECK: cira.store %{{[a-z0-9]+}}, %{{[a-z0-9]+}}[%{{[a-z0-9]+}}] : f32, !cira.handle<f32>
  cira.store %w, %a[%i] : f32, !cira.handle<f32>
  // CHECK: cira.store %{{[a-z0-9]+}}, %{{[a-z0-9]+}}[1] : !cira.handle<{{.*}}>, !cira.handle<{{.*}}>
  cira.store %next, %node[1] : !cira.handle<!Node>, !cira.handle<!Node>
  return
}

// CHECK-LABEL: func.func @async
func.func @async(%h: !cira.handle<f32>, %node: !cira.handle<!Node>, %i: index) -> f32 {
  // CHECK: %[[F:.*]] = cira.load_async %{{[a-z0-9]+}} : !cira.handle<f32> -> !cira.future<f32>
  %f = cira.load_async %h : !cira.handle<f32> -> !cira.future<f32>
  // CHECK: %[[G:.*]]:2 = cira.load_async_batch %{{[a-z0-9]+}}, %{{[a-z0-9]+}} : !cira.handle<f32>, !cira.handle<!llvm.struct<"Node", (f32, ptr)>> -> !cira.future<f32>, !cira.future<!llvm.struct<"Node", (f32, ptr)>>
  %g:2 = cira.load_async_batch %h, %node : !cira.handle<f32>, !cira.handle<!Node> -> !cira.future<f32>, !cira.future<!Node>
  // CHECK: %[[N:.*]] = cira.load_async %{{[a-z0-9]+}}[1] : {{.*}} -> !cira.future<!cira.handle<!llvm.struct<"Node", (f32, ptr)>>>
  %n = cira.load_async %node[1] : !cira.handle<!Node> -> !cira.future<!cira.handle<!Node>>
  // CHECK: %[[V:.*]] = cira.await %[[F]] : !cira.future<f32> -> f32
  %v = cira.await %f : !cira.future<f32> -> f32
  // CHECK: cira.await %[[G]]#0 : !cira.future<f32> -> f32
  %w = cira.await %g#0 : !cira.future<f32> -> f32
  // CHECK: cira.await %[[G]]#1
  %s = cira.await %g#1 : !cira.future<!Node> -> !Node
  // CHECK: cira.await %[[N]]
  %p = cira.await %n : !cira.future<!cira.handle<!Node>> -> !cira.handle<!Node>
  // CHECK: cira.store_async %[[V]], %{{[a-z0-9]+}} : f32, !cira.handle<f32>
  cira.store_async %v, %h : f32, !cira.handle<f32>
  // CHECK: %[[T:.*]] = cira.store_async %[[V]], %{{[a-z0-9]+}}[%{{[a-z0-9]+}}] : f32, !cira.handle<f32> -> !cira.token
  %t = cira.store_async %v, %h[%i] : f32, !cira.handle<f32> -> !cira.token
  // CHECK: cira.sync_token_wait %[[T]]
  cira.sync_token_wait %t
  return %w : f32
}

// CHECK-LABEL: func.func @values
func.func @values(%n: !Node, %a: !llvm.array<4 x i32>, %v: vector<4xf32>, %i: index, %h: !cira.handle<!Node>, %p: !llvm.ptr, %m: memref<?xf32>) {
  // CHECK: cira.extract %{{[a-z0-9]+}}[0] : !llvm.struct<"Node", (f32, ptr)> -> f32
  %0 = cira.extract %n[0] : !Node -> f32
  // CHECK: cira.extract %{{[a-z0-9]+}}[1] : !llvm.struct<"Node", (f32, ptr)> -> !cira.handle<!llvm.struct<"Node", (f32, ptr)>>
  %1 = cira.extract %n[1] : !Node -> !cira.handle<!Node>
  // CHECK: cira.extract %{{[a-z0-9]+}}[%{{[a-z0-9]+}}] : !llvm.array<4 x i32> -> i32
  %2 = cira.extract %a[%i] : !llvm.array<4 x i32> -> i32
  // CHECK: cira.extract %{{[a-z0-9]+}}[3] : vector<4xf32> -> f32
  %3 = cira.extract %v[3] : vector<4xf32> -> f32
  // CHECK: cira.handle_null : !cira.handle<f32>
  %4 = cira.handle_null : !cira.handle<f32>
  // CHECK: cira.handle_is_null %{{[a-z0-9]+}} : !cira.handle<f32>
  %5 = cira.handle_is_null %4 : !cira.handle<f32>
  // CHECK: cira.handle_offset %{{[a-z0-9]+}}[2] : !cira.handle<f32>
  %6 = cira.handle_offset %4[2] : !cira.handle<f32>
  // CHECK: cira.handle_offset %{{[a-z0-9]+}}[%{{[a-z0-9]+}}] : !cira.handle<f32>
  %7 = cira.handle_offset %4[%i] : !cira.handle<f32>
  // CHECK: cira.handle_field %{{[a-z0-9]+}}[0] : !cira.handle<!llvm.struct<"Node", (f32, ptr)>> -> !cira.handle<f32>
  %8 = cira.handle_field %h[0] : !cira.handle<!Node> -> !cira.handle<f32>
  // CHECK: cira.handle_cast %{{[a-z0-9]+}} : !llvm.ptr to !cira.handle<f32>
  %9 = cira.handle_cast %p : !llvm.ptr to !cira.handle<f32>
  // CHECK: cira.handle_cast %{{[a-z0-9]+}} : !cira.handle<f32> to !llvm.ptr
  %10 = cira.handle_cast %8 : !cira.handle<f32> to !llvm.ptr
  // CHECK: cira.handle_cast %{{[a-z0-9]+}} : memref<?xf32> to !cira.handle<f32>
  %11 = cira.handle_cast %m : memref<?xf32> to !cira.handle<f32>
  // CHECK: cira.handle_view %{{[a-z0-9]+}}, %{{[a-z0-9]+}} : !cira.handle<f32>, index -> memref<?xf32>
  %12 = cira.handle_view %9, %i : !cira.handle<f32>, index -> memref<?xf32>
  return
}

// CHECK-LABEL: func.func @arrays
// CHECK-SAME: !cira.remote_memref<4x?xf32, far>
// CHECK-SAME: !cira.remote_memref<f64, local>
// CHECK-SAME: !cira.remote_memref<?xi32, cxl, strided<[2]>>
// CHECK-SAME: !cira.remote_memref<4x4xf32, remote_cxl, #{{.*}}>
func.func @arrays(%a: !cira.remote_memref<4x?xf32, far>, %b: !cira.remote_memref<f64, local>, %c: !cira.remote_memref<?xi32, cxl, strided<[2]>>, %d: !cira.remote_memref<4x4xf32, remote_cxl, affine_map<(i, j) -> (j, i)>>, %n: index) {
  // CHECK: cira.remote_cast %{{[a-z0-9]+}} : !cira.remote_memref<4x?xf32, far> to memref<4x?xf32>
  %0 = cira.remote_cast %a : !cira.remote_memref<4x?xf32, far> to memref<4x?xf32>
  // CHECK: cira.remote_cast %{{[a-z0-9]+}} : memref<4x?xf32> to !cira.remote_memref<4x?xf32, cxl>
  %1 = cira.remote_cast %0 : memref<4x?xf32> to !cira.remote_memref<4x?xf32, cxl>
  // CHECK: cira.remote_cast {{.*}} to memref<?xi32, strided<[2]>>
  %2 = cira.remote_cast %c : !cira.remote_memref<?xi32, cxl, strided<[2]>> to memref<?xi32, strided<[2]>>
  // CHECK: %[[H:.*]] = cira.alloc(%{{[a-z0-9]+}}) tier(far) : !cira.handle<f32>
  %h = cira.alloc(%n) tier(far) : !cira.handle<f32>
  // CHECK: %[[U:.*]] = cira.alloc(%{{[a-z0-9]+}}) : !cira.handle<f32>
  %u = cira.alloc(%n) : !cira.handle<f32>
  // CHECK: cira.alloc() tier(cxl) : !cira.remote_memref<8xf32, cxl>
  %m = cira.alloc() tier(cxl) : !cira.remote_memref<8xf32, cxl>
  // CHECK: cira.alloc(%{{[a-z0-9]+}}, %{{[a-z0-9]+}}) : !cira.remote_memref<?x?xf32, far>
  %k = cira.alloc(%n, %n) : !cira.remote_memref<?x?xf32, far>
  // CHECK: cira.dealloc %[[H]] : !cira.handle<f32>
  cira.dealloc %h : !cira.handle<f32>
  // CHECK: cira.dealloc %[[U]] : !cira.handle<f32>
  cira.dealloc %u : !cira.handle<f32>
  // CHECK: cira.dealloc %{{[a-z0-9]+}} : !cira.remote_memref<8xf32, cxl>
  cira.dealloc %m : !cira.remote_memref<8xf32, cxl>
  return
}

// CHECK-LABEL: func.func @hints
func.func @hints(%base: !cira.handle<f32>, %stride: index, %count: index, %s: !cira.stream, %head: !cira.handle<!cira.handle<!Node>>, %addr: !cira.handle<i8>, %level: i32) {
  // CHECK: cira.prefetch_stream %{{[a-z0-9]+}}, %{{[a-z0-9]+}}, %{{[a-z0-9]+}} : !cira.handle<f32>, index, index
  cira.prefetch_stream %base, %stride, %count : !cira.handle<f32>, index, index
  // CHECK: cira.prefetch_stream %{{[a-z0-9]+}}, %{{[a-z0-9]+}} : !cira.stream, index
  cira.prefetch_stream %s, %count : !cira.stream, index
  // CHECK: cira.prefetch_indirect %{{[a-z0-9]+}}, %{{[a-z0-9]+}}, %{{[a-z0-9]+}} : !cira.handle<!cira.handle<!llvm.struct<"Node", (f32, ptr)>>>, index, index
  cira.prefetch_indirect %head, %stride, %count : !cira.handle<!cira.handle<!Node>>, index, index
  // CHECK: cira.install_cacheline %{{[a-z0-9]+}}, %{{[a-z0-9]+}} : !cira.handle<i8>, i32
  cira.install_cacheline %addr, %level : !cira.handle<i8>, i32
  // CHECK: cira.evict_hint %{{[a-z0-9]+}} : !cira.handle<i8>
  cira.evict_hint %addr : !cira.handle<i8>
  return
}

// A node may also hold a handle to itself.
// CHECK-LABEL: func.func private @recursive
// CHECK-SAME: !cira.handle<!llvm.struct<"List", (i64, !cira.handle<!llvm.struct<"List">>)>>
func.func private @recursive(!cira.handle<!llvm.struct<"List", (i64, !cira.handle<!llvm.struct<"List">>)>>)

// CHECK-LABEL: func.func private @opaque
func.func private @opaque(!cira.handle<!llvm.struct<"FILE", opaque>>)
