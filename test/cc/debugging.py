#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What tools say about a program must not depend on cira-cc: debuggers find the
source lines of a changed loop, sanitizers report the same errors, and both
kinds of coverage count the same."""
import argparse
import os
import re
import shutil

import common
from common import outcome, run

LOOP = """\
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

__attribute__((noinline)) size_t choose(const uint64_t *table, const uint32_t *index,
                                        size_t n, uint64_t *out) {
  size_t count = 0;
  for (size_t i = 0; i < n; i++) {
    uint64_t value = table[index[i]];
    if (value & 1) {
      out[count++] = value * 3; /* here */
    }
  }
  return count;
}

int main(int argc, char **argv) {
  size_t n = 1000, extra = argc > 1 ? (size_t)atoi(argv[1]) : 0;
  uint64_t *table = malloc(n * sizeof *table);
  uint32_t *index = malloc(n * sizeof *index);
  uint64_t *out = malloc(n * sizeof *out);
  for (size_t i = 0; i < n; i++) {
    table[i] = i * 7 + 1;
    index[i] = (uint32_t)(i * 7919 % n);
  }
  index[n / 2] += (uint32_t)(extra * n);
  size_t count = choose(table, index, n, out);
  printf("%zu %llu\\n", count, (unsigned long long)out[count / 2]);
  free(table);
  free(index);
  free(out);
  return 0;
}
"""


def build(tools, compiler, options, out):
    """True if it is built, and, by cira-cc, with a changed loop."""
    more = []
    if compiler == tools.cc:
        more = [f"-mcira-machine={tools.eager}", "-Rpass=cira"]
    done = run([compiler, *options, *more, tools.write("loop.c", LOOP), "-o", out],
               cwd=tools.work)
    said = done.stderr.decode()
    return not done.returncode and (not more or "prefetched" in said), said


def lines_in_gdb(tools, _):
    """A breakpoint in the loop is hit; gdb names its line and its variables."""
    if not shutil.which("gdb"):
        print("gdb is not installed")
        return []
    failures = []
    here = LOOP[:LOOP.index("/* here */")].count("\n") + 1
    for level in ("-O1", "-O2", "-O3"):
        program = tools.path("program")
        good, said = build(tools, tools.cc, [level, "-g"], program)
        if not good:
            failures.append(f"{level}: no changed loop: {said}")
            continue
        script = [f"break loop.c:{here}", "run", "frame", "print n", "info line",
                  "next", "backtrace", "kill"]
        argv = ["gdb", "-nx", "-batch", "-iex", "set debuginfod enabled off"]
        for line in script:
            argv += ["-ex", line]
        text = run([*argv, program], cwd=tools.work).stdout.decode()
        if "ptrace: Operation not permitted" in text:
            print("gdb may not trace here")
            return []
        for pattern in (rf"Breakpoint 1, .*choose .*loop\.c:{here}|choose .*at .*loop\.c:{here}",
                        rf"^{here}\s+out\[count\+\+\] = value \* 3; /\* here \*/",
                        r"#1 .* main .*loop\.c:\d+"):
            if not re.search(pattern, text, re.M):
                failures.append(f"{level}: gdb does not say /{pattern}/: {text}")
    return failures


def line_table(tools, _):
    """Each line of the loop that clang's code has, ours has too; and what is
    new belongs to a line of the loop."""
    failures = []
    tables = {}
    for compiler in (tools.clang, tools.cc):
        program = tools.path("x.o")
        good, said = build(tools, compiler, ["-O2", "-g", "-c"], program)
        text = run(["objdump", "--dwarf=decodedline", program]).stdout.decode()
        tables[compiler] = {int(n) for n in re.findall(r"^loop\.c\s+(\d+)\s", text, re.M)}
        if not good:
            failures.append(f"no changed loop: {said}")
    lost = tables[tools.clang] - tables[tools.cc]
    if lost or not tables[tools.clang]:
        failures.append(f"lines lost: {sorted(lost)}")
    if tables[tools.cc] - tables[tools.clang] - set(range(5, 15)):
        failures.append(f"lines of elsewhere: {sorted(tables[tools.cc])}")
    return failures


def sanitizers(tools, _):
    """The same report, at the same line, for a read out of bounds. The address
    sanitizer comes after cira, so loops are changed under it; the others put
    their calls into the loop before, and it is left alone."""
    failures = []
    for kinds in ("address", "address,undefined", "thread"):
        reports = []
        for compiler in (tools.clang, tools.cc):
            out = tools.path("program")
            good, said = build(tools, compiler, ["-O2", "-g", f"-fsanitize={kinds}"], out)
            if not good and (kinds == "address" or not os.path.exists(out)):
                return [f"{kinds}: no changed loop: {said}"]
            clean = outcome([out], cwd=tools.work)
            code, _, errors = outcome([out, "40000"], cwd=tools.work)
            found = re.search(rb"ERROR: \w+: (\S+)|runtime error: (.*)", errors)
            where = re.search(rb"#0 .* in (\w+) .*?(loop\.c:\d+)", errors)
            reports.append((clean, code, found and found.groups(), where and where.groups()))
            os.remove(out)
        if reports[0] != reports[1] or ("address" in kinds and not reports[0][2]):
            failures.append(f"{kinds}: {reports[1]} instead of {reports[0]}")
    return failures


def profile_coverage(tools, _):
    """-fprofile-instr-generate -fcoverage-mapping: llvm-cov shows the same."""
    shown = []
    programs = os.path.dirname(os.path.realpath(tools.clang))
    if not os.path.exists(os.path.join(programs, "llvm-cov")):
        print("llvm-cov is not installed")
        return []
    for compiler in (tools.clang, tools.cc):
        out = tools.path("program")
        good, said = build(tools, compiler,
                           ["-O2", "-fprofile-instr-generate", "-fcoverage-mapping"], out)
        if not good:
            return [f"no changed loop under coverage: {said}"]
        raw, merged = tools.path("raw"), tools.path("merged")
        run([out], env={**os.environ, "LLVM_PROFILE_FILE": raw})
        run([f"{programs}/llvm-profdata", "merge", raw, "-o", merged])
        shown.append(run([f"{programs}/llvm-cov", "show", out, f"-instr-profile={merged}"],
                         cwd=tools.work).stdout)
    if shown[0] != shown[1] or b"1.00k" not in shown[0]:
        return [f"{shown[1].decode()} instead of {shown[0].decode()}"]
    return []


def gcov_coverage(tools, _):
    """--coverage: the counts of gcov are the same."""
    shown = []
    programs = os.path.dirname(os.path.realpath(tools.clang))
    if not os.path.exists(os.path.join(programs, "llvm-cov")):
        return []
    for compiler in (tools.clang, tools.cc):
        for name in os.listdir(tools.work):
            if name.endswith((".gcno", ".gcda", ".gcov")):
                os.remove(tools.path(name))
        good, said = build(tools, compiler, ["-O2", "--coverage", "-c"], tools.path("loop.o"))
        if not good:
            return [f"no changed loop under --coverage: {said}"]
        run([compiler, "--coverage", "loop.o", "-o", "program"], cwd=tools.work)
        run([tools.path("program")], cwd=tools.work)
        run([f"{programs}/llvm-cov", "gcov", "loop.c"], cwd=tools.work)
        with open(tools.path("loop.c.gcov"), encoding="utf-8") as f:
            shown.append(f.read())
    if shown[0] != shown[1] or "1000" not in shown[0]:
        return [f"{shown[1]} instead of {shown[0]}"]
    return []


if __name__ == "__main__":
    parser = common.options(argparse.ArgumentParser())
    common.main(parser.parse_args(), {
        "lines in gdb": lines_in_gdb, "line table": line_table,
        "sanitizers": sanitizers, "profile coverage": profile_coverage,
        "gcov coverage": gcov_coverage})
