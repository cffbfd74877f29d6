// SPDX-License-Identifier: Apache-2.0
// Enums and attributes: the tiers of memory, the machine model that the cost
// model reads, and the annotations that the analysis passes leave on loops and
// accesses. Numbers carry their unit in their name.
#ifndef CIRA_ATTRS_TD
#define CIRA_ATTRS_TD

include "CiraDialect.td"

def CIRA_TierEnum : I32EnumAttr<"Tier", "tier of memory, by distance", [
    I32EnumAttrCase<"Local", 0, "local">,
    I32EnumAttrCase<"Cxl", 1, "cxl">,
    I32EnumAttrCase<"RemoteCxl", 2, "remote_cxl">,
    I32EnumAttrCase<"Far", 3, "far">]> {
  let cppNamespace = "::cira";
  let genSpecializedAttr = 0;
}

def CIRA_PatternEnum : I32EnumAttr<"Pattern",
    "how the addresses of an access follow from one another", [
    I32EnumAttrCase<"None", 0, "none">,
    I32EnumAttrCase<"Strided", 1, "strided">,
    I32EnumAttrCase<"Indexed", 2, "indexed">,
    I32EnumAttrCase<"Linked", 3, "linked">,
    I32EnumAttrCase<"Frontier", 4, "frontier">]> {
  let cppNamespace = "::cira";
  let genSpecializedAttr = 0;
}

class CIRA_Attr<string name, string attrMnemonic> : AttrDef<CIRA_Dialect, name> {
  let mnemonic = attrMnemonic;
}

def CIRA_TierAttr : EnumAttr<CIRA_Dialect, CIRA_TierEnum, "tier"> {
  let summary = "a tier of memory: local, cxl, remote_cxl or far";
  let description = [{
    `local` is this machine's DRAM, `cxl` an expander on this machine,
    `remote_cxl` one behind a switch, `far` a memory server over a fabric.
    The latency of each is in `#cira.machine`.
  }];
  let assemblyFormat = "`<` $value `>`";
}

def CIRA_MachineAttr : CIRA_Attr<"Machine", "machine"> {
  let summary = "the machine model: what each tier costs";
  let description = [{
    The one table that every cost decision reads. It sits on a module as the
    attribute `cira.machine`; a module without it is compiled for the model that
    the tool was given (`cira-opt --cira-machine=FILE`, a JSON object with these
    fields as keys), or for the defaults.
    The defaults of the latencies, of the line hit and of the synchronisation
    are the figures of the design notes (80 ns, 150-300 ns, 300-500 ns, 15 ns,
    50 ns: the middle of each range); those marked *typical* are not measured
    and ought to be replaced by measured ones. A field is written only where
    it differs from its default. A bandwidth of 0 means "not measured": the
    cost model then bounds nothing by it. `lines_in_flight` are misses of plain
    loads, which wait for buffers of the first-level cache; prefetches into the
    second one need none of these, so on some machines more of them are under
    way.

    ```mlir
    module attributes {cira.machine = #cira.machine<far_latency_ns = 2400>} {
    }
    ```
  }];
  let parameters = (ins
    DefaultValuedParameter<"int64_t", "15", "a hit in the last-level cache, ns">:$llc_latency_ns,
    DefaultValuedParameter<"int64_t", "80", "a line from local DRAM, ns">:$local_latency_ns,
    DefaultValuedParameter<"int64_t", "200", "a line from CXL memory, ns">:$cxl_latency_ns,
    DefaultValuedParameter<"int64_t", "400", "a line from remote CXL memory, ns">:$remote_cxl_latency_ns,
    DefaultValuedParameter<"int64_t", "5000", "a page from a memory server, ns (typical)">:$far_latency_ns,
    DefaultValuedParameter<"int64_t", "0", "local DRAM, bytes per microsecond">:$local_bytes_per_us,
    DefaultValuedParameter<"int64_t", "0", "CXL memory, bytes per microsecond">:$cxl_bytes_per_us,
    DefaultValuedParameter<"int64_t", "0", "remote CXL memory, bytes per microsecond">:$remote_cxl_bytes_per_us,
    DefaultValuedParameter<"int64_t", "0", "memory server, bytes per microsecond">:$far_bytes_per_us,
    DefaultValuedParameter<"int64_t", "33554432", "size of the last-level cache, bytes (typical)">:$llc_bytes,
    DefaultValuedParameter<"int64_t", "64", "cache line, bytes">:$line_bytes,
    DefaultValuedParameter<"int64_t", "4096", "page, bytes">:$page_bytes,
    DefaultValuedParameter<"int64_t", "50", "hand one piece of work to a device, ns">:$sync_ns,
    DefaultValuedParameter<"int64_t", "0", "what the device is busy with one access, ns; 0: not measured">:$device_busy_ns,
    DefaultValuedParameter<"int64_t", "1", "one simple operation of the host, ns (typical)">:$op_ns,
    DefaultValuedParameter<"int64_t", "10", "line misses one core keeps in flight (typical)">:$lines_in_flight,
    DefaultValuedParameter<"int64_t", "0", "line misses that prefetches into the second-level cache keep in flight; 0: as many as lines_in_flight">:$prefetches_in_flight,
    DefaultValuedParameter<"int64_t", "64", "page requests one stream keeps in flight (typical)">:$pages_in_flight,
    OptionalParameter<"::mlir::ArrayAttr",
        "names of the devices that `cira.offload` may name, without their core number; without it vortex and helper">:$devices
  );
  let assemblyFormat = "`<` struct(params) `>`";
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    /// Latency of a tier, ns.
    int64_t getTierLatencyNs(Tier tier);
    /// Bandwidth of a tier, bytes per microsecond; 0 = not measured.
    int64_t getTierBytesPerUs(Tier tier);
    /// The model of a module that carries none, and its change.
    static MachineAttr getDefault(::mlir::MLIRContext *context);
    static void setDefault(MachineAttr machine);
    /// Names of the devices, those of the default if none are listed.
    ::llvm::SmallVector<::llvm::StringRef> getDeviceNames();
    /// Is `name` a device of this machine, with or without a core number?
    bool hasDevice(::llvm::StringRef name);
  }];
}

def CIRA_AccessAttr : CIRA_Attr<"Access", "access"> {
  let summary = "the access pattern of a loop or of one access in it";
  let description = [{
    Written by `cira-recognize`. On an access op it describes that access; on
    a loop (as `cira.pattern`) the one that costs most. `stride_bytes` is the
    distance between the addresses of two iterations (strided; for indexed:
    of the index array), `offset_bytes` the place of the link in a node
    (linked), `element_bytes` the bytes one iteration touches. `reason` says
    why, above all why not.

    ```mlir
    func.func @f(%m: memref<64xf32>, %i: index) -> f32 {
      %v = memref.load %m[%i]
        {cira.access = #cira.access<strided, stride_bytes = 4, element_bytes = 4,
                                    reason = "index is the loop counter">}
        : memref<64xf32>
      return %v : f32
    }
    ```
  }];
  let parameters = (ins
    EnumParameter<CIRA_PatternEnum>:$pattern,
    DefaultValuedParameter<"int64_t", "0", "bytes between the addresses of two iterations">:$stride_bytes,
    DefaultValuedParameter<"int64_t", "0", "offset of the link within a node, bytes">:$offset_bytes,
    DefaultValuedParameter<"int64_t", "0", "bytes touched per iteration">:$element_bytes,
    AttrParameter<"::mlir::StringAttr", "why the pattern was found, or why none was">:$reason
  );
  let assemblyFormat = [{
    `<` $pattern `,` struct($stride_bytes, $offset_bytes, $element_bytes, $reason) `>`
  }];
  let genVerifyDecl = 1;
}

def CIRA_DistanceAttr : CIRA_Attr<"Distance", "distance"> {
  let summary = "how far ahead a loop's data must be asked for";
  let description = [{
    Written by `cira-prefetch-distance` on a loop (as `cira.distance`).
    `lines` and `pages` are distances in iterations: from the next tier into
    the cache, and from the fabric into local memory. `iteration_ns` and
    `latency_ns` are the two figures they come from.

    ```mlir
    func.func @f(%m: memref<?xf32>, %a: index, %b: index, %c: index, %x: f32) {
      scf.for %i = %a to %b step %c {
        memref.store %x, %m[%i] : memref<?xf32>
      } {cira.distance = #cira.distance<lines = 8, pages = 500,
                                        iteration_ns = 10, latency_ns = 5000>}
      return
    }
    ```
  }];
  let parameters = (ins
    "int64_t":$lines, "int64_t":$pages,
    "int64_t":$iteration_ns, "int64_t":$latency_ns
  );
  let assemblyFormat = "`<` struct(params) `>`";
  let genVerifyDecl = 1;
}

#endif // CIRA_ATTRS_TD
