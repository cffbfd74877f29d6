// SPDX-License-Identifier: Apache-2.0
// The listing "Lowering from TOSA": the tensor form, and the tiled prefetch of
// its weights in memory. Corrections: docs/dialect/seed-listings.md.
// RUN: cira-opt %s | cira-opt | FileCheck %s

// CHECK-LABEL: func.func @matmul
func.func @matmul(%input: tensor<1x64x128xf32>, %weights: tensor<1x128x256xf32>) -> tensor<1x64x256xf32> {
  // TOSA matmul with CXL-resident weights
  // CHECK: tosa.matmul
  %0 = tosa.matmul %input, %weights : (tensor<1x64x128xf32>, tensor<1x128x256xf32>)
      -> tensor<1x64x256xf32>
  return %0 : tensor<1x64x256xf32>
}

// CHECK-LABEL: func.func @tiles
func.func @tiles(%weights: !cira.remote_memref<128x256xf32, cxl>, %tile_size: index, %lookahead: index) {
  // Lowered with tiled prefetching
  // CHECK: cira.stream_create_tiled
  %tile_stream = cira.stream_create_tiled %weights, %tile_size
      : !cira.remote_memref<128x256xf32, cxl>, index -> !cira.stream
  cira.offload @vortex {
    // CHECK: cira.prefetch_tiles
    cira.prefetch_tiles %tile_stream, %lookahead : !cira.stream, index
  }
  // ... tiled matmul with prefetched tiles in LLC ...
  cira.stream_release %tile_stream : !cira.stream
  return
}
