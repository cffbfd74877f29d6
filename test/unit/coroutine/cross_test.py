#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The switches of the other processors, run by qemu's user emulation.

cross_test.py SOURCE_DIR. Builds two examples for AArch64 and RISC-V with
Debian's cross compilers; exit 77 where neither compiler nor emulator is there.
"""
import glob
import os
import shutil
import subprocess
import sys
import tempfile

root = sys.argv[1]
sources = sum((glob.glob(f"{root}/runtime/{part}") for part in
               ("base/*.c", "channel/*.c", "coroutine/*.c", "coroutine/*.S")), [])
EXPECT = {
    "generator": ("1\n", "\n987\n"),
    "tasks": ("jobs done: 30\n", "the patient one: cancelled\n"),
}
tried = 0
for arch in ("aarch64", "riscv64"):
    compiler = shutil.which(f"{arch}-linux-gnu-gcc")
    emulator = shutil.which(f"qemu-{arch}-static") or shutil.which(f"qemu-{arch}")
    if not compiler or not emulator:
        print(f"cross: {arch} skipped: no cross compiler or no emulator")
        continue
    with tempfile.TemporaryDirectory() as work:
        for example, (begin, end) in EXPECT.items():
            program = os.path.join(work, example)
            subprocess.run([compiler, "-std=gnu17", "-D_GNU_SOURCE", "-static", "-O1",
                            f"-I{root}/include", f"-I{root}/runtime", *sources,
                            f"{root}/examples/coroutine/{example}.c",
                            "-o", program, "-lpthread"], check=True)
            out = subprocess.run([emulator, program], stdout=subprocess.PIPE,
                                 text=True, timeout=60, check=True).stdout
            if begin not in out or not out.endswith(end):
                print(f"cross: {arch}: {example} said\n{out}")
                sys.exit(1)
            tried += 1
print(f"cross: {tried} runs")
sys.exit(0 if tried else 77)
