# SPDX-License-Identifier: Apache-2.0
"""Shared by the tool tests: each case is a function, run by its name as one
ctest; exit 0/1/77 = pass/fail/skip. The build folder is $TOOLS_BUILD.

A case gets a private folder (`case.tmp`) that is also its run-time directory
and is removed afterwards; every case ends with a check that no server, socket
or counters file of its own was left behind.
"""
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback

BUILD = os.environ["TOOLS_BUILD"]
SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BIN = os.path.join(BUILD, "bin")
RUN = os.path.join(BIN, "cira-run")
MEMD = os.path.join(BIN, "cira-memd")
INFO = os.path.join(BIN, "cira-info")
LOAD = os.path.join(BIN, "pager-load")


class Skip(Exception):
    pass


class Case:
    def __init__(self, name):
        self.name = name
        # Below /tmp and readable by all: some cases run as another user.
        self.tmp = tempfile.mkdtemp(prefix="cira-test-", dir="/tmp")
        os.chmod(self.tmp, 0o755)
        # Here cira-run puts what it makes, so leftovers are told from those of
        # whatever else runs on this machine.
        os.environ["XDG_RUNTIME_DIR"] = self.tmp
        self.processes = []

    def path(self, name):
        return os.path.join(self.tmp, name)

    def run(self, argv, expect=None, timeout=60, **kwargs):
        """Runs argv; `expect` is the exit status (negative = signal)."""
        done = subprocess.run(argv, capture_output=True, text=True, timeout=timeout,
                              stdin=kwargs.pop("stdin", subprocess.DEVNULL), check=False, **kwargs)
        if expect is not None and done.returncode != expect:
            raise AssertionError(f"{' '.join(argv)}: status {done.returncode}, expected {expect}\n"
                                 f"stdout: {done.stdout[-2000:]}\nstderr: {done.stderr[-2000:]}")
        return done

    def start(self, argv, **kwargs):
        p = subprocess.Popen(argv, stdin=kwargs.pop("stdin", subprocess.DEVNULL),
                             stdout=kwargs.pop("stdout", subprocess.PIPE),
                             stderr=kwargs.pop("stderr", subprocess.PIPE), text=True, **kwargs)
        self.processes.append(p)
        return p

    def refused(self, argv, status, *words, **kwargs):
        """argv must end with `status`, nothing on stdout and one line on
        stderr that holds all `words` (a usage hint may follow)."""
        done = self.run(argv, status, **kwargs)
        lines = [line for line in done.stderr.splitlines() if not line.startswith("Try '")]
        assert len(lines) == 1, f"expected one line, got: {done.stderr!r}"
        assert done.stdout == "", done.stdout
        for word in words:
            assert word in lines[0], f"{word!r} is not in {lines[0]!r}"
        return lines[0]

    def server(self, url=None, *options):
        """Starts a cira-memd that ends with the case; returns (process, url)."""
        url = url or f"shm:{self.path('memd.sock')}"
        r, w = os.pipe()
        p = self.start([MEMD, "--listen", url, "--size", "1g", "--daemonize-ready-fd", str(w), *options],
                       pass_fds=(w,), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(w)
        ready = os.read(r, 1)
        os.close(r)
        assert ready, "cira-memd did not start"
        return p, url

    def end_processes(self):
        for p in self.processes:
            # A program outlives a killed cira-run: take the whole session.
            if os.path.exists(f"/proc/{p.pid}") and os.getsid(p.pid) == p.pid:
                os.killpg(p.pid, signal.SIGKILL)
            if p.poll() is None:
                p.kill()
            p.wait()
            for stream in (p.stdout, p.stderr):
                if stream:
                    stream.close()


def left_behind(case):
    """Sockets, counters files and servers of the case that are still there."""
    files = [name for name in os.listdir(case.tmp) if name.startswith("cira-")]
    return files + sorted(pids_of(MEMD, case.tmp))


def pids_of(program, argument=""):
    """Processes that run `program`, with `argument` somewhere in their command
    line, and that are not zombies."""
    found = set()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.readlink(f"/proc/{pid}/exe").split(" (deleted)")[0] != os.path.realpath(program):
                continue
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                if argument in f.read().decode(errors="replace"):
                    found.add(int(pid))
        except OSError:
            pass
    return found


def wait_for(condition, what, seconds=10):
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            raise AssertionError(f"{what} did not happen within {seconds} s")
        time.sleep(0.01)


def need(path, what):
    if not os.path.exists(path):
        raise Skip(f"{what} is not there")


def need_root():
    if os.geteuid() != 0:
        raise Skip("needs root")


def main(cases):
    names = sys.argv[1:]
    if names == ["--list"]:
        print("\n".join(cases))
        return
    status = 0
    for name in names or cases:
        case = Case(name)
        try:
            try:
                cases[name](case)
            finally:
                case.end_processes()
            # A program that was killed takes its server along in its own time.
            wait_for(lambda: not left_behind(case), f"the removal of {left_behind(case)}")
            print(f"{name}: ok")
        except Skip as e:
            print(f"{name}: skipped: {e}")
            status = status or 77
        except BaseException:  # noqa: B902: also timeouts and interrupts
            traceback.print_exc()
            print(f"{name}: FAILED")
            status = 1
        finally:
            shutil.rmtree(case.tmp, ignore_errors=True)
    sys.exit(status)
