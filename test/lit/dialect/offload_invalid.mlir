// SPDX-License-Identifier: Apache-2.0
// One case per rule of offload regions, calls, and edge and node loads.
// RUN: cira-opt %s --split-input-file --verify-diagnostics

func.func @f() {
  cira.offload @vortex {
    // expected-error @+1 {{'cira.offload' op stands inside another offload; a device cannot offload in turn, so move it out}}
    cira.offload @vortex {
    }
  }
  return
}

// -----

func.func @f() {
  // expected-error @+1 {{'cira.offload' op @gpu is no device of this machine; use @vortex or @helper (with _core_N to pick a core), or list it in devices of #cira.machine}}
  cira.offload @gpu {
  }
  return
}

// -----

func.func @f() {
  // expected-error @+1 {{'cira.offload' op @vortex_core_x is no device of this machine}}
  cira.offload @vortex_core_x {
  }
  return
}

// -----

module attributes {cira.machine = #cira.machine<devices = ["dpu"]>} {
func.func @f() {
  // expected-error @+1 {{'cira.offload' op @vortex is no device of this machine}}
  cira.offload @vortex {
  }
  return
}
}

// -----

func.func @f(%x: f32) {
  // expected-error @+1 {{'cira.offload' op has 1 operands that do not match the 0 block arguments; give each operand one of its type}}
  "cira.offload"(%x) <{device = @vortex}> ({
    cira.yield
  }) : (f32) -> ()
  return
}

// -----

func.func @f(%x: f32) {
  // expected-error @+1 {{'cira.offload' op has 1 operands that do not match the 1 block arguments}}
  cira.offload @vortex(%x : f32) {
  ^bb0(%y: f64):
  }
  return
}

// -----

func.func @f() {
  %r = cira.offload @vortex -> i64 {
    %c = arith.constant 1 : i32
    // expected-error @+1 {{'cira.yield' op gives 1 values for the 1 results of the cira.offload; number and types must match}}
    cira.yield %c : i32
  }
  return
}

// -----

func.func @f() {
  // expected-error @+1 {{'cira.yield' op expects parent op 'cira.offload'}}
  "cira.yield"() : () -> ()
}

// -----

func.func @f(%x: f32) {
  // expected-error @+1 {{'cira.call' op @nowhere is not a function here; declare it in the module}}
  cira.call @nowhere(%x) : (f32) -> ()
  return
}

// -----

func.func private @g(f32) -> i32
func.func @f(%x: f32) {
  // expected-error @+1 {{'cira.call' op has 0 operands, the function 1; make them match}}
  %r = cira.call @g() : () -> i32
  return
}

// -----

func.func private @g(f32) -> i32
func.func @f(%x: f32) {
  // expected-error @+1 {{'cira.call' op has 0 results, the function 1; make them match}}
  cira.call @g(%x) : (f32) -> ()
  return
}

// -----

func.func private @g(f32) -> i32
func.func @f(%x: f64) {
  // expected-error @+1 {{'cira.call' op operand 0 is 'f64', the function has 'f32'; cast it}}
  %r = cira.call @g(%x) : (f64) -> i32
  return
}

// -----

func.func private @g(f32) -> i32
func.func @f(%x: f32) {
  // expected-error @+1 {{'cira.call' op result 0 is 'i64', the function has 'i32'; cast it}}
  %r = cira.call @g(%x) : (f32) -> i64
  return
}

// -----

!Edge = !llvm.struct<"Edge", (ptr, ptr, f32)>
!Node = !llvm.struct<"Node", (f32)>
func.func @f(%e: !cira.remote_memref<4x4x!Edge, cxl>, %i: index) {
  // expected-error @+1 {{'cira.offload.load_edge' op edges must have rank 1, not 2; collapse the array first}}
  %r = cira.offload.load_edge %e[%i], %i : !cira.remote_memref<4x4x!Edge, cxl>, index -> !cira.handle<!Edge>
  return
}

// -----

!Edge = !llvm.struct<"Edge", (ptr, ptr, f32)>
!Node = !llvm.struct<"Node", (f32)>
func.func @f(%e: !cira.remote_memref<?x!Edge, cxl>, %i: index) {
  // expected-error @+1 {{'cira.offload.load_edge' op the array holds '!llvm.struct<"Edge", (ptr, ptr, f32)>', the result points to 'f32'; make them the same}}
  %r = cira.offload.load_edge %e[%i], %i : !cira.remote_memref<?x!Edge, cxl>, index -> !cira.handle<f32>
  return
}

// -----

!Edge = !llvm.struct<"Edge", (ptr, ptr, f32)>
!Node = !llvm.struct<"Node", (f32)>
func.func @f(%e: !cira.remote_memref<?x!Edge, cxl>, %i: index) {
  %c = arith.constant -1 : index
  // expected-error @+1 {{'cira.offload.load_edge' op distance -1 looks back; use 0 for none or more for ahead}}
  %r = cira.offload.load_edge %e[%i], %c : !cira.remote_memref<?x!Edge, cxl>, index -> !cira.handle<!Edge>
  return
}

// -----

!Edge = !llvm.struct<"Edge", (ptr, ptr, f32)>
!Node = !llvm.struct<"Node", (f32)>
func.func @f(%e: !cira.handle<!Edge>, %i: index) {
  // expected-error @+1 {{'cira.offload.load_node' op knows no field "from" of '!llvm.struct<"Edge", (ptr, ptr, f32)>'; list the names of the struct's fields in the module}}
  %r = cira.offload.load_node %e, "from", %i : !cira.handle<!Edge>, index -> !cira.handle<!Node>
  return
}

// -----

!Edge = !llvm.struct<"Edge", (ptr, ptr, f32)>
!Node = !llvm.struct<"Node", (f32)>
module attributes {cira.fields = {Edge = ["from", "to", "weight"]}} {
func.func @f(%e: !cira.handle<!Edge>, %i: index) {
  // expected-error @+1 {{'cira.offload.load_node' op knows no field "form"}}
  %r = cira.offload.load_node %e, "form", %i : !cira.handle<!Edge>, index -> !cira.handle<!Node>
  return
}
}

// -----

!Edge = !llvm.struct<"Edge", (ptr, ptr, f32)>
!Node = !llvm.struct<"Node", (f32)>
module attributes {cira.fields = {Edge = ["from", "to", "weight"]}} {
func.func @f(%e: !cira.handle<!Edge>, %i: index) {
  // expected-error @+1 {{'cira.offload.load_node' op field "weight" is 'f32', which points to no '!llvm.struct<"Node", (f32)>'; name a field that is a pointer}}
  %r = cira.offload.load_node %e, "weight", %i : !cira.handle<!Edge>, index -> !cira.handle<!Node>
  return
}
}

// -----

!Edge = !llvm.struct<"Edge", (ptr, ptr, f32)>
!Node = !llvm.struct<"Node", (f32)>
module attributes {cira.fields = {Edge = ["from", "to", "weight"]}} {
func.func @f(%e: !cira.handle<!Edge>) {
  %c = arith.constant -1 : index
  // expected-error @+1 {{'cira.offload.load_node' op distance -1 looks back}}
  %r = cira.offload.load_node %e, "from", %c : !cira.handle<!Edge>, index -> !cira.handle<!Node>
  return
}
}

// -----

func.func @f(%n: !cira.handle<f32>) {
  // expected-error @+1 {{'cira.offload.get_paddr' op needs the name of the field that the node was loaded through}}
  %p = cira.offload.get_paddr "", %n : !cira.handle<f32> -> !llvm.ptr
  return
}

// -----

func.func @f(%n: !cira.handle<f32>) {
  // expected-error @+1 {{'cira.offload.get_paddr' op result #0 must be an !llvm.ptr, but got 'i64'}}
  %p = cira.offload.get_paddr "from", %n : !cira.handle<f32> -> i64
  return
}

// -----

!Edge = !llvm.struct<"Edge", (ptr, ptr, f32)>
!Node = !llvm.struct<"Node", (f32)>
module attributes {cira.fields = {Edge = ["from", "to", "weight"]}} {
func.func @f(%e: !cira.handle<!Edge>, %i: index) {
  %n = cira.offload.load_node %e, "from", %i : !cira.handle<!Edge>, index -> !cira.handle<!Node>
  // expected-error @+1 {{'cira.offload.get_paddr' op says "to", but the node was loaded through "from"; use the same name}}
  %p = cira.offload.get_paddr "to", %n : !cira.handle<!Node> -> !llvm.ptr
  return
}
}

// -----

func.func @f(%e: !cira.remote_memref<4x4xf32, cxl>, %i: index) {
  // expected-error @+1 {{'cira.offload.evict_edge' op edges must have rank 1, not 2}}
  cira.offload.evict_edge %e[%i] : !cira.remote_memref<4x4xf32, cxl>
  return
}
