// SPDX-License-Identifier: Apache-2.0
// One case per rule of the ordering ops.
// RUN: cira-opt %s --split-input-file --verify-diagnostics

func.func @f() {
  cira.offload @vortex {
    // expected-error @+1 {{'cira.barrier' op inside an offload region waits for itself; use a token, or move it out}}
    cira.barrier
  }
  return
}

// -----

func.func @f(%v: f32, %h: !cira.handle<f32>) {
  %t = cira.store_async %v, %h : f32, !cira.handle<f32> -> !cira.token
  // expected-error @+1 {{'cira.sync_token_signal' op the token of a store_async is signalled by the store; make one with cira.sync_token_create}}
  cira.sync_token_signal %t
  return
}

// -----

func.func @f(%t: !cira.token) {
  // expected-note @+1 {{first signalled here}}
  cira.sync_token_signal %t
  // expected-error @+1 {{'cira.sync_token_signal' op signals a token twice; make a second token}}
  cira.sync_token_signal %t
  return
}

// -----

func.func @f() {
  %t = cira.sync_token_create
  // expected-error @+1 {{'cira.sync_token_wait' op waits for a signal that only comes after it; move the signal up or the wait down}}
  cira.sync_token_wait %t
  cira.sync_token_signal %t
  return
}

// -----

func.func @f() {
  %t = cira.sync_token_create
  // expected-error @+1 {{'cira.sync_token_wait' op waits for a signal that only comes after it}}
  cira.sync_token_wait %t
  cira.offload @vortex {
    cira.sync_token_signal %t
  }
  return
}

// -----

func.func @f() {
  %t = cira.sync_token_create
  // expected-error @+1 {{'cira.sync_token_wait' op waits for a token that nobody signals; add a cira.sync_token_signal}}
  cira.sync_token_wait %t
  return
}

// -----

func.func @f(%t: i32) {
  // expected-note @-1 {{prior use here}}
  // expected-error @+1 {{use of value '%t' expects different type than prior uses: '!cira.token' vs 'i32'}}
  cira.sync_token_wait %t
  return
}
