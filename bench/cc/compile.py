#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""bench/cc/compile: what cira-cc costs when compiling, beside clang.

  compile.py --build build/release [--rounds 7] [--level -O2]

Compiles the amalgamation of sqlite3 (from Debian's source package) by clang and
by cira-cc in turn, the order reversed every other round. Time is that of the
processor, user and system, so that other work on the machine matters less;
size is that of all executable sections of the object. Bars: 1.5x and 1.3x.
Exit status 77: the source is not to be had here.
"""
import argparse
import os
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, "bench", "common"))
sys.path.insert(0, os.path.join(ROOT, "test", "cc"))
import cirabench as cb  # noqa: E402
import elf  # noqa: E402
import packages  # noqa: E402
import sources  # noqa: E402

TIME_BAR, SIZE_BAR = 1.5, 1.3


def compile_once(compiler, level, source, out):
    """Processor time in seconds."""
    child = os.posix_spawn(compiler, [compiler, level, "-c", source, "-o", out], os.environ)
    _, status, usage = os.wait4(child, 0)
    if status != 0:
        raise SystemExit(f"{compiler} {level} {source} fails with status {status}")
    return usage.ru_utime + usage.ru_stime


def amalgamation(args, work):
    """sqlite3.c, made once and kept beside the source."""
    tree = sources.fetch("sqlite3", os.path.abspath(args.cache))
    made = os.path.join(os.path.dirname(tree), "sqlite3.c")
    if not os.path.exists(made):
        clang = packages.Compiler("clang", args.clang, args.clang + "++")
        build = packages.Build(clang, tree, os.path.join(work, "sqlite"), 1)
        build.run("./configure", "--disable-tcl")
        build.make("sqlite3.c")
        os.replace(os.path.join(build.source, "sqlite3.c"), made)
    return made


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--build", default="build/release", help="build folder")
    p.add_argument("--clang", default="/usr/lib/llvm-19/bin/clang")
    p.add_argument("--cache", default=os.path.join(ROOT, "build", "sources"))
    p.add_argument("--out", default="out/bench/cc-compile.json")
    p.add_argument("--rounds", type=int, default=7)
    p.add_argument("--level", default="-O2")
    args = p.parse_args()
    compilers = {"clang": args.clang,
                 "cira": os.path.abspath(os.path.join(args.build, "bin", "cira-cc"))}
    with tempfile.TemporaryDirectory(prefix="cira-compile-") as work:
        try:
            source = amalgamation(args, work)
        except (sources.Unavailable, packages.Missing) as e:
            print(f"compile: skipped: {e}")
            return 77
        seconds = {name: [] for name in compilers}
        objects = {name: os.path.join(work, name + ".o") for name in compilers}
        for number in range(args.rounds + 1):
            for name in compilers if number % 2 == 0 else reversed(list(compilers)):
                taken = compile_once(compilers[name], args.level, source, objects[name])
                if number > 0:  # the first round warms the files up
                    seconds[name].append(taken)
        size = {name: elf.code_bytes(objects[name]) for name in compilers}
    time = {name: cb.median(runs) for name, runs in seconds.items()}
    ratio = {"time": time["cira"] / time["clang"], "size": size["cira"] / size["clang"]}
    cb.write_json(args.out, {
        "version": 1, "machine": cb.machine(args.build), "source": "sqlite3.c",
        "level": args.level, "rounds": args.rounds, "cpu_seconds": seconds,
        "median_seconds": time, "code_bytes": size, "ratio": ratio,
        "bars": {"time": TIME_BAR, "size": SIZE_BAR}})
    print(f"sqlite3.c {args.level}  {'clang':>10} {'cira':>10} {'ratio':>7} {'bar':>6}")
    print(f"processor time   {time['clang']:8.2f} s {time['cira']:8.2f} s {ratio['time']:6.2f}x "
          f"{TIME_BAR:5.1f}x")
    print(f"code             {size['clang'] / 1024:6.0f} KiB {size['cira'] / 1024:6.0f} KiB "
          f"{ratio['size']:6.3f}x {SIZE_BAR:5.1f}x")
    return 0 if ratio["time"] <= TIME_BAR and ratio["size"] <= SIZE_BAR else 1


if __name__ == "__main__":
    sys.exit(main())
