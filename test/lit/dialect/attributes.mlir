// SPDX-License-Identifier: Apache-2.0
// Attributes survive printing and parsing; a machine prints what differs from
// the defaults only.
// RUN: cira-opt %s --split-input-file | FileCheck %s
// RUN: cira-opt %s --split-input-file | cira-opt --split-input-file | FileCheck %s

// CHECK: module attributes {cira.machine = #cira.machine<>}
module attributes {cira.machine = #cira.machine<llc_latency_ns = 15, local_latency_ns = 80, cxl_latency_ns = 200, remote_cxl_latency_ns = 400, sync_ns = 50>} {}

// -----

// CHECK: module attributes {cira.machine = #cira.machine<llc_latency_ns = 20, local_latency_ns = 90, cxl_latency_ns = 250, remote_cxl_latency_ns = 450, far_latency_ns = 2400, local_bytes_per_us = 12000, cxl_bytes_per_us = 8000, remote_cxl_bytes_per_us = 4000, far_bytes_per_us = 1200, llc_bytes = 1048576, line_bytes = 128, page_bytes = 16384, sync_ns = 1050, device_busy_ns = 5, op_ns = 2, lines_in_flight = 16, prefetches_in_flight = 48, pages_in_flight = 32, devices = ["helper"]>}
module attributes {cira.machine = #cira.machine<llc_latency_ns = 20, local_latency_ns = 90, cxl_latency_ns = 250, remote_cxl_latency_ns = 450, far_latency_ns = 2400, local_bytes_per_us = 12000, cxl_bytes_per_us = 8000, remote_cxl_bytes_per_us = 4000, far_bytes_per_us = 1200, llc_bytes = 1048576, line_bytes = 128, page_bytes = 16384, sync_ns = 1050, device_busy_ns = 5, op_ns = 2, lines_in_flight = 16, prefetches_in_flight = 48, pages_in_flight = 32, devices = ["helper"]>} {}

// -----

// CHECK-LABEL: func.func @annotated
func.func @annotated(%m: memref<?xf32>, %n: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  scf.for %i = %c0 to %n step %c1 {
    // CHECK: memref.load {{.*}} {cira.access = #cira.access<strided, stride_bytes = -4, element_bytes = 4, reason = "a \22quoted\22 reason">}
    %v = memref.load %m[%i] {cira.access = #cira.access<strided, element_bytes = 4, stride_bytes = -4, reason = "a \"quoted\" reason">} : memref<?xf32>
  // CHECK: cira.distance = #cira.distance<lines = 8, pages = 500, iteration_ns = 10, latency_ns = 5000>, cira.pattern = #cira.access<linked, offset_bytes = 8, reason = "x">
  } {cira.pattern = #cira.access<linked, offset_bytes = 8, reason = "x">, cira.distance = #cira.distance<lines = 8, pages = 500, iteration_ns = 10, latency_ns = 5000>}
  return
}

// -----

// CHECK: attributes {tier = #cira.tier<remote_cxl>}
"builtin.module"() ({
  func.func private @f() attributes {tier = #cira.tier<remote_cxl>}
}) : () -> ()
