#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Installs into a folder of its own and uses what is there as a user would.

Every example of examples/ is built against the installed tree by pkg-config
(shared, libcira.a, wholly static) and by CMake (both targets), and run. The
names that the library exports are those of the headers, every installed header
compiles alone, every manual page is without warnings, a program finds its one
far memory with and without cira-run, and uninstalling leaves nothing.

  install_test.py BUILD-DIR SOURCE-DIR
"""
import contextlib
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile

build, source = (os.path.abspath(a) for a in sys.argv[1:3])
work = tempfile.mkdtemp(prefix="cira-install-")
dest, prefix = os.path.join(work, "dest"), "/opt/cira"
root = dest + prefix
errors = []
count = 0


def run(command, **more):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors="replace", timeout=300, **more)


def check(name, ok, detail=""):
    global count
    count += 1
    if not ok:
        errors.append(f"{name}: {detail.strip()[-2000:]}")


def succeeds(name, command, **more):
    result = run(command, **more)
    check(name, result.returncode == 0, f"exit {result.returncode}: {' '.join(command)}\n{result.stdout}")
    return result


def examples(library=False):
    """Programs, or what is no program: libraries of kernels."""
    def is_library(path):
        with open(path, encoding="utf-8") as f:
            return "int main(" not in f.read()
    return [path for path in sorted(glob.glob(os.path.join(source, "examples", "*", "*.c")))
            if is_library(path) == library]


def run_example(name, program, paths):
    env = dict(os.environ, CIRA_FAR="host:", CIRA_LOCAL="16M", **paths)
    arguments = [memory_server] if "near_data" in name else []
    result = run([program, *arguments], env=env, cwd=work)
    check(name, result.returncode in (0, 77), f"exit {result.returncode}\n{result.stdout}")
    return result.stdout


memory_server = ""


@contextlib.contextmanager
def server_with_kernels():
    """The installed cira-memd with the example's kernels, built by a user."""
    global memory_server
    libraries = []
    for path in examples(library=True):
        library = os.path.join(work, os.path.basename(path)[:-2] + ".so")
        succeeds(f"kernels {library}", [compilers()[-1], "-shared", "-fPIC", f"-I{root}/include", path,
                                        "-o", library])
        libraries += ["--kernels", library]
    memory_server = f"unix:{work}/memd"
    server = subprocess.Popen([root + "/bin/cira-memd", "--listen", memory_server, "--size", "1g", *libraries],
                              stdout=subprocess.PIPE, text=True)
    try:
        check("a server with kernels", server.stdout.readline().startswith("ready"))
        yield
    finally:
        server.terminate()
        server.wait()


def compilers():
    return [c for c in ("clang-19", "gcc") if shutil.which(c)]


def pkg_config(*args):
    env = dict(os.environ, PKG_CONFIG_PATH=glob.glob(root + "/lib*/**/pkgconfig", recursive=True)[0])
    result = run(["pkg-config", *args, "cira"], env=env)
    check("pkg-config", result.returncode == 0, result.stdout)
    return result.stdout.split()


def with_pkg_config(libdir):
    cflags, libs = pkg_config("--cflags"), pkg_config("--libs")
    static = pkg_config("--static", "--libs")
    archive = ["-l:libcira.a" if f == "-lcira" else f for f in static]
    ways = {"shared": libs, "archive": archive, "static": ["-static"] + static}
    for compiler in compilers():
        for path in examples():
            name = os.path.basename(os.path.dirname(path)) + "-" + os.path.basename(path)[:-2]
            lines = len(open(path, encoding="utf-8").readlines())
            check(f"length of {name}", lines <= 120, f"{lines} lines, an example has at most 120")
            for way, flags in ways.items():
                if compiler == "gcc" and way != "shared":
                    continue
                program = os.path.join(work, f"{name}-{way}-{compiler}")
                built = succeeds(f"{name} {way} {compiler}",
                                 [compiler, "-D_GNU_SOURCE", "-O1", *cflags, path, "-o", program,
                                  "-pthread", *flags])
                if built.returncode == 0:
                    run_example(f"run {name} {way} {compiler}", program,
                                {"LD_LIBRARY_PATH": libdir} if way == "shared" else {})


def with_cmake():
    folder = os.path.join(work, "cmake")
    paths = ";".join(examples())
    configured = succeeds("cmake configure",
                          ["cmake", "-S", os.path.join(source, "test", "install", "user"), "-B", folder,
                           "-G", "Ninja", "-DCMAKE_C_COMPILER=clang-19", "-DCMAKE_C_FLAGS=-D_GNU_SOURCE",
                           f"-DCMAKE_PREFIX_PATH={root}", f"-DEXAMPLES={paths}"])
    if configured.returncode == 0 and succeeds("cmake build", ["ninja", "-C", folder]).returncode == 0:
        for program in sorted(glob.glob(folder + "/*-cira") + glob.glob(folder + "/*-static")):
            run_example("run cmake " + os.path.basename(program), program, {})


def one_space(libdir):
    """The library's runtime and the preload library's share one far memory."""
    cflags, libs = pkg_config("--cflags"), pkg_config("--libs")
    archive = ["-l:libcira.a" if f == "-lcira" else f for f in pkg_config("--static", "--libs")]
    bin_dir = os.path.join(root, "bin")
    for way, flags in (("shared", libs), ("archive", archive)):
        program = os.path.join(work, f"one_space-{way}")
        succeeds(f"one_space {way}",
                 ["clang-19", "-g", "-O1", *cflags, os.path.join(source, "test", "install", "one_space.c"),
                  "-o", program, *flags])
        env = dict(os.environ, LD_LIBRARY_PATH=libdir, CIRA_FAR="host:")
        succeeds(f"one_space {way} alone", [program, "alone"], env=env)
        stats, profile = (os.path.join(work, n) for n in ("stats.json", "run.prof"))
        succeeds(f"one_space {way} in a run",
                 [bin_dir + "/cira-run", "--local", "2m", f"--stats={stats}", f"--profile={profile}",
                  program, "run"], env=env)
        if os.path.exists(stats):
            with open(stats, encoding="utf-8") as f:
                faults = re.findall(r'"faults": *(\d+)', f.read())
            check(f"one_space {way} counts", faults and int(faults[0]) > 100, str(faults))
        shown = succeeds(f"one_space {way} report", [bin_dir + "/cira-prof", "report", profile])
        check(f"one_space {way} lines", "main (one_space.c:" in shown.stdout, shown.stdout)
        trace = succeeds(f"one_space {way} trace", [bin_dir + "/cira-prof", "trace", profile])
        check(f"one_space {way} mark", '"name":"written"' in trace.stdout, "no mark in the profile")


def symbols(libdir):
    library = os.path.join(libdir, "libcira.so")
    listed = run([os.path.join(source, "scripts", "make-symbols"), "names"]).stdout.split()
    out = run(["nm", "-D", "--defined-only", library]).stdout
    found = {line.split()[-1].split("@")[0]: line.split()[-1] for line in out.splitlines()}
    found = {n: v for n, v in found.items() if not n.startswith("CIRA_")}
    check("exported names", set(found) == set(listed), f"{sorted(set(found) ^ set(listed))}")
    check("versions", all("@@CIRA_" in v for v in found.values()),
          f"without a version: {[v for v in found.values() if '@@CIRA_' not in v]}")
    out = run(["nm", "-g", "--defined-only", os.path.join(libdir, "libcira.a")]).stdout
    foreign = [l.split()[-1] for l in out.splitlines() if len(l.split()) == 3
               and not l.split()[-1].startswith(("cira_", "__odr"))]
    check("names of libcira.a", not foreign, f"{foreign}")
    check("soname", "SONAME" in run(["readelf", "-d", library]).stdout and
          os.path.islink(os.path.join(libdir, "libcira.so.0")))


def headers():
    for path in sorted(glob.glob(root + "/include/cira/*.h")):
        name = os.path.basename(path)
        for compiler, standards, suffix in (("clang-19", ("c17", "c2x"), "c"), ("gcc", ("c17", "c2x"), "c"),
                                            ("clang++-19", ("c++17", "c++20"), "cc"),
                                            ("g++", ("c++17", "c++20"), "cc")):
            if not shutil.which(compiler):
                continue
            one = os.path.join(work, f"one.{suffix}")
            with open(one, "w", encoding="utf-8") as f:
                f.write(f"#include <cira/{name}>\n")
            for standard in standards:
                succeeds(f"{name} as {standard} by {compiler}",
                         [compiler, f"-std={standard}", "-Wall", "-Wextra", "-pedantic", "-Werror",
                          "-Wno-unused-function", "-fsyntax-only", f"-I{root}/include", one])


def pages():
    if not shutil.which("man"):
        return
    folder = root + "/share/man/man3"
    listed = run([os.path.join(source, "scripts", "make-symbols"), "names"]).stdout.split()
    for name in listed:
        if not name.startswith("cira__") and name != "cira_abi_range":
            check(f"{name}(3)", os.path.exists(f"{folder}/{name}.3"), "no page")
    for path in sorted(glob.glob(folder + "/*.3")):
        with open(path, encoding="utf-8") as f:
            text = f.read()
        if text.startswith(".so "):
            check(os.path.basename(path), os.path.exists(root + "/share/man/" + text[4:].strip()), text)
            continue
        result = run(["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", path],
                     env=dict(os.environ, LC_ALL="C.UTF-8", MANWIDTH="100"))
        warnings = [l for l in result.stdout.splitlines() if re.search(r"warning|error", l)
                    and not re.match(r"^[tTwhvnpxDHVNCsfm ]", l)]
        check(os.path.basename(path), result.returncode == 0 and not warnings, "\n".join(warnings))


def main():
    succeeds("install", ["cmake", "--install", build, "--prefix", prefix], env=dict(os.environ, DESTDIR=dest))
    if errors:
        return
    libdir = os.path.dirname(glob.glob(root + "/lib*/**/libcira.so", recursive=True)[0])
    symbols(libdir)
    headers()
    pages()
    with server_with_kernels():
        with_pkg_config(libdir)
        with_cmake()
    one_space(libdir)
    succeeds("uninstall", [os.path.join(source, "scripts", "uninstall"), root])
    left = [os.path.join(d, f) for d, _, names in os.walk(root) for f in names]
    check("after uninstall", not left, f"left behind: {left}")


try:
    main()
finally:
    shutil.rmtree(work, ignore_errors=True)
for error in errors:
    print(error)
print(f"install: {count} checks, {len(errors)} failed")
sys.exit(1 if errors else 0)
