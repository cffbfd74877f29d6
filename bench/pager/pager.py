#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""bench-pager: what paging costs an unmodified program.

Runs pager-load (an ordinary program with one large heap block) plain, under
cira-run over shm: and tcp:, and under kernel swap on zram with the same limit,
interleaved, and takes medians over the rounds:
  chase   random demand misses with eviction: ns per access
  seq     sequential read of the far block: ns per 4 KiB page
  touch   everything local: cira-run against plain
  dirty   one changed 8-byte word per page: bytes sent / bytes changed
Targets are those of the project's first issue; they are printed beside the
figures, not enforced: a wall clock on a shared machine is no test.
"""
import argparse
import json
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "common"))
import cirabench as cb  # noqa: E402

SET, CACHE = 256 * cb.MIB, 64 * cb.MIB
PAGES = SET // 4096


class Bench:
    def __init__(self, args):
        self.build, self.rounds = args.build, args.rounds
        self.load = os.path.join(args.build, "bin", "pager-load")
        self.cira_run = os.path.join(args.build, "bin", "cira-run")
        self.scratch = os.path.join(os.path.dirname(args.out) or ".", "pager-runs")
        self.figures = {}  # (case, config) -> list of dicts
        self.checksums = {}
        self.failed = []
        os.makedirs(self.scratch, exist_ok=True)

    def note(self, case, config, result, out, check=True):
        if not result.ok:
            self.failed.append(f"{case} {config}: {result.verdict()}")
            cb.say(f"{case} {config}: {result.verdict()}")
            return None
        with open(out, encoding="utf-8") as f:
            figure = json.loads(f.read())
        if check and self.checksums.setdefault(case, figure["checksum"]) != figure["checksum"]:
            self.failed.append(f"{case} {config}: wrong checksum")
        self.figures.setdefault((case, config), []).append(figure)
        return figure

    def plain(self, case, args):
        out = os.path.join(self.scratch, "out.json")
        return self.note(case, "plain", cb.run([self.load] + args, stdout=out), out)

    def far(self, case, config, url, args, local, stats=None):
        out = os.path.join(self.scratch, "out.json")
        argv = [self.cira_run, "--far", url, "--local", str(local)]
        argv += [f"--stats={stats}"] if stats else []
        return self.note(case, config, cb.run(argv + ["--", self.load] + args, stdout=out), out)

    def swap(self, case, config, swap, args, cluster):
        out = os.path.join(self.scratch, "out.json")
        swap.page_cluster(cluster)
        swap.limit(CACHE + 2 * cb.MIB)  # the program's own code and stack
        result = cb.run([self.load] + args, stdout=out, cgroup=swap.cgroup)
        swap.limit(None)
        return self.note(case, config, result, out)

    def round(self, shm, tcp, swap):
        # `accesses` makes each run some 0.5 s long
        chase = ["chase", "--bytes", "256m", "--accesses", "60000"]
        seq = ["seq", "--bytes", "256m", "--passes", "3"]
        touch = ["touch", "--bytes", "64m", "--accesses", "30000000"]
        for case, args in (("chase", chase), ("seq", seq)):
            self.plain(case, args)
            self.far(case, "shm", shm.url, args, CACHE)
            if swap:
                self.swap(case, "zram", swap, args, 0)
            self.far(case, "tcp", tcp.url, args, CACHE)
            if swap:
                self.swap(case, "zram readahead", swap, args, int(swap.cluster_before))
        self.plain("touch", touch)
        self.far("touch", "shm", shm.url, touch, 2 * CACHE)

    def amplification(self, url):
        """Bytes sent for one changed word per page, over the bytes changed."""
        sent = []
        for passes in (0, 1):
            stats = os.path.join(self.scratch, "dirty.stats.json")
            args = ["dirty", "--bytes", "256m", "--passes", str(passes)]
            out = os.path.join(self.scratch, "out.json")
            result = cb.run([self.cira_run, "--far", url, "--local", str(CACHE),
                             f"--stats={stats}", "--", self.load] + args, stdout=out)
            if not self.note("dirty", f"shm, {passes} passes", result, out, check=False):
                return None
            sent.append(cb.far_stats(stats)["bytes_out"])
        return (sent[1] - sent[0]) / (8 * PAGES)

    def median(self, case, config, field="mean_ns"):
        runs = self.figures.get((case, config))
        return cb.median([r[field] for r in runs]) if runs else None


def ratio(a, b):
    return a / b if a is not None and b else None


def report(bench, amplification):
    """(figure, unit, value, baseline, target) for each thing to reach."""
    m = bench.median
    field = "mean_below_500us_ns"
    zram = m("chase", "zram", field)
    rows = [
        ("demand miss with eviction, shm:", "ns", m("chase", "shm", field),
         f"zram {zram:.0f}" if zram else "no zram", "<= 0.65 x zram"),
        ("demand miss with eviction, shm:, over zram", "x",
         ratio(m("chase", "shm", field), zram), "", "<= 0.65"),
        ("demand miss with eviction, tcp:", "ns", m("chase", "tcp", field), "", "<= 13000"),
        ("the same, median access, shm:", "ns", m("chase", "shm", "median_ns"), "", ""),
        ("sequential page, shm:", "ns", m("seq", "shm"), "", "<= 1200"),
        ("sequential page, tcp:", "ns", m("seq", "tcp"), "", "<= 2000"),
        ("sequential page, zram", "ns", m("seq", "zram"), "", ""),
        ("sequential page, zram with readahead", "ns", m("seq", "zram readahead"), "", ""),
        ("sequential page, plain memory", "ns", m("seq", "plain"), "", ""),
        ("everything local over plain", "x", ratio(m("touch", "shm"), m("touch", "plain")), "",
         "<= 1.02"),
        ("bytes sent per byte changed", "x", amplification, "", "<= 8"),
    ]
    return rows


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--build", default="build/release", help="build folder")
    p.add_argument("--out", default="out/bench/pager.json", help="result file")
    p.add_argument("--rounds", type=int, default=5, help="interleaved repetitions")
    args = p.parse_args()
    cb.install_signal_exits()
    cb.use_build(args.build)
    bench = Bench(args)
    mib, seconds = cb.warm(bench.load, 2048)
    cb.say(f"warmed {mib} MiB of memory in {seconds:.1f} s")
    why = None

    def rounds(swap):
        for number in range(args.rounds):
            bench.round(shm, tcp, swap)
            cb.say(f"round {number + 1} of {args.rounds} done")

    with cb.Server(args.build, "shm", "2g") as shm, \
            cb.Server(args.build, "tcp", "2g", "--poll") as tcp:
        try:
            with cb.Swap(1024) as swap:
                rounds(swap)
        except cb.Refused as e:
            why = str(e)
            cb.say(f"no comparison with kernel swap: {e}")
            rounds(None)
        amplification = bench.amplification(shm.url)
    rows = report(bench, amplification)
    cb.write_json(args.out, {
        "version": 1, "bench": "pager", "machine": cb.machine(args.build),
        "rounds": args.rounds, "working_set_bytes": SET, "cache_bytes": CACHE,
        "no_swap_because": why, "failed": bench.failed,
        "figures": [dict(zip(("name", "unit", "value", "baseline", "target"), r)) for r in rows],
        "runs": [{"case": k[0], "config": k[1], "figures": v} for k, v in bench.figures.items()],
    })
    for name, unit, value, baseline, target in rows:
        shown = "-" if value is None else f"{value:.0f} ns" if unit == "ns" else f"{value:.3f} x"
        print(f"{name:45} {shown:>12}  {target:16} {baseline}")
    for line in bench.failed:
        print(f"failed: {line}")
    return 1 if bench.failed else 0


if __name__ == "__main__":
    sys.exit(main())
