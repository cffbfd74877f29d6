// SPDX-License-Identifier: Apache-2.0
// Streams: made from what is known of an access pattern, peeked and advanced
// by the loop that consumes it, driven ahead by prefetch ops (usually inside
// an offload region). Counts, strides and starts are in elements; the offset
// of a link is in bytes.
#ifndef CIRA_STREAM_OPS_TD
#define CIRA_STREAM_OPS_TD

include "CiraTypes.td"

class CIRA_StreamCreateOp<string kind> : CIRA_Op<"stream_create_" # kind> {
  let results = (outs
    Res<CIRA_Stream, "the stream, at its first element",
        [MemAlloc<CIRA_StreamResource>]>:$stream);
  let hasVerifier = 1;
}

def CIRA_StreamCreateStridedOp : CIRA_StreamCreateOp<"strided"> {
  let summary = "a stream over array elements at a fixed distance";
  let description = [{
    Elements base[start], base[start + stride], ... , `count` of them. If the
    elements are handles, a stream fetches what they point to as well, and its
    `peek_stream` gives either: the result type says which.

    ```mlir
    func.func @sum(%ptrs: memref<?x!cira.handle<f32>>, %n: index) -> !cira.stream {
      %c0 = arith.constant 0 : index
      %c1 = arith.constant 1 : index
      %s = cira.stream_create_strided %ptrs, %c0, %c1, %n
        : memref<?x!cira.handle<f32>>, index, index, index -> !cira.stream
      return %s : !cira.stream
    }
    ```
  }];
  let arguments = (ins
    Arg<CIRA_Array, "the array", [MemRead]>:$base,
    Arg<Index, "first element">:$start,
    Arg<Index, "distance, elements, not 0">:$stride,
    Arg<Index, "number of elements">:$count);
  let assemblyFormat = [{
    $base `,` $start `,` $stride `,` $count attr-dict `:` qualified(type($base))
    `,` type($start) `,` type($stride) `,` type($count)
    `->` qualified(type($stream))
  }];
}

def CIRA_StreamCreateIndirectOp : CIRA_StreamCreateOp<"indirect"> {
  let summary = "a stream over the nodes of a linked structure";
  let description = [{
    Elements are the nodes head, head->link, head->link->link, ... up to the
    null pointer. The link is a pointer `offset` bytes into each node. Order in
    memory does not matter: a stream may learn the order during one walk and
    run ahead in the next.

    ```mlir
    !Node = !llvm.struct<"Node", (f32, ptr)>
    func.func @list(%head: !cira.handle<!Node>) -> !cira.stream {
      %c8 = arith.constant 8 : index
      %s = cira.stream_create_indirect %head, %c8 :
          !cira.handle<!Node>, index -> !cira.stream
      return %s : !cira.stream
    }
    ```
  }];
  let arguments = (ins
    Arg<CIRA_Handle, "the first node", [MemRead]>:$head,
    Arg<Index, "of the link within a node, bytes">:$offset);
  let assemblyFormat = [{
    $head `,` $offset attr-dict `:` qualified(type($head)) `,` type($offset)
    `->` qualified(type($stream))
  }];
}

def CIRA_StreamCreateIndexedOp : CIRA_StreamCreateOp<"indexed"> {
  let summary = "a stream over a[b[i]]";
  let description = [{
    Elements base[indices[start]], base[indices[start + stride]], ... , `count`
    of them. `indices` is an array of integers, taken as signed, or of index.

    ```mlir
    func.func @gather(%a: !cira.handle<f64>, %b: memref<?xi32>, %n: index)
        -> !cira.stream {
      %c0 = arith.constant 0 : index
      %c1 = arith.constant 1 : index
      %s = cira.stream_create_indexed %a, %b, %c0, %c1, %n
        : !cira.handle<f64>, memref<?xi32>, index, index, index -> !cira.stream
      return %s : !cira.stream
    }
    ```
  }];
  let arguments = (ins
    Arg<CIRA_Array, "the array that is read", [MemRead]>:$base,
    Arg<CIRA_Array, "the array of positions in it", [MemRead]>:$indices,
    Arg<Index, "first position">:$start,
    Arg<Index, "distance between positions, elements, not 0">:$stride,
    Arg<Index, "number of elements">:$count);
  let assemblyFormat = [{
    $base `,` $indices `,` $start `,` $stride `,` $count attr-dict
    `:` qualified(type($base)) `,` qualified(type($indices))
    `,` type($start) `,` type($stride) `,` type($count)
    `->` qualified(type($stream))
  }];
}

def CIRA_StreamCreateTiledOp : CIRA_StreamCreateOp<"tiled"> {
  let summary = "a stream over the tiles of an array";
  let description = [{
    Elements are tiles, in row-major order of the tiles. One tile size is used
    for every dimension; otherwise there is one per dimension, in elements.
    Tiles at the border are cut off.

    ```mlir
    func.func @tiles(%weights: memref<128x256xf32>, %tile: index) -> !cira.stream {
      %s = cira.stream_create_tiled %weights, %tile
        : memref<128x256xf32>, index -> !cira.stream
      return %s : !cira.stream
    }
    ```
  }];
  let arguments = (ins
    Arg<AnyTypeOf<[AnyMemRef, CIRA_RemoteMemRefType]>, "the array", [MemRead]>:$base,
    Arg<Variadic<Index>, "tile size, elements: one, or one per dimension">:$tile_sizes);
  let assemblyFormat = [{
    $base `,` $tile_sizes attr-dict `:` qualified(type($base))
    `,` type($tile_sizes) `->` qualified(type($stream))
  }];
}

def CIRA_StreamCreateFrontierOp : CIRA_StreamCreateOp<"frontier"> {
  let summary = "a stream over the adjacency lists of a set of vertices";
  let description = [{
    `graph` points to a graph in compressed rows: a struct that begins with
    the number of vertices (i64), a pointer to the row offsets (i64 each, one
    more than vertices) and a pointer to the neighbours. `frontier` holds
    vertex numbers; `count` of them count, all without it. The elements are
    the neighbour lists of these vertices.

    ```mlir
    !Graph = !llvm.struct<"Graph", (i64, ptr, ptr)>
    func.func @level(%g: !cira.handle<!Graph>, %frontier: memref<?xi32>, %n: index) {
      %all = cira.stream_create_frontier %g, %frontier :
          !cira.handle<!Graph>, memref<?xi32> -> !cira.stream
      %some = cira.stream_create_frontier %g, %frontier, %n :
          !cira.handle<!Graph>, memref<?xi32>, index -> !cira.stream
      cira.stream_release %all : !cira.stream
      cira.stream_release %some : !cira.stream
      return
    }
    ```
  }];
  let arguments = (ins
    Arg<CIRA_Handle, "the graph", [MemRead]>:$graph,
    Arg<CIRA_Array, "vertex numbers", [MemRead]>:$frontier,
    Arg<Optional<Index>, "how many of them">:$count);
  let assemblyFormat = [{
    $graph `,` $frontier (`,` $count^)? attr-dict
    `:` qualified(type($graph)) `,` qualified(type($frontier))
    (`,` type($count)^)? `->` qualified(type($stream))
  }];
}

def CIRA_StreamReleaseOp : CIRA_Op<"stream_release"> {
  let summary = "end a stream";
  let description = [{
    Frees the stream and forgets what it still had under way; a prefetch of it
    that still runs in an offload region ends there. Futures that were peeked
    before stay valid. Any later use of the stream is an error: at
    compile time where it is seen, at run time otherwise.

    ```mlir
    func.func @end(%s: !cira.stream) {
      cira.stream_release %s : !cira.stream
      return
    }
    ```
  }];
  let arguments = (ins
    Arg<CIRA_Stream, "ends here", [MemFree<CIRA_StreamResource>]>:$stream);
  let assemblyFormat = "$stream attr-dict `:` qualified(type($stream))";
  let hasVerifier = 1;
}

def CIRA_PeekStreamOp : CIRA_Op<"peek_stream"> {
  let summary = "the current element of a stream, as a future";
  let description = [{
    Gives the data itself, not a hint about it. Does not move the stream: two
    peeks without an `advance_stream` in between are two futures of the same
    element. Past the last element it is an error at run time.

    ```mlir
    func.func @first(%s: !cira.stream) -> f32 {
      %future = cira.peek_stream %s : !cira.stream -> !cira.future<f32>
      %v = cira.await %future : !cira.future<f32> -> f32
      return %v : f32
    }
    ```
  }];
  let arguments = (ins
    Arg<CIRA_Stream, "strided, indexed or indirect",
        [MemRead, MemRead<CIRA_StreamResource>]>:$stream);
  let results = (outs
    Res<CIRA_Future, "the element", [MemAlloc<CIRA_FutureResource>]>:$future);
  let assemblyFormat = [{
    $stream attr-dict `:` qualified(type($stream)) `->` qualified(type($future))
  }];
  let hasVerifier = 1;
}

def CIRA_AdvanceStreamOp : CIRA_Op<"advance_stream"> {
  let summary = "go on to the next element";
  let description = [{
    Moves the position by one and lets the window of requests run on. Past the
    last element it does nothing. Several threads may advance one stream at
    once (a parallel loop does): each moves it by one.

    ```mlir
    func.func @next(%s: !cira.stream) {
      cira.advance_stream %s : !cira.stream
      return
    }
    ```
  }];
  let arguments = (ins
    Arg<CIRA_Stream, "moves on", [MemRead<CIRA_StreamResource>,
                                  MemWrite<CIRA_StreamResource>]>:$stream);
  let assemblyFormat = "$stream attr-dict `:` qualified(type($stream))";
  let hasVerifier = 1;
}

def CIRA_PeekAdjacencyOp : CIRA_Op<"peek_adjacency"> {
  let summary = "the neighbour list of one vertex of a frontier, as a future";
  let description = [{
    The list of the `position`-th vertex of the frontier. Awaited, it is a
    memref over the graph's own neighbour array, whose bytes are then here.
    Positions may be asked for in any order and from several threads.

    ```mlir
    func.func @degree(%s: !cira.stream, %v: index) -> index {
      %f = cira.peek_adjacency %s, %v :
          !cira.stream, index -> !cira.future<memref<?xi32>>
      %list = cira.await %f : !cira.future<memref<?xi32>> -> memref<?xi32>
      %c0 = arith.constant 0 : index
      %n = memref.dim %list, %c0 : memref<?xi32>
      return %n : index
    }
    ```
  }];
  let arguments = (ins
    Arg<CIRA_Stream, "a frontier stream",
        [MemRead, MemRead<CIRA_StreamResource>]>:$stream,
    Arg<Index, "position in the frontier">:$position);
  let results = (outs
    Res<CIRA_Future, "the list", [MemAlloc<CIRA_FutureResource>]>:$future);
  let assemblyFormat = [{
    $stream `,` $position attr-dict `:` qualified(type($stream)) `,`
    type($position) `->` qualified(type($future))
  }];
  let hasVerifier = 1;
}

class CIRA_PrefetchOfStreamOp<string what, string unit>
    : CIRA_Op<"prefetch_" # what> {
  let arguments = (ins
    Arg<CIRA_Stream, "whose elements to ask for",
        [MemRead, MemRead<CIRA_StreamResource>,
         MemWrite<CIRA_CacheResource>]>:$stream,
    Arg<Index, "how far ahead, " # unit # ", > 0">:$distance);
  let assemblyFormat = [{
    $stream `,` $distance attr-dict `:` qualified(type($stream)) `,` type($distance)
  }];
  let hasVerifier = 1;
}

def CIRA_PrefetchChainOp : CIRA_PrefetchOfStreamOp<"chain", "nodes"> {
  let summary = "run ahead along a linked structure";
  let description = [{
    Keeps up to `distance` nodes of an indirect stream under way ahead of its
    position until the chain ends. A hint.

    ```mlir
    func.func @ahead(%stream: !cira.stream) {
      %c16 = arith.constant 16 : index
      cira.offload @vortex_core_0 {
        cira.prefetch_chain %stream, %c16 : !cira.stream, index
      }
      return
    }
    ```
  }];
}

def CIRA_PrefetchTilesOp : CIRA_PrefetchOfStreamOp<"tiles", "tiles"> {
  let summary = "ask for the next tiles";
  let description = [{
    Keeps up to `distance` tiles of a tiled stream under way ahead of its
    position. A hint.

    ```mlir
    func.func @ahead(%s: !cira.stream, %lookahead: index) {
      cira.prefetch_tiles %s, %lookahead : !cira.stream, index
      return
    }
    ```
  }];
}

def CIRA_PrefetchAdjacencyOp : CIRA_PrefetchOfStreamOp<"adjacency", "vertices"> {
  let summary = "ask for the neighbour lists of the next vertices";
  let description = [{
    Keeps the lists of up to `distance` vertices of a frontier stream under
    way ahead of its position. A hint.

    ```mlir
    func.func @ahead(%s: !cira.stream, %lookahead: index) {
      cira.prefetch_adjacency %s, %lookahead : !cira.stream, index
      return
    }
    ```
  }];
}

#endif // CIRA_STREAM_OPS_TD
