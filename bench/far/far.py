#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""bench-far: loops that clang and cira-cc -fcira=far compiled, with far memory.

The kernels of bench/irregular, under cira-run over shm: with a part of their data
local (what is allocated when the loops begin). irregular-clang and irregular-far
prepare the same data, run their plain loops for a while, and then in turn, the
order reversed every other round. Medians over these rounds, the first of which is
verified; all must have the same checksum. What the loops do once everything has
settled is measured by the median; their very first runs are kept beside it.
Sizes are small where preparing the data takes millions of faults.
"""
import argparse
import json
import math
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "common"))
import cirabench as cb  # noqa: E402

# kernel -> scale; regular ones (sequential, or rows in order) first
REGULAR = {"stream-triad": 22, "integer-sort": 20, "cg": 15, "pagerank-kron": 14,
           "pagerank-uniform": 14}
IRREGULAR = {"indirect-sum": 18, "indirect-two": 18, "indirect-branchy": 18,
             "histogram-uniform": 18, "histogram-skewed": 18, "gups": 18, "join-2": 15,
             "join-8": 15, "list-repeated": 15, "lists-8": 15, "tree-search": 15,
             "btree-search": 17, "binary-search": 16, "bfs-kron": 14, "bfs-uniform": 14,
             "bfs-do-kron": 14, "sssp-kron": 14, "bc-kron": 13, "cc-kron": 14, "cc-uniform": 14,
             "tc-kron": 13, "tc-uniform": 13}


class Wrong(Exception):
    """A program failed or gave a wrong result; the text says which."""


class Program:
    """irregular-NAME, prepared, under cira-run with `local` bytes."""

    def __init__(self, build, name, kernel, scale, local):
        """local: bytes; 0: without cira-run."""
        tool = [os.path.join(build, "bin", "cira-run"), "--far", "shm:", "--local", str(local),
                "--"] if local else []
        argv = tool + [os.path.join(build, "bin", f"irregular-{name}"), "--serve",
                       "--kernel", kernel, "--scale", str(scale), "--cpu-time"]
        self.name = f"{name} {kernel}"
        self.child = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                      stderr=subprocess.PIPE, text=True)
        self.data = self.answer()

    def answer(self):
        line = self.child.stdout.readline()
        if not line:
            error = self.child.stderr.read().strip()
            raise Wrong(f"{self.name}: {error or 'ended with'} {self.child.wait()}")
        return json.loads(line)

    def ask(self, what):
        self.child.stdin.write(what + "\n")
        self.child.stdin.flush()
        return self.answer()

    def end(self):
        self.child.stdin.close()
        self.child.wait()
        self.child.stdout.close()
        self.child.stderr.close()


def needed_bytes(build, kernel, scale):
    """What the kernel has allocated when it is prepared."""
    program = Program(build, "clang", kernel, scale, 0)
    program.end()
    return program.data["heap_bytes"]


def settle(program, ns):
    """Runs the loops for so long; returns ns per element of the first run."""
    first, spent = None, 0
    while spent < ns:
        result = program.ask("plain")
        first = first or result["ns"]
        spent += result["ns"] * result["elements"]
    return first


def run_case(args, kernel, scale):
    need = needed_bytes(args.build, kernel, scale)
    local = max(256 << 10, need * args.percent // 100)
    programs = {name: Program(args.build, name, kernel, scale, local)
                for name in ("clang", "far")}
    runs, checksum = {name: [] for name in programs}, None
    try:
        first = {name: settle(p, args.settle * 1e9) for name, p in programs.items()}
        for number in range(args.rounds):
            for name in list(programs) if number % 2 == 0 else reversed(list(programs)):
                result = programs[name].ask("plain")
                if number == 0:
                    programs[name].ask("verify")
                if checksum not in (None, result["checksum"]):
                    raise Wrong(f"{name} {kernel}: checksum {result['checksum']}")
                checksum = result["checksum"]
                runs[name].append(result["ns"])
    finally:
        for program in programs.values():
            program.end()
    medians = {name: cb.median(ns) for name, ns in runs.items()}
    return {"kernel": kernel, "scale": scale, "kind": "regular" if kernel in REGULAR else
            "irregular", "need_bytes": need, "local_bytes": local, "runs": runs,
            "medians": medians, "ratio": medians["clang"] / medians["far"],
            "first_ratio": first["clang"] / first["far"], "verified": True}


def show(case):
    m = case["medians"]
    return (f"{case['kernel']:18} {case['kind']:9} {case['need_bytes'] / cb.MIB:7.1f} MiB "
            f"{m['clang']:10.2f} {m['far']:10.2f} {case['ratio']:8.2f}x "
            f"first {case['first_ratio']:8.2f}x")


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--build", default="build/release", help="build folder")
    p.add_argument("--out", default="out/bench/far.json", help="result file")
    p.add_argument("--rounds", type=int, default=5, help="interleaved repetitions")
    p.add_argument("--settle", type=float, default=1, help="seconds of runs before")
    p.add_argument("--percent", type=int, default=25, help="local part of the data")
    p.add_argument("--kernels", default="", help="names, with commas between; all")
    args = p.parse_args()
    sizes = {**REGULAR, **IRREGULAR}
    chosen = [k for k in args.kernels.split(",") if k] or list(sizes)
    for kernel in chosen:
        if kernel not in sizes:
            p.error(f"no kernel is called {kernel}; there are: {', '.join(sizes)}")
    if args.rounds < 1 or args.settle <= 0 or not 1 <= args.percent <= 100:
        p.error("--rounds must be at least 1, --settle more than 0, --percent from 1 to 100")
    cb.install_signal_exits()
    cases, failed = [], []
    for kernel in chosen:
        try:
            cases.append(run_case(args, kernel, sizes[kernel]))
            cb.say(show(cases[-1]))
        except (Wrong, OSError) as e:
            failed.append(f"{kernel}: {e}")
            cb.say(failed[-1])
        cb.write_json(args.out, {"version": 1, "bench": "far", "clock": "cpu",
                                 "machine": cb.machine(args.build), "percent": args.percent,
                                 "rounds": args.rounds, "failed": failed, "cases": cases})
    for kind in ("regular", "irregular"):
        ratios = [math.log(c["ratio"]) for c in cases if c["kind"] == kind]
        if ratios:
            print(f"geometric mean, {kind}: {math.exp(sum(ratios) / len(ratios)):.2f}x")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
