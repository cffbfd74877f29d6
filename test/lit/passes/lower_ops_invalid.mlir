// SPDX-License-Identifier: Apache-2.0
// RUN: cira-opt %s --split-input-file --verify-diagnostics --cira-lower-ops
// RUN: not cira-opt %s --split-input-file --pass-pipeline='builtin.module(func.func(cira-lower-ops))' 2>&1 | FileCheck %s
// CHECK: error: 'func.func' op cira-lower-ops declares functions beside it; run it on builtin.module

func.func @region(%s: !cira.stream, %d: index) {
  // expected-error@+1 {{'cira.offload' op cannot be lowered as a region; run cira-outline-offload first}}
  cira.offload @vortex {
    cira.prefetch_chain %s, %d : !cira.stream, index
  }
  return
}

// -----

// expected-error@+1 {{'cira.sync_token_create' op cannot be lowered outside of a function; put it into a func.func of a module}}
%token = cira.sync_token_create

// -----

func.func @odd_positions(%a: !cira.handle<f32>, %b: memref<?xi24>, %n: index) {
  // expected-error@+1 {{'cira.stream_create_indexed' op cannot be lowered: positions of 24 bits; use 8, 16, 32 or 64}}
  %s = cira.stream_create_indexed %a, %b, %n, %n, %n
      : !cira.handle<f32>, memref<?xi24>, index, index, index -> !cira.stream
  return
}

// -----

func.func @strided_base(%a: memref<?xf32, strided<[2]>>, %b: memref<?xi32>, %n: index) {
  // expected-error@+1 {{'cira.stream_create_indexed' op cannot be lowered: the layout of the array is not row-major; copy it, or take a stride instead}}
  %s = cira.stream_create_indexed %a, %b, %n, %n, %n
      : memref<?xf32, strided<[2]>>, memref<?xi32>, index, index, index -> !cira.stream
  return
}

// -----

!Graph = !llvm.struct<"Graph", (i64, ptr, ptr)>
func.func @strided_frontier(%g: !cira.handle<!Graph>, %f: memref<?xi32, strided<[2]>>) {
  // expected-error@+1 {{'cira.stream_create_frontier' op cannot be lowered: the layout of the frontier is not row-major; copy it, or take a stride instead}}
  %s = cira.stream_create_frontier %g, %f
      : !cira.handle<!Graph>, memref<?xi32, strided<[2]>> -> !cira.stream
  return
}

// -----

!Graph = !llvm.struct<"Graph", (i64, ptr, ptr)>
func.func @lists_differ(%g: !cira.handle<!Graph>, %f: memref<?xi32>, %i: index) {
  // expected-error@+1 {{'cira.stream_create_frontier' op cannot be lowered: its lists are peeked as arrays of different integers; use the graph's own type for all}}
  %s = cira.stream_create_frontier %g, %f : !cira.handle<!Graph>, memref<?xi32> -> !cira.stream
  %a = cira.peek_adjacency %s, %i : !cira.stream, index -> !cira.future<memref<?xi32>>
  %b = cira.peek_adjacency %s, %i : !cira.stream, index -> !cira.future<memref<?xi64>>
  return
}

// -----

func.func @layout_of_alloc(%n: index) {
  // expected-error@+1 {{'cira.alloc' op cannot be lowered: the layout is no strided<...>; write it as one}}
  %a = cira.alloc(%n) : !cira.remote_memref<?x4xf32, far, affine_map<(i, j) -> (j, i)>>
  // expected-error@+1 {{'cira.alloc' op cannot be lowered: stride 0 is not known or negative; allocate with constant strides}}
  %b = cira.alloc(%n) : !cira.remote_memref<?xf32, far, strided<[?]>>
  // expected-error@+1 {{'cira.alloc' op cannot be lowered: the offset is not known; allocate with constant strides and offset}}
  %c = cira.alloc(%n) : !cira.remote_memref<?xf32, far, strided<[1], offset: ?>>
  return
}

// -----

func.func @layout_of_memref(%n: index, %any: memref<*xf32>) {
  // expected-error@+1 {{'memref.alloc' op cannot be lowered: its layout is not row-major; allocate row-major and cast}}
  %a = memref.alloc(%n) : memref<?xf32, strided<[2]>>
  // expected-error@+1 {{'memref.dealloc' op cannot be lowered for a memref without a rank; cast it to its rank first}}
  memref.dealloc %any : memref<*xf32>
  return
}

// -----

func.func @no_size(%h: !cira.handle<vector<[4]xf32>>) {
  // expected-error@+1 {{'cira.load' op cannot be lowered: vector<[4]xf32> has no known size in memory; give a struct its body, a vector a constant size}}
  %a = cira.load %h : !cira.handle<vector<[4]xf32>> -> vector<[4]xf32>
  return
}

// -----

func.func @too_far(%h: !cira.handle<i64>) -> !cira.handle<i64> {
  // expected-error@+1 {{'cira.handle_offset' op cannot be lowered: element 4611686018427387904 lies outside of the address space; use a smaller index}}
  %p = cira.handle_offset %h[4611686018427387904] : !cira.handle<i64>
  return %p : !cira.handle<i64>
}
