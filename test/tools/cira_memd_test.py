# SPDX-License-Identifier: Apache-2.0
"""cira-memd: what takes too long for the quick tests."""
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


if __name__ == "__main__":
    sys.exit(t.main(CASES))
