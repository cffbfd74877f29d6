// SPDX-License-Identifier: Apache-2.0
// The types: what is elsewhere (handle, remote_memref), what is under way
// (future), what comes next (stream) and who waits for whom (token).
#ifndef CIRA_TYPES_TD
#define CIRA_TYPES_TD

include "CiraAttrs.td"

class CIRA_Type<string name, string typeMnemonic, list<Trait> traits = []>
    : TypeDef<CIRA_Dialect, name, traits> {
  let mnemonic = typeMnemonic;
}

def CIRA_HandleType : CIRA_Type<"Handle", "handle", [MemRefElementTypeInterface]> {
  let summary = "a pointer to far memory";
  let description = [{
    A typed reference to bytes that may be elsewhere. It is an ordinary
    pointer in one address space: it may be compared, stored, passed to
    foreign code. The element type T is what lies there; T keeps the alias
    information that an untyped pointer loses. A recursive node is written
    with a plain pointer inside: `!cira.handle<!llvm.struct<"Node", (f32, ptr)>>`.
    T has a size in memory: no future, stream, token, tensor or function.
  }];
  let parameters = (ins "::mlir::Type":$elementType);
  let assemblyFormat = "`<` $elementType `>`";
  let genVerifyDecl = 1;
}

def CIRA_FutureType : CIRA_Type<"Future", "future"> {
  let summary = "a load that has begun";
  let description = [{
    The value of a `load_async` or of a stream's `peek`, before it has
    arrived. It is turned into the value by exactly one `await`; a future that
    nobody awaits is dropped with the load it stands for.
  }];
  let parameters = (ins "::mlir::Type":$valueType);
  let assemblyFormat = "`<` $valueType `>`";
  let genVerifyDecl = 1;
}

def CIRA_StreamType : CIRA_Type<"Stream", "stream"> {
  let summary = "a recurring access pattern with a position in it";
  let description = [{
    Made by one of the `stream_create_*` ops, moved on by `advance_stream`,
    ended by `stream_release`. It has one current element (`peek_stream`) and
    a window of elements ahead of it that may be under way. A stream belongs
    to the thread that made it and to the offload regions that it is passed
    to; others may only advance it.
  }];
  let assemblyFormat = "";
}

def CIRA_TokenType : CIRA_Type<"Token", "token"> {
  let summary = "something one side signals and another waits for";
  let description = [{
    Signalled once, waited for any number of times. Signalling releases,
    waiting acquires: what happened before the signal is visible after the
    wait.
  }];
  let assemblyFormat = "";
}

def CIRA_RemoteMemRefType : CIRA_Type<"RemoteMemRef", "remote_memref"> {
  let summary = "a memref whose elements lie in a named tier";
  let description = [{
    Shape and element type as in `memref`, then the tier where the elements
    lie, then, if it is not the row-major one, the layout: an `affine_map` or
    a `strided` attribute, as in `memref`. `cira.remote_cast` turns it into a
    memref and back, `cira.handle_cast` into the handle of its first element.
    The elements may also be structs, which a memref cannot hold.

    ```mlir
    func.func private @weights(!cira.remote_memref<128x256xf32, far>,
                               !cira.remote_memref<?xi32, cxl, strided<[2]>>)
    ```
  }];
  let parameters = (ins
    ArrayRefParameter<"int64_t", "sizes; dynamic ones are ShapedType::kDynamic">:$shape,
    "::mlir::Type":$elementType,
    EnumParameter<CIRA_TierEnum>:$tier,
    OptionalParameter<"::mlir::Attribute", "layout, as in memref">:$layout
  );
  let assemblyFormat = [{
    `<` custom<ShapeAndElement>($shape, $elementType) `,` $tier (`,` $layout^)? `>`
  }];
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    /// The memref with the same shape, element type and layout; null if a
    /// memref cannot hold the elements.
    ::mlir::MemRefType getMemRefType();
  }];
}

// Operand kinds. The words after the comma are what a diagnostic shows.
def CIRA_Handle : TypeAlias<CIRA_HandleType,
    "a !cira.handle (make one with cira.alloc or cira.handle_cast)">;
def CIRA_Future : TypeAlias<CIRA_FutureType,
    "a !cira.future (make one with cira.load_async or cira.peek_stream)">;
def CIRA_Stream : TypeAlias<CIRA_StreamType,
    "a !cira.stream (make one with a cira.stream_create_* op)">,
    BuildableType<"$_builder.getType<::cira::StreamType>()">;
def CIRA_Token : TypeAlias<CIRA_TokenType,
    "a !cira.token (make one with cira.sync_token_create)">,
    BuildableType<"$_builder.getType<::cira::TokenType>()">;
def CIRA_RemoteMemRef : TypeAlias<CIRA_RemoteMemRefType,
    "a !cira.remote_memref (make one with cira.alloc or cira.remote_cast)">;
def CIRA_Storable : Type<CPred<"::cira::isStorable($_self)">,
    "a value that memory can hold (no future, stream, token, tensor or function)">;
def CIRA_Array : AnyTypeOf<[CIRA_HandleType, AnyMemRef, CIRA_RemoteMemRefType],
    "an array: a !cira.handle, memref or !cira.remote_memref">;
def CIRA_IntLike : AnyTypeOf<[AnySignlessInteger, Index], "an integer or index">;

#endif // CIRA_TYPES_TD
