// SPDX-License-Identifier: Apache-2.0
// The command line of cira-run for MLIR files, and of cira-jit: entry,
// arguments, results, forms of output, and what is wrong said in one line.
// REQUIRES: jit
// RUN: cira-run --far host: --local 1M %s 20 1.5 | FileCheck %s --check-prefix=MAIN
// RUN: cira-jit %s --entry main 0x14 1.5 -O0 | FileCheck %s --check-prefix=MAIN
// MAIN: {{^}}-20{{$}}
// MAIN-NEXT: {{^}}2.25{{$}}
// MAIN-NEXT: {{^}}1{{$}}
// RUN: cira-jit %s --entry small -1 -- | FileCheck %s --check-prefix=SMALL
// RUN: cira-jit %s --entry=small 255 | FileCheck %s --check-prefix=SMALL
// SMALL: {{^}}-1{{$}}
// RUN: cira-jit %s --entry print | FileCheck %s --check-prefix=PRINT
// PRINT: {{^}}42{{$}}
// PRINT-NEXT: {{^}}0.10000000000000001{{$}}
// PRINT-NEXT: {{^}}1{{$}}
// RUN: cira-run --entry small --time --repeat 3 %s 7 2>&1 | FileCheck %s --check-prefix=TIME
// TIME: "runs_ns": [{{[0-9]+, [0-9]+, [0-9]+}}]
// RUN: cira-run --far host: --local 1M --stats=%t.json --entry far %s | FileCheck %s --check-prefix=FAR
// FAR: {{^}}3{{$}}
// RUN: FileCheck %s --check-prefix=STATS --input-file %t.json
// STATS: "program": "cira_jit.mlir"
// RUN: cira-jit --emit=mlir %s | FileCheck %s --check-prefix=MLIR
// MLIR: llvm.func @small
// RUN: cira-jit --emit=llvm -O1 %s -o %t.ll && FileCheck %s --check-prefix=LLVM --input-file %t.ll
// LLVM: define i8 @small(i8
// RUN: cira-run --emit=asm %s | FileCheck %s --check-prefix=ASM
// ASM: small:
// RUN: cira-run %s --emit=obj --output %t.o && llvm-nm %t.o | FileCheck %s --check-prefix=OBJ
// OBJ: T small
// RUN: cira-jit --remarks --entry far %s 2>&1 | FileCheck %s --check-prefix=REMARK
// REMARK: remark: cira-place:
// RUN: cira-jit --entry far %s 2>&1 | FileCheck %s --check-prefix=QUIET --implicit-check-not=remark
// QUIET: 3
// RUN: echo '{"llc_bytes": 8}' > %t.machine.json
// RUN: cira-run --cira-machine=%t.machine.json --remarks --entry far %s 2>&1 | FileCheck %s --check-prefix=MACHINE
// MACHINE: remark: cira-place: far: no access in a loop waits
// RUN: not cira-jit --cira-machine %t.none.json %s 1 1 2>&1 | FileCheck %s --check-prefix=E19
// E19: cira-jit: cannot open machine model
// RUN: echo '{"speed": 1}' > %t.bad.json
// RUN: not cira-jit --cira-machine %t.bad.json %s 1 1 2>&1 | FileCheck %s --check-prefix=E20
// E20: error: {{.*}}speed
// E20: cira-jit: machine model {{.*}} is not used
// RUN: cira-jit --help | FileCheck %s --check-prefix=HELP
// HELP: Usage: cira-jit
// RUN: cira-jit --version | FileCheck %s --check-prefix=VERSION
// VERSION: cira-jit {{[0-9]}}

// RUN: not cira-jit %s --entry nothing 2>&1 | FileCheck %s --check-prefix=E1
// E1: cira-jit: the file has no function @nothing with a body; name one with --entry: it has @main
// RUN: not cira-jit %s 1 2>&1 | FileCheck %s --check-prefix=E2
// E2: cira-jit: @main takes 2 arguments, 1 given
// RUN: not cira-jit %s 1 x 2>&1 | FileCheck %s --check-prefix=E3
// E3: cira-jit: argument 2, "x", is no float of 32 bits
// RUN: not cira-jit %s --entry small 256 2>&1 | FileCheck %s --check-prefix=E4
// E4: cira-jit: argument 1, "256", is no integer of 8 bits
// RUN: not cira-jit %s --entry takes_handle 2>&1 | FileCheck %s --check-prefix=E5
// E5: cira-jit: argument 1 of @takes_handle is !cira.handle<f32>; only integers
// RUN: not cira-jit --nonsense %s 2>&1 | FileCheck %s --check-prefix=E6
// E6: cira-jit: no such option: --nonsense; see --help
// RUN: not cira-jit --emit=exe %s 2>&1 | FileCheck %s --check-prefix=E7
// E7: cira-jit: --emit exe; it is none of mlir, llvm, asm, obj
// RUN: not cira-jit %t.missing.mlir 2>&1 | FileCheck %s --check-prefix=E8
// E8: cira-jit: {{.*}}.missing.mlir cannot be read
// RUN: not cira-jit --pipeline=no-such-pass %s 1 1 2>&1 | FileCheck %s --check-prefix=E9
// E9: cira-jit: --pipeline=no-such-pass is no list of passes
// RUN: not cira-jit %s --entry calls_nothing 2>&1 | FileCheck %s --check-prefix=E10
// E10: cira-jit: linking: Symbols not found: [ no_such_function ]
// E10: cira-jit: the program cannot be linked; define what it calls
// RUN: not cira-run %t.missing.mlir 2>&1 | FileCheck %s --check-prefix=E11
// E11: cira-run: {{.*}}.missing.mlir cannot be read: No such file or directory; check the path
// RUN: not cira-run --check true 2>&1 | FileCheck %s --check-prefix=E12
// E12: cira-run: --check is an option for a FILE.mlir, and true is none
// RUN: echo "func.func @main() { cira.offload @gpu {} return }" > %t.bad.mlir
// RUN: not cira-jit %t.bad.mlir 2>&1 | FileCheck %s --check-prefix=E13
// E13: cira_jit.mlir.tmp.bad.mlir:1:{{[0-9]+}}: error: 'cira.offload' op @gpu is no device
// RUN: not cira-jit --repeat=0 %s 2>&1 | FileCheck %s --check-prefix=E14
// E14: cira-jit: --repeat 0; give a whole number from 1 to 1000000
// RUN: not cira-run --far host: --near-max 1K %s 1 1 2>&1 | FileCheck %s --check-prefix=E16
// E16: cira-run: --near-max is about malloc
// RUN: not env CIRA_MODE=fast cira-jit %s 1 1 2>&1 | FileCheck %s --check-prefix=E17
// E17: cira-jit: CIRA_MODE "fast" is none of auto
// RUN: not env CIRA_LOCAL=lots cira-jit %s 1 1 2>&1 | FileCheck %s --check-prefix=E18
// E18: cira-jit: {{.*}}CIRA_LOCAL
// RUN: cira-run --far host: --local 1M --mode thread --deadline 5s %s 20 1.5 | FileCheck %s --check-prefix=MAIN
// RUN: cira-run -O0 %s 20 1.5 | FileCheck %s --check-prefix=MAIN
// RUN: cira-run --emit=llvm -o %t.run.ll %s && FileCheck %s --check-prefix=LLVM --input-file %t.run.ll
// What others wrote to standard output stays there.
// RUN: echo first > %t.both
// RUN: cira-jit --emit=llvm %s >> %t.both && FileCheck %s --check-prefix=BOTH --input-file %t.both
// BOTH: first
// BOTH: define {{.*}}@small(
// RUN: not cira-run -O7 %s 1 1 2>&1 | FileCheck %s --check-prefix=E21
// E21: cira-run: there is no level -O7; use -O0, -O1, -O2 or -O3
// RUN: not cira-run --emit=mlir -o /dev/full %s 2>&1 | FileCheck %s --check-prefix=E22
// RUN: not cira-run --emit=llvm -o /dev/full %s 2>&1 | FileCheck %s --check-prefix=E22
// RUN: not cira-run --emit=obj -o /dev/full %s 2>&1 | FileCheck %s --check-prefix=E22
// E22: cira-jit: /dev/full cannot be written: No space left on device
// RUN: not cira-run %s --entry small 1 2>&1 > /dev/full | FileCheck %s --check-prefix=E23
// E23: cira-jit: standard output cannot be written: No space left on device; the results are lost
// RUN: not cira-jit %s -o %t.none 1 1 2>&1 | FileCheck %s --check-prefix=E24
// E24: cira-jit: --output {{.*}}; results go to standard output: leave it out, or add --emit
// RUN: echo "" > %t.empty.mlir
// RUN: not cira-jit %t.empty.mlir 2>&1 | FileCheck %s --check-prefix=E25
// E25: no function @main with a body; name one with --entry: it has none
// RUN: not cira-jit 2>&1 | FileCheck %s --check-prefix=E15
// E15: cira-jit: no file named

func.func private @cira_print_i64(i64)
func.func private @cira_print_f64(f64)
func.func private @cira_now_ns() -> i64
func.func private @no_such_function()

func.func @main(%n: index, %x: f32) -> (index, f32, i1) {
  %c0 = arith.constant 0 : index
  %minus = arith.subi %c0, %n : index
  %y = arith.mulf %x, %x : f32
  %t = arith.constant true
  return %minus, %y, %t : index, f32, i1
}

func.func @small(%x: i8) -> i8 {
  return %x : i8
}

func.func @print() -> i1 {
  %a = arith.constant 42 : i64
  %b = arith.constant 0.1 : f64
  call @cira_print_i64(%a) : (i64) -> ()
  call @cira_print_f64(%b) : (f64) -> ()
  %t0 = call @cira_now_ns() : () -> i64
  %t1 = call @cira_now_ns() : () -> i64
  %forward = arith.cmpi sge, %t1, %t0 : i64
  return %forward : i1
}

func.func @far() -> i32 {
  %c4 = arith.constant 4 : index
  %v = arith.constant 3 : i32
  %h = cira.alloc(%c4) : !cira.handle<i32>
  cira.store %v, %h[2] : i32, !cira.handle<i32>
  %r = cira.load %h[2] : !cira.handle<i32> -> i32
  cira.dealloc %h : !cira.handle<i32>
  return %r : i32
}

func.func @takes_handle(%h: !cira.handle<f32>) {
  return
}

func.func @calls_nothing() {
  call @no_such_function() : () -> ()
  return
}
