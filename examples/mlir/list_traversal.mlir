// SPDX-License-Identifier: Apache-2.0
// A linked list that does not fit into local memory, summed by the two listings
// of the design notes: the plain loop, and the loop over a stream.
//
//   cira-run --far shm: --local 16M examples/mlir/list_traversal.mlir 4194304 1
//   cira-run --far shm: --local 16M --entry bench \
//     examples/mlir/list_traversal.mlir 4194304 1 2 3
//
// main(nodes, random) gives both sums. bench(nodes, random, form, walks) prints
// the time of each walk in ns; form 1 is the plain loop, 2 the stream.
// `nodes` is a power of two; random = 1 links them in a pseudo-random order (a
// congruential sequence of full period), 0 in the order of their addresses.

!Node = !llvm.struct<"Node", (f32, ptr)>

func.func private @cira_now_ns() -> i64
func.func private @cira_print_i64(i64)

// Node i holds i mod 16.
func.func @build(%n: index, %random: index) -> !cira.handle<!Node> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c15 = arith.constant 15 : index
  %a = arith.constant 1664525 : index
  %c = arith.constant 1013904223 : index
  %is_random = arith.cmpi ne, %random, %c0 : index
  %mask = arith.subi %n, %c1 : index
  %nodes = cira.alloc(%n) tier(far) : !cira.handle<!Node>
  %null = cira.handle_null : !cira.handle<!Node>
  scf.for %i = %c0 to %n step %c1 {
    %low = arith.andi %i, %c15 : index
    %low_i32 = arith.index_cast %low : index to i32
    %data = arith.sitofp %low_i32 : i32 to f32
    %node = cira.handle_offset %nodes[%i] : !cira.handle<!Node>
    cira.store %data, %node[0] : f32, !cira.handle<!Node>
    // The next one; the one in front of the first ends the list.
    %scaled = arith.muli %i, %a : index
    %moved = arith.addi %scaled, %c : index
    %far = arith.andi %moved, %mask : index
    %up = arith.addi %i, %c1 : index
    %near = arith.andi %up, %mask : index
    %next = arith.select %is_random, %far, %near : index
    %is_end = arith.cmpi eq, %next, %c0 : index
    %there = cira.handle_offset %nodes[%next] : !cira.handle<!Node>
    %link = arith.select %is_end, %null, %there : !cira.handle<!Node>
    cira.store %link, %node[1] : !cira.handle<!Node>, !cira.handle<!Node>
  }
  return %nodes : !cira.handle<!Node>
}

// The original: each load waits for the one before it.
func.func @traverse_list(%head: !cira.handle<!Node>) -> f32 {
  %zero = arith.constant 0.0 : f32
  %true = arith.constant true
  %result:2 = scf.while (%node = %head, %sum = %zero)
      : (!cira.handle<!Node>, f32) -> (!cira.handle<!Node>, f32) {
    %is_null = cira.handle_is_null %node : !cira.handle<!Node>
    %more = arith.xori %is_null, %true : i1
    scf.condition(%more) %node, %sum : !cira.handle<!Node>, f32
  } do {
  ^bb0(%node: !cira.handle<!Node>, %sum: f32):
    %data = cira.load %node[0] : !cira.handle<!Node> -> f32
    %next = cira.load %node[1] : !cira.handle<!Node> -> !cira.handle<!Node>
    %new_sum = arith.addf %sum, %data : f32
    scf.yield %next, %new_sum : !cira.handle<!Node>, f32
  }
  return %result#1 : f32
}

// Transformed: the stream brings the nodes, from the second walk on along the
// order that it learnt in the first.
func.func @traverse_list_optimized(%head: !cira.handle<!Node>) -> f32 {
  %zero = arith.constant 0.0 : f32
  %true = arith.constant true
  %c8 = arith.constant 8 : index   // Offset to 'next' pointer
  %c16 = arith.constant 16 : index // Prefetch depth
  %stream = cira.stream_create_indirect %head, %c8 :
      !cira.handle<!Node>, index -> !cira.stream
  cira.offload @vortex_core_0 {
    cira.prefetch_chain %stream, %c16 : !cira.stream, index
  }
  %result:2 = scf.while (%node = %head, %sum = %zero)
      : (!cira.handle<!Node>, f32) -> (!cira.handle<!Node>, f32) {
    %is_null = cira.handle_is_null %node : !cira.handle<!Node>
    %more = arith.xori %is_null, %true : i1
    scf.condition(%more) %node, %sum : !cira.handle<!Node>, f32
  } do {
  ^bb0(%node: !cira.handle<!Node>, %sum: f32):
    %future = cira.peek_stream %stream : !cira.stream -> !cira.future<!Node>
    %node_data = cira.await %future : !cira.future<!Node> -> !Node
    %data = cira.extract %node_data[0] : !Node -> f32
    %next = cira.extract %node_data[1] : !Node -> !cira.handle<!Node>
    %new_sum = arith.addf %sum, %data : f32
    cira.advance_stream %stream : !cira.stream
    scf.yield %next, %new_sum : !cira.handle<!Node>, f32
  }
  cira.stream_release %stream : !cira.stream
  return %result#1 : f32
}

func.func @main(%n: index, %random: index) -> (f32, f32) {
  %head = func.call @build(%n, %random) : (index, index) -> !cira.handle<!Node>
  %plain = func.call @traverse_list(%head) : (!cira.handle<!Node>) -> f32
  %stream = func.call @traverse_list_optimized(%head) : (!cira.handle<!Node>) -> f32
  cira.dealloc %head : !cira.handle<!Node>
  return %plain, %stream : f32, f32
}

func.func @bench(%n: index, %random: index, %form: index, %walks: index) -> f32 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %zero = arith.constant 0.0 : f32
  %is_plain = arith.cmpi eq, %form, %c1 : index
  %head = func.call @build(%n, %random) : (index, index) -> !cira.handle<!Node>
  %sum = scf.for %walk = %c0 to %walks step %c1 iter_args(%last = %zero) -> f32 {
    %begin = func.call @cira_now_ns() : () -> i64
    %sum = scf.if %is_plain -> f32 {
      %s = func.call @traverse_list(%head) : (!cira.handle<!Node>) -> f32
      scf.yield %s : f32
    } else {
      %s = func.call @traverse_list_optimized(%head) : (!cira.handle<!Node>) -> f32
      scf.yield %s : f32
    }
    %end = func.call @cira_now_ns() : () -> i64
    %time = arith.subi %end, %begin : i64
    func.call @cira_print_i64(%time) : (i64) -> ()
    scf.yield %sum : f32
  }
  cira.dealloc %head : !cira.handle<!Node>
  return %sum : f32
}
