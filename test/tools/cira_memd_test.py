# SPDX-License-Identifier: Apache-2.0
"""cira-memd: its kernels, and what takes too long for the quick tests."""
import os
import signal
import socket
import sys
import time

import toolcase as t

CASES = {}


def case(f):
    CASES[f.__name__] = f
    return f


def connect(c):
    s = socket.socket(socket.AF_UNIX)
    s.connect(c.path("memd.sock"))
    s.setblocking(False)
    return s


def is_open(s):
    try:
        return s.recv(1) != b""
    except BlockingIOError:
        return True


def silent(c, *options):
    """A client that never says who it is goes after 10 s, but a standstill of
    the server does not count: the client may have stood still as well."""
    server, _ = c.server(None, *options)
    s = connect(c)
    time.sleep(0.5)
    server.send_signal(signal.SIGSTOP)
    time.sleep(11)
    server.send_signal(signal.SIGCONT)
    time.sleep(1)
    assert is_open(s), "dropped for a standstill of the server"
    t.wait_for(lambda: not is_open(s), "the end of a client without a handshake", 12)


@case
def silent_client_poll(c):
    silent(c, "--poll")


@case
def silent_client(c):
    silent(c)


@case
def quick_kernels(c):
    """The example of docs/remote-calls.md, over each kind of connection and
    under cira-run; a server that is told to end takes its sessions along."""
    sums = os.path.join(t.BUILD, "lib", "libexample-kernel-sums.so")
    near = os.path.join(t.BUILD, "bin", "example-near-data")
    want = f"array {(4 << 20) * ((4 << 20) - 1) // 2}\nlist {100000 * 99999 // 2}\n"
    server, url = c.server(None, "--listen", f"unix:{c.path('u')}", "--kernels", sums)
    for place in (url, f"unix:{c.path('u')}"):
        assert c.run([near, place], 0).stdout == want
    done = c.run([t.RUN, "--far", url, "--local", "4m", near, url], 0)
    assert done.stdout == want, done.stdout
    offload = os.path.join(t.BUILD, "bin", "example-offload-list")
    done = c.run([offload, "server"], 0, env=dict(os.environ, CIRA_FAR=url))
    assert done.stdout == "100 nodes brought near\nsum 1249975000\n", done.stdout
    def stats():
        return c.run([t.MEMD, "--stats", url, "--json"], 0).stdout
    assert '"kernel_sessions_seen": 4' in stats()
    t.wait_for(lambda: '"kernel_sessions": 0' in stats(), "the end of the sessions")
    server.terminate()
    assert server.wait() == 0


@case
def quick_kernels_refused(c):
    """What is no library of kernels is refused before anybody can connect."""
    def refuse(*words, libraries):
        argv = [t.MEMD, "--listen", f"unix:{c.path('u')}", "--size", "1m"]
        for library in libraries:
            argv += ["--kernels", library]
        c.refused(argv, 2, "--kernels", *words)
        assert not os.path.exists(c.path("u"))
    lib = os.path.join(t.BUILD, "lib")
    sums = os.path.join(lib, "libexample-kernel-sums.so")
    refuse("cannot load", "nothing.so", libraries=[c.path("nothing.so")])
    with open(c.path("text.so"), "w", encoding="utf-8") as f:
        f.write("no library\n")
    refuse("cannot load", "text.so", libraries=[c.path("text.so")])
    refuse("no table", libraries=[os.path.join(lib, "libunit-call-library.so")])
    refuse("version 2", libraries=[os.path.join(lib, "libunit-call-kernels-bad-library.so")])
    refuse("already", "'sum'", libraries=[sums, sums])
    refuse("more than 16", libraries=[sums] * 17)
    c.refused([t.MEMD, "--kernel-session", "1"], 2, "--kernel-session")


if __name__ == "__main__":
    sys.exit(t.main(CASES))
