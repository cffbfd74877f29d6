// SPDX-License-Identifier: Apache-2.0
// What asynchrony costs where nothing has to be waited for: an array of 4,096
// numbers that is here, summed `rounds` times with plain loads (form 1) and
// with load_async + await (form 2). bench prints the time of all rounds in ns.
// Both sums take each number's address from the one before, so that no access
// can overlap the next: the difference per access is the price of the pair.

func.func private @cira_now_ns() -> i64
func.func private @cira_print_i64(i64)

func.func @plain(%p: !cira.handle<i64>, %count: index) -> i64 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %zero = arith.constant 0 : i64
  %at, %sum = scf.for %i = %c0 to %count step %c1
      iter_args(%j = %c0, %s = %zero) -> (index, i64) {
    %v = cira.load %p[%j] : !cira.handle<i64> -> i64
    %next = arith.index_cast %v : i64 to index
    %t = arith.addi %s, %v : i64
    scf.yield %next, %t : index, i64
  }
  return %sum : i64
}

func.func @async(%p: !cira.handle<i64>, %count: index) -> i64 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %zero = arith.constant 0 : i64
  %seven = arith.constant 7 : i64
  %at, %sum = scf.for %i = %c0 to %count step %c1
      iter_args(%j = %c0, %s = %zero) -> (index, i64) {
    %f = cira.load_async %p[%j] : !cira.handle<i64> -> !cira.future<i64>
    %t = arith.addi %s, %seven : i64
    %v = cira.await %f : !cira.future<i64> -> i64
    %next = arith.index_cast %v : i64 to index
    %u = arith.addi %t, %v : i64
    %w = arith.subi %u, %seven : i64
    scf.yield %next, %w : index, i64
  }
  return %sum : i64
}

// Number j holds (1229 j + 1) mod 4096: one cycle through all of them.
func.func @bench(%form: index, %rounds: index) -> i64 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %a = arith.constant 1229 : index
  %n = arith.constant 4096 : index
  %mask = arith.constant 4095 : index
  %zero = arith.constant 0 : i64
  %is_plain = arith.cmpi eq, %form, %c1 : index
  %numbers = cira.alloc(%n) tier(far) : !cira.handle<i64>
  scf.for %i = %c0 to %n step %c1 {
    %scaled = arith.muli %i, %a : index
    %moved = arith.addi %scaled, %c1 : index
    %low = arith.andi %moved, %mask : index
    %v = arith.index_cast %low : index to i64
    cira.store %v, %numbers[%i] : i64, !cira.handle<i64>
  }
  %count = arith.muli %n, %rounds : index
  %begin = func.call @cira_now_ns() : () -> i64
  %sum = scf.if %is_plain -> i64 {
    %s = func.call @plain(%numbers, %count) : (!cira.handle<i64>, index) -> i64
    scf.yield %s : i64
  } else {
    %s = func.call @async(%numbers, %count) : (!cira.handle<i64>, index) -> i64
    scf.yield %s : i64
  }
  %end = func.call @cira_now_ns() : () -> i64
  %time = arith.subi %end, %begin : i64
  func.call @cira_print_i64(%time) : (i64) -> ()
  cira.dealloc %numbers : !cira.handle<i64>
  return %sum : i64
}
