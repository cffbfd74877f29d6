#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs commands plain and with their heap in far memory; both must agree.

  compare.py --shim LIB --bin DIR --programs DIR [--suite quick|long] [--only CASE]
             [--list]

Compared are standard output, the exit status and the output files; standard
error where a case says so. Each case runs in a directory of its own, with local
caches of 100 % of its heap (ample), 25 % and 64 pages, over host:, shm: and
tcp: (servers of this run, on private sockets). The quick suite rotates through
the places, one per size; the long suite takes all pairs.

Exit status: 0 all agree, 1 a difference, 77 the case's program is missing.
"""

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

AMPLE = "2g"
TINY = "256k"  # 64 pages
PLAIN_LIMIT_S = 120
FAR_LIMIT_S = {"quick": 150, "long": 900}


class Missing(Exception):
    """A program that the case needs is not installed."""


def need(program, package):
    """Path of a system program; skips the case when there is none."""
    for folder in ("/usr/bin", "/bin", "/usr/sbin"):
        path = os.path.join(folder, program)
        if os.access(path, os.X_OK):
            return path
    raise Missing(f"{program} is missing: apt-get install {package}")


# ---- input ------------------------------------------------------------------


def numbers(count, seed=12345):
    """Lines of numbers, the same on every machine."""
    state = seed
    lines = []
    for _ in range(count):
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        lines.append(str(state >> 33))
    return "\n".join(lines) + "\n"


def write(path, text):
    with open(path, "w", encoding="utf-8") as out:
        out.write(text)


def sql_script(rows):
    return f"""
create table t(a integer primary key, b text, c real);
with recursive n(x) as (values(1) union all select x + 1 from n where x < {rows})
  insert into t select x, hex(x * 7919 % 10007) || ' text', x * 1.25 from n;
create index i on t(b);
select count(*), sum(length(b)), max(c) from t;
select b, count(*) from t group by b order by 2 desc, 1 limit 5;
update t set b = b || a where a % 7 = 0;
select sum(length(b)) from t;
select group_concat(b) from (select b from t order by c desc limit 3000);
"""


def c_source(functions):
    parts = ["#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n"]
    for i in range(functions):
        parts.append(
            f"""
int f{i}(int *v, int n) {{
  int s = {i};
  for (int k = 0; k < n; k++) {{
    switch ((v[k] + {i}) % 7) {{
    case 0: s += v[k] * {i + 3}; break;
    case 1: s ^= v[k] << {i % 5}; break;
    case {2 + i % 3}: s -= f{max(i - 1, 0)}{'' if i else '_base'}(v, n / 2); break;
    default: s += (int)strlen("string {i}") + v[k] % {i + 1}; break;
    }}
  }}
  return s;
}}"""
        )
    parts.insert(1, "static int f0_base(int *v, int n) { return v[0] + n; }\n")
    parts.append(
        f"int main(void) {{ int v[64]; for (int i = 0; i < 64; i++) v[i] = i;"
        f' printf("%d\\n", f{functions - 1}(v, 64)); return 0; }}\n'
    )
    return "\n".join(parts)


PYTHON = """
import json, hashlib, re, zlib
d = {str(i): [i, i * i, str(i) * (i %% 5)] for i in range(%d)}
t = json.dumps(d, sort_keys=True)
print(len(t), hashlib.sha256(t.encode()).hexdigest())
back = json.loads(t)
print(sum(v[1] for v in back.values()), back == d)
z = zlib.compress(t.encode(), 6)
print(len(z), zlib.decompress(z) == t.encode())
print(len(re.findall(r'[0-9]+7', t)))
s = sorted(d.values(), key=lambda v: v[2] + str(v[0]))
print(s[len(s) // 2])
import subprocess, threading
print(subprocess.run(['echo', 'from a child'], capture_output=True).stdout)
out = []
def work(k):
    out.append(sum(len(x[2]) for x in s) * k)
ts = [threading.Thread(target=work, args=(k,)) for k in range(4)]
[x.start() for x in ts]; [x.join() for x in ts]
print(sorted(out))
"""

LUA = """
local t, n = {}, 0
for i = 1, %d do t[i] = {i, tostring(i):rep(i %% 7), {x = i}} end
table.sort(t, function(a, b) return a[2] < b[2] or (a[2] == b[2] and a[1] < b[1]) end)
for i = 1, #t do n = (n * 31 + t[i][1] + #t[i][2] + t[i][3].x) %% 1000000007 end
print(n)
local s = {}
for i = 1, #t do s[#s + 1] = t[i][2] end
local long = table.concat(s, ",")
print(#long, select(2, long:gsub("77", "")))
io.write(long:sub(1, 20000), "\\n")
collectgarbage()
print(pcall(error, "an error"))
"""

# ---- cases ------------------------------------------------------------------
# A case is: name, heap size in KiB (for 25 %), and a function that prepares its
# directory and returns the argument list. Files that are left are compared.


def case_sqlite(where, scale):
    write(f"{where}/in.sql", sql_script(15000 * scale))
    return [need("sqlite3", "sqlite3"), "-batch", ":memory:", ".read in.sql"]


def case_sqlite_file(where, scale):
    write(f"{where}/in.sql", sql_script(4000 * scale))
    return [need("sqlite3", "sqlite3"), "-batch", "data.db", ".read in.sql"]


def case_sort(where, scale):
    write(f"{where}/in", numbers(25000 * scale))
    return [need("sort", "coreutils"), "--parallel=2", "-S", "4M", "-o", "out",
            "in"]


def case_sort_numeric(where, scale):
    write(f"{where}/in", numbers(20000 * scale))
    return [need("sort", "coreutils"), "-n", "-u", "in"]


def case_xz(where, scale):
    write(f"{where}/in", numbers(40000 * scale))
    return [need("xz", "xz-utils"), "-T2", "-0", "-k", "--block-size=100000",
            "in"]


def case_python(where, scale):
    write(f"{where}/in.py", PYTHON % (2000 * scale))
    return [need("python3", "python3"), "in.py"]


def case_lua(where, scale):
    write(f"{where}/in.lua", LUA % (5000 * scale))
    return [need("lua5.4", "lua5.4"), "in.lua"]


def case_gcc(where, scale):
    write(f"{where}/in.c", c_source(150 * scale))
    return [need("gcc", "gcc"), "-O2", "-c", "in.c", "-o", "out.o"]


def case_shell(where, _scale):
    script = (
        "for i in 1 2 3; do echo $i $(echo sub $i | tr a-z A-Z); done;"
        "seq 2000 | sort -r | head -3; ls -1 | wc -l; (exit 3); echo $?;"
        "printf '%s\\n' a b c | while read x; do echo got $x; done; exit 5"
    )
    return [need("sh", "dash"), "-c", script]


REDIS = r"""
server() {
  "$REDIS" --port 0 --unixsocket "$PWD/s" --dir . --save '' --appendonly no \
    --daemonize no --logfile log --enable-debug-command yes \
    --oom-score-adj no --rdb-del-sync-files no >/dev/null 2>&1 &
  pid=$!
  n=0
  while [ ! -S s ]; do
    n=$((n + 1)); [ $n -gt 600 ] && { echo no server; exit 1; }; sleep 0.05
  done
}
cli() { env -u LD_PRELOAD "$CLI" -s s "$@"; }
server
env -u LD_PRELOAD "$BENCH" -s s -q -n $N -r 1000000 -d 100 -P 16 \
  -t set,lpush,incr >/dev/null 2>&1
i=0
while [ $i -lt 60 ]; do
  echo "SET key:$i value-$i-$(printf '%0200d' $i)"; i=$((i + 1))
done | cli >/dev/null
cli DEL mylist >/dev/null
i=0
while [ $i -lt 40 ]; do echo "RPUSH list $i-$i-$i"; i=$((i + 1)); done |
  cli >/dev/null
cli BGSAVE
cli INCR after-the-fork
while cli INFO persistence | grep -q rdb_bgsave_in_progress:1; do
  sleep 0.05
done
cli INFO persistence | grep rdb_last_bgsave_status
cli GET key:7
cli LRANGE list 10 12
cli SHUTDOWN NOSAVE
wait $pid
echo "server ended with $?"
server
cli EXISTS key:8 list
cli GET key:59
cli LLEN list
cli SHUTDOWN NOSAVE
wait $pid
echo "second server ended with $?"
rm -f log dump.rdb s
"""


def case_redis(where, scale):
    os.environ["REDIS"] = need("redis-server", "redis-server")
    os.environ["BENCH"] = need("redis-benchmark", "redis-tools")
    os.environ["CLI"] = need("redis-cli", "redis-tools")
    os.environ["N"] = str(1500 * scale)
    write(f"{where}/run.sh", REDIS)
    return [need("sh", "dash"), "run.sh"]


def program(name, *arguments):
    def prepare(_where, _scale):
        path = os.path.join(OPTIONS.programs, f"program-{name}")
        if not os.access(path, os.X_OK):
            raise Missing(f"{path} was not built (gcc or libomp-dev missing)")
        return [path, *arguments]

    return prepare


# name: (heap KiB, prepare, far sizes below ample that the quick suite runs)
CASES = {
    "files": (2000, program("calls_files"), (TINY,)),
    "calls": (2000, program("calls_misc"), (TINY,)),
    "signals": (1500, program("signals"), (TINY,)),
    "locks": (1500, program("locks"), (TINY,)),
    "stacks": (2000, program("stacks"), (TINY,)),
    "forks": (2500, program("forks"), (TINY,)),
    "cxx": (4000, program("cxx"), (TINY,)),
    "sorts": (3000, program("sorts"), (TINY,)),
    "threads": (4000, program("threads_heap"), (TINY,)),
    "gomp": (1000, program("openmp-gomp"), (TINY,)),
    "libomp": (1000, program("openmp-omp"), (TINY,)),
    "sqlite": (4000, case_sqlite, ("25%", TINY)),
    "sqlite-file": (2000, case_sqlite_file, (TINY,)),
    "sort": (3000, case_sort, ("25%", TINY)),
    "sort-numeric": (2000, case_sort_numeric, (TINY,)),
    "xz": (8000, case_xz, ("25%",)),
    "python": (6000, case_python, ("25%", TINY)),
    "lua": (4000, case_lua, ("25%", TINY)),
    "gcc": (24000, case_gcc, ("25%",)),
    "shell": (500, case_shell, (TINY,)),
    "redis": (4000, case_redis, ("25%", TINY)),
}
for how in ("null", "wild", "noncanonical", "double-free", "abort", "kill",
            "exit", "overflow"):
    CASES[f"ends-{how}"] = (1500, program("ends", how), (TINY,))

# A plain run must end so, or the case tests nothing.
STATUS = {"shell": 5, "ends-null": -11, "ends-wild": -11,
          "ends-noncanonical": -11, "ends-double-free": -6, "ends-abort": -6,
          "ends-kill": -9, "ends-exit": 17, "ends-overflow": -11}

# ---- running ----------------------------------------------------------------


def run(argv, where, environment, limit_s):
    """Status, standard output, standard error of a command in its own group."""
    with subprocess.Popen(
        argv, cwd=where, env=environment, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    ) as child:
        try:
            out, err = child.communicate(timeout=limit_s)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            out, err = child.communicate()
            return "no end", out, err
        return child.returncode, out, err


def files_of(where):
    found = {}
    for name in sorted(os.listdir(where)):
        path = os.path.join(where, name)
        if os.path.isfile(path) and not os.path.islink(path):
            with open(path, "rb") as data:
                found[name] = data.read()
    return found


def base_environment():
    keep = {k: v for k, v in os.environ.items()
            if not k.startswith("CIRA_") and k != "LD_PRELOAD"}
    keep["LC_ALL"] = "C"
    keep["PATH"] = "/usr/bin:/bin:/usr/sbin:/sbin"
    keep["PYTHONMALLOC"] = "malloc"
    keep["PYTHONHASHSEED"] = "0"
    keep["OMP_WAIT_POLICY"] = "passive"
    keep.pop("LD_LIBRARY_PATH", None)
    return keep


class Servers:
    """One memory server for shm: and tcp:, started when first asked for."""

    def __init__(self, folder):
        self.folder = folder
        self.child = None
        self.urls = {}

    def url(self, place):
        if place == "host":
            return "host:"
        if self.child is None:
            self.start()
        return self.urls[place]

    def start(self):
        memd = os.path.join(OPTIONS.bin, "cira-memd")
        if not os.access(memd, os.X_OK):
            sys.exit(f"{memd} is missing; build the target cira-memd")
        self.child = subprocess.Popen(
            [memd, "--listen", f"shm:{self.folder}/s", "--listen",
             "tcp://127.0.0.1:0", "--size", "4g"],
            stdout=subprocess.PIPE, text=True)
        for place in ("shm", "tcp"):
            line = self.child.stdout.readline().split()
            if len(line) < 2 or line[0] != "ready":
                sys.exit("cira-memd does not start")
            self.urls[place] = line[1]

    def stop(self):
        if self.child is not None:
            self.child.terminate()
            self.child.wait()


def far_environment(local, url):
    environment = base_environment()
    environment["LD_PRELOAD"] = OPTIONS.shim
    environment["CIRA_LOCAL"] = local
    environment["CIRA_FAR"] = url
    environment["CIRA_FAR_SIZE"] = "4g"
    return environment


def settings(name, suite):
    """Pairs of cache size and place for a case."""
    heap_kib, _, sizes = CASES[name]
    quarter = f"{max(heap_kib // 4, 256)}k"
    places = ("host", "shm", "tcp")
    if suite == "quick":
        turn = sorted(CASES).index(name)
        wanted = (AMPLE, *sizes)
        return [(quarter if s == "25%" else s, places[(turn + i) % 3])
                for i, s in enumerate(wanted)]
    return [(s, p) for s in (AMPLE, quarter, TINY) for p in places]


def first_difference(plain, far):
    for at, (a, b) in enumerate(zip(plain, far)):
        if a != b:
            break
    else:
        at = min(len(plain), len(far))
    return (f"{len(plain)} and {len(far)} bytes, first at {at}: "
            f"{plain[at:at + 60]!r} / {far[at:at + 60]!r}")


def compare(plain, far):
    """What differs, as a list of lines."""
    said = []
    if plain[0] != far[0]:
        said.append(f"status {plain[0]} and {far[0]}")
    if plain[1] != far[1]:
        said.append("output: " + first_difference(plain[1], far[1]))
    for file in sorted(set(plain[3]) | set(far[3])):
        if plain[3].get(file) != far[3].get(file):
            said.append(f"file {file}: " + first_difference(
                plain[3].get(file, b""), far[3].get(file, b"")))
    if said and far[2]:
        said.append("standard error: " + far[2].decode("utf-8", "replace")
                    .strip()[-400:])
    return said


def attempt(name, environment, suite, limit_s):
    scale = 1 if suite == "quick" else 3
    with tempfile.TemporaryDirectory(prefix="cira-diff-") as where:
        # One fixed path, so that messages with it are the same.
        argv = CASES[name][1](where, scale)
        for key in ("REDIS", "BENCH", "CLI", "N"):
            if key in os.environ:
                environment[key] = os.environ[key]
        status, out, err = run(argv, where, environment, limit_s)
        return status, re.sub(re.escape(where).encode(), b"DIR", out), err, \
            files_of(where)


def run_case(name, suite, servers):
    plain = attempt(name, base_environment(), suite, PLAIN_LIMIT_S)
    if plain[0] != STATUS.get(name, 0):
        print(f"{name}: the plain run ends with {plain[0]}: "
              f"{plain[2].decode('utf-8', 'replace')[-400:]}")
        return 1
    failures = 0
    for local, place in settings(name, suite):
        began = time.monotonic()
        environment = far_environment(local, servers.url(place))
        far = attempt(name, environment, suite, FAR_LIMIT_S[suite])
        said = compare(plain, far)
        took = time.monotonic() - began
        print(f"{name:16} {local:>6} {place:5} {took:6.1f} s "
              f"{'DIFFERS' if said else 'same'}", flush=True)
        for line in said:
            print(f"    {line}", flush=True)
        failures += bool(said)
    return failures


def main():
    if OPTIONS.list:
        print("\n".join(CASES))
        return 0
    if not os.access(OPTIONS.shim, os.R_OK):
        sys.exit(f"{OPTIONS.shim} cannot be read; build the target cira-preload")
    failures = 0
    skipped = 0
    names = OPTIONS.only or list(CASES)
    with tempfile.TemporaryDirectory(prefix="cira-diff-") as folder:
        servers = Servers(folder)
        try:
            for name in names:
                try:
                    failures += run_case(name, OPTIONS.suite, servers)
                except Missing as missing:
                    print(f"{name}: skipped: {missing}")
                    skipped += 1
        finally:
            servers.stop()
    if failures:
        return 1
    return 77 if skipped == len(names) else 0


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--shim", default="libcira-preload.so")
    parser.add_argument("--bin", default="bin")
    parser.add_argument("--programs", default="programs")
    parser.add_argument("--suite", choices=("quick", "long"), default="quick")
    parser.add_argument("--only", action="append", choices=CASES)
    parser.add_argument("--list", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    if shutil.which("sh") is None:
        sys.exit(77)
    OPTIONS = parse()
    sys.exit(main())
