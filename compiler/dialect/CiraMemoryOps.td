// SPDX-License-Identifier: Apache-2.0
// Ops that move data between far memory and SSA values, and the arithmetic on
// handles. `[i]` after a handle selects: a field, if T is a struct; an element,
// if T is an LLVM array or a vector; otherwise the i-th T of an array of T.
#ifndef CIRA_MEMORY_OPS_TD
#define CIRA_MEMORY_OPS_TD

include "CiraTypes.td"

//===-- Synchronous access ------------------------------------------------===//

def CIRA_LoadOp : CIRA_Op<"load"> {
  let summary = "load now, and wait for it";
  let description = [{
    Reads the bytes the handle points to, or the selected part of them, and
    waits until they are there. Ordered like any load of this thread. A field
    that is a plain pointer may be read as a handle: the result type says of
    what.

    ```mlir
    !Node = !llvm.struct<"Node", (f32, ptr)>
    func.func @payload_and_next(%node: !cira.handle<!Node>)
        -> (f32, !cira.handle<!Node>) {
      %data = cira.load %node[0] : !cira.handle<!Node> -> f32
      %next = cira.load %node[1] : !cira.handle<!Node> -> !cira.handle<!Node>
      return %data, %next : f32, !cira.handle<!Node>
    }
    ```
  }];
  let arguments = (ins
    Arg<CIRA_Handle, "where to read", [MemRead]>:$handle,
    Optional<Index>:$index, OptionalAttr<I64Attr>:$static_index);
  let results = (outs Res<CIRA_Storable, "what lies there">:$value);
  let assemblyFormat = [{
    $handle `` custom<HandleIndex>($index, $static_index) attr-dict
    `:` qualified(type($handle)) `->` qualified(type($value))
  }];
  let hasVerifier = 1;
  let hasFolder = 1;
}

def CIRA_StoreOp : CIRA_Op<"store"> {
  let summary = "store now";
  let description = [{
    Writes the value to the bytes the handle points to, or to the selected
    part of them. Ordered like any store of this thread. A handle may be
    stored into a field that is a plain pointer.

    ```mlir
    !Node = !llvm.struct<"Node", (f32, ptr)>
    func.func @link(%a: !cira.handle<!Node>, %b: !cira.handle<!Node>) {
      cira.store %b, %a[1] : !cira.handle<!Node>, !cira.handle<!Node>
      return
    }
    ```
  }];
  let arguments = (ins
    CIRA_Storable:$value,
    Arg<CIRA_Handle, "where to write", [MemWrite]>:$handle,
    Optional<Index>:$index, OptionalAttr<I64Attr>:$static_index);
  let assemblyFormat = [{
    $value `,` $handle `` custom<HandleIndex>($index, $static_index) attr-dict
    `:` qualified(type($value)) `,` qualified(type($handle))
  }];
  let hasVerifier = 1;
  let hasFolder = 1;
}

//===-- Asynchronous access -----------------------------------------------===//

def CIRA_LoadAsyncOp : CIRA_Op<"load_async"> {
  let summary = "begin a load and return at once";
  let description = [{
    Asks for the bytes and goes on; the future stands for the value. The bytes
    are read once, at some moment between this op and the `await` of the
    future. Two loads of the same address are two futures and are never
    merged; a load whose future nobody awaits is dropped.

    ```mlir
    func.func @overlap(%h: !cira.handle<f32>, %x: f32) -> f32 {
      %future = cira.load_async %h : !cira.handle<f32> -> !cira.future<f32>
      %y = arith.mulf %x, %x : f32
      %value = cira.await %future : !cira.future<f32> -> f32
      %z = arith.addf %value, %y : f32
      return %z : f32
    }
    ```
  }];
  let arguments = (ins
    Arg<CIRA_Handle, "where to read", [MemRead]>:$handle,
    Optional<Index>:$index, OptionalAttr<I64Attr>:$static_index);
  let results = (outs
    Res<CIRA_Future, "the value to be", [MemAlloc<CIRA_FutureResource>]>:$future);
  let assemblyFormat = [{
    $handle `` custom<HandleIndex>($index, $static_index) attr-dict
    `:` qualified(type($handle)) `->` qualified(type($future))
  }];
  let hasVerifier = 1;
  let hasFolder = 1;
}

def CIRA_LoadAsyncBatchOp : CIRA_Op<"load_async_batch"> {
  let summary = "begin several loads with one request";
  let description = [{
    The same as one `load_async` per handle, in one vectored request: one
    hand-over to the fabric for all of them. The i-th future belongs to the
    i-th handle. `cira-coalesce` makes it out of neighbouring `load_async`.

    ```mlir
    func.func @two(%a: !cira.handle<f32>, %b: !cira.handle<i64>) -> (f32, i64) {
      %f:2 = cira.load_async_batch %a, %b : !cira.handle<f32>, !cira.handle<i64>
          -> !cira.future<f32>, !cira.future<i64>
      %x = cira.await %f#0 : !cira.future<f32> -> f32
      %y = cira.await %f#1 : !cira.future<i64> -> i64
      return %x, %y : f32, i64
    }
    ```
  }];
  let arguments = (ins
    Arg<Variadic<CIRA_Handle>, "where to read, at least one", [MemRead]>:$handles);
  let results = (outs
    Res<Variadic<CIRA_Future>, "one per handle",
        [MemAlloc<CIRA_FutureResource>]>:$futures);
  let assemblyFormat = [{
    $handles attr-dict `:` qualified(type($handles)) `->` qualified(type($futures))
  }];
  let hasVerifier = 1;
}

def CIRA_AwaitOp : CIRA_Op<"await", [
    TypesMatchWith<"the value has the type inside the future; write '-> T' for a !cira.future<T>",
                   "future", "value",
                   "::llvm::cast<::cira::FutureType>($_self).getValueType()">]> {
  let summary = "wait for a future and take its value";
  let description = [{
    Waits until the load behind the future is done and gives its value. It
    ends the future: a second `await` of the same one is an error, at compile
    time where both are seen, at run time otherwise. An `await` is never
    dropped on its own, but an otherwise unused `load_async` goes together
    with its unused `await`, and a load that is awaited at once becomes a
    `cira.load`.

    ```mlir
    func.func @at_once(%h: !cira.handle<i64>) -> i64 {
      %f = cira.load_async %h : !cira.handle<i64> -> !cira.future<i64>
      %v = cira.await %f : !cira.future<i64> -> i64
      return %v : i64
    }
    ```
  }];
  let arguments = (ins
    Arg<CIRA_Future, "what to wait for; ends here",
        [MemRead<CIRA_FutureResource>, MemFree<CIRA_FutureResource>]>:$future);
  let results = (outs Res<CIRA_Storable, "the value">:$value);
  let assemblyFormat = [{
    $future attr-dict `:` qualified(type($future)) `->` qualified(type($value))
  }];
  let hasVerifier = 1;
  let hasCanonicalizeMethod = 1;
}

def CIRA_StoreAsyncOp : CIRA_Op<"store_async"> {
  let summary = "begin a store and return at once";
  let description = [{
    Takes the value now and writes it at some moment before the next `fence`
    of this thread, or before the wait on the token, if the token is asked
    for. Without a token it is fire and forget.

    ```mlir
    func.func @scatter(%v: f32, %h: !cira.handle<f32>, %i: index) {
      cira.store_async %v, %h : f32, !cira.handle<f32>
      %done = cira.store_async %v, %h[%i] : f32, !cira.handle<f32> -> !cira.token
      cira.sync_token_wait %done
      return
    }
    ```
  }];
  let arguments = (ins
    CIRA_Storable:$value,
    Arg<CIRA_Handle, "where to write", [MemWrite]>:$handle,
    Optional<Index>:$index, OptionalAttr<I64Attr>:$static_index);
  let results = (outs Optional<CIRA_Token>:$done);
  let assemblyFormat = [{
    $value `,` $handle `` custom<HandleIndex>($index, $static_index) attr-dict
    `:` qualified(type($value)) `,` qualified(type($handle))
    (`->` qualified(type($done))^)?
  }];
  let hasVerifier = 1;
  let hasFolder = 1;
}

//===-- Values and handles ------------------------------------------------===//

def CIRA_ExtractOp : CIRA_Op<"extract", [Pure]> {
  let summary = "take a part out of a loaded value";
  let description = [{
    Takes a field of a struct, or an element of an LLVM array or a vector, out
    of a value that is already here. Touches no memory. A field that is a
    plain pointer may be taken as a handle.

    ```mlir
    !Node = !llvm.struct<"Node", (f32, ptr)>
    func.func @parts(%node: !Node) -> (f32, !cira.handle<!Node>) {
      %data = cira.extract %node[0] : !Node -> f32
      %next = cira.extract %node[1] : !Node -> !cira.handle<!Node>
      return %data, %next : f32, !cira.handle<!Node>
    }
    ```
  }];
  let arguments = (ins CIRA_Storable:$value,
    Optional<Index>:$index, OptionalAttr<I64Attr>:$static_index);
  let results = (outs CIRA_Storable:$part);
  let assemblyFormat = [{
    $value `` custom<HandleIndex>($index, $static_index) attr-dict
    `:` qualified(type($value)) `->` qualified(type($part))
  }];
  let hasVerifier = 1;
  let hasFolder = 1;
}

def CIRA_HandleNullOp : CIRA_Op<"handle_null", [Pure, ConstantLike]> {
  let summary = "the handle that points nowhere";
  let description = [{
    ```mlir
    func.func @end() -> !cira.handle<f32> {
      %null = cira.handle_null : !cira.handle<f32>
      return %null : !cira.handle<f32>
    }
    ```
  }];
  let results = (outs CIRA_Handle:$handle);
  let assemblyFormat = "attr-dict `:` qualified(type($handle))";
  let hasFolder = 1;
}

def CIRA_HandleIsNullOp : CIRA_Op<"handle_is_null", [Pure]> {
  let summary = "does the handle point nowhere?";
  let description = [{
    True for `handle_null` and for a null pointer that was cast.

    ```mlir
    func.func @at_end(%h: !cira.handle<f32>) -> i1 {
      %is_null = cira.handle_is_null %h : !cira.handle<f32>
      return %is_null : i1
    }
    ```
  }];
  let arguments = (ins CIRA_Handle:$handle);
  let results = (outs I1:$is_null);
  let assemblyFormat = "$handle attr-dict `:` qualified(type($handle))";
  let hasFolder = 1;
}

def CIRA_HandleOffsetOp : CIRA_Op<"handle_offset", [Pure, AllTypesMatch<["handle", "result"]>]> {
  let summary = "the handle of the i-th element of an array";
  let description = [{
    Pointer arithmetic in elements of T: the result points `index` times the
    size of T further. Touches no memory and may point past the array, as long
    as nobody reads there.

    ```mlir
    func.func @third(%h: !cira.handle<f32>) -> !cira.handle<f32> {
      %p = cira.handle_offset %h[2] : !cira.handle<f32>
      return %p : !cira.handle<f32>
    }
    ```
  }];
  let arguments = (ins CIRA_Handle:$handle,
    Optional<Index>:$index, OptionalAttr<I64Attr>:$static_index);
  let results = (outs CIRA_Handle:$result);
  let assemblyFormat = [{
    $handle `` custom<HandleIndex>($index, $static_index) attr-dict
    `:` qualified(type($handle))
  }];
  let hasVerifier = 1;
  let hasFolder = 1;
}

def CIRA_HandleFieldOp : CIRA_Op<"handle_field", [Pure]> {
  let summary = "the handle of a field";
  let description = [{
    The address of a field of a struct, or of an element of an LLVM array or a
    vector. Touches no memory.

    ```mlir
    !Node = !llvm.struct<"Node", (f32, ptr)>
    func.func @data_of(%n: !cira.handle<!Node>) -> !cira.handle<f32> {
      %p = cira.handle_field %n[0] : !cira.handle<!Node> -> !cira.handle<f32>
      return %p : !cira.handle<f32>
    }
    ```
  }];
  let arguments = (ins CIRA_Handle:$handle,
    Optional<Index>:$index, OptionalAttr<I64Attr>:$static_index);
  let results = (outs CIRA_Handle:$field);
  let assemblyFormat = [{
    $handle `` custom<HandleIndex>($index, $static_index) attr-dict
    `:` qualified(type($handle)) `->` qualified(type($field))
  }];
  let hasVerifier = 1;
  let hasFolder = 1;
}

def CIRA_HandleCastOp : CIRA_Op<"handle_cast", [Pure]> {
  let summary = "the same address under another type";
  let description = [{
    Between handles of different T, between a handle and `!llvm.ptr`, and from
    a memref or remote_memref to the handle of its first element (row-major
    layout). Costs
    nothing at run time and says nothing about where the bytes lie.

    ```mlir
    func.func @wrap(%p: !llvm.ptr, %m: memref<?xf32>) -> !cira.handle<i8> {
      %h = cira.handle_cast %p : !llvm.ptr to !cira.handle<f32>
      %q = cira.handle_cast %h : !cira.handle<f32> to !llvm.ptr
      %first = cira.handle_cast %m : memref<?xf32> to !cira.handle<f32>
      %b = cira.handle_cast %first : !cira.handle<f32> to !cira.handle<i8>
      return %b : !cira.handle<i8>
    }
    ```
  }];
  let arguments = (ins AnyType:$source);
  let results = (outs AnyType:$result);
  let assemblyFormat = [{
    $source attr-dict `:` qualified(type($source)) `to` qualified(type($result))
  }];
  let hasVerifier = 1;
  let hasFolder = 1;
}

def CIRA_HandleViewOp : CIRA_Op<"handle_view", [Pure]> {
  let summary = "the array at a handle as a memref";
  let description = [{
    A memref of `count` elements that starts at the handle. No copy is made;
    an access through the memref may wait like one through the handle.

    ```mlir
    func.func @view(%h: !cira.handle<f32>, %n: index) -> memref<?xf32> {
      %m = cira.handle_view %h, %n : !cira.handle<f32>, index -> memref<?xf32>
      return %m : memref<?xf32>
    }
    ```
  }];
  let arguments = (ins CIRA_Handle:$handle,
    Arg<Index, "number of elements">:$count);
  let results = (outs MemRefRankOf<[AnyType], [1]>:$view);
  let assemblyFormat = [{
    $handle `,` $count attr-dict
    `:` qualified(type($handle)) `,` type($count) `->` type($view)
  }];
  let hasVerifier = 1;
}

def CIRA_RemoteCastOp : CIRA_Op<"remote_cast", [Pure]> {
  let summary = "between memref and remote_memref";
  let description = [{
    The same array with or without its tier in the type. Element type, shape
    and layout stay what they are; nothing is moved. Casting to another tier
    than the array lies in makes the cost model guess wrong, nothing else.

    ```mlir
    func.func @plain(%w: !cira.remote_memref<4x?xf32, far>) -> memref<4x?xf32> {
      %m = cira.remote_cast %w : !cira.remote_memref<4x?xf32, far> to memref<4x?xf32>
      return %m : memref<4x?xf32>
    }
    ```
  }];
  let arguments = (ins AnyType:$source);
  let results = (outs AnyType:$result);
  let assemblyFormat = [{
    $source attr-dict `:` qualified(type($source)) `to` qualified(type($result))
  }];
  let hasVerifier = 1;
  let hasFolder = 1;
}

//===-- Allocation --------------------------------------------------------===//

def CIRA_AllocOp : CIRA_Op<"alloc"> {
  let summary = "allocate in a tier";
  let description = [{
    Allocates an array and gives a handle of its first element (one size: the
    number of elements of T) or a remote_memref (one size per dynamic
    dimension). `tier` says where; without it the runtime decides, and
    `cira-place` may fill it in. A remote_memref has its tier in the type
    already. The bytes are not initialised. An allocation nobody uses is
    dropped.

    ```mlir
    func.func @make(%n: index) -> !cira.remote_memref<?x64xf32, far> {
      %h = cira.alloc(%n) tier(cxl) : !cira.handle<f32>
      cira.dealloc %h : !cira.handle<f32>
      %m = cira.alloc(%n) : !cira.remote_memref<?x64xf32, far>
      return %m : !cira.remote_memref<?x64xf32, far>
    }
    ```
  }];
  let arguments = (ins
    Arg<Variadic<Index>, "elements (handle), or dynamic sizes (remote_memref)">:$sizes,
    OptionalAttr<CIRA_TierAttr>:$tier);
  let results = (outs
    Res<AnyTypeOf<[CIRA_HandleType, CIRA_RemoteMemRefType]>, "the array",
        [MemAlloc]>:$array);
  let assemblyFormat = [{
    `(` $sizes `)` (`tier` `` custom<Tier>($tier)^)? attr-dict
    `:` qualified(type($array))
  }];
  let hasVerifier = 1;
}

def CIRA_DeallocOp : CIRA_Op<"dealloc"> {
  let summary = "give an array back";
  let description = [{
    Ends an array that `cira.alloc` made, given the very value it returned (or
    a cast of it). No access to it may follow, and no `load_async` of it may
    be under way.

    ```mlir
    func.func @drop(%h: !cira.handle<f32>, %m: !cira.remote_memref<8xf32, cxl>) {
      cira.dealloc %h : !cira.handle<f32>
      cira.dealloc %m : !cira.remote_memref<8xf32, cxl>
      return
    }
    ```
  }];
  let arguments = (ins
    Arg<AnyTypeOf<[CIRA_HandleType, CIRA_RemoteMemRefType]>, "what to end",
        [MemFree]>:$array);
  let assemblyFormat = "$array attr-dict `:` qualified(type($array))";
  let hasVerifier = 1;
}

//===-- Hints -------------------------------------------------------------===//

def CIRA_PrefetchStreamOp : CIRA_Op<"prefetch_stream"> {
  let summary = "ask for a run of elements ahead of their use";
  let description = [{
    First form: `count` elements from a base, `stride` elements apart (may be
    negative). Second form: the next `distance` elements of a strided or
    indexed stream. A hint: never changes a result.

    ```mlir
    func.func @ahead(%base: !cira.handle<f32>, %stride: index, %count: index,
                     %stream: !cira.stream, %distance: index) {
      cira.prefetch_stream %base, %stride, %count : !cira.handle<f32>, index, index
      cira.prefetch_stream %stream, %distance : !cira.stream, index
      return
    }
    ```
  }];
  let arguments = (ins
    Arg<AnyTypeOf<[CIRA_HandleType, CIRA_StreamType]>, "base or stream",
        [MemRead, MemWrite<CIRA_CacheResource>]>:$source,
    Arg<Variadic<Index>, "stride and count, in elements; or distance, in elements">:$arguments);
  let assemblyFormat = [{
    $source `,` $arguments attr-dict
    `:` qualified(type($source)) `,` type($arguments)
  }];
  let hasVerifier = 1;
}

def CIRA_PrefetchIndirectOp : CIRA_Op<"prefetch_indirect"> {
  let summary = "ask for the nodes of a chain ahead of their use";
  let description = [{
    Follows pointers: `head` is the place that holds the first one, `offset`
    the byte offset of the link in each node, `depth` the number of nodes. A
    null pointer ends the chain early. A hint: never changes a result, and a
    bad pointer in a chain that the program would not follow does no harm.

    ```mlir
    !Node = !llvm.struct<"Node", (f32, ptr)>
    func.func @chain(%head: !cira.handle<!cira.handle<!Node>>, %depth: index) {
      %offset = arith.constant 8 : index
      cira.prefetch_indirect %head, %offset, %depth
        : !cira.handle<!cira.handle<!Node>>, index, index
      return
    }
    ```
  }];
  let arguments = (ins
    Arg<CIRA_Handle, "where the first pointer lies",
        [MemRead, MemWrite<CIRA_CacheResource>]>:$head,
    Arg<Index, "of the link within a node, bytes">:$offset,
    Arg<Index, "number of nodes, > 0">:$depth);
  let assemblyFormat = [{
    $head `,` $offset `,` $depth attr-dict
    `:` qualified(type($head)) `,` type($offset) `,` type($depth)
  }];
  let hasVerifier = 1;
}

def CIRA_InstallCachelineOp : CIRA_Op<"install_cacheline"> {
  let summary = "put the line of an address into a cache level";
  let description = [{
    Brings the one cache line that holds the address into level 1, 2 or 3 (3
    stands for the last level). A hint.

    ```mlir
    func.func @warm(%addr: !cira.handle<i8>) {
      %level = arith.constant 2 : i32
      cira.install_cacheline %addr, %level : !cira.handle<i8>, i32
      return
    }
    ```
  }];
  let arguments = (ins
    Arg<CIRA_Handle, "an address in the line",
        [MemRead, MemWrite<CIRA_CacheResource>]>:$addr,
    Arg<I32, "cache level, 1 to 3">:$level);
  let assemblyFormat = [{
    $addr `,` $level attr-dict `:` qualified(type($addr)) `,` type($level)
  }];
  let hasVerifier = 1;
}

def CIRA_EvictHintOp : CIRA_Op<"evict_hint"> {
  let summary = "this will not be needed again soon";
  let description = [{
    The page or line of the address may leave local memory first. Its content
    is kept: a later access fetches it again. A hint.

    ```mlir
    func.func @done_with(%addr: !cira.handle<i8>) {
      cira.evict_hint %addr : !cira.handle<i8>
      return
    }
    ```
  }];
  let arguments = (ins
    Arg<CIRA_Handle, "an address", [MemWrite<CIRA_CacheResource>]>:$addr);
  let assemblyFormat = "$addr attr-dict `:` qualified(type($addr))";
}

#endif // CIRA_MEMORY_OPS_TD
