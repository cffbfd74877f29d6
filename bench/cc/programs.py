#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""bench/cc/programs: real programs by clang and by cira-cc, everything local.

  programs.py --build build/release [--rounds 7] [--only NAME,...]

What cira-cc may never do is make a program slower. Each program is built from
its Debian source package by both compilers at -O3 and run in turn, the order
reversed every other round; outputs must agree. Time is that of the processor.
The ratio is the median of those of the pairs; beside it stands between which two
it lies with 95 % probability. While the bar of 0.98x lies between these two, more
pairs are run, up to four times the rounds: a busy machine needs more. A program is
below the bar if all of the interval is. Where the loaded bytes are the same under
both compilers nothing is timed. Exit status 77: no source is to be had here.
"""
import argparse
import hashlib
import math
import os
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, "bench", "common"))
sys.path.insert(0, os.path.join(ROOT, "test", "cc"))
import cirabench as cb  # noqa: E402
import elf  # noqa: E402
import packages  # noqa: E402
import sources  # noqa: E402

BAR = 0.98
MORE_ROUNDS = 4  # times the rounds at most, where the bar is in doubt
MEASURE_S = 0.7  # a program that ends sooner runs several times for one figure
WORK_LUA = os.path.join(packages.HERE, "real", "work.lua")


class Case:
    """A run of a program of a package; `made` makes its input by clang's
    program first. {data} and {packed} in the arguments are files."""

    def __init__(self, name, package, program, *arguments, stdin=None, scrub=False):
        self.name, self.package, self.program = name, package, program
        self.arguments, self.stdin, self.scrub = arguments, stdin, scrub


CASES = [
    Case("sqlite3 speedtest1", "sqlite", "speedtest1", "--memdb", "--size", "60", scrub=True),
    Case("sqlite3 shell", "sqlite", "sqlite3", "-batch", ":memory:", stdin=packages.SALES),
    Case("lua work", "lua", "src/lua", WORK_LUA, "4"),
    Case("zlib -6", "zlib", "minigzip", "-6", "-c", "{data}"),
    Case("zlib -d", "zlib", "minigzip", "-d", "-c", "{packed}"),
    Case("bzip2 -9", "bzip2", "bzip2", "-9", "-c", "{data}"),
    Case("bzip2 -d", "bzip2", "bzip2", "-d", "-c", "{packed}"),
    Case("xz -2", "xz", "src/xz/xz", "-T1", "-2", "-c", "{data}"),
    Case("xz -d", "xz", "src/xz/xz", "-T1", "-d", "-c", "{packed}"),
    Case("zstd -3", "zstd", "programs/zstd", "-q", "--single-thread", "-3", "-c", "{data}"),
    Case("zstd -15", "zstd", "programs/zstd", "-q", "--single-thread", "-15", "-c", "{data}"),
    Case("zstd -d", "zstd", "programs/zstd", "-q", "-d", "-c", "{packed}"),
]


def run(argv, stdin, out):
    """Processor time in seconds of one run."""
    fin = os.open(stdin or os.devnull, os.O_RDONLY)
    fout = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    ferr = os.open(os.devnull, os.O_WRONLY)
    try:
        child = os.posix_spawn(argv[0], argv, os.environ, file_actions=[
            (os.POSIX_SPAWN_DUP2, fin, 0), (os.POSIX_SPAWN_DUP2, fout, 1),
            (os.POSIX_SPAWN_DUP2, ferr, 2)])
    finally:
        for fd in (fin, fout, ferr):
            os.close(fd)
    _, status, usage = os.wait4(child, 0)
    if status != 0:
        raise SystemExit(f"{' '.join(argv)} ends with status {os.waitstatus_to_exitcode(status)}")
    return usage.ru_utime + usage.ru_stime


def digest(path):
    with open(path, "rb") as f:
        return hashlib.sha256(f.read()).hexdigest()


def pair_ratios(runs):
    return [a / b for a, b in zip(runs["clang"], runs["cira"])]


def interval(ratios):
    """Between these two the median lies with a probability of 95 %, whatever the
    distribution is: each pair is above it or below it like a coin. All of the
    range if there are too few."""
    ratios, n, left, least = sorted(ratios), len(ratios), 0.0, 0
    for k in range(n // 2):
        left += math.comb(n, k) / 2 ** n
        if 2 * left > 0.05:
            break
        least = k
    return ratios[least], ratios[n - 1 - least]


class Bench:
    def __init__(self, args):
        self.args = args
        self.work = os.path.abspath(args.work)
        os.makedirs(self.work, exist_ok=True)
        cira = os.path.abspath(os.path.join(args.build, "bin", "cira-cc"))
        self.compilers = [
            packages.Compiler("clang", args.clang, args.clang + "++", "-O3"),
            packages.Compiler("cira", cira, cira[:-2] + "c++", f"-O3 {args.flags}".strip())]
        self.data = packages.corpus(os.path.join(self.work, "data"), args.mib)
        self.roots = {}

    def build(self, package):
        """Folders of the package as built by each compiler."""
        if package not in self.roots:
            recipe = packages.PACKAGES[package]
            tree = sources.fetch(recipe.source, os.path.abspath(self.args.cache), recipe.patched)
            roots = {}
            for compiler in self.compilers:
                start = time.monotonic()
                folder = os.path.join(self.work, f"{package}-{compiler.name}")
                build = packages.Build(compiler, tree, folder, os.cpu_count(), tests=False)
                recipe.build(build)
                roots[compiler.name] = build.source
                cb.say(f"{package} by {compiler.name}: built in {time.monotonic() - start:.0f} s, "
                       f"{build.remarks()} loops changed")
            self.roots[package] = roots
        return self.roots[package]

    def measure(self, case):
        roots = self.build(case.package)
        programs = {name: os.path.join(root, case.program) for name, root in roots.items()}
        result = {"name": case.name, "package": case.package,
                  "same_code": elf.same_code(*programs.values()),
                  "code_bytes": {name: elf.code_bytes(path) for name, path in programs.items()}}
        if result["same_code"] and not self.args.all:
            return result
        packed = os.path.join(self.work, case.package + ".packed")
        if "{packed}" in case.arguments:
            packer = next(c for c in CASES if c.package == case.package
                          and "{data}" in c.arguments)
            run(self.fill(programs["clang"], packer, packed), None, packed)
        out = os.path.join(self.work, "output")
        first = run(self.fill(programs["clang"], case, packed), case.stdin, out)
        times = max(1, math.ceil(MEASURE_S / max(first, 0.01)))
        result["runs_per_figure"] = times
        runs, outputs = {name: [] for name in programs}, set()
        for number in range(self.args.rounds * MORE_ROUNDS):
            order = list(programs) if number % 2 == 0 else list(reversed(programs))
            for name in order:
                argv = self.fill(programs[name], case, packed)
                runs[name].append(sum(run(argv, case.stdin, out) for _ in range(times)) / times)
                outputs.add("" if case.scrub else digest(out))
            low, high = interval(pair_ratios(runs))
            if number + 1 >= self.args.rounds and not low < BAR <= high:
                break
        result["cpu_seconds"] = runs
        result["median_seconds"] = {name: cb.median(times) for name, times in runs.items()}
        result["ratio"] = cb.median(pair_ratios(runs))
        result["interval"] = [low, high]
        result["agrees"] = len(outputs) == 1
        return result

    def fill(self, program, case, packed):
        return [program] + [{"{data}": self.data, "{packed}": packed}.get(a, a)
                            for a in case.arguments]


def print_table(results):
    print(f"{'program':20} {'clang':>10} {'cira':>10} {'gain':>8} {'95 % interval':>16} "
          f"{'pairs':>6} {'code':>7}")
    for r in results:
        size = r["code_bytes"]["cira"] / r["code_bytes"]["clang"]
        if "ratio" not in r:
            print(f"{r['name']:20} {'the same code':>30} {'':23} {size:6.3f}x")
            continue
        m = r["median_seconds"]
        note = "" if r["agrees"] else "  outputs DIFFER"
        span = "{:.3f} to {:.3f}".format(*r["interval"])
        print(f"{r['name']:20} {m['clang']:8.3f} s {m['cira']:8.3f} s {r['ratio']:7.3f}x "
              f"{span:>16} {len(r['cpu_seconds']['cira']):6} {size:6.3f}x{note}")


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--build", default="build/release", help="build folder")
    p.add_argument("--clang", default="/usr/lib/llvm-19/bin/clang")
    p.add_argument("--cache", default=os.path.join(ROOT, "build", "sources"))
    p.add_argument("--work", default=os.path.join(ROOT, "build", "bench-cc"))
    p.add_argument("--out", default="out/bench/cc-programs.json")
    p.add_argument("--rounds", type=int, default=7, help="pairs of runs at least")
    p.add_argument("--flags", default="", help="for cira-cc, as -fcira=all")
    p.add_argument("--mib", type=int, default=16, help="of the file to compress")
    p.add_argument("--only", help="packages, comma-separated")
    p.add_argument("--all", action="store_true", help="time programs of the same code too")
    args = p.parse_args()
    only = args.only.split(",") if args.only else [c.package for c in CASES]
    bench, results, skipped = Bench(args), [], {}
    for case in CASES:
        if case.package not in only or case.package in skipped:
            continue
        try:
            results.append(bench.measure(case))
        except (sources.Unavailable, packages.Missing) as e:
            skipped[case.package] = str(e)
            cb.say(f"{case.package}: skipped: {e}")
            continue
        except packages.Broken as e:
            raise SystemExit(f"{case.package}: {e}") from e
    if not results:
        return 77
    ratios = [r.get("ratio", 1.0) for r in results]
    mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
    cb.write_json(args.out, {
        "version": 1, "machine": cb.machine(args.build), "rounds": args.rounds, "level": "-O3",
        "flags": args.flags,
        "bar": BAR, "programs": results, "skipped": skipped, "geometric_mean": mean})
    print_table(results)
    low = [r["name"] for r in results if r.get("interval", [1.0, 1.0])[1] < BAR]
    wrong = [r["name"] for r in results if not r.get("agrees", True)]
    print(f"geometric mean {mean:.3f}x, lowest {min(ratios):.3f}x; the bar is {BAR}x"
          + (f"; below it: {', '.join(low)}" if low else "")
          + (f"; DIFFERENT OUTPUT: {', '.join(wrong)}" if wrong else ""))
    return 1 if low or wrong else 0


if __name__ == "__main__":
    sys.exit(main())
