// SPDX-License-Identifier: Apache-2.0
// The one list of passes: name, meaning, invariants, example. docs/dialect/
// Passes.md and the registration table (passes.def) are generated from it;
// the record's name and the C file's name belong together
// (CiraRecognize <-> recognize.c). Passes are op-agnostic: they may be
// anchored on any op and look at everything inside.
include "mlir/Pass/PassBase.td"

def CiraRecognize : Pass<"cira-recognize"> {
  let summary = "find the access pattern of every loop";
  let description = [{
    Looks at each load and store inside an `scf.for`, `scf.parallel` or
    `scf.while` and says how its address goes on from one iteration of the
    innermost loop around it to the next:

    - `strided`: the index is a constant times the loop counter plus something
      that stays.
    - `indexed`: the address depends on a value that the loop itself reads with
      a stride: `a[b[i]]`, or a pointer out of an array of pointers.
    - `linked`: the next address is read from the node at the present one.
    - `frontier`: inside a loop over a list of vertices, a run of elements whose
      limits are read from the row offsets of the vertex.
    - `none`, with the reason.

    Input: any module. Output: the same ops; each access carries `cira.access`,
    each loop `cira.pattern` (the costliest of its own accesses: frontier,
    linked, indexed, strided, none, in this order), and a remark says so.
    Annotations that were there before are replaced.

    ```mlir
    // before
    func.func @sum(%m: memref<?xf32>, %n: index, %zero: f32) -> f32 {
      %c0 = arith.constant 0 : index
      %c1 = arith.constant 1 : index
      %r = scf.for %i = %c0 to %n step %c1 iter_args(%s = %zero) -> f32 {
        %v = memref.load %m[%i] : memref<?xf32>
        %t = arith.addf %s, %v : f32
        scf.yield %t : f32
      }
      return %r : f32
    }
    // after: %v carries {cira.access = #cira.access<strided, stride_bytes = 4,
    // element_bytes = 4, reason = "...">}, the loop the same as cira.pattern
    ```
  }];
}

def CiraPrefetchDistance : Pass<"cira-prefetch-distance"> {
  let summary = "how far ahead a loop's data must be asked for";
  let description = [{
    For each loop with a pattern: distance = latency / time of one iteration,
    rounded up, bounded by what may be in flight. There are two of them: lines
    into the cache from the nearest tier, pages over the fabric. The time of an
    iteration is its number of operations times `op_ns`, and not less than the
    tier's bandwidth allows, where that is measured. Where the code does not say
    in which tier the data lies (no `cira.alloc` with a tier, no remote_memref),
    it is taken to be far.

    Input: the annotations of `cira-recognize`. Output: the same ops; loops with
    a pattern carry `cira.distance`; a remark shows the figures.

    ```mlir
    // after cira-recognize: a loop of 3 ops, strided by 4 bytes, in tier far
    // after this pass:
    // {cira.distance = #cira.distance<lines = 27, pages = 1667,
    //                                 iteration_ns = 3, latency_ns = 5000>}
    ```
  }];
}

def CiraCoalesce : Pass<"cira-coalesce"> {
  let summary = "neighbouring asynchronous loads become one request";
  let description = [{
    A run of `cira.load_async` in one block, with only ops in between that touch
    no memory and use none of the run's futures, becomes one
    `cira.load_async_batch` at the place of the last; at most 64 at a time. It
    saves the hand-over (`sync_ns`) of all but one.

    Input: any module. Output: runs of two and more are replaced; a load that
    stays alone has a remark with the reason.

    ```mlir
    func.func @two(%a: !cira.handle<f32>, %b: !cira.handle<f32>) -> (f32, f32) {
      %f = cira.load_async %a : !cira.handle<f32> -> !cira.future<f32>
      %g = cira.load_async %b[4] : !cira.handle<f32> -> !cira.future<f32>
      %x = cira.await %f : !cira.future<f32> -> f32
      %y = cira.await %g : !cira.future<f32> -> f32
      return %x, %y : f32, f32
    }
    // the loads become
    //   %p = cira.handle_offset %b[4] : !cira.handle<f32>
    //   %f:2 = cira.load_async_batch %a, %p : ...
    ```
  }];
}

def CiraCreateStreams : Pass<"cira-create-streams"> {
  let summary = "give loops with a known pattern a stream";
  let description = [{
    For each loop with a pattern and a distance: a stream before it, a prefetch
    by the page distance, `advance_stream` at the end of each iteration,
    `stream_release` after it.

    - linked (for, while): `stream_create_indirect`, `prefetch_chain`. If nothing
      in the loop may write memory, the loads of the node become one
      `peek_stream` and `await`, and `extract` for each part.
    - indexed (for; parallel as a hint): `stream_create_strided` over an array of
      pointers or `stream_create_indexed` over a[b[i]]; the load becomes peek and
      await if nothing in the loop may write memory.
    - strided (for, parallel): `stream_create_strided`, as a hint. The loads
      stay: once the pages are there, they cost nothing.
    - frontier: `stream_create_frontier` and `prefetch_adjacency` in front of
      the loop (for, parallel) over the vertices, which it advances; the vertices
      are read one by one from an array of integers, and row offsets and
      neighbours are fields 1 and 2 of a graph behind a handle. If nothing in
      that loop may write memory and the inner one runs through the whole row,
      the row becomes `peek_adjacency` and `await`. Where the arrays come
      without a graph, only the row offsets get a stream (indexed).

    Input: the annotations of `cira-recognize` and `cira-prefetch-distance`.
    Output: as above; every loop has a remark with the figures, or the reason
    why it has no stream. A loop that has a stream is left alone.

    ```mlir
    !Node = !llvm.struct<"Node", (f32, ptr)>
    // The listing of docs/dialect/seed-listings.md becomes its second form:
    //   %s = cira.stream_create_indirect %head, %c8
    //   cira.prefetch_chain %s, %d
    //   scf.while ... do {
    //     %f = cira.peek_stream %s : !cira.stream -> !cira.future<!Node>
    //     %n = cira.await %f : !cira.future<!Node> -> !Node
    //     %data = cira.extract %n[0] : !Node -> f32
    //     ...
    //     cira.advance_stream %s : !cira.stream
    //     scf.yield ...
    //   }
    //   cira.stream_release %s : !cira.stream
    ```
  }];
}

def CiraConvertAsync : Pass<"cira-convert-async"> {
  let summary = "begin loads early, wait for them late";
  let description = [{
    A `cira.load` becomes `load_async`, moved up to the last op that computes
    its address or may write memory, and `await`, moved down to the first op
    that uses the value or may write memory; into the branch of an `scf.if` if
    only that uses it. An `scf.for` that writes nothing begins its indexed loads
    one iteration ahead: the future is a carried value, the first load stands in
    front of the loop (behind a test that the loop runs at all), and the last
    iteration asks for its own address once more and drops it.

    gain = min(latency - hit, time that passes in between) - (issue + await +
    what is computed twice); the load stays as it is if that is not positive.

    Input: any module; needs no annotations. Output: as above, with a remark per
    load or loop.

    ```mlir
    func.func @sum(%a: !cira.handle<f32>, %b: !cira.handle<f32>) -> f32 {
      %x = cira.load %a : !cira.handle<f32> -> f32
      %y = cira.load %b : !cira.handle<f32> -> f32
      %z = arith.addf %x, %y : f32
      return %z : f32
    }
    // becomes (the second load waits while the first is on its way)
    //   %f = cira.load_async %a
    //   %y = cira.load %b
    //   %x = cira.await %f
    ```
  }];
}

def CiraPartitionOffload : Pass<"cira-partition-offload"> {
  let summary = "run prefetches on a device where that gains";
  let description = [{
    For each run of neighbouring prefetches (`prefetch_stream`, `_indirect`,
    `_chain`, `_tiles`, `_adjacency`) outside of an offload region:

    gain = sum over the accesses of (latency of the tier - a hit)
         - (hand-over + accesses x what the device is busy with one)

    with `sync_ns` and `device_busy_ns` of the machine model. If it is positive,
    the run moves into one `cira.offload` on `@vortex`, or on the machine's first
    device if it has no such one. The number of accesses is the constant distance
    or count of the prefetch; without one the op stays on the host.

    Input: any module. Output: as above, a remark with all figures.

    ```mlir
    func.func @ahead(%s: !cira.stream) {
      %c16 = arith.constant 16 : index
      cira.prefetch_chain %s, %c16 : !cira.stream, index
      return
    }
    // becomes
    //   cira.offload @vortex {
    //     cira.prefetch_chain %s, %c16 : !cira.stream, index
    //   }
    ```
  }];
}

def CiraCheckTokens : Pass<"cira-check-tokens"> {
  let summary = "refuse waits that never end";
  let description = [{
    Plays the signals and waits of each block and its offload regions through,
    and fails with an error at every wait that never ends because the waits form
    a cycle. Looks only at tokens whose uses are all directly in the block or
    directly in its offload regions, and so refuses no correct program. A wait
    that comes before its only signal in one thread is already refused by the
    verifier.

    Input: any module. Output: unchanged.

    ```mlir
    func.func @sound() {
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
    // with the last two ops exchanged: an error at both waits
    ```
  }];
}

def CiraPlace : Pass<"cira-place"> {
  let summary = "choose the tier of arrays";
  let description = [{
    For each `cira.alloc` of a handle without a tier: local, if its constant size
    fits into the last-level cache; otherwise the farthest tier whose latency every
    access in a loop hides, being asked for ahead: page distance times time of an
    iteration. An access without a pattern hides nothing. An array whose accesses
    hide too little for any tier but local is left to the runtime, as it may not
    fit into local memory; so is one that is passed on, stored or made into a plain
    pointer.

    Input: the annotations of `cira-recognize` and `cira-prefetch-distance`.
    Output: `tier(...)` on these allocations, a remark with the figures.

    ```mlir
    func.func @make() {
      %n = arith.constant 16 : index
      %h = cira.alloc(%n) : !cira.handle<f32>
      cira.dealloc %h : !cira.handle<f32>
      return
    }
    // becomes
    //   %h = cira.alloc(%n) tier(local) : !cira.handle<f32>
    ```
  }];
}

def CiraOutlineOffload : Pass<"cira-outline-offload"> {
  let summary = "make a function of every offload region";
  let description = [{
    The body of each `cira.offload` becomes a private function. Its arguments are
    the operands of the offload and the values that the region uses from outside;
    constants are made again inside instead. One call of it stays in the region.
    What happens on a device can then have any control flow.

    Runs on `builtin.module`. Input: any module. Output: each offload has no
    operands and holds one `cira.call` and the `cira.yield`; one that looks so
    already stays. An offload that uses more than 64 values is an error.

    ```mlir
    func.func @ahead(%s: !cira.stream) {
      %c16 = arith.constant 16 : index
      cira.offload @vortex {
        cira.prefetch_chain %s, %c16 : !cira.stream, index
      }
      return
    }
    // becomes
    //   cira.offload @vortex {
    //     cira.call @offload_0(%s) : (!cira.stream) -> ()
    //   }
    // and
    //   func.func private @offload_0(%s: !cira.stream) {
    //     %c16 = arith.constant 16 : index
    //     cira.prefetch_chain %s, %c16 : !cira.stream, index
    //     return
    //   }
    ```
  }];
}

def CiraLowerOps : Pass<"cira-lower-ops"> {
  let summary = "cira ops become LLVM ops and calls of the runtime";
  let description = [{
    Each op of the dialect, and `memref.alloc` and `memref.dealloc` (so that the
    program's arrays live in the far heap too), becomes ops of the LLVM dialect
    and calls of the functions in `include/cira/abi.def`. What would cost more
    than the wait as a call is inlined, with `scf.if` for its branches:

    - `load_async` looks in the page table whether the bytes are here; then it
      prefetches the line and `await` is a load.
    - `peek_stream` and `advance_stream` of a stream whose uses are all in this
      function are a test and a load or an addition, on a position in registers.
    - `store_async` without a token stores at once what is here.

    With the attribute `cira.checked` on the module nothing is inlined, and the
    runtime sees each step: it then finds every future that is awaited twice and
    every stream that is used after its release.

    Runs on `builtin.module`, after `cira-outline-offload`. Input: cira ops in
    functions, in structured loops or in plain blocks. Output: no cira op; values
    keep their types, with `builtin.unrealized_conversion_cast` in between.

    ```mlir
    func.func @first(%h: !cira.handle<f32>) -> f32 {
      %v = cira.load %h : !cira.handle<f32> -> f32
      return %v : f32
    }
    // becomes
    //   %p = builtin.unrealized_conversion_cast %h : !cira.handle<f32> to !llvm.ptr
    //   %v = llvm.load %p : !llvm.ptr -> f32
    ```
  }];
}

def CiraFinishLlvm : Pass<"cira-finish-llvm"> {
  let summary = "all types and the other dialects become LLVM's";
  let description = [{
    MLIR's conversions of arith, cf, complex, func, index, math, memref, ub and
    vector to the LLVM dialect, in one step, with the types of the cira dialect:
    a handle or stream is `!llvm.ptr`, a token `i64`, a remote_memref the struct
    of a memref, a future `!llvm.struct<(ptr, i64, T)>`. Functions of the math
    dialect that LLVM has not are calls of the C library.

    Input: what `cira-lower-ops` and `convert-scf-to-cf` leave. Output: the LLVM
    dialect, and casts that cancel (`reconcile-unrealized-casts` drops them). An
    op that is neither is an error.

    ```mlir
    func.func @is_null(%h: !cira.handle<f32>) -> i1 {
      %r = cira.handle_is_null %h : !cira.handle<f32>
      return %r : i1
    }
    // becomes, at the end of cira-to-llvm
    //   llvm.func @is_null(%h: !llvm.ptr) -> i1 {
    //     %null = llvm.mlir.zero : !llvm.ptr
    //     %r = llvm.icmp "eq" %h, %null : !llvm.ptr
    //     llvm.return %r : i1
    //   }
    ```
  }];
}

def CiraLlvmInterleave : Pass<"cira-llvm-interleave"> {
  let summary = "walk the chains of many iterations at a time";
  let description = [{
    For loops of an `llvm.func` that came from C or C++ whose iterations each
    follow a chain (a hash bucket, a list, a tree, a binary search): a second
    version of the loop has many iterations under way. Each goes on until it
    needs a line that may not be there, asks for it, and waits its turn while
    the others go on.

    An iteration is cut in two. The early part, up to the last wait, only reads
    and computes; it is done step by step for many iterations by turns. The late
    part, with all effects, is done in the order of iterations. Sums that pass
    through the chain may be of integers only, by one commuting operation.

    Input: an `llvm.func` with the attribute `cira.facts`, and a call of
    `@cira.count(loop, times)` that gives how often the loop runs after its
    first iteration; the clang plug-in writes both. The loop must be bounded,
    and nothing in it may write where its chains are read (`unwritten_in`).
    Output: the second version beside the first; calls of `@cira_choice1_enter`,
    `_next` and `_leave`, which the plug-in puts in, choose between them while the
    program runs. A remark for each loop with a chain says what was decided and
    by which figures.

    ```mlir
    llvm.func @cira.count(i64, i64)
    llvm.func @lists(%heads: !llvm.ptr, %times: i64, %n: i64) -> i64
        attributes {cira.facts = {loops = [ {bounded, parent = -1 : i64}, {parent = 0 : i64, percent = 200 : i64} ]}} {
      %c0 = llvm.mlir.constant(0 : i64) : i64
      %c1 = llvm.mlir.constant(1 : i64) : i64
      %null = llvm.mlir.zero : !llvm.ptr
      llvm.call @cira.count(%c0, %times) : (i64, i64) -> ()
      llvm.br ^loop(%c0, %c0 : i64, i64)
    ^loop(%i: i64, %s: i64):
      %p = llvm.getelementptr %heads[%i] : (!llvm.ptr, i64) -> !llvm.ptr, !llvm.ptr
      %head = llvm.load %p {cira.facts = {always, stride_bytes = 8 : i64, unwritten_in = 0 : i64}} : !llvm.ptr -> !llvm.ptr
      llvm.br ^node(%head, %s : !llvm.ptr, i64) {cira.facts = {loop = 0 : i64, percent = 100 : i64, steps = array<i64: 1, 0>}}
    ^node(%at: !llvm.ptr, %t: i64):
      %v = llvm.load %at {cira.facts = {always, unwritten_in = 0 : i64}} : !llvm.ptr -> i64
      %u = llvm.add %t, %v : i64
      %q = llvm.getelementptr %at[8] : (!llvm.ptr) -> !llvm.ptr, i8
      %next = llvm.load %q {cira.facts = {always, unwritten_in = 0 : i64}} : !llvm.ptr -> !llvm.ptr
      %end = llvm.icmp "eq" %next, %null : !llvm.ptr
      llvm.cond_br %end, ^after(%u : i64), ^node(%next, %u : !llvm.ptr, i64) {cira.facts = {latch, loop = 1 : i64, percent = 100 : i64, steps = array<i64: 0, 0>}}
    ^after(%w: i64):
      %j = llvm.add %i, %c1 : i64
      %done = llvm.icmp "eq" %j, %n : i64
      llvm.cond_br %done, ^out(%w : i64), ^loop(%j, %w : i64, i64) {cira.facts = {latch, loop = 0 : i64, percent = 100 : i64}}
    ^out(%r: i64):
      llvm.return %r : i64
    }
    // 128 lists at a time; ^turn is the next step of a round:
    //   ^node: store %at and %t to the slot, prefetch %at, ^turn
    //   ^go_on: load %at and %t; %v, %u, %next as above;
    //          null: store %u to the slot, which is done, ^turn
    //          otherwise: ^node(%next, %u)
    //   ^late: %s + the slot's %u, %j, in the order of iterations
    ```
  }];
}

def CiraLlvmLookahead : Pass<"cira-llvm-lookahead"> {
  let summary = "look ahead in queues, rows and index arrays without an end";
  let description = [{
    For loops of an `llvm.func` that came from C or C++ and wait for memory in a
    way that `cira-llvm-prefetch` cannot help, since nobody knows beforehand
    where they end. Three forms:

    - *queue*: a loop inside visits the row of what was read (`e` from `row[u]`
      to `row[u + 1]`, `u` from a queue, a bucket or a list). The row's bounds
      are asked for three distances ahead, its first entries two ahead, and what
      these name (up to 64) one ahead; a longer row goes on by itself.
    - *rows*: all rows in order lie behind one another, so the entries are read
      ahead across the end of the row; one test in front of the row, by the last
      address that `@cira.last` gives, holds for all of its entries.
    - *walk*: `a[b[i]]` in a loop that may end at any time.

    Each load ahead is tested: it must lie in the page of the access that the
    iteration itself has just done, or between the lowest and the highest page
    that the program has touched through the same base. The function keeps these
    two for each base and forgets them before whatever may free memory or wait.
    Values read ahead become addresses of prefetches and nothing else, so it
    does not matter whether they are what will be there.

    Nothing is done ahead before what was touched exceeds a quarter of the
    last-level cache (queue, rows), or before as many iterations as it has lines
    (walk). The distance is 2 x latency / time of an iteration as in
    `cira-llvm-prefetch`, twice that in queues, where a row of unknown length
    counts as 8 entries.

    Input: an `llvm.func` with `cira.facts` as for `cira-llvm-prefetch`. Output:
    loads, prefetches, and variables (`llvm.alloca`) that mem2reg makes values
    of; a changed function has `changed` among its facts, an access that is
    asked for has `ahead`; remarks say what was decided and by which figures.

    ```mlir
    llvm.func @find(%a: !llvm.ptr, %b: !llvm.ptr) -> i64
        attributes {cira.facts = {loops = [ {breaks, parent = -1 : i64} ]}} {
      %c0 = llvm.mlir.constant(0 : i64) : i64
      %c1 = llvm.mlir.constant(1 : i64) : i64
      %z = llvm.mlir.constant(0 : i32) : i32
      llvm.br ^loop(%c0 : i64)
    ^loop(%i: i64):
      %p = llvm.getelementptr inbounds %b[%i] : (!llvm.ptr, i64) -> !llvm.ptr, i32
      %x = llvm.load %p {cira.facts = {always, stride_bytes = 4 : i64}} : !llvm.ptr -> i32
      %q = llvm.getelementptr inbounds %a[%x] : (!llvm.ptr, i32) -> !llvm.ptr, i32
      %v = llvm.load %q {cira.facts = {always}} : !llvm.ptr -> i32
      %found = llvm.icmp "eq" %v, %z : i32
      %j = llvm.add %i, %c1 : i64
      llvm.cond_br %found, ^end, ^loop(%j : i64) {cira.facts = {latch, loop = 0 : i64, percent = 100 : i64, steps = array<i64: 1>}}
    ^end:
      llvm.return %i : i64
    }
    // behind %x:
    //   %n = trips + 1; trips = %n
    //   llvm.cond_br (%n >= 131072), ^look, ^rest
    // ^look:
    //   %p2 = llvm.getelementptr %p[80] : (!llvm.ptr) -> !llvm.ptr, i8
    //   llvm.cond_br (%p2 + 3 ^ %p) < 4096, ^ahead, ^rest
    // ^ahead:
    //   %x2 = llvm.load %p2
    //   %q2 = llvm.getelementptr %a[%x2]
    //   llvm.intr.prefetch %q2
    ```
  }];
}

def CiraLlvmPrefetch : Pass<"cira-llvm-prefetch"> {
  let summary = "ask for the lines of indirect accesses before they are used";
  let description = [{
    For loops of an `llvm.func` that came from C or C++: an access whose address
    follows from what the loop reads with a stride (`a[b[i]]`, `a[f(b[i])].x`,
    `a[m[b[i]]]`), or from the loop's counter by more than a stride, gets an
    `llvm.intr.prefetch` some iterations ahead. The index is read ahead too; a
    test against its address in the last iteration keeps that read inside what
    the loop itself reads, so nothing can fault.

    In a loop over chains, the second node of each is asked for too, read from the
    first where the loop itself would read it. An address that follows from the
    iteration before, by computing alone, is known ahead by a second copy of what
    it follows from. A loop inside another that passes through the same array each
    time, and changes it, goes on at its first iteration behind its last one.
    Loops with written lines, and with loads on which no branch depends, keep the
    loop as it was beside them, and time decides between the two
    (`cira_choice1_*`).

    The distance is 2 x latency / time of an iteration, where an iteration
    takes as long as its computing or as its lines need, whichever is more, so
    it is at most twice the prefetches in flight (per line and iteration). All
    figures are of `#cira.machine`. Left alone is what the core hides itself:
    loads on which no branch depends, unless more prefetches than loads can be
    under way; what stays in the cache; loops that touch
    less than a quarter of the last-level cache (found out when they run, if not
    before); and loops for which less than a tenth would be gained.

    Input: an `llvm.func` with the attribute `cira.facts`, and calls of
    `@cira.last(n, address, times)` that give the last address of the load with
    `last = n` and how often the loop runs after its first iteration; the clang plug-in writes both from LLVM's analyses. Output: the
    prefetches; a changed function has `changed` among its facts; a remark for
    each indirect access says what was decided and by which figures.

    ```mlir
    llvm.func @cira.last(i64, !llvm.ptr, i64)
    llvm.func @find(%a: !llvm.ptr, %b: !llvm.ptr, %last: !llvm.ptr, %n: i64)
        attributes {cira.facts = {loops = [ {bounded, parent = -1 : i64} ]}} {
      %c0 = llvm.mlir.constant(0 : i64) : i64
      %c1 = llvm.mlir.constant(1 : i64) : i64
      %z = llvm.mlir.constant(0 : i32) : i32
      llvm.call @cira.last(%c0, %last, %n) : (i64, !llvm.ptr, i64) -> ()
      llvm.br ^loop(%c0 : i64)
    ^loop(%i: i64):
      %p = llvm.getelementptr %b[%i] : (!llvm.ptr, i64) -> !llvm.ptr, i32
      %x = llvm.load %p {cira.facts = {always, last = 0 : i64, stride_bytes = 4 : i64}} : !llvm.ptr -> i32
      %w = llvm.zext %x : i32 to i64
      %q = llvm.getelementptr %a[%w] : (!llvm.ptr, i64) -> !llvm.ptr, i32
      %v = llvm.load %q {cira.facts = {always}} : !llvm.ptr -> i32
      %is = llvm.icmp "eq" %v, %z : i32
      llvm.cond_br %is, ^found, ^next {cira.facts = {loop = 0 : i64, percent = 100 : i64, steps = array<i64: 1>}}
    ^found:
      llvm.store %z, %a : i32, !llvm.ptr
      llvm.br ^next {cira.facts = {loop = 0 : i64, percent = 50 : i64}}
    ^next:
      %j = llvm.add %i, %c1 : i64
      %done = llvm.icmp "eq" %j, %n : i64
      llvm.cond_br %done, ^end, ^loop(%j : i64) {cira.facts = {latch, loop = 0 : i64, percent = 100 : i64}}
    ^end:
      llvm.return
    }
    // in front of %x:
    //   llvm.cond_br %long, ^look, ^rest
    // ^look:
    //   %p2 = llvm.getelementptr %p[80] : (!llvm.ptr) -> !llvm.ptr, i8
    //   %in = llvm.icmp "ule" %p2, %last : !llvm.ptr
    //   llvm.cond_br %in, ^ahead, ^rest
    // ^ahead:
    //   %x2 = llvm.load %p2 : !llvm.ptr -> i32
    //   ... the address as above, from %x2 ...
    //   llvm.intr.prefetch %q2, ...
    //   llvm.br ^rest
    ```
  }];
}

def CiraLlvmFar : Pass<"cira-llvm-far"> {
  let summary = "a second version of loops that finds far bytes where they are";
  let description = [{
    For loops of an `llvm.func`, outermost ones first: a second version for
    processes with far memory (`cira/loop.h`), chosen where the loop is entered
    by one test and one call. Either version tells when it ends, the old one if
    it is timed. In a function with `alone` among its facts (no other pass
    changes the old loops) nests count their iterations, those of loops inside
    with a `@cira.count`, too, and ask again after as many as were dealt out.

    In the second version the address of a load becomes the address at home if
    the word of its page says that it is there; a store to such a page is a call
    of `cira_loop_put`. Innermost loops of at least 256 iterations, known when
    they begin, pass through their arrays in blocks: `cira_loop_walk` says how
    many iterations each array has at one distance from its addresses, and the
    loop over these is the old one but for that distance. Arrays that are
    written take part if all that the loop accesses does; those that are read,
    if nothing in the loop may write there, or if each store (four at most) can
    be compared with the block first: one that meets it ends reading at home for
    the rest of the block. Other arrays that are written in order stay where
    they are, and only tell the runtime what comes and what is over.

    Where a nest has walks and accesses by any other address, there is a third
    version (answer 2 of `cira_loop_begin`), in which only walks find pages.

    If such a loop writes nothing and has 4 to 255 iterations, whose arrays, at
    most four, lie in one page each, these are looked up once.

    Left alone are loops with a call that may wait, free memory (unless it is one
    of the allocator's: then nothing is walked) or not return to the loop by a
    branch, loops of less than 64 iterations in all, and accesses
    that are volatile, atomic, of variables of the function or the program, or
    might lie across the end of a page.

    Input: as for `cira-llvm-prefetch`; besides, loads and stores with the fact
    `walk = n`, calls of `@cira.first(n, address)` that give their first
    address, of `@cira.count(loop, iterations after the first)`, and functions
    in which what a loop computes leaves it through arguments of blocks only.
    Output: the versions; a changed function has `changed` among its facts; a
    remark for each loop.

    ```mlir
    // for (i = 0; i < n; i++) s += a[b[i]], b is walked:
    //   llvm.cond_br %there, ^ask, ^old
    // ^ask:
    //   %answer = llvm.call @cira_loop_begin(%view)
    //   llvm.cond_br %is_far, ^far, ^old
    // ^block(..., %left: i64):
    //   %k = llvm.call @cira_loop_walk(%walks, %c1, %left)
    //   llvm.br ^loop(..., %k)
    // ^loop(..., %c: i64):
    //   %q = llvm.getelementptr %p[%delta] : (!llvm.ptr, i64) -> !llvm.ptr, i8
    //   %x = llvm.load %q : !llvm.ptr -> i32
    //   ...
    //   %home = ... the word of the page of %a ...
    //   %d = llvm.select %home, %view_delta, %c0
    //   %a2 = llvm.getelementptr %a[%d] : (!llvm.ptr, i64) -> !llvm.ptr, i8
    ```
  }];
}

def CiraLlvmJump : Pass<"cira-llvm-jump"> {
  let summary = "prefetch along a table of a list's order when it is walked again";
  let description = [{
    For loops of an `llvm.func` with the fact `walks`: an argument of the header
    is what was loaded from the one before, plus constants. Nothing is asked of
    the rest of the loop: it may change the list, free nodes, end anywhere.

    The first 256 nodes of a walk are done by a copy of a small loop, unrolled,
    so that short lists pay nothing; a large one (64 operations, loops inside)
    counts them itself. The loop gets two modes, which LLVM makes two loops of.
    At first it counts nodes down; then `cira_jump_step(node, cursor, distance, nodes_min)` of
    `libcira-cc.a` says how many more to count, or gives a cursor into the table
    that an earlier walk of this list wrote. With one, each node prefetches what
    the cursor points to (one line for each line of the node that the loop uses)
    and moves it on by 8 bytes, and asks again when it comes to a multiple of
    2048 bytes. A cursor can always be read; what is read there is prefetched
    and used for nothing else.

    distance = 2 x latency / the larger of computing and lines x latency / lines
    in flight, at most 240; nodes_min = a quarter of the last-level cache in
    lines / lines of a node. Left alone are lists known to be shorter than 512
    nodes, lists whose heads are elements of an array (many short ones, of which
    the core walks several at once), and loops whose computing takes as long as
    a node's latency.

    Input: as for `cira-llvm-prefetch`. Output: the modes; a changed function
    has `changed` among its facts; a remark for each loop with the fact. To be
    run behind all passes that split blocks of loops: it leaves those loops
    alone whose header is not as the facts have it.

    ```mlir
    llvm.func @sum(%head: !llvm.ptr) -> i64
        attributes {cira.facts = {loops = [ {parent = -1 : i64, walks} ]}} {
      %zero = llvm.mlir.zero : !llvm.ptr
      %c0 = llvm.mlir.constant(0 : i64) : i64
      llvm.br ^loop(%head, %c0 : !llvm.ptr, i64)
    ^loop(%n: !llvm.ptr, %s: i64):
      %p = llvm.getelementptr %n[8] : (!llvm.ptr) -> !llvm.ptr, i8
      %v = llvm.load %p : !llvm.ptr -> i64
      %t = llvm.add %s, %v : i64
      %next = llvm.load %n : !llvm.ptr -> !llvm.ptr
      %more = llvm.icmp "ne" %next, %zero : !llvm.ptr
      llvm.cond_br %more, ^loop(%next, %t : !llvm.ptr, i64), ^end {cira.facts = {latch, loop = 0 : i64, percent = 100 : i64, steps = array<i64: 0, 0>}}
    ^end:
      llvm.return %t : i64
    }
    // becomes
    //   llvm.br ^first(%head, %c0), where at its 256th end (%next, %t)
    //   llvm.br ^outer(%next, %t, %false, %null, %c1)
    // ^outer(%a: !llvm.ptr, %b: i64, %mode: i1, %cursor0: !llvm.ptr, %left0: i64):
    //   llvm.br ^loop(%a, %b, %cursor0, %left0)
    // ^next(%next, %t):
    //   llvm.cond_br %mode, ^fast, ^count
    // ^fast:
    //   %ahead = llvm.load %cursor : !llvm.ptr -> !llvm.ptr
    //   llvm.intr.prefetch %ahead, ...
    //   %after = llvm.getelementptr %cursor[8]
    //   llvm.cond_br %at_end_of_block, ^step(%after), ^loop(%next, %t, %after, %left)
    // ^count:
    //   %fewer = llvm.add %left, %minus_one
    //   llvm.cond_br %is_zero, ^step(%cursor), ^loop(%next, %t, %cursor, %fewer)
    // ^step(%at: !llvm.ptr):
    //   %went = llvm.call @cira_jump_step(%next, %at, %c20, %c131072)
    //   llvm.br ^outer(%next, %t, %is_cursor, %went_as_pointer, %went)
    // ^loop(%n: !llvm.ptr, %s: i64, %cursor: !llvm.ptr, %left: i64):
    //   ... as it was ...
    //   llvm.cond_br %more, ^next(%next, %t), ^end
    ```
  }];
}
