# SPDX-License-Identifier: Apache-2.0
"""Debian source packages for the tests and benchmarks of cira-cc.

fetch(name, cache) gives the folder of an unpacked package. apt-get downloads
and checks it, by lists of its own: the places are those of the machine's own
package lists, the machine's lists and settings stay as they are. What is there
already is used without a network. Only Debian's own release counts, of main.
Safe to call from several processes: one works on a cache at a time.
"""
import contextlib
import fcntl
import glob
import os
import re
import shutil
import subprocess

ETC = "/etc/apt"
NEEDED = ("apt-get", "apt-cache", "dpkg-source")


class Unavailable(Exception):
    """There is no such source here and none can be had; the text says why."""


def codename():
    with contextlib.suppress(OSError):
        with open("/etc/os-release", encoding="utf-8") as f:
            found = re.search(r"^VERSION_CODENAME=\"?(\w+)", f.read(), re.M)
            if found:
                return found[1]
    raise Unavailable("not a Debian system: no VERSION_CODENAME in /etc/os-release")


def read(path):
    with open(path, encoding="utf-8", errors="replace") as f:
        return f.read()


def is_debian(suites, components, name):
    return (any(re.fullmatch(rf"{name}(-updates|-security)?", s.strip("/").split("/")[0])
                for s in suites) and "main" in components)


def source_paragraphs(name):
    """The machine's package lists as lists of sources: deb822 texts and lines."""
    paragraphs, lines = [], []
    for path in sorted(glob.glob(f"{ETC}/sources.list.d/*.sources")):
        for paragraph in re.split(r"\n\s*\n", read(path)):
            fields = {k.lower(): v.split() for k, v in
                      re.findall(r"^([A-Za-z-]+):[ \t]*(.*)$", paragraph, re.M)}
            if is_debian(fields.get("suites", []), fields.get("components", []), name):
                paragraphs.append(re.sub(r"(?im)^types:.*$", "Types: deb-src", paragraph).strip())
    for path in [f"{ETC}/sources.list", *sorted(glob.glob(f"{ETC}/sources.list.d/*.list"))]:
        if not os.path.exists(path):
            continue
        for line in read(path).splitlines():
            entry = re.match(r"deb\s+(\[[^]]*\]\s+)?(\S+)\s+(\S+)\s+(.*)$", line)
            if entry and is_debian([entry[3]], entry[4].split(), name):
                lines.append(f"deb-src {entry[1] or ''}{entry[2]} {entry[3]} main")
    if not paragraphs and not lines:
        raise Unavailable(f"the machine's package lists name no Debian {name} main")
    return paragraphs, lines


class Apt:
    """apt-get with lists and a cache of its own, in `folder`."""

    def __init__(self, folder):
        self.folder = os.path.abspath(folder)
        for part in ("lists/partial", "archives/partial", "parts"):
            os.makedirs(os.path.join(self.folder, part), exist_ok=True)
        paragraphs, lines = source_paragraphs(codename())
        with open(f"{self.folder}/parts/a.sources", "w", encoding="utf-8") as f:
            f.write("\n\n".join(paragraphs) + "\n")
        with open(f"{self.folder}/parts/b.list", "w", encoding="utf-8") as f:
            f.write("\n".join(lines) + "\n")
        self.options = ["-q"]
        for key, value in (("Dir::Etc::sourcelist", "/dev/null"),
                           ("Dir::Etc::sourceparts", f"{self.folder}/parts"),
                           ("Dir::State::lists", f"{self.folder}/lists"),
                           ("Dir::Cache", self.folder),
                           ("APT::Sandbox::User", "root"),
                           ("Acquire::Retries", "2"),
                           ("Acquire::http::Timeout", "20"),
                           ("Acquire::https::Timeout", "20")):
            self.options += ["-o", f"{key}={value}"]

    def run(self, program, *arguments, cwd=None):
        return subprocess.run([program, *self.options, *arguments], cwd=cwd or self.folder,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, check=False,
                              env={**os.environ, "LC_ALL": "C"})

    def update(self):
        done = self.run("apt-get", "update")
        if done.returncode:
            raise Unavailable("apt-get update of the source lists fails: " + last_error(done))

    def versions(self, name):
        """The newest first; a mirror may have lost the newest."""
        text = self.run("apt-cache", "madison", name).stdout
        found = re.findall(rf"^\s*{re.escape(name)}\s*\|\s*(\S+)\s*\|.*Sources", text, re.M)
        return sorted(set(found), key=found.index)

    def download(self, name, into):
        if not self.versions(name):
            self.update()
        versions = self.versions(name)
        done = None
        for version in sorted(versions, reverse=True):
            shutil.rmtree(into, ignore_errors=True)
            os.makedirs(into)
            done = self.run("apt-get", "source", "--download-only", f"{name}={version}", cwd=into)
            if done.returncode == 0:
                return
        raise Unavailable(f"apt-get source {name} fails: "
                          + (last_error(done) if done else "no such package in the lists"))


def last_error(done):
    errors = [line for line in done.stdout.splitlines() if line.startswith("E:")]
    return (errors or done.stdout.splitlines() or ["no reason given"])[-1]


def unpack(folder, tree, patched):
    description = glob.glob(os.path.join(folder, "*.dsc"))
    if len(description) != 1:
        raise Unavailable(f"no single .dsc in {folder}")
    new = tree + ".new"
    shutil.rmtree(new, ignore_errors=True)
    options = [] if patched else ["--skip-patches"]
    done = subprocess.run(["dpkg-source", "--no-check", *options, "-x", description[0], new],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        raise Unavailable(f"dpkg-source fails: {done.stdout[-300:]}")
    os.rename(new, tree)


def fetch(name, cache, patched=True):
    """The folder with the source of Debian's `name`, as upstream released it
    unless patched. Raises Unavailable."""
    tree = os.path.join(cache, name, "tree" if patched else "upstream")
    if os.path.isdir(tree):
        return tree
    missing = [tool for tool in NEEDED if not shutil.which(tool)]
    if missing:
        raise Unavailable(f"{missing[0]} is not installed (packages apt and dpkg-dev)")
    os.makedirs(os.path.join(cache, name), exist_ok=True)
    with open(os.path.join(cache, "lock"), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if os.path.isdir(tree):
            return tree
        files = os.path.join(cache, name, "files")
        if not glob.glob(os.path.join(files, "*.dsc")):
            new = files + ".new"
            Apt(os.path.join(cache, "apt")).download(name, new)
            shutil.rmtree(files, ignore_errors=True)
            os.rename(new, files)
        unpack(files, tree, patched)
    return tree
