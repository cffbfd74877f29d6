// SPDX-License-Identifier: Apache-2.0
// An array of pointers to numbers that lie anywhere: the SCF listing of the
// design notes, before and after.
//
//   cira-run --far shm: --local 25M examples/mlir/pointer_array.mlir 1048576
//   cira-run --far shm: --local 25M --entry bench \
//     examples/mlir/pointer_array.mlir 1048576 2 3
//
// main(count) gives both sums; bench(count, form, rounds) prints the time of
// each round in ns, form 1 before, 2 after, 0 in turns. Each number has a line (64 bytes) of
// its own; `count` is a power of two.

!Cell = !llvm.struct<"Cell", (f32, array<15 x f32>)>

func.func private @cira_now_ns() -> i64
func.func private @cira_print_i64(i64)

// ptrs[i] points to cell (a i + c) mod n, which holds that number mod 16.
func.func @build(%n: index, %ptrs: memref<?x!cira.handle<f32>>) -> !cira.handle<!Cell> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c15 = arith.constant 15 : index
  %a = arith.constant 1664525 : index
  %c = arith.constant 1013904223 : index
  %mask = arith.subi %n, %c1 : index
  %cells = cira.alloc(%n) tier(far) : !cira.handle<!Cell>
  scf.for %i = %c0 to %n step %c1 {
    %low = arith.andi %i, %c15 : index
    %low_i32 = arith.index_cast %low : index to i32
    %data = arith.sitofp %low_i32 : i32 to f32
    %cell = cira.handle_offset %cells[%i] : !cira.handle<!Cell>
    cira.store %data, %cell[0] : f32, !cira.handle<!Cell>
    %scaled = arith.muli %i, %a : index
    %moved = arith.addi %scaled, %c : index
    %at = arith.andi %moved, %mask : index
    %there = cira.handle_offset %cells[%at] : !cira.handle<!Cell>
    %number = cira.handle_field %there[0] : !cira.handle<!Cell> -> !cira.handle<f32>
    memref.store %number, %ptrs[%i] : memref<?x!cira.handle<f32>>
  }
  return %cells : !cira.handle<!Cell>
}

func.func @before(%ptrs: memref<?x!cira.handle<f32>>, %n: index) -> f32 {
  %zero = arith.constant 0.0 : f32
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %r = scf.for %i = %c0 to %n step %c1 iter_args(%sum = %zero) -> f32 {
    %ptr = memref.load %ptrs[%i] : memref<?x!cira.handle<f32>>
    %val = cira.load %ptr : !cira.handle<f32> -> f32
    %new = arith.addf %sum, %val : f32
    scf.yield %new : f32
  }
  return %r : f32
}

func.func @after(%ptrs: memref<?x!cira.handle<f32>>, %n: index) -> f32 {
  %zero = arith.constant 0.0 : f32
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %prefetch_distance = arith.constant 64 : index
  %stream = cira.stream_create_strided %ptrs, %c0, %c1, %n
      : memref<?x!cira.handle<f32>>, index, index, index -> !cira.stream
  cira.offload @vortex {
    cira.prefetch_stream %stream, %prefetch_distance : !cira.stream, index
  }
  %r = scf.for %i = %c0 to %n step %c1 iter_args(%sum = %zero) -> f32 {
    %future = cira.peek_stream %stream : !cira.stream -> !cira.future<f32>
    %val = cira.await %future : !cira.future<f32> -> f32
    cira.advance_stream %stream : !cira.stream
    %new = arith.addf %sum, %val : f32
    scf.yield %new : f32
  }
  cira.stream_release %stream : !cira.stream
  return %r : f32
}

func.func @main(%n: index) -> (f32, f32) {
  %ptrs = memref.alloc(%n) : memref<?x!cira.handle<f32>>
  %cells = func.call @build(%n, %ptrs) : (index, memref<?x!cira.handle<f32>>) -> !cira.handle<!Cell>
  %x = func.call @before(%ptrs, %n) : (memref<?x!cira.handle<f32>>, index) -> f32
  %y = func.call @after(%ptrs, %n) : (memref<?x!cira.handle<f32>>, index) -> f32
  cira.dealloc %cells : !cira.handle<!Cell>
  memref.dealloc %ptrs : memref<?x!cira.handle<f32>>
  return %x, %y : f32, f32
}

func.func @bench(%n: index, %form: index, %rounds: index) -> f32 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %zero = arith.constant 0.0 : f32
  %c2 = arith.constant 2 : index
  %ptrs = memref.alloc(%n) : memref<?x!cira.handle<f32>>
  %cells = func.call @build(%n, %ptrs) : (index, memref<?x!cira.handle<f32>>) -> !cira.handle<!Cell>
  %sum = scf.for %round = %c0 to %rounds step %c1 iter_args(%last = %zero) -> f32 {
    %in_turns = arith.cmpi eq, %form, %c0 : index
    %turn = arith.remui %round, %c2 : index
    %this = arith.addi %turn, %c1 : index
    %now = arith.select %in_turns, %this, %form : index
    %is_before = arith.cmpi eq, %now, %c1 : index
    %begin = func.call @cira_now_ns() : () -> i64
    %sum = scf.if %is_before -> f32 {
      %s = func.call @before(%ptrs, %n) : (memref<?x!cira.handle<f32>>, index) -> f32
      scf.yield %s : f32
    } else {
      %s = func.call @after(%ptrs, %n) : (memref<?x!cira.handle<f32>>, index) -> f32
      scf.yield %s : f32
    }
    %end = func.call @cira_now_ns() : () -> i64
    %time = arith.subi %end, %begin : i64
    func.call @cira_print_i64(%time) : (i64) -> ()
    scf.yield %sum : f32
  }
  cira.dealloc %cells : !cira.handle<!Cell>
  memref.dealloc %ptrs : memref<?x!cira.handle<f32>>
  return %sum : f32
}
