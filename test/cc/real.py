#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Real packages built by clang and by cira-cc: both must do the same.

  real.py --package NAME|all [--ways clang,cira,eager] [--jobs N] [--keep]

Each package is a Debian source package (see sources.py). It is built by clang,
by cira-cc as a user calls it, and by cira-cc with a machine on which every
indirect access gains and with every function sent through MLIR; its own test
suite runs each time, and what its programs print and write is compared.
Exit status 77: the source or a tool is not to be had here, and why.
"""
import argparse
import os
import shutil
import stat
import sys
import time

import common
import packages
import sources

EXIT_SKIP = 77


def wrapper(folder, name, command):
    """A compiler with options built in: many Makefiles want a single word."""
    path = os.path.join(folder, name)
    with open(path, "w", encoding="utf-8") as f:
        f.write("#!/bin/sh\nexec " + " ".join(command) + ' "$@"\n')
    os.chmod(path, os.stat(path).st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
    return path


def compilers(arguments, folder):
    cc, clang = os.path.abspath(arguments.cc), os.path.abspath(arguments.clang)
    cxx = os.path.join(os.path.dirname(cc), "cira-c++")
    machine = os.path.join(folder, "eager.json")
    with open(machine, "w", encoding="utf-8") as f:
        f.write(common.EAGER)
    eager = ["-fcira=all", f"-mcira-machine={machine}",
             "--start-no-unused-arguments", *common.ROUTE_ALL,
             "--end-no-unused-arguments"]
    return {
        "clang": packages.Compiler("clang", clang, clang + "++"),
        "cira": packages.Compiler("cira", cc, cxx),
        "eager": packages.Compiler("eager", wrapper(folder, "eager-cc", [cc, *eager]),
                                   wrapper(folder, "eager-c++", [cxx, *eager])),
    }


def different(want, got):
    """What differs between the notes of two builds."""
    found = []
    for name in sorted(set(want) | set(got)):
        if want.get(name) != got.get(name):
            found.append(f"{name}: {str(got.get(name))[-300:]} instead of "
                         f"{str(want.get(name))[-300:]}")
    return found


def test(name, arguments, folder):
    """Failures of one package, as texts."""
    package = packages.PACKAGES[name]
    tree = sources.fetch(package.source, os.path.abspath(arguments.cache), package.patched)
    failures, want = [], None
    for way, compiler in compilers(arguments, folder).items():
        if way not in arguments.ways:
            continue
        start = time.monotonic()
        build = packages.Build(compiler, tree, os.path.join(folder, way), arguments.jobs)
        try:
            package.build(build)
            built = time.monotonic()
            package.check(build)
        except packages.Broken as e:
            failures.append(f"{way}: {e}")
            print(f"{name} {way}: FAILED", flush=True)
            if way == "clang":
                break  # there is nothing to compare with
            continue
        print(f"{name} {way}: built in {built - start:.0f} s, tested in "
              f"{time.monotonic() - built:.0f} s, {build.remarks()} loops changed", flush=True)
        if want is None:
            want = build.notes
        failures += [f"{way}: {text}" for text in different(want, build.notes)]
        if not arguments.keep:
            shutil.rmtree(build.source)
    return failures


def main():
    parser = common.options(argparse.ArgumentParser(description=__doc__.splitlines()[0]))
    parser.add_argument("--package", required=True, choices=[*packages.PACKAGES, "all"])
    parser.add_argument("--cache", default="build/sources", help="where sources are kept")
    parser.add_argument("--work", default="build/real", help="where packages are built")
    parser.add_argument("--ways", default="clang,cira,eager", type=lambda s: s.split(","))
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--keep", action="store_true", help="leave what was built")
    arguments = parser.parse_args()
    # Whatever this machine's own model is: results are to be had again.
    os.environ["SOURCE_DATE_EPOCH"] = "1"
    chosen = list(packages.PACKAGES) if arguments.package == "all" else [arguments.package]
    failed, skipped = 0, []
    for name in chosen:
        folder = os.path.abspath(os.path.join(arguments.work, name))
        os.makedirs(folder, exist_ok=True)
        try:
            failures = test(name, arguments, folder)
        except (sources.Unavailable, packages.Missing) as e:
            skipped.append(name)
            print(f"{name}: skipped: {e}", flush=True)
            continue
        print(f"{name}: {'FAILED' if failures else 'ok'}", flush=True)
        for text in failures:
            print("  " + text.replace("\n", "\n    "))
        failed += bool(failures)
    if failed:
        sys.exit(1)
    sys.exit(EXIT_SKIP if len(skipped) == len(chosen) else 0)


if __name__ == "__main__":
    main()
