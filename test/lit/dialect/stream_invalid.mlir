// SPDX-License-Identifier: Apache-2.0
// One case per rule of the stream ops.
// RUN: cira-opt %s --split-input-file --verify-diagnostics

func.func @f(%m: memref<4x4xf32>, %n: index) {
  // expected-error @+1 {{'cira.stream_create_strided' op needs an array of rank 1, not 2; collapse it first, or use cira.stream_create_tiled}}
  %s = cira.stream_create_strided %m, %n, %n, %n : memref<4x4xf32>, index, index, index -> !cira.stream
  return
}

// -----

func.func @f(%m: memref<4xf32>, %n: index) {
  %c0 = arith.constant 0 : index
  // expected-error @+1 {{'cira.stream_create_strided' op stride 0 names one element over and over; use another stride}}
  %s = cira.stream_create_strided %m, %n, %c0, %n : memref<4xf32>, index, index, index -> !cira.stream
  return
}

// -----

func.func @f(%m: memref<4xf32>, %n: index) {
  %c = arith.constant -1 : index
  // expected-error @+1 {{'cira.stream_create_strided' op count -1 is negative; use a negative stride to go backwards}}
  %s = cira.stream_create_strided %m, %n, %n, %c : memref<4xf32>, index, index, index -> !cira.stream
  return
}

// -----

func.func @f(%m: f32, %n: index) {
  // expected-error @+1 {{'cira.stream_create_strided' op operand #0 must be an array: a !cira.handle, memref or !cira.remote_memref, but got 'f32'}}
  %s = "cira.stream_create_strided"(%m, %n, %n, %n) : (f32, index, index, index) -> !cira.stream
  return
}

// -----

func.func @f(%h: !cira.handle<f32>, %n: index) {
  // expected-error @+1 {{'cira.stream_create_indirect' op 'f32' holds no link; the head must point to a struct or to a pointer}}
  %s = cira.stream_create_indirect %h, %n : !cira.handle<f32>, index -> !cira.stream
  return
}

// -----

!Opaque = !llvm.struct<"Opaque", opaque>
func.func @f(%h: !cira.handle<!Opaque>, %n: index) {
  // expected-error @+1 {{'cira.stream_create_indirect' op '!llvm.struct<"Opaque", opaque>' has no known size; give the struct a body}}
  %s = cira.stream_create_indirect %h, %n : !cira.handle<!Opaque>, index -> !cira.stream
  return
}

// -----

!Node = !llvm.struct<"Node", (f32, ptr)>
func.func @f(%h: !cira.handle<!Node>) {
  %c = arith.constant -8 : index
  // expected-error @+1 {{'cira.stream_create_indirect' op offset -8 lies before the node; count from its first byte}}
  %s = cira.stream_create_indirect %h, %c : !cira.handle<!Node>, index -> !cira.stream
  return
}

// -----

func.func @f(%a: memref<?xf32>, %b: memref<?xf32>, %n: index) {
  // expected-error @+1 {{'cira.stream_create_indexed' op 'f32' cannot be a position; the index array must hold integers or index}}
  %s = cira.stream_create_indexed %a, %b, %n, %n, %n : memref<?xf32>, memref<?xf32>, index, index, index -> !cira.stream
  return
}

// -----

func.func @f(%a: memref<?x?xf32>, %b: memref<?xi32>, %n: index) {
  // expected-error @+1 {{'cira.stream_create_indexed' op needs an array of rank 1, not 2}}
  %s = cira.stream_create_indexed %a, %b, %n, %n, %n : memref<?x?xf32>, memref<?xi32>, index, index, index -> !cira.stream
  return
}

// -----

func.func @f(%a: memref<?xf32>, %b: memref<?x?xi32>, %n: index) {
  // expected-error @+1 {{'cira.stream_create_indexed' op needs an array of rank 1, not 2}}
  %s = cira.stream_create_indexed %a, %b, %n, %n, %n : memref<?xf32>, memref<?x?xi32>, index, index, index -> !cira.stream
  return
}

// -----

func.func @f(%a: memref<?xf32>, %b: memref<?xi32>, %n: index) {
  %c0 = arith.constant 0 : index
  // expected-error @+1 {{'cira.stream_create_indexed' op stride 0 names one element over and over}}
  %s = cira.stream_create_indexed %a, %b, %n, %c0, %n : memref<?xf32>, memref<?xi32>, index, index, index -> !cira.stream
  return
}

// -----

func.func @f(%a: memref<f32>, %n: index) {
  // expected-error @+1 {{'cira.stream_create_tiled' op an array of rank 0 has no tiles; use cira.load}}
  %s = cira.stream_create_tiled %a, %n : memref<f32>, index -> !cira.stream
  return
}

// -----

func.func @f(%a: memref<?x?x?xf32>, %n: index) {
  // expected-error @+1 {{'cira.stream_create_tiled' op got 2 tile sizes for rank 3; give one for all dimensions or one for each}}
  %s = cira.stream_create_tiled %a, %n, %n : memref<?x?x?xf32>, index, index -> !cira.stream
  return
}

// -----

func.func @f(%a: memref<?xf32>) {
  %c = arith.constant 0 : index
  // expected-error @+1 {{'cira.stream_create_tiled' op a tile of 0 elements is empty; use at least 1}}
  %s = cira.stream_create_tiled %a, %c : memref<?xf32>, index -> !cira.stream
  return
}

// -----

!Node = !llvm.struct<"Node", (f32, ptr)>
func.func @f(%g: !cira.handle<!Node>, %f: memref<?xi32>) {
  // expected-error @+1 {{'cira.stream_create_frontier' op graph must point to a struct that begins with (i64, ptr, ptr): number of vertices, row offsets, neighbours; got '!llvm.struct<"Node", (f32, ptr)>'}}
  %s = cira.stream_create_frontier %g, %f : !cira.handle<!Node>, memref<?xi32> -> !cira.stream
  return
}

// -----

!G = !llvm.struct<(i64, ptr, ptr)>
func.func @f(%g: !cira.handle<!G>, %f: memref<?xf32>) {
  // expected-error @+1 {{'cira.stream_create_frontier' op 'f32' cannot number a vertex; the frontier must hold integers or index}}
  %s = cira.stream_create_frontier %g, %f : !cira.handle<!G>, memref<?xf32> -> !cira.stream
  return
}

// -----

!G = !llvm.struct<(i64, ptr, ptr)>
func.func @f(%g: !cira.handle<!G>, %f: !cira.handle<i32>) {
  // expected-error @+1 {{'cira.stream_create_frontier' op a frontier behind a handle has no length; give the count}}
  %s = cira.stream_create_frontier %g, %f : !cira.handle<!G>, !cira.handle<i32> -> !cira.stream
  return
}

// -----

!G = !llvm.struct<(i64, ptr, ptr)>
func.func @f(%g: !cira.handle<!G>, %f: memref<?x?xi32>) {
  // expected-error @+1 {{'cira.stream_create_frontier' op needs an array of rank 1, not 2}}
  %s = cira.stream_create_frontier %g, %f : !cira.handle<!G>, memref<?x?xi32> -> !cira.stream
  return
}

// -----

func.func @f(%s: !cira.stream, %n: index) {
  // expected-note @+1 {{released here}}
  cira.stream_release %s : !cira.stream
  // expected-error @+1 {{'cira.stream_release' op uses a stream after its cira.stream_release; move the release behind the last use}}
  cira.stream_release %s : !cira.stream
  return
}

// -----

func.func @f(%s: !cira.stream, %n: index) {
  // expected-note @+1 {{released here}}
  cira.stream_release %s : !cira.stream
  // expected-error @+1 {{'cira.advance_stream' op uses a stream after its cira.stream_release; move the release behind the last use}}
  cira.advance_stream %s : !cira.stream
  return
}

// -----

func.func @f(%s: !cira.stream, %n: index) {
  // expected-note @+1 {{released here}}
  cira.stream_release %s : !cira.stream
  // expected-error @+1 {{'cira.peek_stream' op uses a stream after its cira.stream_release; move the release behind the last use}}
  %f = cira.peek_stream %s : !cira.stream -> !cira.future<f32>
  return
}

// -----

func.func @f(%s: !cira.stream, %n: index) {
  // expected-note @+1 {{released here}}
  cira.stream_release %s : !cira.stream
  // expected-error @+1 {{'cira.peek_adjacency' op uses a stream after its cira.stream_release; move the release behind the last use}}
  %f = cira.peek_adjacency %s, %n : !cira.stream, index -> !cira.future<memref<?xi32>>
  return
}

// -----

func.func @f(%s: !cira.stream, %n: index) {
  // expected-note @+1 {{released here}}
  cira.stream_release %s : !cira.stream
  // expected-error @+1 {{'cira.prefetch_chain' op uses a stream after its cira.stream_release; move the release behind the last use}}
  cira.prefetch_chain %s, %n : !cira.stream, index
  return
}

// -----

func.func @f(%s: !cira.stream, %n: index) {
  // expected-note @+1 {{released here}}
  cira.stream_release %s : !cira.stream
  // expected-error @+1 {{'cira.prefetch_tiles' op uses a stream after its cira.stream_release; move the release behind the last use}}
  cira.prefetch_tiles %s, %n : !cira.stream, index
  return
}

// -----

func.func @f(%s: !cira.stream, %n: index) {
  // expected-note @+1 {{released here}}
  cira.stream_release %s : !cira.stream
  // expected-error @+1 {{'cira.prefetch_adjacency' op uses a stream after its cira.stream_release; move the release behind the last use}}
  cira.prefetch_adjacency %s, %n : !cira.stream, index
  return
}

// -----

func.func @f(%s: !cira.stream, %n: index) {
  // expected-note @+1 {{released here}}
  cira.stream_release %s : !cira.stream
  // expected-error @+1 {{'cira.prefetch_stream' op uses a stream after its cira.stream_release; move the release behind the last use}}
  cira.prefetch_stream %s, %n : !cira.stream, index
  return
}

// -----

func.func @f(%s: !cira.stream, %n: index) {
  // expected-note @+1 {{released here}}
  cira.stream_release %s : !cira.stream
  cira.offload @vortex {
    // expected-error @+1 {{'cira.prefetch_chain' op uses a stream after its cira.stream_release}}
    cira.prefetch_chain %s, %n : !cira.stream, index
  }
  return
}

// -----

func.func @f(%a: !cira.handle<f32>, %l: !cira.handle<!llvm.ptr>, %m: memref<?xf32>, %n: index) {
  %s = cira.stream_create_tiled %m, %n : memref<?xf32>, index -> !cira.stream
  // expected-error @+1 {{'cira.peek_stream' op does not work on the result of cira.stream_create_tiled; it needs a strided, indexed or indirect stream}}
  %f = cira.peek_stream %s : !cira.stream -> !cira.future<f32>
  return
}

// -----

func.func @f(%a: !cira.handle<f32>, %l: !cira.handle<!llvm.ptr>, %m: memref<?xf32>, %n: index) {
  %s = cira.stream_create_strided %a, %n, %n, %n : !cira.handle<f32>, index, index, index -> !cira.stream
  // expected-error @+1 {{'cira.peek_stream' op the stream's elements are 'f32', not 'f64'; correct the type of the future}}
  %f = cira.peek_stream %s : !cira.stream -> !cira.future<f64>
  return
}

// -----

func.func @f(%a: !cira.handle<f32>, %l: !cira.handle<!llvm.ptr>, %m: memref<?xf32>, %n: index) {
  %s = cira.stream_create_strided %a, %n, %n, %n : !cira.handle<f32>, index, index, index -> !cira.stream
  // expected-error @+1 {{'cira.peek_adjacency' op does not work on the result of cira.stream_create_strided; it needs a frontier stream}}
  %f = cira.peek_adjacency %s, %n : !cira.stream, index -> !cira.future<memref<?xi32>>
  return
}

// -----

func.func @f(%s: !cira.stream, %n: index) {
  // expected-error @+1 {{'cira.peek_adjacency' op gives a list of vertices; write the future as !cira.future<memref<?xi32>> (or the graph's own integer type), not '!cira.future<i32>'}}
  %f = cira.peek_adjacency %s, %n : !cira.stream, index -> !cira.future<i32>
  return
}

// -----

func.func @f(%a: !cira.handle<f32>, %l: !cira.handle<!llvm.ptr>, %m: memref<?xf32>, %n: index) {
  %s = cira.stream_create_strided %a, %n, %n, %n : !cira.handle<f32>, index, index, index -> !cira.stream
  // expected-error @+1 {{'cira.prefetch_chain' op does not work on the result of cira.stream_create_strided; it needs an indirect stream}}
  cira.prefetch_chain %s, %n : !cira.stream, index
  return
}

// -----

func.func @f(%a: !cira.handle<f32>, %l: !cira.handle<!llvm.ptr>, %m: memref<?xf32>, %n: index) {
  %s = cira.stream_create_strided %a, %n, %n, %n : !cira.handle<f32>, index, index, index -> !cira.stream
  // expected-error @+1 {{'cira.prefetch_tiles' op does not work on the result of cira.stream_create_strided; it needs a tiled stream}}
  cira.prefetch_tiles %s, %n : !cira.stream, index
  return
}

// -----

func.func @f(%a: !cira.handle<f32>, %l: !cira.handle<!llvm.ptr>, %m: memref<?xf32>, %n: index) {
  %s = cira.stream_create_indirect %l, %n : !cira.handle<!llvm.ptr>, index -> !cira.stream
  // expected-error @+1 {{'cira.prefetch_adjacency' op does not work on the result of cira.stream_create_indirect; it needs a frontier stream}}
  cira.prefetch_adjacency %s, %n : !cira.stream, index
  return
}

// -----

func.func @f(%a: !cira.handle<f32>, %l: !cira.handle<!llvm.ptr>, %m: memref<?xf32>, %n: index) {
  %s = cira.stream_create_indirect %l, %n : !cira.handle<!llvm.ptr>, index -> !cira.stream
  // expected-error @+1 {{'cira.prefetch_stream' op does not work on the result of cira.stream_create_indirect; it needs a strided or indexed stream}}
  cira.prefetch_stream %s, %n : !cira.stream, index
  return
}

// -----

func.func @f(%s: !cira.stream) {
  %c = arith.constant 0 : index
  // expected-error @+1 {{'cira.prefetch_chain' op distance 0 asks for nothing; use at least 1}}
  cira.prefetch_chain %s, %c : !cira.stream, index
  return
}

// -----

func.func @f(%s: !cira.stream) {
  %c = arith.constant 0 : index
  // expected-error @+1 {{'cira.prefetch_tiles' op distance 0 asks for nothing; use at least 1}}
  cira.prefetch_tiles %s, %c : !cira.stream, index
  return
}

// -----

func.func @f(%s: !cira.stream) {
  %c = arith.constant 0 : index
  // expected-error @+1 {{'cira.prefetch_adjacency' op distance 0 asks for nothing; use at least 1}}
  cira.prefetch_adjacency %s, %c : !cira.stream, index
  return
}
