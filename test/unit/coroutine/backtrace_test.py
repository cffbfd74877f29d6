#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""gdb sees through the switch: from a nested coroutine down to main.

backtrace_test.py PROGRAM. Exit 77 without gdb or where it may not trace.
"""
import re
import shutil
import subprocess
import sys

if not shutil.which("gdb"):
    print("backtrace: skipped: gdb is not installed")
    sys.exit(77)
run = subprocess.run(
    ["gdb", "-nx", "-batch", "-ex", "set debuginfod enabled off",
     "-ex", "break innermost", "-ex", "run", "-ex", "backtrace", sys.argv[1]],
    stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    text=True, timeout=100, check=False)
if "ptrace" in run.stdout and "Operation not permitted" in run.stdout:
    print("backtrace: skipped: tracing is not permitted here")
    sys.exit(77)
frames = re.findall(r"^#\d+\s+(?:0x[0-9a-f]+ in )?(\w+|<signal handler called>)",
                    run.stdout, re.M)
at = 0
for want in ("innermost", "inner_coroutine", "outer_coroutine", "main"):
    if want not in frames[at:]:
        print(f"backtrace: no {want} in this order in\n{run.stdout}")
        sys.exit(1)
    at = frames.index(want, at) + 1
print("backtrace:", " < ".join(frames))
