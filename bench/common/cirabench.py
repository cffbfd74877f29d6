# SPDX-License-Identifier: Apache-2.0
"""What the benchmark drivers share: timed runs, memory servers, kernel swap.

Server     a cira-memd for the time of a `with` block.
Swap       zram swap in a memory cgroup for the time of a `with` block; undone
           on every way out, signals included.
run()      one timed program, optionally inside a memory cgroup.
machine()  what the numbers were measured on.
Only the Python standard library; single-threaded.
"""
import contextlib
import json
import os
import platform
import re
import select
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

MIB = 1 << 20
START = time.monotonic()
BENCH_RUN = None  # set by use_build


def elapsed():
    return time.monotonic() - START


def say(text):
    print(f"[{elapsed():7.1f}s] {text}", flush=True)


def install_signal_exits():
    """Turns INT, TERM and HUP into SystemExit, so that `with` blocks undo."""
    def leave(signo, _frame):
        sys.exit(128 + signo)
    for signo in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signo, leave)


def median(values):
    return statistics.median(values)


# ---- machine ---------------------------------------------------------------

def read(path, default=""):
    try:
        with open(path, encoding="utf-8", errors="replace") as f:
            return f.read()
    except OSError:
        return default


def mem_kib(field):
    m = re.search(rf"^{field}:\s+(\d+) kB", read("/proc/meminfo"), re.M)
    return int(m.group(1)) if m else 0


def machine(build):
    cpu = re.search(r"^model name\s*:\s*(.*)$", read("/proc/cpuinfo"), re.M)
    flags = re.search(r"^CMAKE_C_FLAGS_RELWITHDEBINFO:[^=]*=(.*)$",
                      read(os.path.join(build, "CMakeCache.txt")), re.M)
    commit = ""
    if shutil.which("git"):
        commit = subprocess.run(["git", "describe", "--always", "--dirty"], text=True,
                                capture_output=True, check=False).stdout.strip()
    thp = re.search(r"\[(\w+)\]", read("/sys/kernel/mm/transparent_hugepage/enabled"))
    return {
        "cpu": cpu.group(1) if cpu else platform.machine(),
        "cpus": os.cpu_count(),
        "virtual": "hypervisor" in read("/proc/cpuinfo"),
        "kernel": platform.release(),
        "memory_mib": mem_kib("MemTotal") // 1024,
        "thp": thp.group(1) if thp else "none",
        "compiler_flags": flags.group(1) if flags else "",
        "commit": commit or "unknown",
        "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


# ---- runs ------------------------------------------------------------------

class Result:
    """One finished program: seconds, exit status (negative = signal), peak
    resident memory, and whether it was cut off or killed for memory."""

    def __init__(self, seconds, status, rss_kib, timeout, oom):
        self.seconds = seconds
        self.status = status
        self.rss_kib = rss_kib
        self.timeout = timeout
        self.oom = oom

    @property
    def ok(self):
        return self.status == 0

    def verdict(self):
        if self.timeout:
            return "timeout"
        if self.oom:
            return "killed (out of memory)"
        if self.status < 0:
            return f"died of {signal.Signals(-self.status).name}"
        return "ok" if self.status == 0 else f"exit {self.status}"


def run(argv, stdin=None, stdout=None, stderr=None, env=None, cgroup=None, timeout=600):
    """Runs argv to its end. stdin/stdout/stderr are paths or None (null,
    null, inherited)."""
    oom_before = cgroup.oom_kills() if cgroup else 0
    handle, report = tempfile.mkstemp(prefix="cira-bench-")
    os.close(handle)
    try:
        with contextlib.ExitStack() as files:
            fin = files.enter_context(open(stdin or os.devnull, "rb"))
            fout = files.enter_context(open(stdout or os.devnull, "wb"))
            ferr = files.enter_context(open(stderr, "wb")) if stderr else None
            child = subprocess.Popen([BENCH_RUN, report] + argv, stdin=fin, stdout=fout,
                                     stderr=ferr, env=env, start_new_session=True,
                                     preexec_fn=cgroup.enter if cgroup else None)
            cut = False
            try:
                child.wait(timeout)
            except subprocess.TimeoutExpired:
                cut = True
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(child.pid, signal.SIGKILL)
                child.wait()
        oom = bool(cgroup) and cgroup.oom_kills() > oom_before
        fields = read(report).split()
        if cut or len(fields) != 3:  # bench-run itself may be the one killed
            return Result(timeout if cut else 0.0, -signal.SIGKILL, 0, cut, oom)
        return Result(float(fields[0]), os.waitstatus_to_exitcode(int(fields[1])),
                      int(fields[2]), False, oom)
    finally:
        os.unlink(report)


def use_build(build):
    """Where run() finds bench-run."""
    global BENCH_RUN
    BENCH_RUN = os.path.join(build, "bin", "bench-run")


def warm(load, mib):
    """Touches and frees memory, so that what follows does not pay for the
    host's first backing of this machine's pages."""
    mib = min(mib, mem_kib("MemAvailable") // 1024 * 6 // 10)
    result = run([load, "warm", "--bytes", f"{mib}m"])
    return mib, result.seconds


# ---- memory servers ---------------------------------------------------------

class Server:
    """A cira-memd; url is where it listens. kind is "shm" or "tcp"."""

    def __init__(self, build, kind, size, *options):
        self.folder = tempfile.mkdtemp(prefix="cira-bench-")
        listen = f"shm:{self.folder}/memd.sock" if kind == "shm" else "tcp://127.0.0.1:0"
        life_r, self.life = os.pipe()
        ready_r, ready_w = os.pipe()
        self.process = subprocess.Popen(
            [os.path.join(build, "bin", "cira-memd"), "--listen", listen, "--size", size,
             "--until-eof", str(life_r), "--daemonize-ready-fd", str(ready_w), *options],
            pass_fds=(life_r, ready_w), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        os.close(life_r)
        os.close(ready_w)
        line = b""
        if select.select([ready_r], [], [], 10)[0]:
            line = os.read(ready_r, 4096)
        os.close(ready_r)
        if not line.startswith(b"ready "):
            self.stop()
            raise SystemExit(f"cira-memd did not start on {listen}")
        self.url = line.split()[1].decode()

    def stop(self):
        os.close(self.life)
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


# ---- kernel swap -------------------------------------------------------------

class Refused(Exception):
    """The machine does not allow what was asked; the text says why."""


def write(path, text):
    with open(path, "w", encoding="ascii") as f:
        f.write(str(text))


class Cgroup:
    """A memory cgroup, version 1 or 2, removed at the end of its block."""

    def __init__(self):
        name = f"cira-bench-{os.getpid()}"
        if os.path.exists("/sys/fs/cgroup/memory/memory.limit_in_bytes"):
            self.version, self.path = 1, f"/sys/fs/cgroup/memory/{name}"
        elif "memory" in read("/sys/fs/cgroup/cgroup.controllers").split():
            self.version, self.path = 2, f"/sys/fs/cgroup/{name}"
        else:
            raise Refused("no memory cgroup is mounted under /sys/fs/cgroup")
        try:
            if self.version == 2:
                write("/sys/fs/cgroup/cgroup.subtree_control", "+memory")
            os.mkdir(self.path)
        except OSError as e:
            raise Refused(f"cannot make a memory cgroup: {e}") from e

    def limit(self, nbytes):
        if self.version == 1:
            write(f"{self.path}/memory.limit_in_bytes", nbytes if nbytes else -1)
        else:
            write(f"{self.path}/memory.max", nbytes if nbytes else "max")
            write(f"{self.path}/memory.swap.max", "max")

    def enter(self):
        write(f"{self.path}/cgroup.procs", os.getpid())

    def oom_kills(self):
        name = "memory.oom_control" if self.version == 1 else "memory.events"
        m = re.search(r"^oom_kill (\d+)", read(f"{self.path}/{name}"), re.M)
        return int(m.group(1)) if m else 0

    def remove(self):
        # Charges of the last process go asynchronously.
        for _ in range(50):
            try:
                os.rmdir(self.path)
                return
            except FileNotFoundError:
                return
            except OSError:
                time.sleep(0.1)
        print(f"could not remove {self.path}", file=sys.stderr)


class Swap:
    """zram swap of `mib` MiB (uncompressed) and a cgroup to limit its user.

    Raises Refused, with nothing left behind, where the machine lacks rights
    or zram. page_cluster(n) sets how many pages the kernel reads ahead (as a
    power of two); everything is put back at the end.
    """

    def __init__(self, mib):
        self.mib = mib
        self.undo = contextlib.ExitStack()

    def __enter__(self):
        with self.undo:
            self._set_up()
            self.undo = self.undo.pop_all()
        return self

    def __exit__(self, *_):
        self.undo.close()

    def _set_up(self):
        if os.geteuid() != 0:
            raise Refused("kernel swap needs root")
        if not os.path.exists("/sys/class/zram-control"):
            subprocess.run(["modprobe", "zram"], check=False, capture_output=True) \
                if shutil.which("modprobe") else None
        if not os.path.exists("/sys/class/zram-control"):
            raise Refused("this kernel has no zram")
        self.cgroup = Cgroup()
        self.undo.callback(self.cgroup.remove)
        try:
            number = int(read("/sys/class/zram-control/hot_add"))
        except ValueError:
            raise Refused("no rights to add a zram device") from None
        self.undo.callback(self._remove_device, number)
        sysfs, device = f"/sys/block/zram{number}", f"/dev/zram{number}"
        self.algorithm = "lz4" if "lz4" in read(f"{sysfs}/comp_algorithm") else "lzo-rle"
        try:
            write(f"{sysfs}/comp_algorithm", self.algorithm)
            write(f"{sysfs}/disksize", self.mib * MIB)
        except OSError as e:
            raise Refused(f"zram cannot be set up: {e}") from e
        if not os.path.exists(device):  # no udev here
            major, minor = map(int, read(f"{sysfs}/dev").split(":"))
            os.mknod(device, 0o600 | 0o060000, os.makedev(major, minor))
            self.undo.callback(lambda: os.path.exists(device) and os.unlink(device))
        for command in (["mkswap", device], ["swapon", "-p", "32767", device]):
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise Refused(f"{command[0]} failed: {done.stderr.strip()}")
        self.undo.callback(subprocess.run, ["swapoff", device], check=False)
        self.cluster_before = read("/proc/sys/vm/page-cluster").strip()
        self.undo.callback(write, "/proc/sys/vm/page-cluster", self.cluster_before)
        self.page_cluster(0)

    @staticmethod
    def _remove_device(number):
        with contextlib.suppress(OSError):
            write(f"/sys/block/zram{number}/reset", 1)
        with contextlib.suppress(OSError):
            write("/sys/class/zram-control/hot_remove", number)

    def page_cluster(self, n):
        write("/proc/sys/vm/page-cluster", n)

    def limit(self, nbytes):
        self.cgroup.limit(nbytes)


def write_json(path, value):
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    with open(path + ".new", "w", encoding="utf-8") as f:
        json.dump(value, f, indent=1)
        f.write("\n")
    os.replace(path + ".new", path)


def far_stats(path):
    """The totals of a `cira-run --stats=FILE` JSON file."""
    with open(path, encoding="utf-8") as f:
        return json.load(f)["total"]
