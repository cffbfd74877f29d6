// SPDX-License-Identifier: Apache-2.0
// Tiles: asked for ahead while plain loads read them; of a memref and of a
// remote_memref, square and not, cut off at the border. Tiles are hints, so the
// sums show that they do no harm.
// REQUIRES: jit
// RUN: %everywhere %s | FileCheck %s

// Sum of an array of 200 x 300, tile by tile of 64 x 48.
func.func @tiles(%m: memref<200x300xi32>) -> i64 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %th = arith.constant 64 : index
  %tw = arith.constant 48 : index
  %h = arith.constant 200 : index
  %w = arith.constant 300 : index
  %ahead = arith.constant 3 : index
  %zero = arith.constant 0 : i64
  %s = cira.stream_create_tiled %m, %th, %tw
      : memref<200x300xi32>, index, index -> !cira.stream
  cira.offload @vortex {
    cira.prefetch_tiles %s, %ahead : !cira.stream, index
  }
  %r = scf.for %i = %c0 to %h step %th iter_args(%t = %zero) -> i64 {
    %r1 = scf.for %j = %c0 to %w step %tw iter_args(%t1 = %t) -> i64 {
      %i_far = arith.addi %i, %th : index
      %j_far = arith.addi %j, %tw : index
      %i_end = arith.minui %i_far, %h : index
      %j_end = arith.minui %j_far, %w : index
      %r2 = scf.for %y = %i to %i_end step %c1 iter_args(%t2 = %t1) -> i64 {
        %r3 = scf.for %x = %j to %j_end step %c1 iter_args(%t3 = %t2) -> i64 {
          %v = memref.load %m[%y, %x] : memref<200x300xi32>
          %wide = arith.extsi %v : i32 to i64
          %u = arith.addi %t3, %wide : i64
          scf.yield %u : i64
        }
        scf.yield %r3 : i64
      }
      cira.advance_stream %s : !cira.stream
      scf.yield %r2 : i64
    }
    scf.yield %r1 : i64
  }
  cira.stream_release %s : !cira.stream
  return %r : i64
}

func.func @remote(%a: !cira.remote_memref<200x300xi32, cxl>, %tile: index) -> i64 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %h = arith.constant 200 : index
  %w = arith.constant 300 : index
  %ahead = arith.constant 1 : index
  %zero = arith.constant 0 : i64
  %m = cira.remote_cast %a : !cira.remote_memref<200x300xi32, cxl> to memref<200x300xi32>
  %s = cira.stream_create_tiled %a, %tile
      : !cira.remote_memref<200x300xi32, cxl>, index -> !cira.stream
  cira.prefetch_tiles %s, %ahead : !cira.stream, index
  %r = scf.for %y = %c0 to %h step %c1 iter_args(%t = %zero) -> i64 {
    %r1 = scf.for %x = %c0 to %w step %c1 iter_args(%t1 = %t) -> i64 {
      %v = memref.load %m[%y, %x] : memref<200x300xi32>
      %wide = arith.extsi %v : i32 to i64
      %u = arith.addi %t1, %wide : i64
      scf.yield %u : i64
    }
    cira.advance_stream %s : !cira.stream
    cira.prefetch_tiles %s, %ahead : !cira.stream, index
    scf.yield %r1 : i64
  }
  cira.stream_release %s : !cira.stream
  return %r : i64
}

// CHECK: {{^}}1799970000{{$}}
// CHECK-NEXT: {{^}}1799970000{{$}}
func.func @main() -> (i64, i64) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %h = arith.constant 200 : index
  %w = arith.constant 300 : index
  %tile = arith.constant 32 : index
  %a = cira.alloc() : !cira.remote_memref<200x300xi32, cxl>
  %m = cira.remote_cast %a : !cira.remote_memref<200x300xi32, cxl> to memref<200x300xi32>
  scf.for %y = %c0 to %h step %c1 {
    scf.for %x = %c0 to %w step %c1 {
      %k = arith.muli %y, %w : index
      %l = arith.addi %k, %x : index
      %v = arith.index_cast %l : index to i32
      memref.store %v, %m[%y, %x] : memref<200x300xi32>
    }
  }
  %r = func.call @tiles(%m) : (memref<200x300xi32>) -> i64
  %q = func.call @remote(%a, %tile) : (!cira.remote_memref<200x300xi32, cxl>, index) -> i64
  cira.dealloc %a : !cira.remote_memref<200x300xi32, cxl>
  return %r, %q : i64, i64
}
