# SPDX-License-Identifier: Apache-2.0
"""What the tests of cira-cc share: running compilers and programs, counting.

A test is a function that returns a list of failures (texts). Everything
happens in a temporary folder that goes away. Standard library only.
"""
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROUTE_ALL = ["-Xclang", "-mllvm", "-Xclang", "-cira-route=all"]
# A machine on which every indirect access gains: tests see many prefetches.
EAGER = ('{"local_latency_ns": 400, "lines_in_flight": 32, '
         '"prefetches_in_flight": 64, "llc_bytes": 64, "op_ns": 1}\n')


class Tools:
    def __init__(self, cc, clang, work):
        self.cc = cc  # cira-cc; cira-c++ is beside it
        self.cxx = os.path.join(os.path.dirname(cc), "cira-c++")
        self.clang = clang
        self.clangxx = clang + "++"
        self.work = work
        self.eager = self.write("eager.json", EAGER)

    def path(self, name):
        return os.path.join(self.work, name)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as f:
            f.write(text)
        return self.path(name)


def run(command, **more):
    more.setdefault("timeout", 120)
    return subprocess.run([str(c) for c in command], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, check=False, **more)


def outcome(command, **more):
    """Exit code, output and errors of a program; a time-out is an outcome."""
    try:
        done = run(command, **more)
    except subprocess.TimeoutExpired:
        return ("time-out", b"", b"")
    return (done.returncode, done.stdout, done.stderr)


def main(arguments, tests):
    """tests: name -> function(Tools, arguments) that returns failures."""
    os.environ["SOURCE_DATE_EPOCH"] = "1"  # whatever this machine's model is
    with tempfile.TemporaryDirectory(prefix="cira-cc-") as work:
        tools = Tools(os.path.abspath(arguments.cc),
                      os.path.abspath(arguments.clang), work)
        failures = 0
        for name, test in tests.items():
            found = test(tools, arguments)
            print(f"{name}: {'ok' if not found else 'FAILED'}", flush=True)
            for text in found:
                print(f"  {text}")
            failures += len(found)
    sys.exit(1 if failures else 0)


def options(parser):
    parser.add_argument("--cc", required=True, help="cira-cc")
    parser.add_argument("--clang", required=True, help="clang 19")
    return parser
