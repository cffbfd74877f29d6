# SPDX-License-Identifier: Apache-2.0
"""Network faults between two namespaces: the server in one, the program in the
other, joined by a veth pair whose addresses exist only in them. Packet loss is
survived, a partition ends the program in time with an error that names the
server, a partition that heals in time is not noticed in the result."""
import contextlib
import json
import os
import shutil
import sys
import time

import toolcase as t
from toolcase import LOAD, MEMD, RUN

CASES = {}
SERVER, CLIENT = "10.231.77.1", "10.231.77.2"
PATH = "/usr/sbin:/sbin:/usr/bin:/bin"


def case(f):
    CASES[f.__name__] = f
    return f


@contextlib.contextmanager
def network(c):
    """Two namespaces; yields (server's, client's) names."""
    t.need_root()
    for tool in ("ip", "nft"):
        if not shutil.which(tool, path=PATH):
            raise t.Skip(f"{tool} is not installed")
    names = [f"cira-{end}-{os.getpid()}" for end in ("s", "c")]
    env = dict(os.environ, PATH=PATH)

    def ip(*args):
        return c.run(["ip", *args], env=env)
    try:
        for name in names:
            if ip("netns", "add", name).returncode != 0:
                raise t.Skip("network namespaces are not permitted here")
        link = f"cira{os.getpid() % 100000}"
        done = ip("link", "add", f"{link}s", "netns", names[0], "type", "veth",
                  "peer", f"{link}c", "netns", names[1])
        if done.returncode != 0:
            raise t.Skip(f"veth pairs cannot be made here: {done.stderr.strip()}")
        for name, end, address in ((names[0], "s", SERVER), (names[1], "c", CLIENT)):
            for args in (("addr", "add", f"{address}/30", "dev", f"{link}{end}"),
                         ("link", "set", f"{link}{end}", "up"), ("link", "set", "lo", "up")):
                c.run(["ip", "-n", name, *args], 0, env=env)
        yield names
    finally:
        for p in c.processes:
            if p.poll() is None:
                p.kill()
                p.wait()
        for name in names:
            ip("netns", "del", name)


def inside(namespace, argv):
    return ["ip", "netns", "exec", namespace] + argv


def nft(c, namespace, rules):
    env = dict(os.environ, PATH=PATH)
    done = c.run(inside(namespace, ["nft", rules]), env=env)
    if done.returncode != 0:
        raise t.Skip(f"nft rules are not possible here: {done.stderr.strip()}")


def filtered(c, namespace, rule):
    nft(c, namespace, "add table inet cira; "
        "add chain inet cira in { type filter hook input priority 0 ; }; "
        f"add rule inet cira in {rule}")


def unfiltered(c, namespace):
    nft(c, namespace, "delete table inet cira")


def remote(c, namespace):
    """A server in the namespace, with a token: it is not on loopback."""
    url = f"tcp://{SERVER}:7077"
    token = c.path("token")
    with open(token, "w", encoding="ascii") as f:
        f.write("0123456789abcdef0123456789abcdef\n")
    os.chmod(token, 0o600)
    r, w = os.pipe()
    c.start(inside(namespace, [MEMD, "--listen", url, "--size", "1g", "--token-file", token,
                               "--daemonize-ready-fd", str(w)]),
            pass_fds=(w,), stdout=None, stderr=None)
    os.close(w)
    ready = os.read(r, 1)
    os.close(r)
    assert ready, "cira-memd did not start in the namespace"
    return url, token


def client(c, namespace, url, token, deadline, seconds):
    """Writes and checks pages for `seconds`, or until it is ended when 0."""
    return c.start(inside(namespace, [
        RUN, "--far", url, "--token-file", token, "--local", "4m", "--deadline", deadline,
        LOAD, "soak", "--bytes", "32m", "--seconds", str(seconds)]))


def finished_right(p):
    out, err = p.communicate(timeout=240)
    assert p.returncode == 0, err
    result = json.loads(out)
    assert result["wrong"] == 0 and result["steps"] > 0, result


@case
def packet_loss(c):
    with network(c) as (server, near):
        url, token = remote(c, server)
        p = client(c, near, url, token, "30s", 10)
        time.sleep(1)
        filtered(c, server, "numgen random mod 100 < 20 drop")
        time.sleep(6)
        unfiltered(c, server)
        finished_right(p)


@case
def partition(c):
    with network(c) as (server, near):
        url, token = remote(c, server)
        p = client(c, near, url, token, "3s", 0)
        time.sleep(2)
        assert p.poll() is None, p.communicate()
        began = time.monotonic()
        filtered(c, server, "drop")
        _, err = p.communicate(timeout=60)
        took = time.monotonic() - began
        assert p.returncode == 74, (p.returncode, err)
        assert 2 < took < 3 + 15, f"took {took:.1f} s"
        assert f"{SERVER}:7077" in err, err


@case
def partition_that_heals(c):
    with network(c) as (server, near):
        url, token = remote(c, server)
        p = client(c, near, url, token, "20s", 8)
        time.sleep(1)
        filtered(c, server, "drop")
        time.sleep(4)
        assert p.poll() is None, p.communicate()
        unfiltered(c, server)
        finished_right(p)


@case
def partition_one_way(c):
    """Requests arrive, answers do not."""
    with network(c) as (server, near):
        url, token = remote(c, server)
        p = client(c, near, url, token, "3s", 0)
        time.sleep(2)
        assert p.poll() is None, p.communicate()
        filtered(c, near, "drop")
        _, err = p.communicate(timeout=60)
        assert p.returncode == 74, (p.returncode, err)
        assert f"{SERVER}:7077" in err, err


if __name__ == "__main__":
    sys.exit(t.main(CASES))
