# SPDX-License-Identifier: Apache-2.0
# Runs a file in every way that must not change its result, and prints the
# output once: with all memory local, with a cache that holds everything and
# with one of 64 pages, at home in the process and at a server, as written and
# optimised, by LLVM or not, and with every step checked.
#   everywhere.py FILE [ARGUMENT]...
import subprocess
import sys

WAYS = [
    ["cira-jit", "--no-cira-opt"],
    ["cira-run", "--far", "host:", "--local", "64M"],
    ["cira-run", "--far", "host:", "--local", "256K", "--no-cira-opt"],
    ["cira-run", "--far", "host:", "--local", "256K", "--check"],
    ["cira-run", "--far", "shm:", "--local", "256K"],
    ["cira-run", "--far", "shm:", "--local", "256K", "--no-cira-opt",
     "--pipeline=canonicalize,cse"],
]

first = None
for way in WAYS:
    done = subprocess.run(way + sys.argv[1:], stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(way)}: exit status {done.returncode}")
    if first is None:
        first = done.stdout
    elif done.stdout != first:
        sys.exit(f"{' '.join(way)} gives\n{done.stdout}instead of\n{first}")
sys.stdout.write(first)
