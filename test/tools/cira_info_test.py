# SPDX-License-Identifier: Apache-2.0
"""cira-info, the manual pages and the scripts."""
import json
import os
import re
import sys

import toolcase as t
from toolcase import INFO

CASES = {}


def case(f):
    CASES[f.__name__] = f
    return f


@case
def info_text(c):
    out = c.run([INFO], 0).stdout
    for word in ("kernel", "mode chosen", "userfaultfd", "caches", "nodes", "cgroup",
                 "tiers", "memfd", "default server"):
        assert word in out, f"{word} is missing in:\n{out}"


@case
def info_json(c):
    info = json.loads(c.run([INFO, "--json"], 0).stdout)
    assert info["machine"]["kernel"] == os.uname().release
    assert info["machine"]["memory_bytes"] > 1 << 20
    assert info["tiers"][0]["tier"] == "local" and info["tiers"][0]["usable"] == "yes", info
    paging = info["paging"]
    chosen = paging["mode_chosen"]
    assert chosen.startswith("none") or paging[f"mode_{chosen}"].startswith("ok"), paging


@case
def info_refuses(c):
    c.refused([INFO, "--far", "shm:"], 2, "--measure")
    c.refused([INFO, "extra"], 2, "extra")
    c.refused([INFO, "--measure", "--far", "what:ever"], 2, "what:ever")
    c.refused([INFO, "--save"], 2, "add --measure")
    c.refused([INFO, "--once"], 2, "--measure")
    c.refused([INFO, "--measure=m.json", "--save"], 2, "without a file")
    c.refused([INFO, "--stats", "/etc/passwd"], 1, "/etc/passwd", "counters file")
    c.refused([INFO, "--stats", "/no/such"], 1, "/no/such")


MODEL = {"llc_latency_ns", "local_latency_ns", "far_latency_ns", "local_bytes_per_us",
         "far_bytes_per_us", "llc_bytes", "line_bytes", "page_bytes", "op_ns", "lines_in_flight",
         "prefetches_in_flight"}


@case
def info_measure(c):
    """The model is whole, and all that it lacks is named with the reason."""
    text = c.run([INFO, "--once", f"--measure={c.path('m.json')}"], 0).stdout
    assert "GB/s" in text and "page miss" in text and "node0" in text, text
    with open(c.path("m.json"), encoding="ascii") as f:
        model = json.load(f)
    assert MODEL <= set(model), model
    assert all(isinstance(v, int) and v >= 1 for v in model.values()), model
    assert model["page_bytes"] == 4096, model
    left_out = text[text.index("left out of the model"):text.index("caches")]
    with open(os.path.join(t.SOURCE, "compiler", "dialect", "CiraAttrs.td"),
              encoding="utf-8") as f:
        td = f.read()
    td = td[td.index("def CIRA_MachineAttr"):td.index("let assemblyFormat = \"`<` struct(params)")]
    fields = set(re.findall(r":\$(\w+)", td)) - {"devices"}
    assert set(model) <= fields, set(model) - fields
    for field in fields - set(model):
        assert field.replace("_", " ") in left_out, field


@case
def info_measure_places(c):
    """The first place gives the model; requests in flight only where there
    are requests."""
    _, url = c.server(f"unix:{c.path('unix.sock')}")
    out = c.run([INFO, "--measure", "--once", "--json", "--far", url, "--far", "host:"], 0).stdout
    assert json.loads(out)["pages_in_flight"] >= 1, out
    out = c.run([INFO, "--measure", "--once", "--json"], 0, env=dict(os.environ, CIRA_FAR="host:")).stdout
    assert "pages_in_flight" not in json.loads(out), out


@case
def info_measure_for_compiler(c):
    """cira-opt reads the measured model and reckons with it."""
    opt = os.path.join(t.BIN, "cira-opt")
    t.need(opt, "cira-opt")
    c.run([INFO, "--once", f"--measure={c.path('m.json')}", "--far", "host:"], 0)
    with open(c.path("m.json"), encoding="ascii") as f:
        far_ns = json.load(f)["far_latency_ns"]
    code = ("func.func @f(%a: memref<?xf32>, %n: index) {\n %c0 = arith.constant 0 : index\n"
            " %c1 = arith.constant 1 : index\n scf.for %i = %c0 to %n step %c1 {\n"
            " %v = memref.load %a[%i] : memref<?xf32>\n }\n return\n}\n")
    with open(c.path("f.mlir"), "w", encoding="ascii") as f:
        f.write(code)
    done = c.run([opt, f"--cira-machine={c.path('m.json')}", c.path("f.mlir"),
                  "--cira-recognize", "--cira-prefetch-distance"], 0)
    assert f"for pages ({far_ns} ns)" in done.stderr, done.stderr


@case
def info_measure_saves(c):
    """The model is where cira-cc looks, in folders that are made."""
    env = dict(os.environ, XDG_CONFIG_HOME=c.path("config"))
    done = c.run([INFO, "--measure", "--once", "--save", "--far", "host:"], 0, env=env)
    path = c.path("config/cira/machine.json")
    assert f"cira-info: wrote {path}" in done.stderr, done.stderr
    with open(path, encoding="ascii") as f:
        assert json.load(f)["local_latency_ns"] > 0


@case
def info_measure_refuses(c):
    where = f"shm:{c.path('none')}"
    c.refused([INFO, f"--measure={c.path('m.json')}", "--far", where], 1, c.path("none"))
    assert not os.path.exists(c.path("m.json"))
    c.refused([INFO, "--measure", "--save"], 1, "set XDG_CONFIG_HOME or HOME",
              env={"PATH": "/usr/bin"})
    c.refused([INFO, "--measure=/no/such/m.json"], 1, "/no/such/m.json")
    c.refused([INFO, "--measure", "--json"], 1, "what:ever",
              env=dict(os.environ, CIRA_FAR="what:ever"))


@case
def man_pages(c):
    folder = os.path.join(t.BUILD, "man")
    pages = sorted(os.listdir(folder))
    assert {"cira-run.1", "cira-info.1"} <= set(pages), pages
    env = dict(os.environ, LC_ALL="C.UTF-8", MANROFFSEQ="", MANWIDTH="80", MAN_KEEP_FORMATTING="")
    for page in pages:
        done = c.run(["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z",
                      os.path.join(folder, page)], 0, env=env)
        assert done.stderr == "", f"{page}: {done.stderr}"
        text = c.run(["man", "-l", os.path.join(folder, page)], 0, env=env).stdout
        for word in ("NAME", "SYNOPSIS", "DESCRIPTION", "--help"):
            assert word in text, f"{page}: no {word}"


@case
def environment_documented(c):
    """Each CIRA_* variable that the sources read is in docs/environment.md."""
    with open(os.path.join(t.SOURCE, "docs", "environment.md"), encoding="utf-8") as f:
        documented = set(re.findall(r"\bCIRA_[A-Z_]+\b", f.read()))
    used = set()
    for folder in ("runtime", "tools"):
        for path, _, names in os.walk(os.path.join(t.SOURCE, folder)):
            for name in names:
                if name.endswith((".c", ".h")):
                    with open(os.path.join(path, name), encoding="utf-8") as f:
                        used.update(re.findall(
                            r'(?:getenv|env_set|cira__env\w*|option_\w+)\("(CIRA_[A-Z_]+)"',
                            f.read()))
    assert used <= documented, f"not in docs/environment.md: {sorted(used - documented)}"


@case
def setup_is_idle_when_complete(c):
    """scripts/setup does nothing when dpkg-query knows every package, and asks
    apt-get for exactly the one that is missing otherwise."""
    log = c.path("apt.log")
    for name, text in (
            ("dpkg-query", 'for a; do :; done; [ "$a" = "$TEST_MISSING" ] && exit 1; '
                           'printf installed'),
            ("apt-get", f'echo "$@" >>{log}'),
            ("sudo", 'exec "$@"')):
        with open(c.path(name), "w", encoding="ascii") as f:
            f.write(f"#!/bin/sh\n{text}\n")
        os.chmod(c.path(name), 0o755)
    setup = os.path.join(t.SOURCE, "scripts", "setup")
    env = dict(os.environ, PATH=f"{c.tmp}:{os.environ['PATH']}", TEST_MISSING="none")
    assert c.run([setup], 0, env=env).stdout == ""
    assert not os.path.exists(log)
    out = c.run([setup], 0, env=dict(env, TEST_MISSING="lua5.4")).stdout
    assert "lua5.4" in out and "interpreter" in out, out
    with open(log, encoding="ascii") as f:
        calls = f.read().splitlines()
    assert len(calls) == 2 and calls[0].endswith("update"), calls
    assert calls[1].endswith("install -y --no-install-recommends lua5.4"), calls


@case
def summary_counts(c):
    os.mkdir(c.path("r"))
    with open(c.path("r/release.xml"), "w", encoding="ascii") as f:
        f.write('<testsuite><testcase name="a" status="run"/>'
                '<testcase name="b" status="fail"><failure message=""/>'
                "<system-out>boom</system-out></testcase>"
                '<testcase name="c" status="notrun"><skipped message="SKIP_RETURN_CODE=77"/>'
                "<system-out>c: skipped: no root</system-out></testcase></testsuite>")
    with open(c.path("r/extra.tsv"), "w", encoding="ascii") as f:
        f.write("passed\tcheck-layers\n")
    done = c.run(["/usr/bin/python3", os.path.join(t.SOURCE, "scripts", "test-summary"),
                  c.path("r")], 1)
    assert done.stdout.splitlines()[-1] == "2 passed, 1 failed, 1 skipped", done.stdout
    assert "skipped: release: c: c: skipped: no root" in done.stdout, done.stdout
    assert "boom" in done.stdout


if __name__ == "__main__":
    sys.exit(t.main(CASES))
