# SPDX-License-Identifier: Apache-2.0
"""The part of the demo that compiles: MCF, BFS and the hash join, by clang and
by cira-cc, everything in local memory.

The same sources with the same flags; the two programs run in turn, the order
reversed every other round, and medians are shown. BFS and the join prepare
their data once and then run what they are told (bench/irregular); both kinds of
pages, since cira asks for huge ones itself only when its runtime is there.
Results are verified by the programs and must be equal.
"""
import json
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "common"))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "irregular"))
import cirabench as cb  # noqa: E402
import irregular  # noqa: E402

NAMES = ("clang", "cira")
# kernel, title, options of the program that say the size
KERNELS = (
    ("bfs-kron", "BFS, Kronecker, scale 20", ["--scale", "20"]),
    ("join-2", "hash join 6M x 6M, chains of 2", ["--size", "6m"]),
    ("join-8", "hash join 6M x 6M, chains of 8", ["--size", "6m"]),
)
ROUNDS, ROUNDS_MIN = 7, 3
KERNEL_S = 8  # for a kernel's rounds
PAGES = "huge"
OPTIONS = ["--cpu-time"]


class Loops:
    """rows has the results; left() the seconds that there still are; rounds:
    so many, however long they take."""

    def __init__(self, build, scratch, left, rounds=None):
        self.build, self.scratch, self.left = build, scratch, left
        self.rounds = rounds
        self.rows = []

    def program(self, stem, name):
        return os.path.join(self.build, "bin", f"{stem}-{name}")

    def possible(self):
        return all(os.access(self.program(stem, name), os.X_OK)
                   for stem in ("mcf", "irregular") for name in NAMES)

    def run(self, instance):
        for kernel, title, size in KERNELS:
            self.kernel(kernel, title, size)
        self.mcf(instance)

    def add(self, title, pages, seconds, agrees):
        medians = {name: cb.median(times) for name, times in seconds.items()}
        row = {"title": title, "pages": pages, "rounds": len(seconds["clang"]), "runs": seconds,
               "seconds": medians, "gain": medians["clang"] / medians["cira"], "agrees": agrees}
        self.rows.append(row)
        cb.say(f"{title}, {pages} pages: clang {medians['clang']:.3f} s, cira-cc "
               f"{medians['cira']:.3f} s, {row['gain']:.2f}x" + ("" if agrees else ": DIFFERENT"))

    def in_turn(self, once, seconds_max):
        """once(name) -> seconds, result; all of them, and whether all agree."""
        seconds, results = {name: [] for name in NAMES}, set()
        start = cb.elapsed()
        for number in range(self.rounds or ROUNDS):
            for name in NAMES if number % 2 == 0 else reversed(NAMES):
                taken, result = once(name)
                seconds[name].append(taken)
                results.add(result)
            late = cb.elapsed() - start > seconds_max and number + 1 >= ROUNDS_MIN
            if not self.rounds and (late or self.left() < 0):
                break
        return seconds, len(results) == 1

    def kernel(self, kernel, title, size):
        options = size + OPTIONS
        with irregular.Program(self.program("irregular", "clang"), kernel, PAGES, options) as a, \
                irregular.Program(self.program("irregular", "cira"), kernel, PAGES, options) as b:
            programs = {"clang": a, "cira": b}

            def once(name):
                result = programs[name].ask("plain")
                return result["ns"] * result["elements"] / 1e9, result["checksum"]

            for name in NAMES:
                once(name)  # warms up, and is what verify looks at
                programs[name].ask("verify")
            seconds, agrees = self.in_turn(once, KERNEL_S)
        self.add(title, PAGES, seconds, agrees)

    def mcf(self, instance):
        out = os.path.join(self.scratch, "mcf-loops.out")
        stats = os.path.join(self.scratch, "mcf-loops.json")

        def once(name):
            argv = [self.program("mcf", name), "--instance", instance, "--verify",
                    f"--stats={stats}"]
            result = cb.run(argv, stdout=out, timeout=900)
            text = cb.read(out)
            if not result.ok or "feasible and optimal" not in text:
                raise irregular.Wrong(f"{argv[0]}: {result.verdict()}")
            return json.loads(cb.read(stats))["solve_cpu_s"], text

        seconds, agrees = self.in_turn(once, 0)
        self.add(f"MCF {instance}, solving", "system", seconds, agrees)


def table(rows):
    lines = [["the same source, all in local memory", "pages", "clang -O3", "cira-cc -O3 -fcira=all", "gain",
              "agrees"]]
    for row in rows:
        lines.append([row["title"], row["pages"], f"{row['seconds']['clang']:.3f} s",
                      f"{row['seconds']['cira']:.3f} s", f"{row['gain']:.2f}x",
                      "yes" if row["agrees"] else "NO"])
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(line, widths)).rstrip()
                     for line in lines)
