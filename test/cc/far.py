#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""cira-cc -fcira=far: same output as clang's, wherever the heap is.

far/loops.c is compiled by clang and by cira-cc, and run without cira-run and
under it: everything local, a quarter, and the smallest cache there is, over
shm: in each mode. Objects must link and run without any library of cira's, and
give the same where loops change between their versions all the time.
"""
import argparse
import os
import re

from common import HERE, main, outcome, run

WEAK = ("cira_loop_begin", "cira_loop_end", "cira_loop_put", "cira_loop_walk",
        "cira_loop_walk_end")
PLACES = (("--local", "1g"), ("--local", "3m"), ("--local", "256k"),
          ("--local", "2m", "--mode", "sigsegv"),
          ("--local", "2m", "--mode", "thread"))


def build(tools, compiler, name, options):
    source = os.path.join(HERE, "far", "loops.c")
    program = tools.path(name)
    done = run([compiler, "-O3", "-std=gnu17", source, "-o", program, "-lm"] + options)
    if done.returncode:
        return program, done.stderr.decode()
    return program, ""


def test_output(tools, arguments):
    failures = []
    plain, why = build(tools, tools.clang, "plain", [])
    if why:
        return [why]
    for options in (["-fcira=far"], ["-fcira=far,prefetch,lookahead,interleave,jump"],
                    ["-fcira=far", "-fno-pie", "-no-pie"]):
        far, why = build(tools, tools.cc, "far", options)
        if why:
            failures.append(why)
            continue
        size = [str(arguments.elements), "2"]
        wanted = outcome([plain] + size, timeout=600)
        if outcome([far] + size, timeout=600) != wanted:
            failures.append(f"{options}: other output without cira-run")
        places = PLACES if options == ["-fcira=far"] else PLACES[1:2]
        for place in places:
            got = outcome([arguments.run, *place, "--", far] + size, timeout=600)
            if b"cannot" in got[2] and b"mode" in got[2]:
                continue  # a mode that this kernel does not have
            if got[:2] != wanted[:2]:
                failures.append(f"{options} {place}: other output: {got[0]} {got[2][-300:]}")
    return failures


def test_turns(tools, arguments):
    """Loops that change between their versions, every few iterations."""
    failures = []
    plain, why = build(tools, tools.clang, "plain", [])
    include = os.path.join(HERE, "..", "..", "include")
    turns = tools.path("turns.o")
    done = run([tools.clang, "-O1", "-std=gnu17", "-I", include, "-c",
                os.path.join(HERE, "far", "turns.c"), "-o", turns])
    if why or done.returncode:
        return [why or done.stderr.decode()]
    for options in (["-fcira=far"], ["-fcira=far,prefetch,lookahead,interleave,jump"]):
        far, why = build(tools, tools.cc, "turns", options + [turns])
        if why:
            failures.append(why)
            continue
        size = [str(arguments.elements // 4), "2"]
        wanted, got = (outcome([p] + size, timeout=600) for p in (plain, far))
        if got != wanted:
            failures.append(f"{options}: other output: {got}")
    return failures


def faults_of(tools, arguments, program):
    """(page faults of a run with far memory, None), or (0, why not)."""
    stats = tools.path("stats.json")
    done = run([arguments.run, "--local", "1m", f"--stats={stats}", "--", program,
                str(arguments.elements), "2"], timeout=600)
    if done.returncode:
        return 0, done.stderr.decode()
    with open(stats, encoding="utf-8") as f:
        return int(re.search(r'"faults": (\d+)', f.read()).group(1)), None


def test_used(tools, arguments):
    """The loops look their pages up: fewer faults than without. Time chooses
    between the versions of a loop, so a run on a busy machine may have tried the
    plain one; five such runs in a row are a fault."""
    plain, why = build(tools, tools.clang, "plain", [])
    far, also = build(tools, tools.cc, "far", ["-fcira=far"])
    if why or also:
        return [why or also]
    seen = []
    for _ in range(5):
        pair = []
        for program in (plain, far):
            faults, why = faults_of(tools, arguments, program)
            if why:
                return [why]
            pair.append(faults)
        if pair[1] * 5 <= pair[0] * 4:
            return []
        seen.append(pair)
    return [f"faults without and with far loops: {seen}"]


def test_weak(tools, _):
    """Only weak names: the object links with ld alone."""
    source = os.path.join(HERE, "far", "loops.c")
    done = run([tools.cc, "-O3", "-fcira=far", "-c", source, "-o", tools.path("loops.o")])
    if done.returncode:
        return [done.stderr.decode()]
    names = run(["nm", tools.path("loops.o")]).stdout.decode().split("\n")
    found = {line.split()[-1]: line.split()[-2] for line in names if "cira" in line}
    wanted = {name: "w" for name in WEAK}
    return [] if found == wanted else [f"names of the object: {found}"]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cc", required=True)
    parser.add_argument("--clang", required=True)
    parser.add_argument("--run", required=True, help="cira-run")
    parser.add_argument("--elements", type=int, default=60000)
    main(parser.parse_args(), {"output": test_output, "turns": test_turns, "used": test_used,
                               "weak": test_weak})
