#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The programs of examples/loops: the changes that their comments promise are
made, and they print what they print when clang has compiled them."""
import argparse
import os

import common
from common import outcome, run

FOLDER = os.path.join(common.HERE, "..", "..", "examples", "loops")
# Name -> (what it prints, the remark of the change it shows).
EXAMPLES = {
    "choose": ("499942 of 1000000 are odd, the last is 322260\n", "remark: prefetched "),
    "probe": ("99999 of 300000 found, sum 9999900000\n", "remark: interleaved "),
    "search": ("100000 of 100000 reached\n", "remark: looks "),
    "again": ("sum 49999500045\n", "remark: walked again, "),
}


def example(tools, name):
    prints, remark = EXAMPLES[name]
    source, out = os.path.join(FOLDER, name + ".c"), tools.path(name)
    failures = []
    for compiler, options in ((tools.clang, []), (tools.cc, []), (tools.cc, ["-fcira=all"]),
                              (tools.cc, ["-fcira=all", f"-mcira-machine={tools.eager}"])):
        done = run([compiler, "-O3", "-Wall", "-Wextra", "-Werror", *options,
                    *(["-Rpass=cira"] if compiler == tools.cc else []), source, "-o", out])
        said = done.stderr.decode()
        got = outcome([out]) if done.returncode == 0 else (said,)
        if got != (0, prints.encode(), b""):
            failures.append(f"{name}.c {options}: {got} instead of {prints!r}")
        if "-fcira=all" in options and remark not in said:
            failures.append(f"{name}.c {options}: no '{remark}' in: {said[-500:]}")
    return failures


if __name__ == "__main__":
    parser = common.options(argparse.ArgumentParser())
    common.main(parser.parse_args(), {
        name: lambda tools, _, name=name: example(tools, name) for name in EXAMPLES})
