// SPDX-License-Identifier: Apache-2.0
// One case per rule of the memory ops.
// RUN: cira-opt %s --split-input-file --verify-diagnostics

func.func @f(%h: !cira.handle<f32>, %i: index) {
  // expected-error @+1 {{'cira.load' op has both a constant and a variable index; keep one}}
  %v = "cira.load"(%h, %i) <{static_index = 1 : i64}> : (!cira.handle<f32>, index) -> f32
  return
}

// -----

!Node = !llvm.struct<"Node", (f32, ptr)>
func.func @f(%h: !cira.handle<!Node>, %i: index) {
  // expected-error @+1 {{'cira.load' op the field of a struct must be a constant; write [0] to [2)}}
  %v = cira.load %h[%i] : !cira.handle<!Node> -> f32
  return
}

// -----

!Node = !llvm.struct<"Node", (f32, ptr)>
func.func @f(%h: !cira.handle<!Node>) {
  // expected-error @+1 {{'cira.load' op there is no field 2; '!llvm.struct<"Node", (f32, ptr)>' has 2 fields, numbered from 0}}
  %v = cira.load %h[2] : !cira.handle<!Node> -> f32
  return
}

// -----

!Node = !llvm.struct<"Node", (f32, ptr)>
func.func @f(%h: !cira.handle<!Node>) {
  // expected-error @+1 {{'cira.load' op there is no field -1}}
  %v = cira.load %h[-1] : !cira.handle<!Node> -> f32
  return
}

// -----

func.func @f(%h: !cira.handle<!llvm.array<4 x i32>>) {
  // expected-error @+1 {{'cira.load' op there is no element 4; the array has 4 elements, numbered from 0}}
  %v = cira.load %h[4] : !cira.handle<!llvm.array<4 x i32>> -> i32
  return
}

// -----

!Opaque = !llvm.struct<"Opaque", opaque>
func.func @f(%h: !cira.handle<!Opaque>) {
  // expected-error @+1 {{'cira.load' op '!llvm.struct<"Opaque", opaque>' has no known size; give the struct a body}}
  %v = cira.load %h : !cira.handle<!Opaque> -> !Opaque
  return
}

// -----

func.func @f(%h: !cira.handle<f32>) {
  // expected-error @+1 {{'cira.load' op memory holds 'f32' there, not 'f64'; correct the type of the result}}
  %v = cira.load %h : !cira.handle<f32> -> f64
  return
}

// -----

func.func @f(%h: memref<f32>) {
  // expected-error @+1 {{'cira.load' op operand #0 must be a !cira.handle (make one with cira.alloc or cira.handle_cast), but got 'memref<f32>'}}
  %v = "cira.load"(%h) : (memref<f32>) -> f32
  return
}

// -----

func.func @f(%h: !cira.handle<f32>) {
  // expected-error @+1 {{'cira.load' op result #0 must be a value that memory can hold (no future, stream, token, tensor or function), but got '!cira.stream'}}
  %v = "cira.load"(%h) : (!cira.handle<f32>) -> !cira.stream
  return
}

// -----

func.func @f(%h: !cira.handle<f32>, %v: f64) {
  // expected-error @+1 {{'cira.store' op memory holds 'f32' there, not 'f64'; correct the type of the value}}
  cira.store %v, %h : f64, !cira.handle<f32>
  return
}

// -----

!Node = !llvm.struct<"Node", (f32, ptr)>
func.func @f(%h: !cira.handle<!Node>, %v: f32, %i: index) {
  // expected-error @+1 {{'cira.store' op the field of a struct must be a constant}}
  cira.store %v, %h[%i] : f32, !cira.handle<!Node>
  return
}

// -----

func.func @f(%h: !cira.handle<f32>, %v: f64) {
  // expected-error @+1 {{'cira.store_async' op memory holds 'f32' there, not 'f64'; correct the type of the value}}
  cira.store_async %v, %h : f64, !cira.handle<f32>
  return
}

// -----

!Node = !llvm.struct<"Node", (f32, ptr)>
func.func @f(%h: !cira.handle<!Node>, %v: f32) {
  // expected-error @+1 {{'cira.store_async' op there is no field 5}}
  cira.store_async %v, %h[5] : f32, !cira.handle<!Node>
  return
}

// -----

func.func @f(%h: !cira.handle<f32>) {
  // expected-error @+1 {{'cira.load_async' op memory holds 'f32' there, not 'f64'; correct the type of the future's value}}
  %v = cira.load_async %h : !cira.handle<f32> -> !cira.future<f64>
  return
}

// -----

!Node = !llvm.struct<"Node", (f32, ptr)>
func.func @f(%h: !cira.handle<!Node>) {
  // expected-error @+1 {{'cira.load_async' op there is no field 7}}
  %v = cira.load_async %h[7] : !cira.handle<!Node> -> !cira.future<f32>
  return
}

// -----

func.func @f() {
  // expected-error @+1 {{'cira.load_async_batch' op loads nothing; give it at least one handle}}
  "cira.load_async_batch"() : () -> ()
  return
}

// -----

func.func @f(%h: !cira.handle<f32>) {
  // expected-error @+1 {{'cira.load_async_batch' op has 1 handles and 2 futures; give one future per handle}}
  %v:2 = cira.load_async_batch %h : !cira.handle<f32> -> !cira.future<f32>, !cira.future<f32>
  return
}

// -----

func.func @f(%h: !cira.handle<f32>) {
  // expected-error @+1 {{'cira.load_async_batch' op memory holds 'f32' there, not 'f64'}}
  %v = cira.load_async_batch %h : !cira.handle<f32> -> !cira.future<f64>
  return
}

// -----

!Opaque = !llvm.struct<"Opaque", opaque>
func.func @f(%h: !cira.handle<!Opaque>) {
  // expected-error @+1 {{'cira.load_async_batch' op '!llvm.struct<"Opaque", opaque>' has no known size; give the struct a body}}
  %v = cira.load_async_batch %h : !cira.handle<!Opaque> -> !cira.future<!Opaque>
  return
}

// -----

func.func @f(%f: !cira.future<f32>) {
  // expected-error @+1 {{'cira.await' op failed to verify that the value has the type inside the future; write '-> T' for a !cira.future<T>}}
  %v = cira.await %f : !cira.future<f32> -> f64
  return
}

// -----

func.func @f(%f: !cira.future<f32>) {
  // expected-note @+1 {{first awaited here}}
  %v = cira.await %f : !cira.future<f32> -> f32
  // expected-error @+1 {{'cira.await' op awaits a future twice; use the value of the first await}}
  %w = cira.await %f : !cira.future<f32> -> f32
  return
}

// -----

func.func @f(%f: !cira.future<f32>, %c: i1) {
  // expected-note @+1 {{first awaited here}}
  %v = cira.await %f : !cira.future<f32> -> f32
  scf.if %c {
    // expected-error @+1 {{'cira.await' op awaits a future twice}}
    %w = cira.await %f : !cira.future<f32> -> f32
  }
  return
}

// -----

func.func @f(%f: f32) {
  // expected-error @+1 {{'cira.await' op operand #0 must be a !cira.future (make one with cira.load_async or cira.peek_stream), but got 'f32'}}
  %v = "cira.await"(%f) : (f32) -> f32
  return
}

// -----

func.func @f(%n: !llvm.struct<(f32)>) {
  // expected-error @+1 {{'cira.extract' op needs an index; write [i] after the value}}
  %v = cira.extract %n : !llvm.struct<(f32)> -> f32
  return
}

// -----

func.func @f(%n: !llvm.struct<(f32)>) {
  // expected-error @+1 {{'cira.extract' op memory holds 'f32' there, not 'i32'; correct the type of the result}}
  %v = cira.extract %n[0] : !llvm.struct<(f32)> -> i32
  return
}

// -----

func.func @f(%n: f32) {
  // expected-error @+1 {{'cira.extract' op 'f32' has no parts; only a struct, an LLVM array or a vector of rank 1 can be indexed here}}
  %v = cira.extract %n[0] : f32 -> f32
  return
}

// -----

func.func @f(%n: vector<4xf32>) {
  // expected-error @+1 {{'cira.extract' op there is no element 4}}
  %v = cira.extract %n[4] : vector<4xf32> -> f32
  return
}

// -----

func.func @f(%h: !cira.handle<f32>) {
  // expected-error @+1 {{'cira.handle_offset' op needs one index; write [i] after the handle}}
  %v = cira.handle_offset %h : !cira.handle<f32>
  return
}

// -----

!Opaque = !llvm.struct<"Opaque", opaque>
func.func @f(%h: !cira.handle<!Opaque>) {
  // expected-error @+1 {{'cira.handle_offset' op '!llvm.struct<"Opaque", opaque>' has no known size; give the struct a body}}
  %v = cira.handle_offset %h[1] : !cira.handle<!Opaque>
  return
}

// -----

!Node = !llvm.struct<"Node", (f32, ptr)>
func.func @f(%h: !cira.handle<!Node>) {
  // expected-error @+1 {{'cira.handle_field' op needs an index; write [i] after the handle}}
  %v = cira.handle_field %h : !cira.handle<!Node> -> !cira.handle<f32>
  return
}

// -----

!Node = !llvm.struct<"Node", (f32, ptr)>
func.func @f(%h: !cira.handle<!Node>) {
  // expected-error @+1 {{'cira.handle_field' op memory holds 'f32' there, not 'f64'; correct the type of the result}}
  %v = cira.handle_field %h[0] : !cira.handle<!Node> -> !cira.handle<f64>
  return
}

// -----

func.func @f(%h: !cira.handle<f32>) {
  // expected-error @+1 {{'cira.handle_field' op 'f32' has no parts}}
  %v = cira.handle_field %h[0] : !cira.handle<f32> -> !cira.handle<f32>
  return
}

// -----

func.func @f(%h: !cira.handle<f32>) {
  // expected-error @+1 {{'cira.handle_cast' op cannot turn '!cira.handle<f32>' into 'memref<?xf32>'; it goes between handles}}
  %v = cira.handle_cast %h : !cira.handle<f32> to memref<?xf32>
  return
}

// -----

func.func @f(%h: !llvm.ptr) {
  // expected-error @+1 {{'cira.handle_cast' op cannot turn '!llvm.ptr' into '!llvm.ptr<1>'}}
  %v = cira.handle_cast %h : !llvm.ptr to !llvm.ptr<1>
  return
}

// -----

func.func @f(%m: memref<?xf64>) {
  // expected-error @+1 {{'cira.handle_cast' op the memref holds 'f64', the handle points to 'f32'; make them the same, then cast the handle}}
  %v = cira.handle_cast %m : memref<?xf64> to !cira.handle<f32>
  return
}

// -----

func.func @f(%m: memref<?xf32, strided<[2]>>) {
  // expected-error @+1 {{'cira.handle_cast' op the memref's layout is not row-major, so a handle cannot walk it; copy it or use a stream}}
  %v = cira.handle_cast %m : memref<?xf32, strided<[2]>> to !cira.handle<f32>
  return
}

// -----

func.func @f(%h: !cira.handle<f32>, %n: index) {
  // expected-error @+1 {{'cira.handle_view' op the handle points to 'f32', the memref holds 'f64'; make them the same}}
  %v = cira.handle_view %h, %n : !cira.handle<f32>, index -> memref<?xf64>
  return
}

// -----

func.func @f(%h: !cira.handle<f32>, %n: index) {
  // expected-error @+1 {{'cira.handle_view' op makes memref<?x'f32'>, not 'memref<4xf32>'; cast the memref afterwards}}
  %v = cira.handle_view %h, %n : !cira.handle<f32>, index -> memref<4xf32>
  return
}

// -----

func.func @f(%m: memref<4xf32>) {
  // expected-error @+1 {{'cira.remote_cast' op goes between memref and !cira.remote_memref; use memref.cast between memrefs}}
  %v = cira.remote_cast %m : memref<4xf32> to memref<?xf32>
  return
}

// -----

func.func @f(%m: memref<4xf32>) {
  // expected-error @+1 {{'cira.remote_cast' op changes 'memref<4xf32>' into 'memref<?xf32>'; element type, shape and layout must stay}}
  %v = cira.remote_cast %m : memref<4xf32> to !cira.remote_memref<?xf32, far>
  return
}

// -----

!Node = !llvm.struct<"Node", (f32, ptr)>
func.func @f(%m: !cira.remote_memref<?x!Node, far>) {
  // expected-error @+1 {{'cira.remote_cast' op a memref cannot hold '!llvm.struct<"Node", (f32, ptr)>'; use cira.handle_cast}}
  %v = cira.remote_cast %m : !cira.remote_memref<?x!Node, far> to memref<?xf32>
  return
}

// -----

func.func @f() {
  // expected-error @+1 {{'cira.alloc' op got 0 sizes for 1 dynamic dimensions; give one for each}}
  %v = cira.alloc() : !cira.remote_memref<?xf32, far>
  return
}

// -----

func.func @f() {
  // expected-error @+1 {{'cira.alloc' op tier(cxl) contradicts '!cira.remote_memref<8xf32, far>'; leave tier(...) out}}
  %v = cira.alloc() tier(cxl) : !cira.remote_memref<8xf32, far>
  return
}

// -----

func.func @f(%n: index) {
  // expected-error @+1 {{'cira.alloc' op got 2 sizes for a handle; give one, the number of elements}}
  %v = cira.alloc(%n, %n) : !cira.handle<f32>
  return
}

// -----

!Opaque = !llvm.struct<"Opaque", opaque>
func.func @f(%n: index) {
  // expected-error @+1 {{'cira.alloc' op '!llvm.struct<"Opaque", opaque>' has no known size; give the struct a body}}
  %v = cira.alloc(%n) : !cira.handle<!Opaque>
  return
}

// -----

func.func @f() {
  %n = arith.constant -1 : index
  // expected-error @+1 {{'cira.alloc' op cannot allocate -1 elements; use 0 or more}}
  %v = cira.alloc(%n) : !cira.handle<f32>
  return
}

// -----

func.func @f(%n: index) {
  // expected-error @+1 {{unknown tier moon; use local, cxl, remote_cxl or far}}
  %v = cira.alloc(%n) tier(moon) : !cira.handle<f32>
  return
}

// -----

func.func @f(%h: !cira.handle<f32>) {
  // expected-note @+1 {{first ended here}}
  cira.dealloc %h : !cira.handle<f32>
  // expected-error @+1 {{'cira.dealloc' op ends an array twice; drop one cira.dealloc}}
  cira.dealloc %h : !cira.handle<f32>
  return
}

// -----

func.func @f(%s: !cira.stream, %n: index) {
  // expected-error @+1 {{'cira.prefetch_stream' op of a stream takes one distance, not 2 numbers}}
  cira.prefetch_stream %s, %n, %n : !cira.stream, index, index
  return
}

// -----

func.func @f(%s: !cira.stream) {
  %n = arith.constant 0 : index
  // expected-error @+1 {{'cira.prefetch_stream' op distance 0 asks for nothing; use at least 1}}
  cira.prefetch_stream %s, %n : !cira.stream, index
  return
}

// -----

func.func @f(%s: !cira.handle<f32>, %n: index) {
  // expected-error @+1 {{'cira.prefetch_stream' op of a handle takes a stride and a count, not 1 numbers}}
  cira.prefetch_stream %s, %n : !cira.handle<f32>, index
  return
}

// -----

func.func @f(%s: !cira.handle<f32>, %n: index) {
  %c0 = arith.constant 0 : index
  // expected-error @+1 {{'cira.prefetch_stream' op stride 0 names one element over and over; use another stride}}
  cira.prefetch_stream %s, %c0, %n : !cira.handle<f32>, index, index
  return
}

// -----

func.func @f(%s: !cira.handle<f32>, %n: index) {
  %c = arith.constant -4 : index
  // expected-error @+1 {{'cira.prefetch_stream' op count -4 is negative; use a negative stride to go backwards}}
  cira.prefetch_stream %s, %n, %c : !cira.handle<f32>, index, index
  return
}

// -----

func.func @f(%h: !cira.handle<f32>, %n: index) {
  // expected-error @+1 {{'cira.prefetch_indirect' op head must point to a pointer, not to 'f32'; pass the place that holds the first pointer}}
  cira.prefetch_indirect %h, %n, %n : !cira.handle<f32>, index, index
  return
}

// -----

func.func @f(%h: !cira.handle<!llvm.ptr>, %n: index) {
  %c = arith.constant -8 : index
  // expected-error @+1 {{'cira.prefetch_indirect' op offset -8 lies before the node; count from its first byte}}
  cira.prefetch_indirect %h, %c, %n : !cira.handle<!llvm.ptr>, index, index
  return
}

// -----

func.func @f(%h: !cira.handle<!llvm.ptr>, %n: index) {
  %c = arith.constant 0 : index
  // expected-error @+1 {{'cira.prefetch_indirect' op distance 0 asks for nothing; use at least 1}}
  cira.prefetch_indirect %h, %n, %c : !cira.handle<!llvm.ptr>, index, index
  return
}

// -----

func.func @f(%h: !cira.handle<i8>) {
  %c = arith.constant 4 : i32
  // expected-error @+1 {{'cira.install_cacheline' op there is no cache level 4; use 1, 2 or 3}}
  cira.install_cacheline %h, %c : !cira.handle<i8>, i32
  return
}
