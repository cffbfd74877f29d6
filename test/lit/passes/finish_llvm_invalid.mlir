// SPDX-License-Identifier: Apache-2.0
// RUN: cira-opt %s --split-input-file --verify-diagnostics --allow-unregistered-dialect --cira-finish-llvm

func.func @tensors(%t: tensor<4xf32>) {
  // expected-error@+1 {{'tosa.add' op cannot be lowered to LLVM: it stays after all conversions of cira-to-llvm; lower it to func, scf, cf, arith, math, memref, vector or cira ops first}}
  %r = tosa.add %t, %t : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @loop(%n: index) {
  // expected-error@+1 {{'scf.for' op cannot be lowered to LLVM: it stays}}
  scf.for %i = %n to %n step %n {
  }
  return
}
