// SPDX-License-Identifier: Apache-2.0
// Mistakes that the verifier cannot see end the run with one line and exit
// status 125. `--check` finds an await of a future that was already here, too.
// REQUIRES: jit
// RUN: not cira-run --far host: --local 256K --check --entry await_twice %s 2>&1 | FileCheck %s --check-prefix=AWAIT
// RUN: not cira-run --far host: --local 256K --entry use_after_release %s 2>&1 | FileCheck %s --check-prefix=RELEASED
// RUN: not cira-run --far host: --local 256K --entry use_after_branch %s 2>&1 | FileCheck %s --check-prefix=RELEASED
// RUN: not cira-run --far host: --local 256K --entry past_the_end %s 2>&1 | FileCheck %s --check-prefix=PAST
// RUN: not cira-run --far host: --local 256K --check --entry past_the_end %s 2>&1 | FileCheck %s --check-prefix=PAST
// RUN: not cira-run --far host: --local 256K --entry nobody_signals %s 2>&1 | FileCheck %s --check-prefix=NOBODY
// RUN: not cira-run --far host: --local 256K --helpers 1 --entry few_helpers %s 2>&1 | FileCheck %s --check-prefix=FEW
// RUN: cira-run --far host: --local 256K --helpers 2 --entry few_helpers %s
// RUN: not cira-run --far host: --local 256K --entry signal_twice %s 2>&1 | FileCheck %s --check-prefix=TWICE
// RUN: not cira-run --far host: --local 256K --entry too_much %s 2>&1 | FileCheck %s --check-prefix=MUCH
// RUN: not cira-run --far host: --local 256K --entry barrier_in_region %s 2>&1 | FileCheck %s --check-prefix=BARRIER
// RUN: cira-run --far host: --local 256K --entry await_twice %s 2>&1 | FileCheck %s --check-prefix=UNCHECKED

// AWAIT: await: {{.*}} was awaited before
// UNCHECKED: 0
func.func @await_twice() -> i64 {
  %c4 = arith.constant 4 : index
  %zero = arith.constant 0 : i64
  %true = llvm.mlir.constant(true) : i1
  %p = cira.alloc(%c4) : !cira.handle<i64>
  %f = cira.load_async %p : !cira.handle<i64> -> !cira.future<i64>
  %a = scf.if %true -> i64 {
    %v = cira.await %f : !cira.future<i64> -> i64
    scf.yield %v : i64
  } else {
    scf.yield %zero : i64
  }
  %b = scf.if %true -> i64 {
    %v = cira.await %f : !cira.future<i64> -> i64
    scf.yield %v : i64
  } else {
    scf.yield %zero : i64
  }
  %r = arith.addi %a, %b : i64
  cira.dealloc %p : !cira.handle<i64>
  return %r : i64
}

func.func private @stream() -> (!cira.stream, memref<?xi64>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  %m = memref.alloc(%c4) : memref<?xi64>
  %s = cira.stream_create_strided %m, %c0, %c1, %c4
      : memref<?xi64>, index, index, index -> !cira.stream
  return %s, %m : !cira.stream, memref<?xi64>
}

func.func private @end(%s: !cira.stream) {
  cira.stream_release %s : !cira.stream
  return
}

// RELEASED: peek_stream: {{.*}} was released before
func.func @use_after_release() -> i64 {
  %s:2 = func.call @stream() : () -> (!cira.stream, memref<?xi64>)
  func.call @end(%s#0) : (!cira.stream) -> ()
  %f = cira.peek_stream %s#0 : !cira.stream -> !cira.future<i64>
  %v = cira.await %f : !cira.future<i64> -> i64
  return %v : i64
}

func.func @use_after_branch() -> i64 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  %true = llvm.mlir.constant(true) : i1
  %m = memref.alloc(%c4) : memref<?xi64>
  %s = cira.stream_create_strided %m, %c0, %c1, %c4
      : memref<?xi64>, index, index, index -> !cira.stream
  %g = cira.peek_stream %s : !cira.stream -> !cira.future<i64>
  %w = cira.await %g : !cira.future<i64> -> i64
  scf.if %true {
    cira.stream_release %s : !cira.stream
  }
  %f = cira.peek_stream %s : !cira.stream -> !cira.future<i64>
  %v = cira.await %f : !cira.future<i64> -> i64
  %r = arith.addi %v, %w : i64
  return %r : i64
}

// PAST: peek_stream: past the end of the stream {{.*}} 4 elements
func.func @past_the_end() -> i64 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  %c5 = arith.constant 5 : index
  %zero = arith.constant 0 : i64
  %m = memref.alloc(%c4) : memref<?xi64>
  %s = cira.stream_create_strided %m, %c0, %c1, %c4
      : memref<?xi64>, index, index, index -> !cira.stream
  %r = scf.for %i = %c0 to %c5 step %c1 iter_args(%t = %zero) -> i64 {
    %f = cira.peek_stream %s : !cira.stream -> !cira.future<i64>
    %v = cira.await %f : !cira.future<i64> -> i64
    cira.advance_stream %s : !cira.stream
    %u = arith.addi %t, %v : i64
    scf.yield %u : i64
  }
  return %r : i64
}

func.func private @wait(%token: !cira.token) {
  cira.sync_token_wait %token
  return
}

func.func private @signal(%token: !cira.token) {
  cira.sync_token_signal %token
  return
}

// NOBODY: sync_token_wait: nobody is left who could signal
func.func @nobody_signals() {
  %token = cira.sync_token_create
  func.call @wait(%token) : (!cira.token) -> ()
  return
}

// The first region keeps the only helper while it waits for the second one.
// FEW: sync_token_wait: nobody is left who could signal: {{.*}}regions that find no helper thread: 1; {{.*}}--helpers
func.func @few_helpers() {
  %a = cira.sync_token_create
  %b = cira.sync_token_create
  cira.offload @helper {
    func.call @wait(%a) : (!cira.token) -> ()
    cira.sync_token_signal %b
  }
  cira.offload @helper {
    func.call @signal(%a) : (!cira.token) -> ()
  }
  func.call @wait(%b) : (!cira.token) -> ()
  return
}

// TWICE: sync_token_signal: {{.*}} was signalled before
func.func @signal_twice() {
  %token = cira.sync_token_create
  func.call @signal(%token) : (!cira.token) -> ()
  func.call @signal(%token) : (!cira.token) -> ()
  return
}

// MUCH: alloc: no far memory for 9223372036854775807 bytes
func.func @too_much() -> i1 {
  %n = arith.constant 4611686018427387904 : index
  %p = cira.alloc(%n) : !cira.handle<i64>
  %r = cira.handle_is_null %p : !cira.handle<i64>
  return %r : i1
}

func.func private @meet() {
  cira.barrier
  return
}

// BARRIER: barrier inside of an offload region
func.func @barrier_in_region() {
  cira.offload @helper {
    cira.call @meet() : () -> ()
  }
  cira.barrier
  return
}
