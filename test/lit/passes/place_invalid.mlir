// SPDX-License-Identifier: Apache-2.0
// Arrays that are left alone say why, or have a tier already.
// RUN: cira-opt %s --cira-place --verify-diagnostics | FileCheck %s

// CHECK-NOT: tier(far)
// CHECK-NOT: tier(local)
func.func private @use(!cira.handle<f32>)

func.func @escape(%n: index, %p: !cira.handle<!cira.handle<f32>>, %i: index) -> !llvm.ptr {
  // expected-remark @+1 {{cira-place: missed: not all accesses are in sight; the runtime decides}}
  %a = cira.alloc(%n) : !cira.handle<f32>
  func.call @use(%a) : (!cira.handle<f32>) -> ()
  // expected-remark @+1 {{cira-place: missed: not all accesses are in sight}}
  %b = cira.alloc(%n) : !cira.handle<f32>
  cira.store %b, %p : !cira.handle<f32>, !cira.handle<!cira.handle<f32>>
  // expected-remark @+1 {{cira-place: missed: not all accesses are in sight}}
  %c = cira.alloc(%n) : !cira.handle<f32>
  %q = cira.handle_cast %c : !cira.handle<f32> to !llvm.ptr
  // A tier that is given stays, and a remote_memref has its own.
  // CHECK: tier(cxl)
  %d = cira.alloc(%n) tier(cxl) : !cira.handle<f32>
  cira.dealloc %d : !cira.handle<f32>
  %e = cira.alloc(%n) : !cira.remote_memref<?xf32, remote_cxl>
  cira.dealloc %e : !cira.remote_memref<?xf32, remote_cxl>
  return %q : !llvm.ptr
}

// Local would be best, but who says that it fits?
func.func @random(%n: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  // expected-remark @+1 {{cira-place: missed: of 1 accesses the worst is asked for 0 ns ahead, no tier hides so little}}
  %a = cira.alloc(%n) : !cira.handle<f32>
  scf.for %i = %c0 to %n step %c1 {
    %k = arith.muli %i, %i : index
    %v = cira.load %a[%k] : !cira.handle<f32> -> f32
  }
  cira.dealloc %a : !cira.handle<f32>
  return
}
