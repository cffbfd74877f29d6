// SPDX-License-Identifier: Apache-2.0
// Asynchronous loads and stores, tokens and fences: the listings "Asynchronous
// Load/Store" and "Synchronization Primitives" of the design notes, at work on
// an array that does not fit into local memory.
//
//   cira-run --far shm: --local 4M examples/mlir/async_access.mlir 1048576
//
// main(count): each round loads two numbers far apart, computes while they
// travel, and stores to a third place. Gives the sum of the array afterwards and
// what an offload region computed. `count` is a power of two.

func.func @step(%numbers: !cira.handle<i64>, %i: index, %n: index) {
  %c1 = arith.constant 1 : index
  %a = arith.constant 1664525 : index
  %c = arith.constant 1013904223 : index
  %three = arith.constant 3 : i64
  %mask = arith.subi %n, %c1 : index
  %scaled = arith.muli %i, %a : index
  %moved = arith.addi %scaled, %c : index
  %j = arith.andi %moved, %mask : index
  %p = cira.handle_offset %numbers[%i] : !cira.handle<i64>
  %q = cira.handle_offset %numbers[%j] : !cira.handle<i64>
  // Initiate async load - returns immediately with a future
  %f = cira.load_async %p : !cira.handle<i64> -> !cira.future<i64>
  %g = cira.load_async %q : !cira.handle<i64> -> !cira.future<i64>
  // ... perform independent computation here ...
  %k = arith.index_cast %i : index to i64
  %k3 = arith.muli %k, %three : i64
  // Block until load completes and extract value
  %x = cira.await %f : !cira.future<i64> -> i64
  %y = cira.await %g : !cira.future<i64> -> i64
  %s = arith.addi %x, %y : i64
  %t = arith.xori %s, %k3 : i64
  // Async store (fire-and-forget with optional fence)
  cira.store_async %t, %q : i64, !cira.handle<i64>
  cira.fence
  return
}

func.func @main(%n: index) -> (i64, i64) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %zero = arith.constant 0 : i64
  %one = arith.constant 1 : i64
  %numbers = cira.alloc(%n) tier(far) : !cira.handle<i64>
  %count = cira.alloc(%c1) tier(local) : !cira.handle<i64>
  scf.for %i = %c0 to %n step %c1 {
    %v = arith.index_cast %i : index to i64
    %done = cira.store_async %v, %numbers[%i] : i64, !cira.handle<i64> -> !cira.token
    cira.sync_token_wait %done
  }
  scf.for %i = %c0 to %n step %c1 {
    func.call @step(%numbers, %i, %n) : (!cira.handle<i64>, index, index) -> ()
  }
  // Signal completion of computation phase
  cira.release
  // A region counts the odd numbers while the host adds all of them.
  %token = cira.sync_token_create
  cira.offload @vortex {
    %odd = scf.for %i = %c0 to %n step %c1 iter_args(%k = %zero) -> i64 {
      %v = cira.load %numbers[%i] : !cira.handle<i64> -> i64
      %low = arith.andi %v, %one : i64
      %k1 = arith.addi %k, %low : i64
      scf.yield %k1 : i64
    }
    cira.store %odd, %count : i64, !cira.handle<i64>
    cira.sync_token_signal %token
  }
  %sum = scf.for %i = %c0 to %n step %c1 iter_args(%s = %zero) -> i64 {
    %v = cira.load %numbers[%i] : !cira.handle<i64> -> i64
    %s1 = arith.addi %s, %v : i64
    scf.yield %s1 : i64
  }
  cira.sync_token_wait %token
  %odd = cira.load %count : !cira.handle<i64> -> i64
  // Barrier between host CPU and memory-side accelerator
  cira.barrier
  cira.dealloc %numbers : !cira.handle<i64>
  cira.dealloc %count : !cira.handle<i64>
  return %sum, %odd : i64, i64
}
