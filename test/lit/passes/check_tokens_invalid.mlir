// SPDX-License-Identifier: Apache-2.0
// Waits in a circle are errors.
// RUN: cira-opt %s --split-input-file --cira-check-tokens --verify-diagnostics

func.func @circle() {
  %ready = cira.sync_token_create
  %done = cira.sync_token_create
  cira.offload @vortex {
    // expected-error @+1 {{cira-check-tokens: this wait never ends: its signal waits, in turn, for something behind this wait; signal before waiting on one side}}
    cira.sync_token_wait %ready
    cira.sync_token_signal %done
  }
  // expected-error @+1 {{cira-check-tokens: this wait never ends}}
  cira.sync_token_wait %done
  cira.sync_token_signal %ready
  return
}

// -----

// Two regions against one another.
func.func @regions() {
  %a = cira.sync_token_create
  %b = cira.sync_token_create
  cira.offload @vortex_core_0 {
    // expected-error @+1 {{this wait never ends}}
    cira.sync_token_wait %b
    cira.sync_token_signal %a
  }
  cira.offload @vortex_core_1 {
    // expected-error @+1 {{this wait never ends}}
    cira.sync_token_wait %a
    cira.sync_token_signal %b
  }
  return
}

// -----

// The host waits for the region's result before it signals.
func.func @result() -> i64 {
  %a = cira.sync_token_create
  %r = cira.offload @vortex -> i64 {
    // expected-error @+1 {{this wait never ends}}
    cira.sync_token_wait %a
    %c = arith.constant 1 : i64
    cira.yield %c : i64
  }
  cira.sync_token_signal %a
  return %r : i64
}

// -----

// The same through a barrier.
func.func @barrier() {
  %a = cira.sync_token_create
  cira.offload @vortex {
    // expected-error @+1 {{this wait never ends}}
    cira.sync_token_wait %a
  }
  cira.barrier
  cira.sync_token_signal %a
  return
}
