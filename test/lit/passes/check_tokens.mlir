// SPDX-License-Identifier: Apache-2.0
// Correct programs pass unchanged.
// RUN: cira-opt %s --cira-check-tokens | FileCheck %s
// RUN: mlir-opt %cira_plugin %s --pass-pipeline="builtin.module(cira-check-tokens)" | FileCheck %s

// CHECK-LABEL: func.func @ping_pong
// CHECK: cira.sync_token_wait
// CHECK: cira.sync_token_signal
func.func @ping_pong() {
  %ready = cira.sync_token_create
  %done = cira.sync_token_create
  cira.offload @vortex {
    cira.sync_token_wait %ready
    cira.sync_token_signal %done
  }
  cira.sync_token_signal %ready
  cira.sync_token_wait %done
  return
}

// Two regions that hand over to one another.
// CHECK-LABEL: func.func @chain
func.func @chain() {
  %a = cira.sync_token_create
  %b = cira.sync_token_create
  cira.offload @vortex_core_0 {
    cira.sync_token_wait %b
  }
  cira.offload @vortex_core_1 {
    cira.sync_token_wait %a
    cira.sync_token_signal %b
  }
  cira.sync_token_signal %a
  cira.barrier
  return
}

// Somebody out of sight may signal: nothing is said.
// CHECK-LABEL: func.func @unknown
func.func private @signal(!cira.token)
func.func @unknown(%c: i1) {
  %a = cira.sync_token_create
  %b = cira.sync_token_create
  cira.offload @vortex {
    cira.sync_token_wait %a
    cira.sync_token_signal %b
  }
  scf.if %c {
    cira.sync_token_signal %a
  }
  cira.sync_token_wait %b
  func.call @signal(%a) : (!cira.token) -> ()
  return
}
