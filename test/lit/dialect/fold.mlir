// SPDX-License-Identifier: Apache-2.0
// What the optimiser may do to cira ops, and what it must not.
// RUN: cira-opt %s --canonicalize --cse | FileCheck %s

!Node = !llvm.struct<"Node", (f32, ptr)>

// A load whose future nobody awaits is dropped; so is one with its await, if
// the value is not used.
// CHECK-LABEL: func.func @unused_loads
// CHECK-NEXT: return
func.func @unused_loads(%h: !cira.handle<f32>) {
  %f = cira.load_async %h : !cira.handle<f32> -> !cira.future<f32>
  %g = cira.load_async %h : !cira.handle<f32> -> !cira.future<f32>
  %u:2 = cira.load_async_batch %h, %h : !cira.handle<f32>, !cira.handle<f32> -> !cira.future<f32>, !cira.future<f32>
  %v = cira.await %g : !cira.future<f32> -> f32
  %w = cira.load %h : !cira.handle<f32> -> f32
  return
}

// Two loads of one address are two futures, and their awaits stay apart.
// CHECK-LABEL: func.func @two_futures
// CHECK-DAG: %[[F:.*]] = cira.load_async
// CHECK-DAG: %[[G:.*]] = cira.load_async
// CHECK: %[[X:.*]] = cira.await %[[F]]
// CHECK: %[[Y:.*]] = cira.await %[[G]]
// CHECK: return %[[X]], %[[Y]]
func.func @two_futures(%h: !cira.handle<f32>) -> (f32, f32) {
  %f = cira.load_async %h : !cira.handle<f32> -> !cira.future<f32>
  %g = cira.load_async %h : !cira.handle<f32> -> !cira.future<f32>
  %x = cira.await %f : !cira.future<f32> -> f32
  %y = cira.await %g : !cira.future<f32> -> f32
  return %x, %y : f32, f32
}

// An await of somebody else's future ends it, and so stays.
// CHECK-LABEL: func.func @foreign_future
// CHECK-NEXT: cira.await
func.func @foreign_future(%f: !cira.future<f32>) {
  %v = cira.await %f : !cira.future<f32> -> f32
  return
}

// A load awaited at once is a plain load, and keeps its index.
// CHECK-LABEL: func.func @at_once
// CHECK-NEXT: %[[V:.*]] = cira.load %{{.*}}[1] : {{.*}} -> !llvm.ptr
// CHECK-NEXT: return %[[V]]
func.func @at_once(%h: !cira.handle<!Node>) -> !llvm.ptr {
  %f = cira.load_async %h[1] : !cira.handle<!Node> -> !cira.future<!llvm.ptr>
  %v = cira.await %f : !cira.future<!llvm.ptr> -> !llvm.ptr
  return %v : !llvm.ptr
}

// Equal loads merge, unless something is written in between.
// CHECK-LABEL: func.func @loads
// CHECK: %[[A:.*]] = cira.load
// CHECK-NEXT: cira.store
// CHECK-NEXT: %[[B:.*]] = cira.load
// CHECK-NEXT: return %[[A]], %[[A]], %[[B]]
func.func @loads(%h: !cira.handle<f32>, %x: f32) -> (f32, f32, f32) {
  %a = cira.load %h : !cira.handle<f32> -> f32
  %b = cira.load %h : !cira.handle<f32> -> f32
  cira.store %x, %h : f32, !cira.handle<f32>
  %c = cira.load %h : !cira.handle<f32> -> f32
  return %a, %b, %c : f32, f32, f32
}

// ... nor across a barrier, a fence or a wait.
// CHECK-LABEL: func.func @ordered
// CHECK: cira.load
// CHECK: cira.barrier
// CHECK: cira.load
// CHECK: cira.fence
// CHECK: cira.load
// CHECK: cira.release
// CHECK: cira.load
// CHECK: cira.sync_token_wait
// CHECK: cira.load
func.func @ordered(%h: !cira.handle<f32>, %t: !cira.token) -> (f32, f32, f32, f32, f32) {
  %a = cira.load %h : !cira.handle<f32> -> f32
  cira.barrier
  %b = cira.load %h : !cira.handle<f32> -> f32
  cira.fence
  %c = cira.load %h : !cira.handle<f32> -> f32
  cira.release
  %d = cira.load %h : !cira.handle<f32> -> f32
  cira.sync_token_wait %t
  %e = cira.load %h : !cira.handle<f32> -> f32
  return %a, %b, %c, %d, %e : f32, f32, f32, f32, f32
}

// Constant indices move into the op.
// CHECK-LABEL: func.func @constant_index
// CHECK-NOT: arith.constant
// CHECK: cira.load %{{[a-z0-9]+}}[3]
// CHECK: cira.load_async %{{[a-z0-9]+}}[3]
// CHECK: cira.store %{{[a-z0-9]+}}, %{{[a-z0-9]+}}[3]
// CHECK: cira.store_async %{{[a-z0-9]+}}, %{{[a-z0-9]+}}[3]
// CHECK: cira.extract %{{[a-z0-9]+}}[3]
// CHECK: cira.handle_field %{{[a-z0-9]+}}[3]
// CHECK: cira.handle_offset %{{[a-z0-9]+}}[3]
func.func @constant_index(%h: !cira.handle<f32>, %a: !llvm.array<4 x f32>, %ha: !cira.handle<!llvm.array<4 x f32>>) -> (f32, !cira.future<f32>, f32, !cira.handle<f32>, !cira.handle<f32>) {
  %c3 = arith.constant 3 : index
  %0 = cira.load %h[%c3] : !cira.handle<f32> -> f32
  %1 = cira.load_async %h[%c3] : !cira.handle<f32> -> !cira.future<f32>
  cira.store %0, %h[%c3] : f32, !cira.handle<f32>
  cira.store_async %0, %h[%c3] : f32, !cira.handle<f32>
  %2 = cira.extract %a[%c3] : !llvm.array<4 x f32> -> f32
  %3 = cira.handle_field %ha[%c3] : !cira.handle<!llvm.array<4 x f32>> -> !cira.handle<f32>
  %4 = cira.handle_offset %h[%c3] : !cira.handle<f32>
  return %0, %1, %2, %3, %4 : f32, !cira.future<f32>, f32, !cira.handle<f32>, !cira.handle<f32>
}

// CHECK-LABEL: func.func @handles
// CHECK-SAME: (%[[H:.*]]: !cira.handle<f32>, %[[P:.*]]: !llvm.ptr, %[[M:.*]]: memref<8xf32>)
// CHECK-DAG: %[[TRUE:.*]] = arith.constant true
// CHECK-DAG: %[[O:.*]] = cira.handle_offset %[[H]][5]
// CHECK: return %[[O]], %[[H]], %[[TRUE]], %[[P]], %[[M]]
func.func @handles(%h: !cira.handle<f32>, %p: !llvm.ptr, %m: memref<8xf32>) -> (!cira.handle<f32>, !cira.handle<f32>, i1, !llvm.ptr, memref<8xf32>) {
  %0 = cira.handle_offset %h[2] : !cira.handle<f32>
  %1 = cira.handle_offset %0[3] : !cira.handle<f32>
  %2 = cira.handle_offset %h[0] : !cira.handle<f32>
  %3 = cira.handle_null : !cira.handle<f32>
  %4 = cira.handle_is_null %3 : !cira.handle<f32>
  %5 = cira.handle_cast %p : !llvm.ptr to !cira.handle<f32>
  %6 = cira.handle_cast %5 : !cira.handle<f32> to !llvm.ptr
  %7 = cira.remote_cast %m : memref<8xf32> to !cira.remote_memref<8xf32, far>
  %8 = cira.remote_cast %7 : !cira.remote_memref<8xf32, far> to memref<8xf32>
  return %1, %2, %4, %6, %8 : !cira.handle<f32>, !cira.handle<f32>, i1, !llvm.ptr, memref<8xf32>
}

// Hints stay although they have no result; so do streams that are used. A
// stream or an array nobody uses is dropped.
// CHECK-LABEL: func.func @hints
// CHECK-NOT: stream_create_strided
// CHECK-NOT: cira.alloc
// CHECK: cira.stream_create_indirect
// CHECK-NEXT: cira.offload
// CHECK-NEXT: cira.prefetch_chain
// CHECK: cira.peek_stream
// CHECK-NEXT: cira.advance_stream
// CHECK-NEXT: cira.peek_stream
// CHECK: cira.evict_hint
func.func @hints(%h: !cira.handle<!Node>, %n: index, %a: !cira.handle<i8>) -> (!Node, !Node) {
  %unused = cira.alloc(%n) : !cira.handle<f32>
  %dead = cira.stream_create_strided %h, %n, %n, %n : !cira.handle<!Node>, index, index, index -> !cira.stream
  %s = cira.stream_create_indirect %h, %n : !cira.handle<!Node>, index -> !cira.stream
  cira.offload @vortex {
    cira.prefetch_chain %s, %n : !cira.stream, index
  }
  %f = cira.peek_stream %s : !cira.stream -> !cira.future<!Node>
  cira.advance_stream %s : !cira.stream
  %g = cira.peek_stream %s : !cira.stream -> !cira.future<!Node>
  cira.evict_hint %a : !cira.handle<i8>
  %x = cira.await %f : !cira.future<!Node> -> !Node
  %y = cira.await %g : !cira.future<!Node> -> !Node
  cira.stream_release %s : !cira.stream
  return %x, %y : !Node, !Node
}

// An offload region that does nothing disappears.
// CHECK-LABEL: func.func @empty_region
// CHECK-NEXT: return
func.func @empty_region() {
  cira.offload @vortex {
  }
  return
}
