# SPDX-License-Identifier: Apache-2.0
"""Each example of examples/mlir/ by cira-run against plain C, byte for byte:
with the local cache at everything, a quarter of the data and 64 pages, as
written and optimised, over shm:; and at a quarter over unix:, where bytes
travel in requests.
"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tools"))
import toolcase as t  # noqa: E402

CASES = {}
REFERENCE = os.path.join(t.BIN, "listings-reference")
KIB = 1 << 10


def case(f):
    CASES[f.__name__] = f
    return f


def agree(c, example, args, reference, data_bytes, least=256 * KIB):
    """`least` is the smallest cache: 64 pages, unless the example thrashes
    for minutes there."""
    source = os.path.join(t.SOURCE, "examples", "mlir", f"{example}.mlir")
    expected = c.run([REFERENCE, reference] + args, 0).stdout
    _, shm = c.server(f"shm:{c.path('shm.sock')}")
    _, unix = c.server(f"unix:{c.path('unix.sock')}")
    quarter = data_bytes // 4
    runs = [(shm, local, form) for local in (4 * data_bytes, quarter, least)
            for form in ([], ["--no-cira-opt"])] + [(unix, quarter, [])]
    for url, local, form in runs:
        argv = [t.RUN, "--far", url, "--local", str(local)] + form + [source] + args
        out = c.run(argv, 0, timeout=120).stdout
        assert out == expected, f"{' '.join(argv)}: {out!r}, plain C: {expected!r}"


@case
def list_in_order(c):
    agree(c, "list_traversal", ["131072", "0"], "list", 2048 * KIB)


@case
def list_random(c):
    agree(c, "list_traversal", ["65536", "1"], "list", 1024 * KIB)


@case
def pointer_array(c):
    agree(c, "pointer_array", ["32768"], "pointers", 2048 * KIB)


@case
def graph_bfs(c):
    agree(c, "graph_bfs", ["16384", "16"], "bfs", 1280 * KIB)


@case
def edge_loop(c):
    agree(c, "edge_loop", ["65536"], "edges", 1536 * KIB)


@case
def async_access(c):
    agree(c, "async_access", ["131072"], "async", 1024 * KIB)


@case
def tiled_matmul(c):
    agree(c, "tiled_matmul", [], "matmul", 4096 * KIB, least=768 * KIB)


if __name__ == "__main__":
    t.main(CASES)
