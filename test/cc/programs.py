#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Programs compiled by clang and by cira-cc must do the same.

  programs.py --suite edge|csmith|loops|graphs|lists|chains [--count N] [--seed N]
              [--all] [--loops N] [--keep FOLDER]

edge    the programs of edge/: constructs that MLIR loses or refuses, each with
        several sets of options, with every function sent through MLIR, and
        with prefetches wherever one is possible.
csmith  N random programs: one of twenty as csmith makes them, the others short.
loops   N files of 25 random loops over index arrays that end where memory ends:
        a read ahead that goes too far is a segmentation fault.
graphs  the same for N files of 12 loops that follow queues and visit rows.
lists   N files of 12 random walks along lists that change during walks and
        between them, are freed, and are walked by two threads at once.
chains  N files of 20 random loops over lists, trees, buckets and searches.
Where both compilers give the same object file, bit for bit, nothing is run:
there is nothing left that could differ. A program that does not end in time when
clang compiled it says nothing and counts as skipped. --loops: so many loops in a
file; --keep: the sources of what differs stay there.
Exit status 77: csmith is not installed.
"""
import argparse
import filecmp
import glob
import os
import shutil
import subprocess
import sys
import time

import chains
import common
import graphs
import lists
import loops
from common import ROUTE_ALL, outcome, run

QUICK_OPTIONS = [["-O1"], ["-O3"], ["-Os"], ["-O2", "-g"]]
ALL_OPTIONS = QUICK_OPTIONS + [
    ["-O2"], ["-O3", "-march=native", "-ffast-math"],
    ["-O2", "-fPIC", "-fstack-protector-strong", "-D_FORTIFY_SOURCE=2"],
    ["-O2", "-g", "-fsanitize=address,undefined"],
    ["-O2", "-fprofile-instr-generate", "-fcoverage-mapping"]]
LIBRARIES = ["-lm", "-lpthread"]
ALL_CHANGES = "-fcira=all"
# Between the versions of a loop: by turns of a few iterations, by time, always
# the changed one.
CHOICES = [["-mllvm", "-cira-choice=3"], [], ["-mllvm", "-cira-choice=2"]]


def compile_and_run(compiler, options, source, out, **more):
    """(what the program did, remarks); the first is a text if it does not
    compile."""
    try:
        built = run([compiler, "-w", *options, source, "-o", out, *LIBRARIES])
    except subprocess.TimeoutExpired:
        return "the compiler does not end", ""
    said = built.stderr.decode(errors="replace")
    if built.returncode:
        return f"does not compile: {said[-400:]}", said
    if "internal failure" in said:
        return f"internal failure: {said[-400:]}", said
    return outcome([out], timeout=20, cwd=os.path.dirname(out), **more), said


def edge(tools, arguments):
    failures = []
    sets = ALL_OPTIONS if arguments.all else QUICK_OPTIONS
    ways = {"all": ROUTE_ALL,
            "both": ROUTE_ALL + [ALL_CHANGES, f"-mcira-machine={tools.eager}"]}
    if arguments.all:
        ways["eager"] = [ALL_CHANGES, f"-mcira-machine={tools.eager}"]
    for source in sorted(glob.glob(os.path.join(common.HERE, "edge", "*.c*"))):
        cxx = source.endswith(".cpp")
        clang = tools.clangxx if cxx else tools.clang
        cira = tools.cxx if cxx else tools.cc
        more = ["-std=c++20"] if cxx else []
        for options in sets:
            out = tools.path("program")
            want, _ = compile_and_run(clang, more + options, source, out)
            if isinstance(want, str):
                failures.append(f"{os.path.basename(source)}: clang: {want}")
                continue
            for way, extra in ways.items():
                got, _ = compile_and_run(cira, more + options + extra, source,
                                         out)
                if got != want:
                    failures.append(f"{os.path.basename(source)} {options} "
                                    f"{way}: {got} instead of {want}")
    return failures


class Progress:
    """What has been done, said every hundred programs and at the end, and what
    differs, said at once."""

    def __init__(self, arguments):
        self.arguments = arguments
        self.failures, self.start = [], time.monotonic()
        self.done = self.ran = self.same = self.skipped = 0

    def differs(self, text, source):
        self.failures.append(text)
        print(f"  {text[:600]}", flush=True)
        if self.arguments.keep:
            name = "".join(c if c.isalnum() else "-" for c in text.split(":")[0])
            os.makedirs(self.arguments.keep, exist_ok=True)
            shutil.copy(source, os.path.join(self.arguments.keep, name + ".c"))

    def next(self):
        self.done += 1
        if self.done % 100 == 0:
            self.say()

    def say(self):
        print(f"{self.arguments.suite}: {self.done} of {self.arguments.count} programs: "
              f"{self.ran} runs compared, {self.same} with the same objects, "
              f"{self.skipped} skipped, {len(self.failures)} differ; "
              f"{time.monotonic() - self.start:.0f} s", flush=True)


class Source:
    """One source at one level of optimisation, compiled by clang, and by cira-cc
    in several ways."""

    def __init__(self, tools, progress, options, source):
        self.tools, self.progress = tools, progress
        self.options, self.source = ["-w", *options], source
        self.want = None
        _, self.bad = self.compile(tools.clang, [], "clang.o")

    def compile(self, compiler, extra, name):
        """(what the compiler says, why there is no object)."""
        try:
            built = run([compiler, *self.options, *extra, "-c", self.source, "-o",
                         self.tools.path(name)])
        except subprocess.TimeoutExpired:
            return "", "the compiler does not end"
        said = built.stderr.decode(errors="replace")
        if built.returncode or "internal failure" in said:
            return said, f"does not compile: {said[-400:]}"
        return said, None

    def run(self, name, timeout):
        out = self.tools.path(name)
        linked = run([self.tools.clang, out + ".o", "-o", out, *LIBRARIES])
        if linked.returncode:
            return f"does not link: {linked.stderr[-400:].decode(errors='replace')}"
        return outcome([out], timeout=timeout, cwd=os.path.dirname(out))

    def compare(self, label, extra):
        """What cira-cc says; None if the program says nothing."""
        said, bad = self.compile(self.tools.cc, extra, "cira.o")
        if self.bad or bad:
            if bad != self.bad:
                self.progress.differs(f"{label}: {bad} instead of {self.bad}", self.source)
            return said
        if filecmp.cmp(self.tools.path("clang.o"), self.tools.path("cira.o"), shallow=False):
            self.progress.same += 1
            return said
        if self.want is None:
            self.want = self.run("clang", 10)
        if self.want[0] == "time-out":
            return None
        got = self.run("cira", 60)
        self.progress.ran += 1
        if got != self.want:
            self.progress.differs(f"{label}: {got} instead of {self.want}", self.source)
        return said


SHORT = ["--max-funcs", "4", "--max-block-depth", "4", "--max-expr-complexity", "6"]


def csmith_levels(tools, everything):
    """Level of optimisation -> what cira-cc is told."""
    eager = [ALL_CHANGES, f"-mcira-machine={tools.eager}"]
    if not everything:
        return {"-O2": [ROUTE_ALL + eager + CHOICES[0]]}
    return {"-O0": [[ALL_CHANGES]],
            "-O2": [eager, ROUTE_ALL + eager + CHOICES[0]],
            "-O3": [eager]}


def csmith(tools, arguments):
    if not shutil.which("csmith"):
        print("csmith is not installed")
        sys.exit(77)
    include = next((p for p in ("/usr/include/csmith",
                                "/usr/include/csmith-2.3.0")
                    if os.path.exists(p + "/csmith.h")), None)
    if not include:
        print("csmith.h is not installed")
        sys.exit(77)
    progress = Progress(arguments)
    seed = arguments.seed
    while progress.done < arguments.count:
        seed += 1
        source = tools.path("csmith.c")
        run(["csmith", "--seed", seed, "--concise", *(SHORT if seed % 20 else []),
             "-o", source], cwd=os.path.dirname(source))  # it leaves a file there
        for level, ways in csmith_levels(tools, arguments.all).items():
            unit = Source(tools, progress, ["-I", include, level], source)
            said = [unit.compare(f"seed {seed} {level} way {number}", way)
                    for number, way in enumerate(ways)]
            if None in said:  # its other levels run for too long, too
                progress.skipped += 1
                break
        else:
            progress.next()
    print(f"seeds {arguments.seed + 1} to {seed}")
    progress.say()
    return progress.failures


def random_programs(tools, arguments, generator, said_so):
    progress = Progress(arguments)
    loops_each = arguments.loops or generator.PER_PROGRAM
    changed = 0
    for seed in range(arguments.seed, arguments.seed + arguments.count):
        source = tools.write("loops.c", generator.program(seed, loops_each))
        level = ["-O1", "-O2", "-O3", "-Os"][seed % 4]
        unit = Source(tools, progress, [level], source)
        said = unit.compare(f"seed {seed} {level}", [
            ALL_CHANGES, f"-mcira-machine={tools.eager}", "-Rpass=cira",
            *CHOICES[seed // 4 % len(CHOICES)]])
        changed += (said or "").count(said_so)
        if said is None or unit.bad or (unit.want and unit.want[0] != 0):
            progress.differs(f"seed {seed} {level}: with clang: {unit.bad or unit.want}", source)
        progress.next()
    print(f"{arguments.count * loops_each} loops, {changed} changes")
    progress.say()
    if changed < arguments.count // 2:
        progress.failures.append(f"only {changed} changes: the test tests nothing")
    return progress.failures


def random_loops(tools, arguments):
    return random_programs(tools, arguments, loops, "prefetched ")


def random_graphs(tools, arguments):
    return random_programs(tools, arguments, graphs, "remark: looks ")


def random_lists(tools, arguments):
    return random_programs(tools, arguments, lists, "walked again, ")


def random_chains(tools, arguments):
    return random_programs(tools, arguments, chains, "remark: interleaved ")


if __name__ == "__main__":
    parser = common.options(argparse.ArgumentParser())
    parser.add_argument("--suite", required=True)
    parser.add_argument("--count", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--loops", type=int, help="loops in a file, instead of the suite's own")
    parser.add_argument("--keep", help="folder for the sources of what differs")
    args = parser.parse_args()
    suites = {"edge": edge, "csmith": csmith, "loops": random_loops,
              "graphs": random_graphs, "lists": random_lists,
              "chains": random_chains}
    common.main(args, {args.suite: suites[args.suite]})
