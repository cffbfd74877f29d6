# SPDX-License-Identifier: Apache-2.0
"""How real packages are built and tested, for the tests and benchmarks of
cira-cc. One class a package: `source` is Debian's name of it, build() makes the
programs as its own users do, check() runs its tests and ours.

A Build is one package with one compiler in a folder of its own. run() and
compare() end it with Broken when something fails; what compare() notes must be
the same for every compiler.
"""
import hashlib
import os
import random
import re
import shutil
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))
SALES = os.path.join(HERE, "..", "..", "bench", "demo", "sales.sql")
# Remarks are counted, internal failures are failures.
WARNING = "after an internal failure"
REMARK = re.compile(rb"remark: .*\[-Rpass=cira\]")


class Broken(Exception):
    """A command of a build or test failed; the text says which and how."""


class Missing(Exception):
    """A tool that this package needs is not installed."""


class Compiler:
    """cc and cxx are commands without spaces; flags go into CFLAGS."""

    def __init__(self, name, cc, cxx, flags=""):
        self.name, self.cc, self.cxx, self.flags = name, cc, cxx, flags


class Build:
    def __init__(self, compiler, tree, folder, jobs, tests=True):
        self.compiler, self.folder, self.jobs = compiler, folder, jobs
        self.tests = tests  # build what check() needs, too
        self.source = os.path.join(folder, "src")
        self.log = os.path.join(folder, "log")
        self.notes = {}
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder)
        shutil.copytree(tree, self.source, symlinks=True)
        self.cflags = f"-O2 {compiler.flags}".strip()
        self.env = {**os.environ, "LC_ALL": "C", "TZ": "UTC", "CC": compiler.cc,
                    "CXX": compiler.cxx, "CFLAGS": self.cflags, "CXXFLAGS": self.cflags,
                    # Behind the back of libtool, which takes -R for a run path.
                    "CCC_OVERRIDE_OPTIONS": "# +-Rpass=cira"}
        for name in ("MAKEFLAGS", "MAKELEVEL", "LDFLAGS", "CPPFLAGS"):
            self.env.pop(name, None)

    def run(self, *argv, cwd=".", stdin=None, timeout=3600, env=None, status=0):
        """Output of a command that must end with this status."""
        cwd = os.path.join(self.source, cwd)
        argv = [str(a) for a in argv]
        with open(stdin or os.devnull, "rb") as fin:
            try:
                done = subprocess.run(argv, cwd=cwd, stdin=fin, stdout=subprocess.PIPE,
                                      stderr=subprocess.STDOUT, timeout=timeout, check=False,
                                      env={**self.env, **(env or {})})
            except subprocess.TimeoutExpired as e:
                raise Broken(f"{' '.join(argv)[:200]} does not end in {timeout} s") from e
            except FileNotFoundError as e:
                raise Missing(f"{argv[0]} is not installed") from e
        with open(self.log, "ab") as f:
            f.write(f"$ {' '.join(argv)}\n".encode() + done.stdout)
        if done.returncode != status:
            raise Broken(f"{' '.join(argv)[:200]}: exit {done.returncode}: "
                         f"{done.stdout[-1500:].decode(errors='replace')}")
        if WARNING.encode() in done.stdout:
            line = next(x for x in done.stdout.splitlines() if WARNING.encode() in x)
            raise Broken(line.decode(errors="replace"))
        return done.stdout

    def make(self, *arguments, **more):
        return self.run("make", f"-j{self.jobs}", *arguments, **more)

    def note(self, name, value):
        self.notes[name] = value

    def compare(self, name, *argv, scrub=None, **more):
        """The output, less what matches `scrub`, must be everyone's."""
        output = self.run(*argv, **more)
        self.note(name, re.sub(scrub, b"", output) if scrub else output)

    def compare_file(self, name, path):
        with open(os.path.join(self.source, path), "rb") as f:
            self.note(name, hashlib.sha256(f.read()).hexdigest())

    def remarks(self):
        with open(self.log, "rb") as f:
            return len(REMARK.findall(f.read()))


def corpus(path, mib):
    """A file to compress: words as in a text, records of a table, and noise."""
    if os.path.exists(path):
        return path
    r = random.Random(1)
    words = ["".join(r.choice("etaoinshrdlu") for _ in range(r.randint(2, 9)))
             for _ in range(4000)]
    with open(path + ".new", "wb") as f:
        size = 0
        while size < mib << 20:
            kind = r.randrange(8)
            if kind < 5:
                part = " ".join(words[int(4000 * r.random() ** 3)] for _ in range(3000)).encode()
            elif kind < 7:
                part = b"".join(b"%08d,%s,%04x\n" % (i, words[r.randrange(50)].encode(),
                                                     r.getrandbits(16)) for i in range(800))
            else:
                part = r.randbytes(8000)
            f.write(part)
            size += len(part)
    os.replace(path + ".new", path)
    return path


def round_trip(build, name, pack, unpack):
    """Packs and unpacks a file with commands that write to standard output."""
    data = corpus(os.path.join(os.path.dirname(build.folder), "corpus"), 4)
    packed = os.path.join(build.folder, "packed")
    for command, given, made in ((pack, data, packed), (unpack, packed, packed + ".out")):
        with open(given, "rb") as fin, open(made, "wb") as fout:
            done = subprocess.run(command, stdin=fin, stdout=fout, stderr=subprocess.PIPE,
                                  cwd=build.source, timeout=600, check=False)
        if done.returncode:
            raise Broken(f"{' '.join(command)}: exit {done.returncode}: {done.stderr[-300:]}")
    build.compare_file(f"{name}: packed", packed)
    build.compare_file(f"{name}: unpacked", packed + ".out")
    with open(data, "rb") as a, open(packed + ".out", "rb") as b:
        if a.read() != b.read():
            raise Broken(f"{name}: unpacking gives something else")


class Package:
    source = None
    patched = True

    def build(self, b):
        raise NotImplementedError

    def check(self, b):
        raise NotImplementedError


class Sqlite(Package):
    """configure and make; the shell, the speed test, and the fuzz cases."""
    source = "sqlite3"

    def build(self, b):
        b.run("./configure", "--disable-tcl", "--disable-shared", "--disable-readline")
        b.make("sqlite3.c")
        b.make("sqlite3", "speedtest1", *(["fuzzcheck"] if b.tests else []))

    def check(self, b):
        b.compare("shell", "./sqlite3", "-batch", ":memory:", stdin=SALES)
        # The times go, the hash of all results stays.
        b.compare("speedtest1", "./speedtest1", "--size", "20", "--verify", "--memdb",
                  scrub=rb"\d+\.\d+s?")
        b.compare("fuzzcheck", "./fuzzcheck", "test/fuzzdata1.db", "test/fuzzdata2.db",
                  "test/fuzzdata5.db", scrub=rb"\d+\.\d+ seconds|\d+ seconds|in [\d.]+")


class Lua(Package):
    """make alone, as upstream ships it; scripts of our own."""
    source = "lua5.4"
    patched = False

    def build(self, b):
        b.make("-C", "src", "a", "lua", "luac", f"CC={b.compiler.cc} -std=gnu99",
               f"MYCFLAGS={b.compiler.flags} -DLUA_USE_POSIX")

    def check(self, b):
        for name in ("checks.lua", "work.lua"):
            b.compare(name, "src/lua", os.path.join(HERE, "real", name))
        b.run("src/luac", "-o", "checks.luac", os.path.join(HERE, "real", "checks.lua"))
        b.compare_file("bytecode", "checks.luac")


class Zlib(Package):
    """zlib's own configure script."""
    source = "zlib"

    def build(self, b):
        b.run("./configure", "--static")
        b.make()

    def check(self, b):
        b.make("test")
        for level in ("-1", "-6", "-9"):
            round_trip(b, f"minigzip {level}", ["./minigzip", level], ["./minigzip", "-d"])


class Xz(Package):
    """autoconf and libtool."""
    source = "xz-utils"

    def build(self, b):
        b.run("./configure", "--disable-nls", "--disable-shared", "--disable-doc",
              "--disable-dependency-tracking")
        b.make()

    def check(self, b):
        b.make("check")
        for options in (["-0"], ["-6"], ["-9e"], ["--format=lzma"]):
            round_trip(b, f"xz {options[0]}", ["src/xz/xz", "-c", *options],
                       ["src/xz/xz", "-dc"])


class Zstd(Package):
    """make, with inline assembly and dispatch on the processor."""
    source = "libzstd"

    def build(self, b):
        b.make("-C", "programs", "zstd", "BACKTRACE=0", "HAVE_LZMA=0", "HAVE_LZ4=0", "HAVE_ZLIB=0")
        if b.tests:
            b.make("-C", "tests", "fuzzer", "zstreamtest")

    def check(self, b):
        b.run("tests/fuzzer", "-s1", "-i200", "-v")
        b.run("tests/zstreamtest", "-s1", "-i100", "-v")
        for level in ("-1", "-3", "-9", "-19"):
            round_trip(b, f"zstd {level}", ["programs/zstd", "-q", "-c", level],
                       ["programs/zstd", "-q", "-d", "-c"])


class Bzip2(Package):
    """The smallest kind of Makefile. As upstream has it: Debian's bzip2 loads
    libbz2 as a shared library, and would find the machine's own."""
    source = "bzip2"
    patched = False

    def build(self, b):
        b.make("bzip2", f"CC={b.compiler.cc}", f"CFLAGS={b.cflags} -D_FILE_OFFSET_BITS=64")

    def check(self, b):
        b.make("test", f"CC={b.compiler.cc}", f"CFLAGS={b.cflags} -D_FILE_OFFSET_BITS=64")
        for level in ("-1", "-9"):
            round_trip(b, f"bzip2 {level}", ["./bzip2", level], ["./bzip2", "-d"])


class Libpng(Package):
    """autoconf; needs zlib."""
    source = "libpng1.6"

    def build(self, b):
        b.run("./configure", "--disable-shared", "--disable-dependency-tracking")
        b.make()

    def check(self, b):
        b.make("check")
        b.compare("pngtest", "./pngtest", "pngtest.png", scrub=rb"tIME[^\n]*")
        b.compare_file("pngtest writes", "pngout.png")


class Jemalloc(Package):
    """autoconf; atomics, thread-local data, and unit tests of all of it."""
    source = "jemalloc"

    def build(self, b):
        # Its tests want errors from allocations that clang knows how to leave out.
        b.run("./configure", "--disable-doc", f"CFLAGS={b.cflags} -fno-builtin")
        b.make("build_lib_static")

    def check(self, b):
        b.make("tests_unit", "tests_integration")
        # One after the other: both write to the same folder.
        b.run("make", "check_unit")
        b.run("make", "check_integration")


class Redis(Package):
    """A server with its client, driven by a test suite in Tcl."""
    source = "redis"
    units = ("unit/type/string", "unit/type/hash", "unit/type/set", "unit/type/list",
             "unit/type/zset", "unit/type/incr", "unit/sort", "unit/scan", "unit/expire",
             "unit/bitops", "unit/hyperloglog", "unit/geo", "unit/scripting", "unit/multi",
             "unit/dump", "unit/keyspace", "unit/protocol")

    def build(self, b):
        if not shutil.which("tclsh"):
            raise Missing("tclsh is not installed (package tcl)")
        # Its Makefiles pass one set of flags to all parts.
        b.make("MALLOC=libc", f"CC={b.compiler.cc}", f"CXX={b.compiler.cxx}", "OPTIMIZATION=-O2",
               "USE_SYSTEMD=no", "BUILD_TLS=no", "CFLAGS=" + b.compiler.flags)

    def check(self, b):
        units = [word for unit in self.units for word in ("--single", unit)]
        output = b.run("./runtest", "--clients", str(b.jobs), "--baseport",
                       str(21000 + os.getpid() % 300 * 100), "--skiptest",
                       "/.*[Mm]emory (usage|efficiency).*", *units, timeout=7200)
        passed = re.findall(rb"\[(?:.\[[\d;]*m)?ok(?:.\[[\d;]*m)?\]: ([^(\n]*)", output)
        b.note("tests passed", sorted(passed))


class Re2(Package):
    """C++ by CMake, with CTest."""
    source = "re2"

    def build(self, b):
        if not os.path.exists("/usr/share/unicode/UnicodeData.txt"):
            raise Missing("unicode-data is not installed")
        # Debian makes these anew, too.
        b.make("REBUILD_TABLES=1", "re2/perl_groups.cc", "re2/unicode_casefold.cc",
               "re2/unicode_groups.cc")
        b.run("cmake", "-S", ".", "-B", "build", "-DCMAKE_BUILD_TYPE=Release",
              "-DRE2_BUILD_TESTING=ON")
        b.run("cmake", "--build", "build", "-j", b.jobs)

    def check(self, b):
        # The exhaustive ones say nothing more and take half an hour.
        output = b.run("ctest", "--test-dir", "build", "-E", "exhaustive", "-j", b.jobs)
        b.note("ctest", sorted(re.findall(rb"Test +#\d+: (\w+) [ .*]*(\w+)", output)))


class Fribidi(Package):
    """Meson."""
    source = "fribidi"

    def build(self, b):
        b.run("meson", "setup", "build", "-Ddocs=false", "--buildtype=plain")
        b.run("ninja", "-C", "build", f"-j{b.jobs}")

    def check(self, b):
        b.run("meson", "test", "-C", "build", "--print-errorlogs")


PACKAGES = {
    "sqlite": Sqlite(), "lua": Lua(), "zlib": Zlib(), "xz": Xz(), "zstd": Zstd(),
    "bzip2": Bzip2(), "libpng": Libpng(), "jemalloc": Jemalloc(), "redis": Redis(),
    "re2": Re2(), "fribidi": Fribidi(),
}
