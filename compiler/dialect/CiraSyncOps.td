// SPDX-License-Identifier: Apache-2.0
// Ordering between the host, its offload regions and other ranks.
#ifndef CIRA_SYNC_OPS_TD
#define CIRA_SYNC_OPS_TD

include "CiraTypes.td"

// All of them order memory: nothing that reads or writes may cross them.
class CIRA_OrderingOp<string mnemonic, list<Trait> traits = []>
    : CIRA_Op<mnemonic, !listconcat(traits,
        [MemoryEffects<[MemRead, MemWrite, MemRead<CIRA_SyncResource>,
                        MemWrite<CIRA_SyncResource>]>])>;

def CIRA_BarrierOp : CIRA_OrderingOp<"barrier"> {
  let summary = "host and devices meet";
  let description = [{
    Waits until all offload regions that this thread started are done. Their
    writes are visible afterwards, and this thread's writes are visible to
    every region that starts later. Not allowed inside an offload region: it
    would wait for itself.

    ```mlir
    func.func @meet() {
      cira.barrier
      return
    }
    ```
  }];
  let assemblyFormat = "attr-dict";
  let hasVerifier = 1;
}

def CIRA_ReleaseOp : CIRA_OrderingOp<"release"> {
  let summary = "publish what this phase wrote";
  let description = [{
    Ends a phase: what this thread wrote so far is on its way home and visible
    to a rank that acquires later. Includes a `fence`.

    ```mlir
    func.func @phase(%v: f32, %h: !cira.handle<f32>) {
      cira.store %v, %h : f32, !cira.handle<f32>
      cira.release
      return
    }
    ```
  }];
  let assemblyFormat = "attr-dict";
}

def CIRA_FenceOp : CIRA_OrderingOp<"fence"> {
  let summary = "asynchronous stores are done";
  let description = [{
    Waits until every `store_async` that this thread issued has taken effect.
    Accesses of this thread do not cross it.

    ```mlir
    func.func @settle(%v: f32, %h: !cira.handle<f32>) -> f32 {
      cira.store_async %v, %h : f32, !cira.handle<f32>
      cira.fence
      %w = cira.load %h : !cira.handle<f32> -> f32
      return %w : f32
    }
    ```
  }];
  let assemblyFormat = "attr-dict";
}

def CIRA_SyncTokenCreateOp : CIRA_Op<"sync_token_create"> {
  let summary = "a new token, not signalled";
  let description = [{
    ```mlir
    func.func @hand_over(%s: !cira.stream, %d: index) {
      %token = cira.sync_token_create
      cira.offload @vortex {
        cira.prefetch_stream %s, %d : !cira.stream, index
        cira.sync_token_signal %token
      }
      cira.sync_token_wait %token
      return
    }
    ```
  }];
  let results = (outs
    Res<CIRA_Token, "the token", [MemAlloc<CIRA_SyncResource>]>:$token);
  let assemblyFormat = "attr-dict";
}

def CIRA_SyncTokenSignalOp : CIRA_OrderingOp<"sync_token_signal"> {
  let summary = "signal a token";
  let description = [{
    Everything this thread did before is visible to whoever waits for the
    token. A token is signalled once; twice in the same block is an error.
    The token of a `store_async` is signalled by the store.

    ```mlir
    func.func @done(%token: !cira.token) {
      cira.sync_token_signal %token
      return
    }
    ```
  }];
  let arguments = (ins CIRA_Token:$token);
  let assemblyFormat = "$token attr-dict";
  let hasVerifier = 1;
}

def CIRA_SyncTokenWaitOp : CIRA_OrderingOp<"sync_token_wait"> {
  let summary = "wait for a token";
  let description = [{
    Waits until the token is signalled. A wait that only a later op of the
    same thread could end is an error at compile time where it is seen (see
    also `cira-check-tokens` for cycles through offload regions), and a run
    time error otherwise.

    ```mlir
    func.func @after(%token: !cira.token) {
      cira.sync_token_wait %token
      return
    }
    ```
  }];
  let arguments = (ins CIRA_Token:$token);
  let assemblyFormat = "$token attr-dict";
  let hasVerifier = 1;
}

#endif // CIRA_SYNC_OPS_TD
