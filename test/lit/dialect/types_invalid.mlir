// SPDX-License-Identifier: Apache-2.0
// One case per rule of the types and attributes.
// RUN: cira-opt %s --split-input-file --verify-diagnostics

// expected-error @+1 {{!cira.handle: '!cira.stream' cannot lie in memory; point to a type with a size}}
func.func private @f(!cira.handle<!cira.stream>)

// -----

// expected-error @+1 {{!cira.handle: 'tensor<4xf32>' cannot lie in memory}}
func.func private @f(!cira.handle<tensor<4xf32>>)

// -----

// expected-error @+1 {{!cira.handle: '!llvm.struct<(f32, !cira.token)>' cannot lie in memory}}
func.func private @f(!cira.handle<!llvm.struct<(f32, !cira.token)>>)

// -----

// expected-error @+1 {{!cira.handle: '!llvm.struct<"S", (f32, struct<"S">)>' cannot lie in memory}}
func.func private @f(!cira.handle<!llvm.struct<"S", (f32, struct<"S">)>>)

// -----

// expected-error @+1 {{!cira.future: '() -> ()' cannot be loaded; use a type that memory can hold}}
func.func private @f(!cira.future<() -> ()>)

// -----

// expected-error @+1 {{!cira.remote_memref: '!cira.future<f32>' cannot lie in memory; use an element with a size}}
func.func private @f(!cira.remote_memref<4x!cira.future<f32>, far>)

// -----

// expected-error @+1 {{!cira.remote_memref: layout 3 : i32 is no memory layout; write an affine_map or strided<...>, or leave it out}}
func.func private @f(!cira.remote_memref<4xf32, far, 3 : i32>)

// -----

// expected-error @+1 {{expected the number of strides to match the rank}}
func.func private @f(!cira.remote_memref<4x4xf32, far, strided<[1]>>)

// -----

// expected-error @+2 {{expected ::cira::Tier to be one of: local, cxl, remote_cxl, far}}
// expected-error @+1 {{failed to parse CIRA_RemoteMemRefType parameter 'tier'}}
func.func private @f(!cira.remote_memref<4xf32, moon>)

// -----

// expected-error @+1 {{#cira.machine: 0 is out of range; latencies, sizes and counts are between 1 and 2^40}}
module attributes {cira.machine = #cira.machine<far_latency_ns = 0>} {}

// -----

// expected-error @+1 {{#cira.machine: 9223372036854775807 is out of range}}
module attributes {cira.machine = #cira.machine<page_bytes = 9223372036854775807>} {}

// -----

// expected-error @+1 {{#cira.machine: -1 is out of range; bandwidths, costs and prefetches are between 0 and 2^40}}
module attributes {cira.machine = #cira.machine<sync_ns = -1>} {}

// -----

// expected-error @+1 {{#cira.machine: line_bytes and page_bytes must be powers of two, the page not smaller than the line}}
module attributes {cira.machine = #cira.machine<line_bytes = 48>} {}

// -----

// expected-error @+1 {{#cira.machine: device "" is no name; write devices = ["vortex", ...]}}
module attributes {cira.machine = #cira.machine<devices = [""]>} {}

// -----

func.func @f() {
  // expected-error @+1 {{'arith.constant' op cira.machine must be a #cira.machine<...> and sit on a module}}
  arith.constant {cira.machine = #cira.machine<>} 0 : i32
  return
}

// -----

func.func @f() {
  // expected-error @+1 {{'arith.constant' op cira.fields must sit on a module and list field names}}
  arith.constant {cira.fields = {}} 0 : i32
  return
}

// -----

// expected-error @+1 {{'builtin.module' op cira.fields must sit on a module and list field names}}
module attributes {cira.fields = {Edge = [1]}} {}

// -----

func.func @f() {
  // expected-error @+1 {{'arith.constant' op cira.access must be a #cira.access<...>}}
  arith.constant {cira.access = 1 : i32} 0 : i32
  return
}

// -----

func.func @f() {
  // expected-error @+1 {{'arith.constant' op cira.pattern must be a #cira.access<...>}}
  arith.constant {cira.pattern = 1 : i32} 0 : i32
  return
}

// -----

func.func @f() {
  // expected-error @+1 {{'arith.constant' op cira.distance must be a #cira.distance<...>}}
  arith.constant {cira.distance = 1 : i32} 0 : i32
  return
}

// -----

func.func @f() {
  // expected-error @+1 {{'arith.constant' op unknown attribute cira.speed; cira knows cira.machine, cira.fields, cira.checked, cira.access, cira.facts, cira.pattern and cira.distance}}
  arith.constant {cira.speed = 1 : i32} 0 : i32
  return
}

// -----

func.func @f() {
  // expected-error @+1 {{#cira.access: a strided access needs a stride_bytes that is not 0; an access that does not move is none}}
  arith.constant {cira.access = #cira.access<strided, stride_bytes = 0, reason = "x">} 0 : i32
  return
}

// -----

func.func @f() {
  // expected-error @+1 {{#cira.access: offset_bytes and element_bytes must not be negative}}
  arith.constant {cira.access = #cira.access<linked, offset_bytes = -1, reason = "x">} 0 : i32
  return
}

// -----

func.func @f() {
  // expected-error @+1 {{#cira.distance: distances are at least 1 iteration and times at least 1 ns}}
  arith.constant {cira.distance = #cira.distance<lines = 0, pages = 1, iteration_ns = 1, latency_ns = 1>} 0 : i32
  return
}
