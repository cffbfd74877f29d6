#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Programs compiled by clang and by cira-cc must do the same.

  programs.py --suite edge|csmith|loops|graphs|lists|chains [--count N] [--seed N]
              [--all]

edge    the programs of edge/: constructs that MLIR loses or refuses, each with
        several sets of options, with every function sent through MLIR, and
        with prefetches wherever one is possible.
csmith  N random programs.
loops   N files of 25 random loops over index arrays that end where memory ends:
        a read ahead that goes too far is a segmentation fault.
graphs  the same for N files of 12 loops that follow queues and visit rows.
lists   N files of 12 random walks along lists that change during walks and
        between them, are freed, and are walked by two threads at once.
chains  N files of 20 random loops over lists, trees, buckets and searches.
Exit status 77: csmith is not installed.
"""
import argparse
import glob
import os
import shutil
import subprocess
import sys

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


def csmith(tools, arguments):
    if not shutil.which("csmith"):
        print("csmith is not installed")
        sys.exit(77)
    failures = []
    include = next((p for p in ("/usr/include/csmith",
                                "/usr/include/csmith-2.3.0")
                    if os.path.exists(p + "/csmith.h")), None)
    if not include:
        print("csmith.h is not installed")
        sys.exit(77)
    done = 0
    seed = arguments.seed
    while done < arguments.count:
        seed += 1
        source = tools.path("csmith.c")
        run(["csmith", "--seed", seed, "-o", source],
            cwd=os.path.dirname(source))  # it leaves a file there
        levels = ["-O2"] if not arguments.all else ["-O0", "-O2", "-O3"]
        flags = ["-I", include]
        out = tools.path("program")
        want, _ = compile_and_run(tools.clang, flags + ["-O1"], source, out)
        if isinstance(want, str) or want[0] != 0:
            continue  # runs for too long; says nothing
        done += 1
        eager = [ALL_CHANGES, f"-mcira-machine={tools.eager}"]
        ways = [ROUTE_ALL + eager] + ([eager] if arguments.all else [])
        for level in levels:
            for extra in ways:
                got, _ = compile_and_run(tools.cc, flags + [level] + extra,
                                         source, out)
                if got != want:
                    failures.append(f"seed {seed} {level} {extra[-1]}: {got} "
                                    f"instead of {want}")
    print(f"{done} programs, seeds {arguments.seed + 1} to {seed}")
    return failures


def random_programs(tools, arguments, generator, said_so):
    failures = []
    changed = 0
    for seed in range(arguments.seed, arguments.seed + arguments.count):
        source = tools.write("loops.c", generator.program(seed))
        level = ["-O1", "-O2", "-O3", "-Os"][seed % 4]
        out = tools.path("program")
        want, _ = compile_and_run(tools.clang, [level], source, out)
        got, said = compile_and_run(
            tools.cc, [level, ALL_CHANGES, f"-mcira-machine={tools.eager}",
                       "-Rpass=cira"],
            source, out)
        changed += said.count(said_so)
        if got != want or isinstance(want, str) or want[0] != 0:
            failures.append(f"seed {seed} {level}: {got} instead of {want}")
    print(f"{arguments.count * generator.PER_PROGRAM} loops, {changed} changes")
    if changed < arguments.count:
        failures.append(f"only {changed} changes: the test tests nothing")
    return failures


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
    args = parser.parse_args()
    suites = {"edge": edge, "csmith": csmith, "loops": random_loops,
              "graphs": random_graphs, "lists": random_lists,
              "chains": random_chains}
    common.main(args, {args.suite: suites[args.suite]})
