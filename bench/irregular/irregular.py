#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""bench-irregular: irregular kernels, clang's code, cira's and the best by hand.

For each kernel and kind of pages, starts irregular-clang and (where it was
built) irregular-cira, lets each prepare the same data once, and then has them
run in turn, the order reversed every other round: clang's plain loop, cira's,
and the best hand-written one. Medians over the rounds; every first result is
verified, all must have the same checksum. With --sweep the parameter of the
hand-written loop is found first, on this machine.

--classic runs the six kernels of Ainsworth and Jones (CGO'17) at their sizes, also
as cira-cc compiles them without an option (irregular-default), and prints the
geometric means: four to six minutes with one kind of pages; less with --rounds.

The waiting programs sleep, so all fit one core; their data is in memory at the
same time. Ratios, not times, are what to compare between machines.
"""
import argparse
import contextlib
import fnmatch
import json
import math
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "common"))
import cirabench as cb  # noqa: E402

SWEEP_ROUNDS = 3
# Kernels with their sizes; those without options are these at --preset bench.
CLASSIC = {"integer-sort": [], "cg-class-c": [], "gups": [], "join-2": [], "join-8": [],
           "bfs-kron": ["--scale", "21", "--degree", "10"]}
CLASSIC_BAR = 2.05
NAMES = {"default": "cira-cc", "cira": "cira-cc -fcira=all"}


class Wrong(Exception):
    """A program failed or gave a wrong result; the text says which."""


class Program:
    """One irregular-NAME, which prepares its data; ask() has it run something."""

    def __init__(self, path, kernel, pages, options):
        self.name = os.path.basename(path)
        self.errors = ""
        argv = [path, "--serve", "--kernel", kernel] + options
        argv += [] if pages == "system" else [f"--{pages}-pages"]
        self.child = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                      stderr=subprocess.PIPE, text=True)
        self.said = None

    @property
    def data(self):
        """What it says when its data is there."""
        if self.said is None:
            self.said = self.answer()
        return self.said

    def answer(self):
        line = self.child.stdout.readline()
        if not line:
            error = self.child.stderr.read().strip()
            status = self.child.wait()
            raise Wrong(f"{self.name}: {error or f'ended with status {status}'}")
        return json.loads(line)

    def ask(self, what):
        assert self.data
        with contextlib.suppress(BrokenPipeError):  # answer() says why
            self.child.stdin.write(what + "\n")
            self.child.stdin.flush()
        return self.answer()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.child.kill()
        self.child.wait()
        for pipe in (self.child.stdin, self.child.stdout, self.child.stderr):
            with contextlib.suppress(BrokenPipeError):
                pipe.close()


def best_param(program):
    """The parameter with the least median time, and all medians."""
    times = {}
    for number in range(SWEEP_ROUNDS):
        params = program.data["sweep"]
        for param in params if number % 2 == 0 else reversed(params):
            times.setdefault(param, []).append(program.ask(f"best {param}")["ns"])
    medians = {param: cb.median(ns) for param, ns in times.items()}
    return min(medians, key=medians.get), medians


def run_case(args, names, kernel, pages):
    """One kernel on one kind of pages; returns its entry in the result."""
    sizes = CLASSIC[kernel] if args.classic and args.preset == "bench" else []
    with contextlib.ExitStack() as stack:
        programs = {name: stack.enter_context(Program(
            os.path.join(args.build, "bin", f"irregular-{name}"), kernel, pages,
            args.options + sizes))
            for name in names}
        clang = programs["clang"]
        param, sweep = clang.data["param"], None
        if args.sweep:
            param, sweep = best_param(clang)
        series = [(f"{name} plain", programs[name], "plain") for name in names]
        series.append(("clang best", clang, f"best {param}"))
        runs, checksum, elements = {}, None, None
        for number in range(args.rounds):
            for label, program, what in series if number % 2 == 0 else reversed(series):
                result = program.ask(what)
                if number == 0:
                    program.ask("verify")
                if checksum not in (None, result["checksum"]):
                    raise Wrong(f"{label}: checksum {result['checksum']}, expected {checksum}")
                checksum, elements = result["checksum"], result["elements"]
                runs.setdefault(label, []).append(result["ns"])
        return {
            "kernel": kernel, "pages": pages, "huge_kib": clang.data["huge_kib"],
            "size": clang.data["size"], "degree": clang.data["degree"],
            "element": clang.data["element"], "elements": elements, "param": param,
            "sweep": sweep, "checksum": checksum, "verified": True, "runs": runs,
            "medians": {label: cb.median(ns) for label, ns in runs.items()},
        }


def geometric_mean(values):
    return math.exp(sum(map(math.log, values)) / len(values)) if values else None


def show(value, form):
    return form.format(value) if value is not None else "-"


def row(case):
    m = case["medians"]
    plain, best, cira = m["clang plain"], m["clang best"], m.get("cira plain")
    ratio = plain / cira if cira else None
    gain = plain / best
    share = share_of(ratio, gain) if ratio else None
    return (f"{case['kernel']:18} {case['pages']:6} {plain:10.3f} {best:10.3f} "
            f"{gain:6.2f}x {case['param']:5} {show(cira, '{:10.3f}'):>10} "
            f"{show(ratio, '{:6.2f}x'):>7} {show(share, '{:6.0%}'):>7}")


def print_table(cases):
    print(f"{'kernel':18} {'pages':6} {'clang ns':>10} {'best ns':>10} {'gain':>7} {'param':>5} "
          f"{'cira ns':>10} {'gain':>7} {'share':>7}")
    for case in cases:
        print(row(case))
    for pages in sorted({c["pages"] for c in cases}):
        m = [c["medians"] for c in cases if c["pages"] == pages]
        best = geometric_mean([x["clang plain"] / x["clang best"] for x in m])
        cira = geometric_mean([x["clang plain"] / x["cira plain"] for x in m if "cira plain" in x])
        print(f"geometric mean, {pages} pages: best {best:.2f}x, cira {show(cira, '{:.2f}x')}")


def share_of(ratio, gain):
    """How much of the gain by hand; None if there is next to nothing to gain."""
    return (ratio - 1) / (gain - 1) if gain > 1.02 else None


def print_classic(cases):
    """The table of --classic; returns its means by pages."""
    ways = [name for name in NAMES if f"{name} plain" in cases[0]["medians"]]
    means = {}
    for pages in dict.fromkeys(c["pages"] for c in cases):
        of = [c for c in cases if c["pages"] == pages]
        print(f"{pages + ' pages':14} {'clang ns':>9} {'by hand':>8}"
              + "".join(f" {NAMES[w]:>18} {'share':>6}" for w in ways))
        ratios = {w: [] for w in ["best", *ways]}
        for case in of:
            m = case["medians"]
            gain = m["clang plain"] / m["clang best"]
            ratios["best"].append(gain)
            text = f"{case['kernel']:14} {m['clang plain']:9.3f} {gain:7.2f}x"
            for way in ways:
                ratio = m["clang plain"] / m[f"{way} plain"]
                ratios[way].append(ratio)
                text += f" {ratio:17.2f}x {show(share_of(ratio, gain), '{:6.0%}'):>6}"
            print(text)
        mean = {way: geometric_mean(values) for way, values in ratios.items()}
        print(f"{'geometric mean':14} {'':9} {mean['best']:7.2f}x"
              + "".join(f" {mean[w]:17.2f}x {show(share_of(mean[w], mean['best']), '{:6.0%}'):>6}"
                        for w in ways)
              + ("" if len(of) == len(CLASSIC) else f"   (of {len(of)} kernels only)"))
        means[pages] = mean
    print(f"the bar is {CLASSIC_BAR}x")
    return means


def choose_kernels(args):
    path = os.path.join(args.build, "bin", "irregular-clang")
    try:
        listed = subprocess.run([path, "--list", "--json"], capture_output=True, text=True,
                                check=True).stdout
    except (OSError, subprocess.CalledProcessError) as e:
        args.usage(f"cannot run {path}: {e}; build the target irregular-clang or give --build")
    names = [json.loads(line)["kernel"] for line in listed.splitlines()]
    chosen = []
    for pattern in args.kernels.split(","):
        matches = fnmatch.filter(names, pattern)
        if not matches:
            args.usage(f"no kernel is called {pattern}; irregular-clang --list names them")
        chosen += [name for name in matches if name not in chosen]
    return chosen


def parse():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--build", default="build/release", help="build folder")
    p.add_argument("--out", default="out/bench/irregular.json", help="result file")
    p.add_argument("--rounds", type=int, default=7, help="interleaved repetitions")
    p.add_argument("--kernels", default="*", help="names or patterns, with commas between")
    p.add_argument("--pages", help="huge, small and system, with commas; default: "
                   "huge,small, with --classic huge")
    p.add_argument("--preset", default="bench", choices=("bench", "test"), help="sizes")
    p.add_argument("--scale", type=int, help="size 2^SCALE for all kernels instead")
    p.add_argument("--sweep", action="store_true", help="find the best parameter first")
    p.add_argument("--classic", action="store_true",
                   help="the six kernels of Ainsworth and Jones, and their mean")
    p.add_argument("--cpu-time", action="store_true",
                   help="processor time instead of elapsed time, for a busy machine")
    args = p.parse_args()
    args.usage = p.error
    args.pages = args.pages or ("huge" if args.classic else "huge,small")
    if args.classic and (args.scale is not None or args.kernels != "*"):
        p.error("--classic has kernels and sizes of its own: leave out --kernels and --scale")
    args.kernels = ",".join(CLASSIC) if args.classic else args.kernels
    if args.rounds < 1:
        p.error("--rounds must be at least 1")
    for pages in args.pages.split(","):
        if pages not in ("huge", "small", "system"):
            p.error(f"pages {pages}: must be huge, small or system")
    args.options = ["--preset", args.preset]
    args.options += [] if args.scale is None else ["--scale", str(args.scale)]
    args.options += ["--cpu-time"] if args.cpu_time else []
    return args


def main():
    args = parse()
    cb.install_signal_exits()
    kernels = choose_kernels(args)
    names = [n for n in ("clang", "default", "cira") if (args.classic or n != "default")
             and os.access(os.path.join(args.build, "bin", f"irregular-{n}"), os.X_OK)]
    cases, failed, means = [], [], None

    def write():
        cb.write_json(args.out, {
            "version": 1, "bench": "irregular", "machine": cb.machine(args.build),
            "rounds": args.rounds, "preset": args.preset, "scale": args.scale,
            "clock": "cpu" if args.cpu_time else "elapsed", "programs": names,
            "failed": failed, "classic": args.classic, "means": means, "cases": cases})

    for kernel in kernels:
        for pages in args.pages.split(","):
            try:
                cases.append(run_case(args, names, kernel, pages))
                cb.say(row(cases[-1]))
            except Wrong as e:
                failed.append(f"{kernel}, {pages} pages: {e}")
                cb.say(failed[-1])
            write()  # a long run that is cut off keeps what it has
    if cases and args.classic:
        means = print_classic(cases)
        write()
    elif cases:
        print_table(cases)
    for line in failed:
        print(f"failed: {line}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
