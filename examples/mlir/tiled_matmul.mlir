// SPDX-License-Identifier: Apache-2.0
// A matrix product whose weights lie in CXL or far memory, tile by tile, while
// the next tiles are on their way: the listing "Lowering from TOSA" of the design
// notes with its loops written out.
//
//   cira-run --far shm: --local 1M examples/mlir/tiled_matmul.mlir
//
// main() multiplies 16 x 1024 by 1024 x 1024 (4 MiB) and gives a checksum.

func.func @tiles(%input: memref<16x1024xf32>,
                 %weights: !cira.remote_memref<1024x1024xf32, cxl>,
                 %output: memref<16x1024xf32>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %rows = arith.constant 16 : index
  %size = arith.constant 1024 : index
  %tile_size = arith.constant 64 : index
  %lookahead = arith.constant 4 : index
  %w = cira.remote_cast %weights
      : !cira.remote_memref<1024x1024xf32, cxl> to memref<1024x1024xf32>
  // Lowered with tiled prefetching
  %tile_stream = cira.stream_create_tiled %weights, %tile_size
      : !cira.remote_memref<1024x1024xf32, cxl>, index -> !cira.stream
  cira.offload @vortex {
    cira.prefetch_tiles %tile_stream, %lookahead : !cira.stream, index
  }
  // ... tiled matmul with prefetched tiles in LLC ...
  scf.for %kt = %c0 to %size step %tile_size {
    %k_end = arith.addi %kt, %tile_size : index
    scf.for %jt = %c0 to %size step %tile_size {
      %j_end = arith.addi %jt, %tile_size : index
      scf.for %i = %c0 to %rows step %c1 {
        scf.for %k = %kt to %k_end step %c1 {
          %x = memref.load %input[%i, %k] : memref<16x1024xf32>
          scf.for %j = %jt to %j_end step %c1 {
            %y = memref.load %w[%k, %j] : memref<1024x1024xf32>
            %z = memref.load %output[%i, %j] : memref<16x1024xf32>
            %xy = arith.mulf %x, %y : f32
            %sum = arith.addf %z, %xy : f32
            memref.store %sum, %output[%i, %j] : memref<16x1024xf32>
          }
        }
      }
      cira.advance_stream %tile_stream : !cira.stream
    }
  }
  cira.stream_release %tile_stream : !cira.stream
  return
}

func.func @main() -> i64 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c3 = arith.constant 3 : index
  %c5 = arith.constant 5 : index
  %rows = arith.constant 16 : index
  %size = arith.constant 1024 : index
  %zero = arith.constant 0 : i64
  %zero_f32 = arith.constant 0.0 : f32
  %input = memref.alloc() : memref<16x1024xf32>
  %output = memref.alloc() : memref<16x1024xf32>
  %weights = cira.alloc() : !cira.remote_memref<1024x1024xf32, cxl>
  %w = cira.remote_cast %weights
      : !cira.remote_memref<1024x1024xf32, cxl> to memref<1024x1024xf32>
  scf.for %k = %c0 to %size step %c1 {
    scf.for %j = %c0 to %size step %c1 {
      %kj = arith.muli %k, %j : index
      %low = arith.remui %kj, %c5 : index
      %low_i32 = arith.index_cast %low : index to i32
      %y = arith.sitofp %low_i32 : i32 to f32
      memref.store %y, %w[%k, %j] : memref<1024x1024xf32>
    }
    scf.for %i = %c0 to %rows step %c1 {
      %ik = arith.addi %i, %k : index
      %low = arith.remui %ik, %c3 : index
      %low_i32 = arith.index_cast %low : index to i32
      %x = arith.sitofp %low_i32 : i32 to f32
      memref.store %x, %input[%i, %k] : memref<16x1024xf32>
      memref.store %zero_f32, %output[%i, %k] : memref<16x1024xf32>
    }
  }
  func.call @tiles(%input, %weights, %output)
      : (memref<16x1024xf32>, !cira.remote_memref<1024x1024xf32, cxl>, memref<16x1024xf32>) -> ()
  %sum = scf.for %i = %c0 to %rows step %c1 iter_args(%s = %zero) -> i64 {
    %row = scf.for %j = %c0 to %size step %c1 iter_args(%r = %s) -> i64 {
      %z = memref.load %output[%i, %j] : memref<16x1024xf32>
      %z_i64 = arith.fptosi %z : f32 to i64
      %ij = arith.addi %i, %j : index
      %weight = arith.index_cast %ij : index to i64
      %term = arith.muli %z_i64, %weight : i64
      %r1 = arith.addi %r, %term : i64
      scf.yield %r1 : i64
    }
    scf.yield %row : i64
  }
  cira.dealloc %weights : !cira.remote_memref<1024x1024xf32, cxl>
  memref.dealloc %input : memref<16x1024xf32>
  memref.dealloc %output : memref<16x1024xf32>
  return %sum : i64
}
