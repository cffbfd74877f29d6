// SPDX-License-Identifier: Apache-2.0
// A tensor program with its arrays in far memory: TOSA to linalg, to memrefs, to
// loops, then as any other.
// REQUIRES: jit
// RUN: cira-run --far host: --local 256K --pipeline='func.func(tosa-to-linalg-named,tosa-to-linalg,tosa-to-arith),one-shot-bufferize{bufferize-function-boundaries},func.func(buffer-deallocation-pipeline),convert-linalg-to-loops' --entry matmul %s 64 | FileCheck %s

func.func @product(%a: tensor<1x128x128xf32>, %b: tensor<1x128x128xf32>) -> tensor<1x128x128xf32> {
  %0 = tosa.matmul %a, %b : (tensor<1x128x128xf32>, tensor<1x128x128xf32>) -> tensor<1x128x128xf32>
  return %0 : tensor<1x128x128xf32>
}

// Ones times twos: each element is 256.
// CHECK: {{^}}256{{$}}
func.func @matmul(%i: index) -> f32 {
  %c0 = arith.constant 0 : index
  %a = arith.constant dense<1.0> : tensor<1x128x128xf32>
  %b = arith.constant dense<2.0> : tensor<1x128x128xf32>
  %c = func.call @product(%a, %b)
      : (tensor<1x128x128xf32>, tensor<1x128x128xf32>) -> tensor<1x128x128xf32>
  %r = tensor.extract %c[%c0, %i, %i] : tensor<1x128x128xf32>
  return %r : f32
}
