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
