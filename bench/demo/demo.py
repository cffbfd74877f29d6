#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""make demo: two unmodified programs with their heap far away.

Runs MCF (train) and Debian's sqlite3 plain, with a local cache of 100, 50 and
25 % of their heap over shm: and tcp:, and, where the machine allows it, under
kernel swap on zram with the same limit. Prints one table of times and ratios
and whether the outputs agree; writes demo.json, demo.png and demo.svg.

Then the list listing of the dialect, before and after: 16 MiB of nodes over
shm:, a quarter of them local, walked by plain loads and by a stream.

Then MCF, BFS and the hash join compiled by clang and by cira-cc (loops.py).

Heap is the peak resident memory of the plain run less that of the program
doing nothing. The limit of the swap runs is the same number of bytes as the
local cache, plus what the program has when it does nothing. For 100 % both are
a quarter more than the heap: that is the slack of an allocator, and at 100 %
nothing is meant to move.

With one round everything is done in five minutes: what takes a minute alone is
left to make bench (LONG), each run may take its share of the time that is left,
and one that was stopped is shown as "> N s".
"""
import argparse
import os
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "common"))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "irregular"))
import cirabench as cb  # noqa: E402
import irregular  # noqa: E402
import loops  # noqa: E402

ROOT = os.path.dirname(os.path.dirname(HERE))
SHARES = (100, 50, 25)
NODES = 1 << 20  # of the list listing, 16 bytes each
BUDGET_S = 205  # of the five minutes, for all runs with far memory
LOOPS_END_S = 280  # by then what is compiled should be done
SWAP_S = 40     # of these, kept for kernel swap, which may take for ever
# What must be seen comes first; kernel swap gets the time that is left.
ORDER = [("shm", 100), ("tcp", 100), ("shm", 50), ("shm", 25), ("tcp", 50), ("tcp", 25),
         ("zram", 100), ("zram", 50), ("zram", 25)]
# Left out of a single round: a minute each, or ended by the OOM killer.
LONG = [("sqlite3", "tcp", 25), ("mcf", "tcp", 25), ("sqlite3", "zram", 25), ("mcf", "zram", 50),
        ("mcf", "zram", 25)]


class Program:
    """One workload: argv, input and a way to tell whether it verified."""

    def __init__(self, name, title, argv, idle, stdin=None, verified=None):
        self.name, self.title, self.argv = name, title, argv
        self.idle, self.stdin, self.verified = idle, stdin, verified


class Demo:
    def __init__(self, args):
        self.build, self.out, self.rounds = args.build, args.out, args.rounds
        self.instance = args.instance
        self.cira_run = os.path.join(self.build, "bin", "cira-run")
        self.scratch = os.path.join(self.out, "runs")
        self.programs = self.choose_programs(args)
        self.left = 0  # runs still to come
        self.listings = []
        self.loops = None
        self.results = []
        self.reference = {}

    def choose_programs(self, args):
        programs = []
        if "sqlite3" in args.programs:
            shell = shutil.which("sqlite3", path="/usr/bin") or "sqlite3"
            programs.append(Program("sqlite3", "sqlite3", [shell, "-batch", ":memory:"],
                                    idle=[shell, "-version"],
                                    stdin=os.path.join(HERE, "sales.sql")))
        mcf = os.path.join(self.build, "bin", "mcf")
        if "mcf" in args.programs:
            programs.append(Program("mcf", f"MCF {args.instance}",
                                    [mcf, "--instance", args.instance, "--verify"],
                                    idle=[mcf, "--help"],
                                    verified=b"feasible and optimal"))
        return programs

    def planned(self, program):
        """Its configurations and shares, as far as there is time."""
        return [(config, share) for config, share in ORDER
                if self.rounds > 1 or (program.name, config, share) not in LONG]

    # ---- one run

    def once(self, program, config, share, argv, cgroup=None, limit=None, stats=None):
        """Runs and records; returns the record."""
        out = os.path.join(self.scratch, f"{program.name}-{config}-{share}.out")
        err = out[:-4] + ".err"
        timeout = 900.0
        if self.rounds == 1:
            left = BUDGET_S - cb.elapsed()
            if config == "plain":
                timeout = 120.0
            elif config == "zram":
                timeout = max(3.0, 1.5 * left / max(1, self.left))
            else:
                timeout = max(5.0, left - SWAP_S)
            self.left -= 1
        if cgroup:
            cgroup.limit(limit)
        result = cb.run(argv, stdin=program.stdin, stdout=out, stderr=err,
                        cgroup=cgroup, timeout=timeout)
        if cgroup:
            cgroup.limit(None)
        with open(out, "rb") as f:
            output = f.read()
        if config == "plain" and result.ok:
            self.reference.setdefault(program.name, output)
        same = result.ok and output == self.reference.get(program.name)
        verified = program.verified is None or program.verified in output
        record = {
            "program": program.name, "config": config, "share": share,
            "seconds": round(result.seconds, 4), "verdict": result.verdict(),
            "output_agrees": same, "verified": result.ok and verified,
            "rss_kib": result.rss_kib,
        }
        if limit:
            record["limit_bytes"] = limit
        if stats and os.path.exists(stats) and os.path.getsize(stats):
            record["stats"] = cb.far_stats(stats)
        if not result.ok:
            with open(err, encoding="utf-8", errors="replace") as f:
                record["error"] = (f.read().strip().splitlines() or [""])[-1]
        self.results.append(record)
        what = config if config == "plain" else f"{config} {share} %"
        note = "" if same and record["verified"] else \
            f"  {record['verdict']}" + ("" if same else ", output differs" if result.ok else "")
        error = record.get("error", "")
        cb.say(f"{program.title}: {what}: {result.seconds:.2f} s{note}"
               + (f": {error}" if error else ""))
        return record

    def far(self, program, share, url, config, local):
        stats = os.path.join(self.scratch, f"{program.name}-{config}-{share}.stats.json")
        argv = [self.cira_run, "--far", url, "--local", str(local), f"--stats={stats}", "--"]
        return self.once(program, config, share, argv + program.argv, stats=stats)

    # ---- the whole

    def measure_heap(self, program):
        """The plain run; returns in bytes the heap, what the program has
        besides, and the heap with an allocator's slack."""
        plain = self.once(program, "plain", 100, program.argv)
        if plain["verdict"] != "ok":
            raise SystemExit(f"demo: {program.title} fails without cira: {plain['verdict']}")
        beside = cb.run(program.idle).rss_kib * 1024
        heap = max(plain["rss_kib"] * 1024 - beside, 4 << 20)
        cb.say(f"{program.title}: heap {heap / cb.MIB:.1f} MiB")
        return heap, beside, heap * 5 // 4 + (4 << 20)

    def run(self):
        os.makedirs(self.scratch, exist_ok=True)
        load = os.path.join(self.build, "bin", "pager-load")
        mib, seconds = cb.warm(load, 3072)
        cb.say(f"warmed {mib} MiB of memory in {seconds:.1f} s")
        heaps, self.why_no_swap = {}, None
        self.left = sum(1 + len(self.planned(program)) for program in self.programs)
        with cb.Server(self.build, "shm", "4g") as shm, cb.Server(self.build, "tcp", "4g") as tcp:
            try:
                swap = cb.Swap(8192)
                with swap:
                    self.all_runs(heaps, shm, tcp, swap)
            except cb.Refused as e:
                self.why_no_swap = str(e)
                cb.say(f"no comparison with kernel swap: {e}")
                self.left -= sum(config == "zram" for program in self.programs
                                 for config, _ in self.planned(program))
                self.all_runs(heaps, shm, tcp, None)
            if os.path.exists(os.path.join(self.build, "bin", "cira-jit")):
                self.listing(shm)
        self.compiled()
        return heaps

    def compiled(self):
        quick = self.rounds == 1
        self.loops = loops.Loops(
            self.build, self.scratch,
            left=lambda: LOOPS_END_S - cb.elapsed(), rounds=None if quick else 7)
        if self.loops.possible():
            try:
                self.loops.run(self.instance)
            except irregular.Wrong as e:
                raise SystemExit(f"demo: {e}") from e

    def listing(self, shm):
        """Times of the list listing in ns per node, by order and form."""
        source = os.path.join(ROOT, "examples", "mlir", "list_traversal.mlir")
        out = os.path.join(self.scratch, "listing.out")
        for random, order in ((0, "in the order of addresses"), (1, "in random order")):
            row = {"order": order}
            sums = set()
            for form, name, walks in ((1, "plain", 1), (2, "stream", 3)):
                argv = [self.cira_run, "--far", shm.url, "--local", str(NODES * 16 // 4),
                        "--no-cira-opt", "--entry", "bench", source,
                        str(NODES), str(random), str(form), str(walks)]
                runs = []
                for _ in range(self.rounds):
                    result = cb.run(argv, stdout=out, timeout=120)
                    lines = cb.read(out).split()
                    if not result.ok or len(lines) != walks + 1:
                        raise SystemExit(f"demo: the list listing fails: {result.verdict()}")
                    sums.add(lines[-1])
                    runs.append([int(x) / NODES for x in lines[:-1]])
                row[f"{name}_ns"] = [round(cb.median(walk), 2) for walk in zip(*runs)]
            row["agrees"] = len(sums) == 1
            self.listings.append(row)
            cb.say(f"list {order}: plain {row['plain_ns'][0]:.1f} ns a node, stream "
                   f"{row['stream_ns'][0]:.1f}, then {row['stream_ns'][-1]:.1f}")

    def all_runs(self, heaps, shm, tcp, swap):
        for number in range(self.rounds):
            for program in self.programs:
                if number == 0:
                    heaps[program.name] = self.measure_heap(program)
                else:
                    self.once(program, "plain", 100, program.argv)
            for config, share in ORDER:
                for program in self.programs:
                    if (config, share) not in self.planned(program):
                        continue
                    heap, beside, whole = heaps[program.name]
                    local = whole if share == 100 else heap * share // 100
                    if config == "zram" and swap:
                        self.once(program, "zram", share, program.argv, cgroup=swap.cgroup,
                                  limit=local + beside)
                    elif config != "zram":
                        url = shm.url if config == "shm" else tcp.url
                        self.far(program, share, url, config, local)


# ---- results ------------------------------------------------------------------

def summarise(demo):
    """Medians per program, config and share, with the ratio to plain."""
    rows = []
    plain = {}
    for program in demo.programs:
        times = [r["seconds"] for r in demo.results
                 if r["program"] == program.name and r["config"] == "plain"]
        plain[program.name] = cb.median(times)
    keys = []
    for r in demo.results:
        key = (r["program"], r["config"], r["share"])
        if key not in keys:
            keys.append(key)
    for key in keys:
        runs = [r for r in demo.results if (r["program"], r["config"], r["share"]) == key]
        good = [r["seconds"] for r in runs if r["verdict"] == "ok"]
        row = {
            "program": key[0], "config": key[1], "share": key[2], "runs": len(runs),
            "seconds": cb.median(good) if len(good) == len(runs) else None,
            "verdict": next((r["verdict"] for r in runs if r["verdict"] != "ok"), "ok"),
            # A run that was cut off for time says nothing about its output.
            "agrees": all(r["output_agrees"] and r["verified"] for r in runs
                          if r["verdict"] != "timeout"),
        }
        row["ratio"] = row["seconds"] / plain[key[0]] if row["seconds"] else None
        if row["verdict"] == "timeout":
            row["stopped_at_s"] = max(r["seconds"] for r in runs if r["verdict"] == "timeout")
        rows.append(row)
    return rows


def cell(rows, program, config, share):
    for r in rows:
        if (r["program"], r["config"], r["share"]) == (program, config, share):
            if "stopped_at_s" in r:
                return f"> {r['stopped_at_s']:.0f} s"
            if r["seconds"] is None:
                return r["verdict"]
            mark = "" if r["agrees"] else " WRONG"
            return f"{r['seconds']:.2f} s ({r['ratio']:.2f}x){mark}"
    return "-"


def table(demo, rows):
    head = ["program", "local", "plain", "cira shm:", "cira tcp:", "zram swap", "agrees"]
    lines = [head]
    for program in demo.programs:
        for share in SHARES:
            here = [r for r in rows if r["program"] == program.name and r["share"] == share
                    and r["config"] in ("shm", "tcp") and r["verdict"] != "timeout"]
            agrees = "yes" if all(r["agrees"] for r in here) else "NO"
            lines.append([program.title, f"{share} %",
                          cell(rows, program.name, "plain", 100) if share == 100 else "",
                          cell(rows, program.name, "shm", share),
                          cell(rows, program.name, "tcp", share),
                          cell(rows, program.name, "zram", share),
                          agrees if here else "-"])
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(line, widths)).rstrip()
                     for line in lines)


def listing_table(listings):
    lines = [["list of 1 Mi nodes, 25 % local", "plain loads", "stream, 1st walk", "later walks",
              "gain", "agrees"]]
    for row in listings:
        plain, first, later = row["plain_ns"][0], row["stream_ns"][0], row["stream_ns"][-1]
        lines.append([row["order"], f"{plain:.1f} ns a node", f"{first:.1f} ns", f"{later:.1f} ns",
                      f"{plain / first:.1f}x, {plain / later:.1f}x",
                      "yes" if row["agrees"] else "NO"])
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(line, widths)).rstrip()
                     for line in lines)


def plot(demo, rows):
    """Ratio to plain per share, one panel per program."""
    if not shutil.which("gnuplot"):
        cb.say("no plot: gnuplot is not installed")
        return
    data = os.path.join(demo.scratch, "plot.dat")
    configs = [c for c in ("shm", "tcp", "zram") if any(r["config"] == c for r in rows)]
    with open(data, "w", encoding="ascii") as f:
        for program in demo.programs:
            for share in SHARES:
                values = []
                for config in configs:
                    ratio = next((r["ratio"] for r in rows if (r["program"], r["config"], r["share"])
                                  == (program.name, config, share)), None)
                    values.append(f"{ratio:.4f}" if ratio else "0")
                f.write(f'"{share} %" {" ".join(values)}\n')
            f.write("\n\n")
    names = {"shm": "cira shm:", "tcp": "cira tcp:", "zram": "zram swap"}
    colours = {"shm": "#1b6ca8", "tcp": "#6ba3d6", "zram": "#c8553d"}
    panels = []
    for i, program in enumerate(demo.programs):
        series = ", ".join(
            f"'{data}' index {i} using {k + 2}:xtic(1) title '{names[c]}' lc rgb '{colours[c]}'"
            for k, c in enumerate(configs))
        panels.append(f"set title '{program.title}'\nplot {series}, 1 lc rgb '#555555' dt 2 "
                      "title 'plain'\n")
    common = ("set style data histogram\nset style histogram cluster gap 1\n"
              "set style fill solid 0.9 noborder\nset boxwidth 0.9\nset yrange [0:*]\n"
              "set ylabel 'time / plain'\nset xlabel 'local cache, share of the heap'\n"
              "set grid ytics lc rgb '#dddddd'\nset key top left\n")
    for terminal, ending in (("pngcairo size 1100,420", "png"), ("svg size 1100,420", "svg")):
        script = (f"set terminal {terminal} font 'sans,10'\n"
                  f"set output '{demo.out}/demo.{ending}'\n{common}"
                  f"set multiplot layout 1,{len(panels)}\n{''.join(panels)}unset multiplot\n")
        done = subprocess.run(["gnuplot"], input=script, text=True, capture_output=True, check=False)
        if done.returncode != 0:
            cb.say(f"no {ending} plot: gnuplot: {done.stderr.strip().splitlines()[-1]}")


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--build", default="build/release", help="build folder")
    p.add_argument("--out", default="out/demo", help="where results go")
    p.add_argument("--rounds", type=int, default=1, help="repetitions; medians are shown")
    p.add_argument("--instance", default="train", help="of MCF")
    p.add_argument("--programs", default="mcf,sqlite3", type=lambda s: s.split(","))
    args = p.parse_args()
    cb.install_signal_exits()
    cb.use_build(args.build)
    demo = Demo(args)
    heaps = demo.run()
    rows = summarise(demo)
    text = table(demo, rows)
    cb.write_json(os.path.join(args.out, "demo.json"), {
        "version": 1, "machine": cb.machine(args.build), "rounds": args.rounds,
        "heap_bytes": {k: v[0] for k, v in heaps.items()},
        "besides_bytes": {k: v[1] for k, v in heaps.items()},
        "whole_bytes": {k: v[2] for k, v in heaps.items()},
        "no_swap_because": demo.why_no_swap,
        "titles": {p.name: p.title for p in demo.programs},
        "rows": rows, "runs": demo.results, "table": text, "listings": demo.listings,
        "loops": demo.loops.rows,
    })
    plot(demo, rows)
    print()
    print(text)
    if demo.why_no_swap:
        print(f"kernel swap was not compared: {demo.why_no_swap}")
    if any("stopped_at_s" in r for r in rows):
        print("> N s: stopped after N seconds, for the sake of the five minutes; "
              "make bench lets all finish")
    if args.rounds == 1:
        print("-: not run here, since it takes a minute or does not end; make bench has it")
    print(f"\nlocal: share of the heap that the local cache (or the memory limit of swap) holds\n"
          f"results: {args.out}/demo.json, demo.png, demo.svg")
    if demo.listings:
        print("\n" + listing_table(demo.listings))
    if demo.loops.rows:
        print("\n" + loops.table(demo.loops.rows))
    wrong = [r for r in rows if r["config"] != "zram" and
             (not r["agrees"] or r["verdict"] not in ("ok", "timeout"))]
    agree = all(r["agrees"] for r in demo.listings + demo.loops.rows)
    return 1 if wrong or not agree else 0


if __name__ == "__main__":
    sys.exit(main())
