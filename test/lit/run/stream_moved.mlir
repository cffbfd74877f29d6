// SPDX-License-Identifier: Apache-2.0
// Streams and futures under other names: one stream as two arguments, two that
// change places in each iteration, one of two by select, one that a region moves
// on, one read by the condition of a loop; futures as results of scf.if and of a
// function, of a stream that has ended; streams that nobody releases.
// REQUIRES: jit
// RUN: %everywhere %s | FileCheck %s
// CHECK: {{^}}666666670000{{$}}
// CHECK-NEXT: {{^}}1999650005000{{$}}
// CHECK-NEXT: {{^}}56035996000{{$}}
// CHECK-NEXT: {{^}}50015000{{$}}
// CHECK-NEXT: {{^}}10002{{$}}
// CHECK-NEXT: {{^}}10005{{$}}
// CHECK-NEXT: {{^}}10008{{$}}
// CHECK-NEXT: {{^}}76205685{{$}}
// CHECK-NEXT: {{^}}50001666{{$}}
// CHECK-NEXT: {{^}}8999999000{{$}}

func.func private @cira_print_i64(i64)
func.func private @mk(%h: !cira.handle<i64>, %a: index, %d: index, %n: index) -> !cira.stream {
  %s = cira.stream_create_strided %h, %a, %d, %n : !cira.handle<i64>, index, index, index -> !cira.stream
  return %s : !cira.stream
}
func.func private @get(%s: !cira.stream) -> i64 {
  %f = cira.peek_stream %s : !cira.stream -> !cira.future<i64>
  %v = cira.await %f : !cira.future<i64> -> i64
  cira.advance_stream %s : !cira.stream
  return %v : i64
}
func.func private @aw(%f: !cira.future<i64>) -> i64 {
  %v = cira.await %f : !cira.future<i64> -> i64
  return %v : i64
}
func.func private @pk(%s: !cira.stream) -> !cira.future<i64> {
  %f = cira.peek_stream %s : !cira.stream -> !cira.future<i64>
  return %f : !cira.future<i64>
}
func.func private @two(%s: !cira.stream, %t: !cira.stream, %n: index) -> i64 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %z = arith.constant 0 : i64
  %r = scf.for %i = %c0 to %n step %c1 iter_args(%a = %z) -> i64 {
    %f = cira.peek_stream %s : !cira.stream -> !cira.future<i64>
    %v = cira.await %f : !cira.future<i64> -> i64
    cira.advance_stream %s : !cira.stream
    %g = cira.peek_stream %t : !cira.stream -> !cira.future<i64>
    %w = cira.await %g : !cira.future<i64> -> i64
    cira.advance_stream %t : !cira.stream
    %k = arith.index_cast %i : index to i64
    %x = arith.muli %v, %k : i64
    %b = arith.addi %a, %x : i64
    %c = arith.addi %b, %w : i64
    scf.yield %c : i64
  }
  return %r : i64
}
func.func @main() {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  %c3 = arith.constant 3 : index
  %minus = arith.constant -1 : index
  %half = arith.constant 10000 : index
  %n = arith.constant 20000 : index
  %last = arith.constant 19999 : index
  %z = arith.constant 0 : i64
  %o = arith.constant 1 : i64
  %h = cira.alloc(%n) tier(far) : !cira.handle<i64>
  scf.for %i = %c0 to %n step %c1 {
    %v = arith.index_cast %i : index to i64
    cira.store %v, %h[%i] : i64, !cira.handle<i64>
  }
  // same stream under two names: sum k*(2k) + (2k+1)
  %s1 = func.call @mk(%h, %c0, %c1, %n) : (!cira.handle<i64>, index, index, index) -> !cira.stream
  %ra = func.call @two(%s1, %s1, %half) : (!cira.stream, !cira.stream, index) -> i64
  func.call @cira_print_i64(%ra) : (i64) -> ()
  cira.stream_release %s1 : !cira.stream
  // swap two streams each iteration as iter args
  %s2 = cira.stream_create_strided %h, %c0, %c1, %n : !cira.handle<i64>, index, index, index -> !cira.stream
  %s3 = cira.stream_create_strided %h, %last, %minus, %n : !cira.handle<i64>, index, index, index -> !cira.stream
  %rb:3 = scf.for %i = %c0 to %n step %c1 iter_args(%p = %s2, %q = %s3, %a = %z) -> (!cira.stream, !cira.stream, i64) {
    %f = cira.peek_stream %p : !cira.stream -> !cira.future<i64>
    %v = cira.await %f : !cira.future<i64> -> i64
    cira.advance_stream %p : !cira.stream
    %g = cira.peek_stream %q : !cira.stream -> !cira.future<i64>
    %w = cira.await %g : !cira.future<i64> -> i64
    %k = arith.index_cast %i : index to i64
    %x = arith.muli %v, %k : i64
    %y = arith.subi %x, %w : i64
    %b = arith.addi %a, %y : i64
    scf.yield %q, %p, %b : !cira.stream, !cira.stream, i64
  }
  func.call @cira_print_i64(%rb#2) : (i64) -> ()
  // select of a stream, mixed with direct use of them
  %s4 = cira.stream_create_strided %h, %c0, %c2, %half : !cira.handle<i64>, index, index, index -> !cira.stream
  %s5 = cira.stream_create_strided %h, %c1, %c2, %half : !cira.handle<i64>, index, index, index -> !cira.stream
  %third = arith.constant 3000 : index
  %rc = scf.for %i = %c0 to %third step %c1 iter_args(%a = %z) -> i64 {
    %m = arith.remui %i, %c3 : index
    %is = arith.cmpi eq, %m, %c0 : index
    %s = arith.select %is, %s4, %s5 : !cira.stream
    cira.advance_stream %s : !cira.stream
    %f = cira.peek_stream %s4 : !cira.stream -> !cira.future<i64>
    %v = cira.await %f : !cira.future<i64> -> i64
    %g = cira.peek_stream %s5 : !cira.stream -> !cira.future<i64>
    %w = cira.await %g : !cira.future<i64> -> i64
    cira.advance_stream %s5 : !cira.stream
    %u = func.call @get(%s) : (!cira.stream) -> i64
    %x = arith.muli %v, %w : i64
    %y = arith.addi %x, %u : i64
    %b = arith.addi %a, %y : i64
    scf.yield %b : i64
  }
  func.call @cira_print_i64(%rc) : (i64) -> ()
  // a region moves the stream on, the host goes on, then a function
  %s6 = cira.stream_create_strided %h, %c0, %c1, %n : !cira.handle<i64>, index, index, index -> !cira.stream
  %d0 = func.call @get(%s6) : (!cira.stream) -> i64
  cira.advance_stream %s6 : !cira.stream
  %d1 = cira.offload @helper -> i64 {
    %r = scf.for %i = %c0 to %half step %c1 iter_args(%a = %z) -> i64 {
      %f = cira.peek_stream %s6 : !cira.stream -> !cira.future<i64>
      %v = cira.await %f : !cira.future<i64> -> i64
      cira.advance_stream %s6 : !cira.stream
      %b = arith.addi %a, %v : i64
      scf.yield %b : i64
    }
    cira.yield %r : i64
  }
  func.call @cira_print_i64(%d1) : (i64) -> ()
  %f6 = cira.peek_stream %s6 : !cira.stream -> !cira.future<i64>
  %d2 = cira.await %f6 : !cira.future<i64> -> i64
  cira.offload @helper {
    scf.for %i = %c0 to %c3 step %c1 {
      cira.advance_stream %s6 : !cira.stream
    }
  }
  cira.barrier
  %f7 = cira.peek_stream %s6 : !cira.stream -> !cira.future<i64>
  %d3 = cira.await %f7 : !cira.future<i64> -> i64
  %tok = cira.sync_token_create
  cira.offload @helper {
    scf.for %i = %c0 to %c3 step %c1 {
      cira.advance_stream %s6 : !cira.stream
    }
    cira.sync_token_signal %tok
  }
  cira.sync_token_wait %tok
  %f8 = func.call @pk(%s6) : (!cira.stream) -> !cira.future<i64>
  cira.stream_release %s6 : !cira.stream
  %d4 = func.call @aw(%f8) : (!cira.future<i64>) -> i64
  func.call @cira_print_i64(%d2) : (i64) -> ()
  func.call @cira_print_i64(%d3) : (i64) -> ()
  func.call @cira_print_i64(%d4) : (i64) -> ()
  // stream read in the before region
  %s7 = cira.stream_create_strided %h, %c0, %c1, %n : !cira.handle<i64>, index, index, index -> !cira.stream
  %lim = arith.constant 12345 : i64
  %re = scf.while (%a = %z) : (i64) -> i64 {
    %f = cira.peek_stream %s7 : !cira.stream -> !cira.future<i64>
    %v = cira.await %f : !cira.future<i64> -> i64
    %b = arith.addi %a, %v : i64
    %more = arith.cmpi slt, %v, %lim : i64
    scf.condition(%more) %b : i64
  } do {
  ^bb0(%a: i64):
    cira.advance_stream %s7 : !cira.stream
    scf.yield %a : i64
  }
  func.call @cira_print_i64(%re) : (i64) -> ()
  // futures as results of if, carried across, from both kinds
  %rf:2 = scf.for %i = %c0 to %half step %c1 iter_args(%a = %z, %k = %c0) -> (i64, index) {
    %m = arith.remui %i, %c3 : index
    %is = arith.cmpi eq, %m, %c0 : index
    %f = scf.if %is -> !cira.future<i64> {
      %g = cira.load_async %h[%i] : !cira.handle<i64> -> !cira.future<i64>
      scf.yield %g : !cira.future<i64>
    } else {
      %st = cira.stream_create_strided %h, %i, %c1, %c2 : !cira.handle<i64>, index, index, index -> !cira.stream
      cira.advance_stream %st : !cira.stream
      %g = cira.peek_stream %st : !cira.stream -> !cira.future<i64>
      cira.stream_release %st : !cira.stream
      scf.yield %g : !cira.future<i64>
    }
    %v = cira.await %f : !cira.future<i64> -> i64
    %b = arith.addi %a, %v : i64
    scf.yield %b, %k : i64, index
  }
  func.call @cira_print_i64(%rf#0) : (i64) -> ()
  // 3000 live streams that nobody releases, and prefetches of streams that end
  %rg = scf.for %i = %c0 to %third step %c1 iter_args(%a = %z) -> i64 {
    %st = cira.stream_create_strided %h, %i, %c1, %third : !cira.handle<i64>, index, index, index -> !cira.stream
    cira.offload @vortex { cira.prefetch_stream %st, %half : !cira.stream, index }
    %v = func.call @get(%st) : (!cira.stream) -> i64
    %w = func.call @get(%st) : (!cira.stream) -> i64
    %s = arith.muli %v, %w : i64
    %b = arith.addi %a, %s : i64
    %m = arith.remui %i, %c3 : index
    %is = arith.cmpi eq, %m, %c0 : index
    scf.if %is { cira.stream_release %st : !cira.stream }
    scf.yield %b : i64
  }
  func.call @cira_print_i64(%rg) : (i64) -> ()
  return
}
