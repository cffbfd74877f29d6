# SPDX-License-Identifier: Apache-2.0
"""cira-run: what it refuses and how, that it is transparent to status, signals
and streams, that it brings and removes its own server, and what happens when
the server dies."""
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import time

import toolcase as t
from toolcase import INFO, LOAD, RUN

CASES = {}


def case(f):
    CASES[f.__name__] = f
    return f


# ---- refusals: one line, before anything starts ------------------------------

@case
def no_program(c):
    c.refused([RUN], 125, "no program named")


@case
def unknown_option(c):
    c.run([RUN, "--lokal", "1m", "true"], 125)


@case
def bad_local(c):
    c.refused([RUN, "--local", "12 apples", "true"], 125, "--local", "12 apples")
    c.refused([RUN, "--local", "-5", "true"], 125, "--local", "-5")
    c.refused([RUN, "--local", "99999999999999999999g", "true"], 125, "--local")


@case
def small_local(c):
    c.refused([RUN, "--local", "64k", "true"], 125, "--local", "64k", "256K")


@case
def bad_far(c):
    c.refused([RUN, "--far", "carrier-pigeon:coop", "true"], 125, "carrier-pigeon:coop")
    c.refused([RUN, "--far", "tcp://nowhere", "true"], 125, "tcp://nowhere")


@case
def bad_far_size(c):
    c.refused([RUN, "--far-size", "17t", "true"], 125, "--far-size", "16T")


@case
def bad_deadline(c):
    c.refused([RUN, "--deadline", "soon", "true"], 125, "--deadline", "soon")
    c.refused([RUN, "--deadline", "0", "true"], 125, "--deadline")


@case
def bad_mode_and_log(c):
    c.refused([RUN, "--mode", "magic", "true"], 125, "--mode", "magic", "sigsegv")
    c.refused([RUN, "--log", "loud", "true"], 125, "--log", "loud", "debug")


@case
def token_file_missing(c):
    c.refused([RUN, "--token-file", "/no/such/token", "true"], 125, "/no/such/token")


@case
def stats_file_unwritable(c):
    c.refused([RUN, "--stats=/no/such/folder/x.json", "true"], 125, "/no/such/folder/x.json")


@case
def program_missing(c):
    c.refused([RUN, "no-such-program-here"], 127, "no-such-program-here", "PATH")
    c.refused([RUN, "/no/such/program"], 127, "/no/such/program")
    c.refused([RUN, ""], 127)


@case
def program_not_executable(c):
    with open(c.path("data"), "w", encoding="ascii") as f:
        f.write("hello\n")
    os.chmod(c.path("data"), 0o644)
    c.refused([RUN, c.path("data")], 126, "data", "chmod +x")
    os.chmod(c.path("data"), 0o755)
    c.refused([RUN, c.path("data")], 126, "data", "neither an ELF program nor a script")


@case
def program_is_directory(c):
    c.refused([RUN, c.tmp], 126, "directory")


@case
def static_binary(c):
    program = os.path.join(t.BIN, "tools-static")
    t.need(program, "a static build (libc.a)")
    c.refused([RUN, program], 126, "statically linked", "-static")


@case
def musl_binary(c):
    c.refused([RUN, os.path.join(t.BIN, "tools-musl")], 126, "musl", "glibc")


def patched(c, name, offset, data):
    shutil.copy("/bin/true", c.path(name))
    with open(c.path(name), "r+b") as f:
        f.seek(offset)
        f.write(data)
    os.chmod(c.path(name), 0o755)
    return c.path(name)


@case
def other_architecture(c):
    # e_machine is at 18: 22 = s390; class is at 4: 1 = 32 bit
    c.refused([RUN, patched(c, "s390", 18, b"\x16\x00")], 126, "s390", "this machine")
    c.refused([RUN, patched(c, "small", 4, b"\x01")], 126, "built for")


@case
def damaged_binary(c):
    with open("/bin/true", "rb") as f:
        head = f.read(70)
    with open(c.path("cut"), "wb") as f:
        f.write(head)
    os.chmod(c.path("cut"), 0o755)
    c.refused([RUN, c.path("cut")], 126, "damaged")


def foreign_copy(c, mode):
    """A copy of true that belongs to nobody and has the mode bits `mode`."""
    t.need_root()
    if os.statvfs(c.tmp).f_flag & os.ST_NOSUID:
        raise t.Skip("/tmp is mounted nosuid")
    shutil.copy("/bin/true", c.path("true"))
    os.chown(c.path("true"), 65534, 65534)
    os.chmod(c.path("true"), 0o755 | mode)
    return c.path("true")


@case
def setuid_binary(c):
    c.refused([RUN, foreign_copy(c, stat.S_ISUID)], 126, "setuid", "copy")


@case
def setgid_binary(c):
    c.refused([RUN, foreign_copy(c, stat.S_ISGID)], 126, "setgid", "copy")


@case
def file_capabilities(c):
    t.need_root()
    shutil.copy("/bin/true", c.path("true"))
    setcap = shutil.which("setcap", path="/usr/sbin:/sbin")
    if not setcap or c.run([setcap, "cap_net_raw+ep", c.path("true")]).returncode != 0:
        raise t.Skip("file capabilities cannot be set here")

    def nobody():
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
    if c.run(["/bin/sh", "-c", f"test -x {RUN}"], preexec_fn=nobody).returncode != 0:
        raise t.Skip("the build folder is not readable for other users")
    c.refused([RUN, c.path("true")], 126, "capabilities", preexec_fn=nobody)


@case
def script_interpreter(c):
    with open(c.path("script"), "w", encoding="ascii") as f:
        f.write("#! /bin/sh\nexit 7\n")
    os.chmod(c.path("script"), 0o755)
    c.run([RUN, c.path("script")], 7)
    with open(c.path("script"), "w", encoding="ascii") as f:
        f.write("#!/no/such/interpreter\n")
    c.refused([RUN, c.path("script")], 127, "script", "/no/such/interpreter")


@case
def script_static_interpreter(c):
    program = os.path.join(t.BIN, "tools-static")
    t.need(program, "a static build (libc.a)")
    with open(c.path("script"), "w", encoding="ascii") as f:
        f.write(f"#!{program}\n")
    os.chmod(c.path("script"), 0o755)
    c.refused([RUN, c.path("script")], 126, "statically linked")


@case
def huge_pages(c):
    """The runtime backs large blocks that stay local with huge pages."""
    path = "/sys/kernel/mm/transparent_hugepage/enabled"
    if not os.path.exists(path) or "[never]" in open(path, encoding="ascii").read():
        raise t.Skip("this machine gives no huge pages")
    program = os.path.join(t.BIN, "tools-huge")
    for on in (True, False):
        env = {**os.environ, "CIRA_HUGE": "on" if on else "off"}
        done = c.run([RUN, "--local", "256m", program], 0, env=env)
        kib = int(done.stdout)
        always = "[always]" in open(path, encoding="ascii").read()
        assert (kib > 0) == on or always, f"CIRA_HUGE={env['CIRA_HUGE']}: {kib} KiB"


# ---- transparency -------------------------------------------------------------

@case
def help_and_version(c):
    assert "Usage: cira-run" in c.run([RUN, "--help"], 0).stdout
    assert c.run([RUN, "--version"], 0).stdout.startswith("cira-run ")


@case
def exit_status(c):
    for status in (0, 1, 3, 127, 255):
        c.run([RUN, "sh", "-c", f"exit {status}"], status)


@case
def death_by_signal(c):
    for name in ("KILL", "TERM", "ABRT", "SEGV", "USR1"):
        c.run([RUN, "sh", "-c", f"ulimit -c 0; kill -{name} $$"], -getattr(signal, "SIG" + name))


@case
def streams_and_arguments(c):
    done = subprocess.run([RUN, "--", "sh", "-c", 'cat; echo "$0-$1" >&2', "--local", "a b"],
                          input="through\n", capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "through\n", "--local-a b\n"), done


@case
def preload_is_chained(c):
    env = dict(os.environ, LD_PRELOAD="/lib/x86_64-linux-gnu/libm.so.6")
    out = c.run([RUN, "sh", "-c", "echo $LD_PRELOAD"], 0, env=env).stdout.strip()
    assert out.endswith("libcira-preload.so:/lib/x86_64-linux-gnu/libm.so.6"), out


SLEEPER = """
import signal, sys, time
names = sys.argv[1:]
def got(n, f):
    print(signal.Signals(n).name, flush=True)
for name in names:
    signal.signal(getattr(signal, name), got)
print("ready", flush=True)
while True:
    time.sleep(60)
"""


def sleeper(c, *names):
    p = c.start([RUN, "/usr/bin/python3", "-c", SLEEPER, *names], start_new_session=True)
    assert p.stdout.readline() == "ready\n"
    return p


@case
def signals_are_passed_on(c):
    names = ["SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2"]
    p = sleeper(c, *names)
    for name in names:
        p.send_signal(getattr(signal, name))
        line = p.stdout.readline().strip()
        assert line == name, f"{name} arrived as {line}"
    (child,) = children(p.pid, "python3")
    os.kill(child, signal.SIGKILL)
    p.wait(10)
    assert p.returncode == -signal.SIGKILL, p.returncode


def children(pid, name):
    """Direct children of pid whose command is `name`."""
    found = []
    for other in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{other}/stat", encoding="ascii", errors="replace") as f:
                text = f.read()
        except OSError:
            continue
        command = text[text.index("(") + 1:text.rindex(")")]
        if int(text[text.rindex(")") + 2:].split()[1]) == pid and command.startswith(name):
            found.append(int(other))
    return found


def state(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
        text = f.read()
    return text[text.rindex(")") + 2]


def has_ended(pid):
    try:
        return state(pid) in "ZX"
    except OSError:
        return True


@case
def untouched_signal_ends_both(c):
    p = sleeper(c)
    p.send_signal(signal.SIGTERM)
    p.wait(10)
    assert p.returncode == -signal.SIGTERM, p.returncode


@case
def stop_and_continue(c):
    p = sleeper(c, "SIGUSR1")
    (child,) = children(p.pid, "python3")
    p.send_signal(signal.SIGTSTP)
    # The process group is an orphan here, and such ignore the terminal's stop.
    time.sleep(0.2)
    if state(child) != "T":
        os.kill(child, signal.SIGSTOP)
    t.wait_for(lambda: state(p.pid) == "T", "cira-run stopping with its program")
    p.send_signal(signal.SIGCONT)
    t.wait_for(lambda: state(child) != "T", "the program going on")
    p.send_signal(signal.SIGUSR1)
    assert p.stdout.readline().strip() == "SIGUSR1"


# ---- far memory -----------------------------------------------------------------

CHASE = [LOAD, "chase", "--bytes", "32m", "--accesses", "20000"]


def checksum(text):
    return json.loads(text)["checksum"]


@case
def result_is_right(c):
    plain = checksum(c.run(CHASE, 0).stdout)
    for local in ("256k", "8m", "64m"):
        assert checksum(c.run([RUN, "--local", local] + CHASE, 0).stdout) == plain, local


@case
def server_comes_and_goes(c):
    script = "import os,time; b = bytearray(8 << 20); print('up', flush=True); input()"
    p = c.start([RUN, "--local", "1m", "/usr/bin/python3", "-c", script], stdin=subprocess.PIPE)
    assert p.stdout.readline() == "up\n"
    mine = set(children(p.pid, "cira-memd"))
    assert len(mine) == 1 and mine <= t.pids_of(t.MEMD, c.tmp)
    p.stdin.write("\n")
    p.stdin.close()
    assert p.wait(20) == 0
    assert not mine & t.pids_of(t.MEMD), "the server outlived the run"


@case
def killed_run_leaves_no_server(c):
    p = sleeper(c)
    (server,) = children(p.pid, "cira-memd")
    (program,) = children(p.pid, "python3")
    p.kill()
    p.wait()
    assert state(program) in "SRD", "the program was taken along"
    os.kill(program, signal.SIGKILL)
    t.wait_for(lambda: server not in t.pids_of(t.MEMD), "the end of the server")


@case
def two_runs_at_once(c):
    plain = checksum(c.run(CHASE, 0).stdout)
    both = [c.start([RUN, "--local", "4m"] + CHASE) for _ in range(2)]
    for p in both:
        out, err = p.communicate(timeout=60)
        assert p.returncode == 0, err
        assert checksum(out) == plain


@case
def given_server_is_used(c):
    plain = checksum(c.run(CHASE, 0).stdout)
    for url in (None, f"unix:{c.path('unix.sock')}"):
        _, url = c.server(url)
        done = c.run([RUN, "--far", url, "--local", "4m"] + CHASE, 0)
        assert checksum(done.stdout) == plain, url


@case
def no_server_there(c):
    url = f"shm:{c.path('nobody.sock')}"
    done = c.run([RUN, "--far", url, "true"])
    assert done.returncode not in (0, -signal.SIGSEGV), done
    assert url in done.stderr or c.path("nobody.sock") in done.stderr, done.stderr


@case
def stats_json(c):
    c.run([RUN, "--local", "4m", f"--stats={c.path('s.json')}"] + CHASE, 0)
    with open(c.path("s.json"), encoding="utf-8") as f:
        s = json.load(f)
    (process,) = s["processes"]
    assert process["program"] == "pager-load" and process["ending"] == "exited", process
    total = s["total"]
    assert total["faults"] > 10000 and total["pages_in"] > 10000, total
    assert total["bytes_out"] > 16 << 20 and total["wait_ns"] > 0, total
    assert total["resident_pages_peak"] * 4096 <= 4 << 20, total
    assert total["far_bytes_peak"] >= 32 << 20, total
    assert total["local_bytes"] == 4 << 20, total
    assert 0 <= total["hit_estimate"] <= 1, total


@case
def stats_table(c):
    done = c.run([RUN, "--local", "4m", "--stats"] + CHASE, 0)
    for word in ("pager-load", "faults", "local cache 4", "waited"):
        assert word in done.stderr, done.stderr
    checksum(done.stdout)
    done = c.run([RUN, "--local", "4m", "--stats", "--stats-format", "json"] + CHASE, 0)
    json.loads(done.stderr)


@case
def stats_of_several_processes(c):
    script = f"{LOAD} touch --bytes 8m --accesses 1000; {LOAD} touch --bytes 8m --accesses 1000"
    c.run([RUN, "--local", "2m", f"--stats={c.path('s.json')}", "sh", "-c", script + "; true"], 0)
    with open(c.path("s.json"), encoding="utf-8") as f:
        s = json.load(f)
    names = sorted(p["program"] for p in s["processes"] if p["program"] == "pager-load")
    assert names == ["pager-load", "pager-load"], s["processes"]
    assert s["total"]["faults"] == sum(p["faults"] for p in s["processes"])


@case
def stats_of_a_killed_program(c):
    c.run([RUN, f"--stats={c.path('s.json')}", "sh", "-c", "kill -9 $$"], -signal.SIGKILL)
    with open(c.path("s.json"), encoding="utf-8") as f:
        (process,) = json.load(f)["processes"]
    assert process["ending"] == "killed", process


def counters_files(c):
    return sorted(name for name in os.listdir(c.tmp) if name.startswith("cira-stats-"))


@case
def stats_of_a_killed_run(c):
    """A killed cira-run cannot remove its counters file. The next run does, but
    not before the program is gone, and never the file of a run that lives."""
    p = c.start([RUN, "--stats", "/usr/bin/python3", "-c", SLEEPER], start_new_session=True)
    assert p.stdout.readline() == "ready\n"
    (program,) = children(p.pid, "python3")
    (file,) = counters_files(c)
    c.run([RUN, "--stats", "true"], 0)
    assert counters_files(c) == [file], "the file of a living run was removed"
    p.kill()
    p.wait()
    c.run([RUN, "--stats", "true"], 0)
    assert counters_files(c) == [file], "the file of a living program was removed"
    os.kill(program, signal.SIGKILL)
    t.wait_for(lambda: has_ended(program), "the program's end")
    with open(c.path("cira-stats-foreign"), "w", encoding="ascii") as f:
        f.write("not a counters file")
    c.run([RUN, "--stats", "true"], 0)
    assert counters_files(c) == ["cira-stats-foreign"], counters_files(c)
    os.remove(c.path("cira-stats-foreign"))


@case
def live_counters(c):
    q = c.start([RUN, f"--stats={c.path('s.json')}", "/usr/bin/python3", "-c", SLEEPER])
    assert q.stdout.readline() == "ready\n"
    (program,) = children(q.pid, "python3")
    with open(f"/proc/{program}/environ", "rb") as f:
        env = dict(e.split(b"=", 1) for e in f.read().split(b"\0") if b"=" in e)
    live = json.loads(c.run([INFO, "--json", "--stats", env[b"CIRA_STATS"].decode()], 0).stdout)
    assert live["processes"][0]["ending"] == "running", live
    q.send_signal(signal.SIGTERM)
    q.wait(10)


@case
def server_killed(c):
    server, url = c.server()
    p = c.start([RUN, "--far", url, "--local", "1m", "--deadline", "3s", LOAD, "soak",
                 "--bytes", "32m"])
    t.wait_for(lambda: p.poll() is not None or pages_moved(p), "the program's start")
    began = time.monotonic()
    server.kill()
    _, err = p.communicate(timeout=30)
    took = time.monotonic() - began
    assert p.returncode == 74, (p.returncode, err)
    assert took < 3 + 10, f"took {took:.1f} s"
    assert url in err or c.path("memd.sock") in err, err


def pages_moved(p):
    """The program has been running for a while on its far heap."""
    for child in children(p.pid, "pager-load"):
        with open(f"/proc/{child}/stat", encoding="ascii") as f:
            ticks = f.read().rsplit(")", 1)[1].split()
        return int(ticks[11]) + int(ticks[12]) > 30
    return False


@case
def server_stopped(c):
    """A server that hangs (SIGSTOP) is as good as dead over tcp."""
    import socket
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    server, url = c.server(f"tcp://127.0.0.1:{port}")
    p = c.start([RUN, "--far", url, "--local", "1m", "--deadline", "2s", LOAD, "soak",
                 "--bytes", "32m"])
    t.wait_for(lambda: p.poll() is not None or pages_moved(p), "the program's start")
    began = time.monotonic()
    server.send_signal(signal.SIGSTOP)
    _, err = p.communicate(timeout=30)
    took = time.monotonic() - began
    server.send_signal(signal.SIGCONT)
    assert p.returncode == 74, (p.returncode, err)
    assert took < 2 + 10, f"took {took:.1f} s"
    assert f"127.0.0.1:{port}" in err, err


@case
def installed_tree(c):
    done = c.run(["cmake", "--install", t.BUILD, "--prefix", c.path("usr")])
    assert done.returncode == 0, done.stderr
    run = c.path("usr/bin/cira-run")
    plain = checksum(c.run(CHASE, 0).stdout)
    assert checksum(c.run([run, "--local", "4m"] + CHASE, 0).stdout) == plain
    assert os.path.exists(c.path("usr/share/man/man1/cira-run.1")), "no manual page"


if __name__ == "__main__":
    sys.exit(t.main(CASES))
