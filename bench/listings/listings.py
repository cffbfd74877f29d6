#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""bench-listings: what the dialect's streams gain over demand paging.

Runs examples/mlir/ and await.mlir by cira-run, the listing as written against
the same listing with a stream, interleaved, and takes medians over the rounds:
  list     ns per node, 64 MiB of nodes, a quarter of it local, in the order of
           addresses and in pseudo-random order; the stream's first walk and
           its later ones, which know the order
  pointers ns per element of ptrs[i], a quarter local and everything local
  await    ns that load_async + await cost more than a load, all local
  compile  seconds to start cira-opt, and for a pipeline over 10,000 ops
The baseline is the unoptimised form of the same listing under the same pager.
Targets are those of the project's second issue; printed beside the figures, not
enforced: a wall clock on a shared machine is no test.
"""
import argparse
import json
import os
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "common"))
import cirabench as cb  # noqa: E402

EXAMPLES = os.path.join(ROOT, "examples", "mlir")
NODES = 4 << 20   # of 16 bytes
CELLS = 1 << 20   # of 64 bytes, and a pointer to each
PLAIN, STREAM = 1, 2


class Bench:
    def __init__(self, args):
        self.args = args
        self.cira_run = os.path.join(args.build, "bin", "cira-run")
        self.cira_opt = os.path.join(args.build, "bin", "cira-opt")
        self.times = {}   # name -> list of ns per element
        self.sums = {}    # case -> what it must print last
        self.failed = []
        self.out = os.path.join(os.path.dirname(args.out) or ".", "listings.out")

    def note(self, name, value):
        self.times.setdefault(name, []).append(value)

    def bench(self, what, source, url, local, numbers):
        """The times that `bench` of the source prints, in ns, or None."""
        argv = [self.cira_run, "--far", url, "--local", str(local), "--no-cira-opt",
                "--entry", "bench", source] + [str(n) for n in numbers]
        result = cb.run(argv, stdout=self.out, timeout=900)
        lines = cb.read(self.out).split()
        if not result.ok or len(lines) < 2:
            self.failed.append(f"{what}: {result.verdict()}")
            cb.say(f"{what}: {result.verdict()}")
            return None
        if self.sums.setdefault(what.split(",")[0], lines[-1]) != lines[-1]:
            self.failed.append(f"{what}: wrong result {lines[-1]}")
        return [int(x) for x in lines[:-1]]

    def list(self, url, scheme, random):
        order = "random" if random else "in order"
        source = os.path.join(EXAMPLES, "list_traversal.mlir")
        local = NODES * 16 // 4
        for form, walks in ((PLAIN, 1), (STREAM, 3)):
            name = f"list {order}, {scheme}"
            t = self.bench(name, source, url, local, [NODES, random, form, walks])
            if t and form == PLAIN:
                self.note(f"{name}, plain", t[0] / NODES)
            elif t:
                self.note(f"{name}, first walk", t[0] / NODES)
                self.note(f"{name}, later walks", min(t[1:]) / NODES)

    def pointers(self, url, scheme, share):
        source = os.path.join(EXAMPLES, "pointer_array.mlir")
        local = CELLS * 72 // 4 if share == 25 else CELLS * 72 * 5 // 4
        name = f"pointers {share} %, {scheme}"
        if share == 100:  # in turns on the same pages: where they lie matters more
            t = self.bench(name, source, url, local, [CELLS, 0, 12])
            if t:
                self.note(f"{name}, plain", min(t[2::2]) / CELLS)
                self.note(f"{name}, stream", min(t[3::2]) / CELLS)
            return
        for form in (PLAIN, STREAM):
            t = self.bench(name, source, url, local, [CELLS, form, 3])
            if t:
                self.note(f"{name}, {'plain' if form == PLAIN else 'stream'}",
                          min(t[1:]) / CELLS)

    def awaits(self):
        source = os.path.join(HERE, "await.mlir")
        rounds = 5000
        t = [self.bench("await", source, "host:", 1 << 30, [form, rounds])
             for form in (PLAIN, STREAM)]
        if all(t):
            self.note("await, plain", t[0][0] / rounds / 4096)
            self.note("await, load_async + await", t[1][0] / rounds / 4096)

    def compiler(self):
        small = os.path.join(EXAMPLES, "list_traversal.mlir")
        large = os.path.join(os.path.dirname(self.out), "large.mlir")
        with open(large, "w", encoding="ascii") as f:
            f.write("\n".join(self.function(i) for i in range(700)))  # 14 ops each
        for name, argv in (("start of cira-opt", [self.cira_opt, "--version"]),
                           ("pipeline over 10,000 ops", [self.cira_opt, "--cira-default",
                                                         "--cira-to-llvm", large]),
                           ("list listing to LLVM", [self.cira_opt, "--cira-default",
                                                     "--cira-to-llvm", small])):
            began = time.monotonic()
            result = cb.run(argv, stdout=self.out, stderr=os.devnull)
            if result.ok:
                self.note(name, time.monotonic() - began)
            else:
                self.failed.append(f"{name}: {result.verdict()}")

    @staticmethod
    def function(i):
        return f"""func.func @f{i}(%m: memref<?xf32>, %p: !cira.handle<f32>, %n: index) -> f32 {{
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %zero = arith.constant 0.0 : f32
  %r = scf.for %i = %c0 to %n step %c1 iter_args(%s = %zero) -> f32 {{
    %v = memref.load %m[%i] : memref<?xf32>
    %w = cira.load %p[%i] : !cira.handle<f32> -> f32
    %x = arith.mulf %v, %w : f32
    %y = arith.addf %x, %v : f32
    %z = arith.addf %y, %w : f32
    %t = arith.addf %s, %z : f32
    scf.yield %t : f32
  }}
  return %r : f32
}}"""

    def round(self, servers):
        for scheme in self.args.schemes.split(","):
            for random in (0, 1):
                if scheme == "shm" or self.args.slow:
                    self.list(servers[scheme].url, scheme, random)
            for share in (25, 100):
                self.pointers(servers[scheme].url, scheme, share)
        self.awaits()
        self.compiler()

    def medians(self):
        return {name: cb.median(values) for name, values in self.times.items()}


def ratios(m):
    """name -> (ratio or figure, text, target)"""
    rows = []

    def gain(title, slow, fast, target):
        if slow in m and fast in m:
            rows.append((title, m[slow] / m[fast], "x", target, m[slow], m[fast]))
    for scheme in ("shm", "tcp"):
        for order in ("in order", "random"):
            name = f"list {order}, {scheme}"
            gain(f"{name}, first walk", f"{name}, plain", f"{name}, first walk", "")
            gain(f"{name}, later walks", f"{name}, plain", f"{name}, later walks", ">= 3")
        for share, target in ((25, ">= 3"), (100, ">= 0.98")):
            name = f"pointers {share} %, {scheme}"
            gain(name, f"{name}, plain", f"{name}, stream", target)
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build/release", help="build folder")
    parser.add_argument("--out", default="out/bench/listings.json", help="JSON result")
    parser.add_argument("--rounds", type=int, default=5, help="repetitions; medians are shown")
    parser.add_argument("--schemes", default="shm,tcp", help="fabrics: shm, tcp")
    parser.add_argument("--slow", action="store_true", help="the lists over tcp as well: "
                        "a minute for each plain random walk")
    args = parser.parse_args()
    cb.install_signal_exits()
    cb.use_build(args.build)
    os.makedirs(os.path.dirname(args.out) or ".", exist_ok=True)
    bench = Bench(args)
    mib, seconds = cb.warm(os.path.join(args.build, "bin", "pager-load"), 1024)
    cb.say(f"warmed {mib} MiB of memory in {seconds:.1f} s")
    with cb.Server(args.build, "shm", "1g") as shm, cb.Server(args.build, "tcp", "1g", "--poll") as tcp:
        for i in range(args.rounds):
            bench.round({"shm": shm, "tcp": tcp})
            cb.say(f"round {i + 1} of {args.rounds}")
    m = bench.medians()
    print(f"\n{'':38} {'plain':>9} {'stream':>9} {'gain':>7}  target")
    for title, ratio, unit, target, slow, fast in ratios(m):
        print(f"{title:38} {slow:6.1f} ns {fast:6.1f} ns {ratio:6.2f}{unit}  {target}")
    if "await, plain" in m:
        extra = m["await, load_async + await"] - m["await, plain"]
        print(f"load_async + await, on top of a load   {extra:6.2f} ns"
              f" ({m['await, load_async + await']:.2f} - {m['await, plain']:.2f})   <= 5")
    for name, target in (("start of cira-opt", "<= 0.2"), ("pipeline over 10,000 ops", "< 2")):
        if name in m:
            print(f"{name:38} {m[name]:6.3f} s   {target}")
    with open(args.out, "w", encoding="utf-8") as f:
        json.dump({"machine": cb.machine(args.build), "rounds": args.rounds,
                   "unit": "ns per element; compiler: s", "medians": m, "all": bench.times,
                   "failed": bench.failed}, f, indent=1)
        f.write("\n")
    print(f"\nwritten to {args.out}")
    for line in bench.failed:
        print(f"FAILED {line}", file=sys.stderr)
    return 1 if bench.failed else 0


if __name__ == "__main__":
    sys.exit(main())
