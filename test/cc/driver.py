#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""cira-cc as a compiler: it must behave as clang does, plus its own options."""
import argparse
import os
import re
import shutil

import common
from common import outcome, run

BRANCHY = """
#include <stdint.h>
#include <stddef.h>
size_t choose(const uint64_t *a, const uint32_t *b, size_t n, uint32_t *out) {
  size_t count = 0;
  for (size_t i = 0; i < n; i++) {
    if (a[b[i]] & 1) {
      out[count++] = b[i];
    }
  }
  return count;
}
uint64_t add(const uint64_t *a, size_t n) {
  uint64_t s = 0;
  for (size_t i = 0; i < n; i++) {
    s += a[i];
  }
  return s;
}
int one(void) { return 1; }
"""


def same_as_clang(tools, _):
    """Exit code, output, errors and files written, option by option."""
    tools.write("good.c", "#include \"part.h\"\nint main(void) { return N; }\n")
    tools.write("part.h", "#define N 3\n")
    tools.write("bad.c", "int main(void) { return x; }\n")
    tools.write("warns.c", "int f(int unused) { int x; return x; }\n")
    tools.write("a.s", ".globl f\nf: ret\n")
    tools.write("a.cpp", "template <class T> T f(T t) { return t; }\n"
                         "int main() { return f(0); }\n")
    tools.write("args", "-O2 -DN2=\"a b\" 'good.c'\n -c")
    cases = [
        ["good.c", "-o", "out"], ["-c", "good.c", "-o", "out"],
        ["-S", "-O2", "good.c", "-o", "out"], ["-E", "good.c"],
        ["-M", "good.c"], ["-MM", "-MF", "out", "good.c"],
        ["-MMD", "-MP", "-MF", "out", "-c", "good.c", "-o", "x.o"],
        ["-fsyntax-only", "good.c"], ["bad.c"], ["-c", "bad.c", "-O2"],
        ["-Wall", "-Wextra", "-c", "warns.c", "-o", "out"],
        ["-Wall", "-Werror", "-c", "warns.c"], ["no-such-file.c"], [],
        ["-fno-such-option", "good.c"], ["-c", "a.s", "-o", "out"],
        ["-x", "c++", "a.cpp", "-o", "out", "-lstdc++"], ["@args", "-o", "out"],
        ["@no-such-file"], ["-dumpversion"], ["-dumpmachine"],
        ["-print-search-dirs"], ["-print-resource-dir"],
        ["-emit-llvm", "-S", "-O2", "good.c", "-o", "-"],
        ["-O2", "-flto", "-c", "good.c", "-o", "out"],
        ["-O2", "-g", "-c", "good.c", "-o", "out"],
        ["-o", "-fcira=wrong", "-c", "good.c"],
        ["-DX=-fcira=wrong", "-include", "part.h", "-c", "good.c", "-o", "out"],
        ["-O2", "--", "good.c"],
        ["-O2", "-c", "-target", "aarch64-linux-gnu", "good.c", "-o", "out"],
    ]
    failures = []
    for case in cases:
        results = []
        for compiler in (tools.clang, tools.cc):
            for name in ("out", "a.out", "-fcira=wrong"):
                if os.path.exists(tools.path(name)):
                    os.remove(tools.path(name))
            got = outcome([compiler, *case], cwd=tools.work)
            files = []
            for name in ("out", "a.out", "-fcira=wrong"):
                if os.path.exists(tools.path(name)):
                    with open(tools.path(name), "rb") as f:
                        files.append((name, f.read()))
            results.append((got, files))
        if results[0] != results[1]:
            failures.append(f"{' '.join(case)}: {results[1][0]} instead of "
                            f"{results[0][0]}" +
                            ("" if results[0][1] == results[1][1] else
                             " (and other files)"))
    return failures


def streams(tools, _):
    """Standard input and output; the C++ driver links libstdc++."""
    failures = []
    done = run([tools.cc, "-x", "c", "-", "-O2", "-S", "-o", "-"],
               input=BRANCHY.encode())
    if done.returncode or b"choose:" not in done.stdout:
        failures.append(f"from standard input: {done.stderr.decode()}")
    source = tools.write("s.cpp", "#include <string>\n#include <cstdio>\n"
                                  "int main(int c, char **v) { std::string s(v[0]);"
                                  " std::puts(s.empty() ? \"\" : \"ok\"); }\n")
    done = run([tools.cxx, source, "-o", tools.path("s")])
    if done.returncode or run([tools.path("s")]).stdout != b"ok\n":
        failures.append(f"cira-c++: {done.stderr.decode()}")
    return failures


TREES = """
typedef unsigned long u64;
struct tree { u64 key, value; const struct tree *left, *right; };
#define SEARCH(i) const struct tree *t = root; \\
  while (t && t->key != key[i]) t = key[i] < t->key ? t->left : t->right;
void with_restrict(const struct tree *root, const u64 *key, long n, u64 *restrict out) {
  for (long i = 0; i < n; i++) { SEARCH(i) out[i] = t ? t->value : 0; }
}
void shared_out(const struct tree *root, const u64 *key, long n, u64 *out) {
#pragma omp parallel for
  for (long i = 0; i < n; i++) { SEARCH(i) out[i] = t ? t->value : 0; }
}
u64 summed_up(const struct tree *root, const u64 *key, long n) {
  u64 s = 0;
#pragma omp parallel for reduction(+:s)
  for (long i = 0; i < n; i++) { SEARCH(i) s += t ? t->value : 0; }
  return s;
}
void asserted(const struct tree *root, const u64 *key, long n, u64 *out) {
#pragma omp simd
  for (long i = 0; i < n; i++) { SEARCH(i) out[i] = t ? t->value : 0; }
}
"""
CONTAINERS = """
#include <algorithm>
#include <list>
#include <map>
#include <unordered_map>
#include <vector>
using keys = std::vector<unsigned long>;
unsigned long in_map(const std::map<unsigned long, unsigned long> &m, const keys &k) {
  unsigned long s = 0;
  for (auto x : k) { auto at = m.find(x); if (at != m.end()) s += at->second; }
  return s;
}
unsigned long in_table(const std::unordered_map<unsigned long, unsigned long> &m, const keys &k) {
  unsigned long s = 0;
  for (auto x : k) { auto at = m.find(x); if (at != m.end()) s += at->second; }
  return s;
}
unsigned long in_lists(const std::vector<std::list<unsigned long>> &v) {
  unsigned long s = 0;
  for (auto &l : v) for (auto x : l) s += x;
  return s;
}
void in_order(const keys &a, const keys &k, std::vector<unsigned> &out) {
  for (size_t i = 0; i < k.size(); i++)
    out[i] = std::lower_bound(a.begin(), a.end(), k[i]) - a.begin();
}
"""


def chains_found(tools, _):
    """Loops with chains are seen as clang leaves them."""
    failures = []
    for name, text, options, count in [
            ("trees.c", TREES, ["-fopenmp"], 4),
            ("containers.cpp", CONTAINERS, ["-std=c++17"], 4)]:
        source = tools.write(name, text)
        compiler = tools.cxx if name.endswith("cpp") else tools.cc
        for level in ["-O2", "-O3"]:
            done = run([compiler, level, "-fcira=all", "-c", source, "-o",
                        tools.path("x.o"), "-Rpass=cira", "-Rpass-missed=cira",
                        *options])
            said = done.stderr.decode().count("remark: interleaved ")
            if done.returncode or said < count:
                failures.append(f"{name} {level}: {said} loops interleaved "
                                f"instead of {count} or more: {done.stderr.decode()}")
    return failures


def own_options(tools, _):
    source = tools.write("loops.c", BRANCHY)
    failures = []

    def expect(arguments, code, pattern, where="stderr"):
        done = run([tools.cc, *arguments], cwd=tools.work)
        text = getattr(done, where).decode()
        if done.returncode != code or not re.search(pattern, text):
            failures.append(f"{' '.join(arguments)}: {done.returncode} {text!r};"
                            f" expected {code} and /{pattern}/")

    build = ["-O2", "-g", "-c", source, "-o", tools.path("x.o")]
    says = [*build, "-Rpass=cira", "-Rpass-missed=cira"]
    expect(says, 0, r"loops.c:7:9: remark: prefetched 20 iterations ahead")
    expect([*says, "-fno-cira"], 0, r"^$")
    expect([*says, "-fno-cira", "-fcira"], 0, "prefetched 20 ")
    expect([*says, "-fcira=prefetch"], 0, "prefetched 20 ")
    expect([*says, "-fcira=interleave,prefetch"], 0, "prefetched 20 ")
    expect([*says, "-fcira=interleave"], 0, r"^$")
    expect([*says, "-fcira=huge"], 0, r"^$")
    expect([*build, "-fcira=magic"], 1,
           "^cira-cc: error: unknown value in '-fcira=magic'; there are: "
           "(.*, )?prefetch, (.*, )?none\n$")
    expect([*says, "-fcira=none"], 0, "^$")
    expect([*says, "-fcira=none", "-fcira=prefetch"], 0, "prefetched 20 ")
    expect([*build, "-fcira=prefetch,none"], 1, "write -fcira=none alone")
    expect([*build, "-fcira=all,jump"], 1, "write -fcira=all alone")
    expect([*says, "-fcira=all"], 0, "prefetched 20 ")
    expect([*build, "-fcira="], 1, "unknown value in '-fcira='")
    expect([*build, "-fcira=prefetch,"], 1, "a name is missing at the end")
    expect([*says, f"-mcira-machine={tools.eager}"], 0, "prefetched 1[0-9][0-9] ")
    expect([*build, "-mcira-machine=none.json"], 1,
           "^cira-cc: error: cannot open machine model 'none.json'; No such")
    tools.write("broken.json", "{\"local_latency_ns\": 80,")
    expect([*build, "-mcira-machine=broken.json"], 1,
           "^cira-cc: error: no machine model in 'broken.json'; line 1: ")
    expect([*build, f"-mcira-machine={tools.work}"], 1,
           f"error: .*cannot read machine model {tools.work}: ")
    expect([*build, "-mcira-machine="], 1, "write -mcira-machine=FILE")
    tools.write("list.json", "[1]")
    expect([*build, "-mcira-machine=list.json"], 1, "not an object")
    tools.write("unknown.json", "{\"speed\": 80}")
    expect([*build, "-mcira-machine=unknown.json"], 1,
           r"error: cira: .*unknown.json is no machine model: ")
    expect([*build, "--cira-emit=asm"], 1,
           "unknown value in '--cira-emit=asm'; there are: mlir, cira, llvm")
    emit = ["-O2", source]
    expect([*emit, "--cira-emit=mlir"], 0, r"// choose\n(.|\n)*@cira.last",
           "stdout")
    expect([*emit, "--cira-emit=cira"], 0, "llvm.intr.prefetch", "stdout")
    expect([*emit, "--cira-emit=llvm"], 0, "call void @llvm.prefetch", "stdout")
    expect([*emit, "--cira-emit=llvm", "-o", "emitted"], 0, "^$")
    with open(tools.path("emitted"), encoding="utf-8") as f:
        if "@llvm.prefetch" not in f.read():
            failures.append("--cira-emit=llvm -o emitted: no IR in the file")
    expect([*emit, "--cira-emit=llvm", "-fno-cira"], 1, "leave out -fno-cira")
    tools.write("file", f"-O2 -g -c {source} -o x.o -fcira=magic")
    expect(["@file"], 1, "unknown value in '-fcira=magic'")
    tools.write("file", f"-O2 -g -c '{source}' -o x.o -fno-cira -Rpass=cira")
    expect(["@file"], 0, "^$")
    tools.write("inner", f"-Rpass=cira {source}")
    tools.write("file", "-O2 -g -c -o x.o -fcira @inner")
    expect(["@file"], 0, "prefetched 20 ")
    expect(["--version"], 0, r"clang version 19(.|\n)*cira version [0-9]",
           "stdout")
    expect(["--help"], 0, r"-fno-cira(.|\n)*USAGE", "stdout")
    return failures


def own_model(tools, _):
    """Without -mcira-machine: the measured model, where there is one."""
    failures = []
    source = tools.write("loops.c", BRANCHY)
    config = tools.path("config")
    os.makedirs(os.path.join(config, "cira"))
    model = tools.write("config/cira/machine.json", common.EAGER)

    def expect(pattern, *arguments, code=0, **names):
        env = {"PATH": os.environ["PATH"], "HOME": tools.work, **names}
        done = run([tools.cc, "-O2", "-c", source, "-o", tools.path("x.o"),
                    "-Rpass=cira", *arguments], env=env)
        said = done.stderr.decode()
        if done.returncode != code or not re.search(pattern, said):
            failures.append(f"{arguments} {names}: {done.returncode} {said}")

    eager = "prefetched 1[0-9][0-9] iterations"
    expect(eager, XDG_CONFIG_HOME=config)
    expect(re.escape(f"-cira-machine={model}"), "-###", XDG_CONFIG_HOME=config)
    expect("prefetched 20 ", XDG_CONFIG_HOME=config, SOURCE_DATE_EPOCH="1")
    expect("prefetched 20 ", "-mcira-machine=default", XDG_CONFIG_HOME=config)
    expect(eager, f"-mcira-machine={model}", SOURCE_DATE_EPOCH="1")
    expect("^$", "-fno-cira", XDG_CONFIG_HOME=config)
    os.makedirs(tools.path(".config"))
    os.rename(os.path.join(config, "cira"), tools.path(".config/cira"))
    expect(eager)
    tools.write(".config/cira/machine.json", "{")
    expect("^cira-cc: error: no machine model in '.*/.config/cira/machine.json'"
           "; line 1: ", code=1)
    return failures


LIST = """
#include <stdio.h>
struct node { struct node *next; long key; };
__attribute__((noinline)) long walk(struct node *n) {
  long s = 0;
  for (; n; n = n->next) { s += n->key; }
  return s;
}
#ifndef LIBRARY
static struct node nodes[5000];
int main(void) {
  for (int i = 0; i < 5000; i++) {
    nodes[i].key = i;
    nodes[i].next = i < 4999 ? &nodes[i + 1] : NULL;
  }
  printf("%ld %ld\\n", walk(nodes), walk(nodes));
}
#endif
"""


def lists(tools, _):
    """Code with tables of lists is linked by any linker in any way, and needs
    the archive in none."""
    failures = []
    source = tools.write("list.c", LIST)
    first = "cira_jump_step"

    def build(*command, program=None):
        if command[0] == tools.cc and not any("cira=" in c or "no-cira" in c
                                              for c in command):
            command = (tools.cc, "-fcira=all", *command[1:])
        done = run(command, cwd=tools.work)
        said = done.stderr.decode()
        if done.returncode or said:
            failures.append(f"{' '.join(map(str, command))}: {said}")
        elif program:
            done = run([tools.path(program)], env={"LD_LIBRARY_PATH": tools.work})
            if done.stdout != b"12497500 12497500\n":
                failures.append(f"{' '.join(map(str, command))}: {done}")

    def has_archive(path, wanted, why):
        # all objects have the weak cira_jump_step; only the archive's is large
        names = run(["nm", "-S", tools.path(path)]).stdout.decode()
        size = re.search(r" ([0-9a-f]+) [tTW] cira_jump_step", names)
        if (bool(size) and int(size[1], 16) > 16) != wanted:
            failures.append(f"{path}: {why}")

    build(tools.cc, "-O2", source, "-o", "a", program="a")
    has_archive("a", True, "the archive is not linked")
    build(tools.cc, "-O2", "-c", source, "-o", "l.o")
    if first not in run(["nm", tools.path("l.o")]).stdout.decode():
        failures.append("l.o: calls nothing: the test tests nothing")
    build(tools.cc, "l.o", "-o", "b", program="b")
    has_archive("b", True, "the archive is not linked")
    plain = tools.write("none.c", "int main(void) { return 0; }\n")
    build(tools.cc, "-O2", plain, "-o", "n")
    has_archive("n", False, "the archive is linked without need")
    build(tools.cc, "-O2", "-x", "c", source, "-o", "n", program="n")
    has_archive("n", True, "the archive is not linked with -x")
    build(tools.cc, "-O2", "-o", "n", "--", "list.c", program="n")
    has_archive("n", True, "the archive is not linked behind --")
    build(tools.cc, "-fcira=prefetch", "l.o", "-o", "c", program="c")
    build(tools.cc, "-fno-cira", "l.o", "-o", "c", program="c")
    has_archive("c", False, "-fno-cira links the archive")
    build(tools.clang, "l.o", "-o", "c", program="c")
    build(tools.clang, "-fuse-ld=bfd", "l.o", "-o", "c", program="c")
    build(tools.cc, "-r", "l.o", "-o", "r.o")
    has_archive("r.o", False, "the archive is in a relocatable object")
    build(tools.cc, "r.o", "-o", "d", program="d")
    has_archive("d", True, "the archive is not linked to what -r made")
    for options in (["-static"], ["-flto"], ["-Wl,--gc-sections"],
                    ["-static-pie"], ["-fno-common"]):
        build(tools.cc, "-O2", *options, source, "-o", "e", program="e")
        has_archive("e", True, f"the archive is not linked with {options}")
    build(tools.cc, "-O2", "-fPIC", "-shared", "-DLIBRARY", source, "-o",
          "liblist.so")
    has_archive("liblist.so", True, "the archive is not in the shared object")
    exported = run(["nm", "-D", "--defined-only", tools.path("liblist.so")])
    if b"cira" in exported.stdout:
        failures.append(f"liblist.so exports {exported.stdout.decode()}")
    tools.write("main.c", LIST.replace("noinline", "unused").replace(
        "long walk", "static long other").replace(
            "#ifndef", "long walk(struct node *);\n#ifndef"))
    build(tools.clang, "main.c", "-L.", "-llist", "-o", "f", program="f")
    for options in (["-ffreestanding"], ["-nostdlib"], ["-fno-builtin"],
                    ["-fsanitize=address"], ["-Oz"], ["-fcira=prefetch"]):
        build(tools.cc, "-O2", *options, "-DLIBRARY", "-c", source, "-o", "g.o")
        if first in run(["nm", tools.path("g.o")]).stdout.decode():
            failures.append(f"{options}: uses tables")
    build(tools.cc, "-O2", "-ffreestanding", "-nostdlib", "-DLIBRARY",
          "-Wl,-e,walk", source, "-o", "h")
    build(tools.cc, "l.o", "-nodefaultlibs", "-lc", "-o", "i", program="i")
    has_archive("i", False, "the archive without the default libraries")
    return failures


BLOCKS = """
#include <stddef.h>
void *malloc(size_t), *calloc(size_t, size_t), *realloc(void *, size_t);
void *aligned_alloc(size_t, size_t);
int posix_memalign(void **, size_t, size_t);
void *plain(size_t n) { return malloc(n); }
void *zeroed(size_t n, size_t m) { return calloc(n, m); }
void *grown(void *p, size_t n) { return realloc(p, n); }
void *aligned(size_t n) { return aligned_alloc(4096, n); }
int placed(void **p, size_t n) { return posix_memalign(p, 64, n); }
void *large(void) { return malloc(4 << 20); }
void *small(unsigned char n) { return malloc(n * 16u); }
void *fixed(void) { return malloc((4 << 20) - 1); }
"""


def huge_asked(tools):
    """Large blocks ask for huge pages, others and other builds do not."""
    failures = []
    source = tools.write("blocks.c", BLOCKS)
    everyone = {"plain", "zeroed", "grown", "aligned", "placed", "large"}
    for options, expected in (
            ([], set()), (["-fcira=huge"], everyone), (["-fcira=all"], everyone),
            (["-fcira=huge", "-fno-cira"], set()), (["-fcira=prefetch,jump"], set()),
            (["-fcira=huge", "-fno-builtin"], set()),
            (["-fcira=huge", "-ffreestanding"], set()),
            (["-fcira=huge", "-fsanitize=address"], set()),
            (["-fcira=huge", "-O0"], set()),
            (["-fcira=huge", "-target", "x86_64-pc-freebsd"], set())):
        done = run([tools.cc, "-O2", *options, "-S", "-emit-llvm", source, "-o", "-"])
        text = done.stdout.decode()
        found = {part.split("(")[0] for part in re.split(r"^define [^@]*@", text, flags=re.M)
                 if "call void @cira_cc_huge" in part}
        if found != expected or done.returncode:
            failures.append(f"{options}: {sorted(found)} ask, not {sorted(expected)} "
                            f"{done.stderr.decode()}")
    return failures


def huge_pages(tools, _):
    """Who asks, a link without a C library, and that the kernel gives them."""
    failures = huge_asked(tools)
    objects = []
    for name, text in (("main.c", "void *large(long);\nvoid _start(void) { large(1 << 23); }\n"
                                  "void *malloc(unsigned long n) { return (void *)n; }\n"
                                  "void *one(long n) { return malloc(n); }\n"),
                       ("own.c", "void *malloc(unsigned long);\n"
                                 "void *large(long n) { return malloc(n); }\n")):
        source = tools.write(name, text)
        objects.append(source + ".o")
        run([tools.cc, "-O2", "-w", "-fcira=huge", "-c", source, "-o", objects[-1]])
    done = run([tools.clang, "-nostdlib", "-static", *objects, "-o", tools.path("alone")])
    if done.returncode:
        failures.append(f"without a C library: {done.stderr.decode()[-300:]}")
    try:
        with open("/sys/kernel/mm/transparent_hugepage/enabled", encoding="ascii") as f:
            mode = re.search(r"\[(\w+)\]", f.read())[1]
    except OSError:
        mode = "never"
    if mode == "never":
        print("  this machine gives no huge pages: not looked for")
        return failures
    source = os.path.join(common.HERE, "..", "tools", "huge.c")
    for compiler, options in ((tools.clang, []), (tools.cc, ["-fcira=huge"]),
                              (tools.cc, ["-fcira=huge", "-static"])):
        out = tools.path("huge")
        run([compiler, "-O2", *options, source, "-o", out])
        done = run([out])
        kib = int(done.stdout or -1)
        wanted = mode == "always" or compiler == tools.cc
        if done.returncode or (kib > 0) != wanted:
            failures.append(f"{options}: {kib} KiB of huge pages, status {done.returncode}")
    return failures


def internal_failures(tools, _):
    """Wherever cira breaks, even by a crash, the build goes on with clang's
    code, a warning names a file that shows it, and -Werror changes nothing."""
    failures = []
    source = tools.write("loops.c", BRANCHY)
    reports = tools.path("reports")
    objects = {}
    for place in ("none", "import", "pass", "export", "giveback", "crash"):
        os.makedirs(reports)
        objects[place] = tools.path(f"{place}.o")
        fail = ["-Xclang", "-mllvm", "-Xclang", f"-cira-fail-at={place}"]
        if place == "none":
            fail = ["-fno-cira"]
        done = run([tools.cc, "-O2", "-Werror", *fail, "-c", source, "-o",
                    objects[place]], env={**os.environ, "TMPDIR": reports})
        said = done.stderr.decode()
        files = os.listdir(reports)
        if done.returncode:
            failures.append(f"{place}: the build ends with {done.returncode}: "
                            f"{said}")
        elif place != "none" and (
                "choose is compiled by clang alone" not in said or
                len(files) != 1 or files[0] not in said):
            failures.append(f"{place}: no report: {said} {files}")
        elif files and run([tools.clang, "-O2", "-c", "-o", tools.path("x.o"),
                            os.path.join(reports, files[0])]).returncode:
            failures.append(f"{place}: clang cannot read the file of the report")
        shutil.rmtree(reports)
        if not done.returncode and (functions(tools, objects[place]) !=
                                    functions(tools, objects["none"])):
            failures.append(f"{place}: the code is not clang's")
    return failures


def functions(tools, obj):
    """Disassembly of each function, addresses taken out."""
    text = run(["objdump", "-dr", "--no-show-raw-insn", obj]).stdout.decode()
    parts = {}
    name = None
    for line in text.splitlines():
        header = re.match(r"^[0-9a-f]+ <(.*)>:$", line)
        if header:
            name = header[1]
            parts[name] = []
        elif name and ":" in line:
            code = line.split(":", 1)[1]
            parts[name].append(re.sub(r"\b[0-9a-f]+ <[^>]*>|0x[0-9a-f]+", "@",
                                      code))
    return parts


def untouched(tools, _):
    """What is not changed is the same code; with nothing to change, the same
    object, bit by bit."""
    failures = []
    source = tools.write("loops.c", BRANCHY)
    for level in ("-O1", "-O2", "-O3", "-Os", "-O0"):
        for debug in ([], ["-g"]):
            run([tools.clang, level, *debug, "-c", source, "-o",
                 tools.path("a.o")])
            run([tools.cc, level, *debug, "-c", source, "-o",
                 tools.path("b.o")])
            a = functions(tools, tools.path("a.o"))
            b = functions(tools, tools.path("b.o"))
            different = [f for f in a if a[f] != b.get(f)]
            if different != ([] if level == "-O0" else ["choose"]):
                failures.append(f"{level} {debug}: different: {different}")
    plain = tools.write("plain.c", BRANCHY.replace("a[b[i]] & 1", "a[i] & 1"))
    for level in ("-O1", "-O2", "-O3", "-Os"):
        objects = []
        for compiler in (tools.clang, tools.cc):
            out = tools.path("same.o")
            run([compiler, level, "-g", "-c", plain, "-o", out])
            with open(out, "rb") as f:
                objects.append(f.read())
        if objects[0] != objects[1]:
            failures.append(f"{level}: the object is not the same")
    return failures


MAIN = """
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#ifdef __cplusplus
extern "C"
#endif
size_t choose(const uint64_t *a, const uint32_t *b, size_t n, uint32_t *out);
int main(void) {
  size_t n = 5000, sum = 0;
  uint64_t *a = (uint64_t *)malloc(n * sizeof *a);
  uint32_t *b = (uint32_t *)malloc(n * sizeof *b);
  uint32_t *out = (uint32_t *)malloc(n * sizeof *out);
  for (size_t i = 0; i < n; i++) {
    a[i] = i * i >> 3;
    b[i] = (uint32_t)(i * 7919 % n);
  }
  size_t count = choose(a, b, n, out);
  for (size_t i = 0; i < count; i++) {
    sum = sum * 31 + out[i];
  }
  printf("%zu %zu\\n", count, sum);
  return 0;
}
"""


def kinds_of_builds(tools, _):
    """Programs of two files, made in all ways that clang has, do the same."""
    failures = []
    os.makedirs(tools.path("kinds"))
    loop = tools.write("kinds/loops.c", BRANCHY)
    main = tools.write("kinds/main.c", MAIN)
    cxx = tools.write("kinds/main.cpp", MAIN)
    folder = tools.path("kinds")
    eager = f"-mcira-machine={tools.eager}"
    profdata = os.path.join(os.path.dirname(os.path.realpath(tools.clang)),
                            "llvm-profdata")
    # Steps of one program; CC and CXX stand for the compilers.
    kinds = {
        "one command": [["CC", "-O2", main, loop]],
        "objects": [["CC", "-O2", "-c", main, loop], ["CC", "main.o", "loops.o"]],
        "C and C++": [["CC", "-O2", "-c", loop], ["CXX", "-O3", cxx, "loops.o"]],
        "assembly": [["CC", "-O2", "-S", loop], ["CC", "-O2", main, "loops.s"]],
        "bitcode": [["CC", "-O2", "-c", "-emit-llvm", loop],
                    ["CC", "-O2", main, "loops.bc"]],
        "saved steps": [["CC", "-O2", "-save-temps", main, loop]],
        "separate debug info": [["CC", "-O2", "-g", "-gsplit-dwarf", main, loop]],
        "static": [["CC", "-O2", "-static", main, loop]],
        "shared": [["CC", "-O2", "-fPIC", "-shared", loop, "-o", "libl.so"],
                   ["CC", main, "-L.", "-ll", "-Wl,-rpath,$ORIGIN"]],
        "LTO": [["CC", "-O2", "-flto", "-fuse-ld=lld", main, loop]],
        "thin LTO": [["CC", "-O2", "-flto=thin", "-fuse-ld=lld", main, loop]],
        "OpenMP loops": [["CC", "-O2", "-fopenmp-simd", main, loop]],
        "own sections": [["CC", "-O2", "-ffunction-sections", "-fdata-sections",
                          "-Wl,--gc-sections", main, loop]],
        "response file": [["CC", "@words"]],
        "precompiled header": [
            ["CC", "-O2", "-x", "c-header", loop, "-o", "loops.pch"],
            ["CC", "-O2", "-include-pch", "loops.pch", main]],
        "C23": [["CC", "-std=c23", "-O2", main, loop]],
        "large code": [["CC", "-O2", "-mcmodel=large", "-fno-pie", "-no-pie",
                        main, loop]],
    }
    if os.path.exists(profdata):
        kinds["profile"] = [
            ["CC", "-O2", "-fprofile-generate=raw", main, loop, "-o", "first"],
            ["./first"], [profdata, "merge", "-o", "use.profdata", "raw"],
            ["CC", "-O2", "-fprofile-use=use.profdata", main, loop]]
    tools.write("kinds/words", f"-O2 '{main}' \"{loop}\"\n")
    for name, steps in kinds.items():
        results = []
        for cc, cplusplus, more in ((tools.clang, tools.clangxx, []),
                                    (tools.cc, tools.cxx, [eager])):
            for old in os.listdir(folder):
                if old not in ("loops.c", "main.c", "main.cpp", "words"):
                    run(["rm", "-r", os.path.join(folder, old)])
            done = None
            for step in steps:
                start = {"CC": [cc, *more], "CXX": [cplusplus, *more]}
                done = run([*start.get(step[0], step[:1]), *step[1:]], cwd=folder)
                if done.returncode:
                    break
            ran = outcome(["./a.out"], cwd=folder) if not done.returncode else ""
            results.append((done.returncode, ran, b"" if done.returncode else
                            done.stderr))
        if results[0] != results[1]:
            failures.append(f"{name}: {results[1]} instead of {results[0]}")
        elif results[0][0]:
            failures.append(f"{name}: clang itself fails: {done.stderr[-300:]}")
    return failures


def projects(tools, _):
    """make, CMake and a configure script with their own ideas of a compiler."""
    failures = []
    tools.write("main.c", "int choose(); int one(void);\n"
                          "int main(void) { return one() - 1; }\n")
    tools.write("loops.c", BRANCHY)
    tools.write("Makefile", "CFLAGS = -O2 -MMD\nall: prog\n"
                            "prog: main.o loops.o\n\t$(CC) -o $@ $^\n"
                            "-include main.d\n")
    done = run(["make", "-C", tools.work, f"CC={tools.cc}"])
    if done.returncode or run([tools.path("prog")]).returncode:
        failures.append(f"make: {done.stderr.decode()[-400:]}")
    tools.write("CMakeLists.txt", """
cmake_minimum_required(VERSION 3.20)
project(p C CXX)
if(NOT CMAKE_C_COMPILER_ID STREQUAL Clang)
  message(FATAL_ERROR "compiler is ${CMAKE_C_COMPILER_ID}")
endif()
add_library(l SHARED loops.c)
add_executable(cm main.c)
target_link_libraries(cm PRIVATE l)
""")
    done = run(["cmake", "-S", tools.work, "-B", tools.path("cm"),
                "-DCMAKE_BUILD_TYPE=Release", f"-DCMAKE_C_COMPILER={tools.cc}",
                f"-DCMAKE_CXX_COMPILER={tools.cxx}"])
    if not done.returncode:
        done = run(["cmake", "--build", tools.path("cm")])
    if done.returncode or run([tools.path("cm/cm")]).returncode:
        failures.append(f"cmake: {done.stdout.decode()[-600:]}"
                        f"{done.stderr.decode()[-400:]}")
    if shutil.which("autoconf"):
        tools.write("configure.ac", "AC_INIT([p],[1])\nAC_PROG_CC\nAC_PROG_CXX\n"
                                    "AC_C_BIGENDIAN\nAC_CHECK_FUNCS([mmap])\n"
                                    "AC_OUTPUT\n")
        done = run(["autoconf"], cwd=tools.work)
        done = run(["./configure", f"CC={tools.cc}", f"CXX={tools.cxx}"],
                   cwd=tools.work)
        if done.returncode:
            failures.append(f"configure: {done.stdout.decode()[-600:]}")
    if shutil.which("meson"):
        tools.write("meson.build", """
project('p', 'c', 'cpp', default_options: ['buildtype=release'])
if meson.get_compiler('c').get_id() != 'clang'
  error('compiler is ' + meson.get_compiler('c').get_id())
endif
l = shared_library('l', 'loops.c')
e = executable('me', 'main.c', link_with: l)
test('me', e)
""")
        env = {**os.environ, "CC": tools.cc, "CXX": tools.cxx}
        folder = tools.path("me")
        for step in (["meson", "setup", folder, tools.work],
                     ["ninja", "-C", folder], ["meson", "test", "-C", folder]):
            done = run(step, env=env)
            if done.returncode:
                failures.append(f"{step[:2]}: {done.stdout.decode()[-600:]}")
                break
    return failures


if __name__ == "__main__":
    parser = common.options(argparse.ArgumentParser())
    common.main(parser.parse_args(), {
        "same as clang": same_as_clang, "streams": streams,
        "own options": own_options, "untouched code": untouched,
        "own model": own_model, "lists": lists, "chains": chains_found,
        "internal failures": internal_failures, "huge pages": huge_pages,
        "kinds of builds": kinds_of_builds, "projects": projects})
