#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Tests of tiers in a virtual machine: run.py BINDIR WORKDIR

The machine has a NUMA node without processors, with latencies from the
firmware, and a CXL type 3 expander. The kernel is Debian's, unpacked and not
installed; the initial file system is busybox, the CXL tools and our binaries
with their libraries. Everything runs in software: no /dev/kvm is needed.
Exit status 0 passed, 1 failed, 77 a package cannot be had (the reason is said).
"""
import glob
import gzip
import os
import re
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
BINARIES = ["tier-guest", "unit-tier", "unit-tier-threads", "unit-tier-far",
            "cira-info"]
TOOLS = ["ndctl", "daxctl"]
STAGES = ["boot", "info", "bare", "units", "threads", "far", "device", "node", "all"]
LIMIT_S = 1500


def skip(why):
    print(f"qemu: skipped: {why}")
    sys.exit(77)


def out(*command, **how):
    return subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, **how).stdout


def kernel(work):
    """Folder with boot/ and lib/modules/ of Debian's kernel."""
    folder = os.path.join(work, "kernel")
    if glob.glob(os.path.join(folder, "boot", "vmlinuz-*")):
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    try:
        depends = out("apt-cache", "depends", "linux-image-amd64")
        name = re.search(r"Depends: (linux-image-\S+)", depends).group(1)
        out("apt-get", "-q", "download", name, cwd=folder)
    except (subprocess.CalledProcessError, AttributeError, OSError):
        skip("the package linux-image-amd64 cannot be downloaded (apt-get update?)")
    deb = glob.glob(os.path.join(folder, "*.deb"))[0]
    out("dpkg-deb", "-x", deb, folder)
    os.remove(deb)
    return folder


def libraries(path):
    text = subprocess.run(["ldd", path], text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, check=False).stdout
    return re.findall(r"(/\S+) \(0x", text)


def put(root, path, at=None):
    to = os.path.join(root, (at or path).lstrip("/"))
    os.makedirs(os.path.dirname(to), exist_ok=True)
    shutil.copy(os.path.realpath(path), to)


def initrd(work, bindir, folder, version):
    root = os.path.join(work, "root")
    shutil.rmtree(root, ignore_errors=True)
    for name in ("bin", "proc", "sys", "dev", "tmp", "etc"):
        os.makedirs(os.path.join(root, name))
    busybox = shutil.which("busybox")
    if busybox is None or libraries(busybox):
        skip("there is no static busybox; install busybox-static (scripts/setup --long)")
    put(root, busybox, "bin/busybox")
    put(root, os.path.join(HERE, "init.sh"), "init")
    os.chmod(os.path.join(root, "init"), 0o755)
    for name in TOOLS + BINARIES:
        path = shutil.which(name) if name in TOOLS else os.path.join(bindir, name)
        if path is None:
            skip(f"{name} is not installed (scripts/setup --long)")
        put(root, path, f"bin/{name}")
        for library in libraries(path):
            put(root, library)
    modules = f"lib/modules/{version}"
    for name in ("cxl", "dax", "nvdimm"):
        shutil.copytree(os.path.join(folder, modules, "kernel/drivers", name),
                        os.path.join(root, modules, "kernel/drivers", name))
    for name in ("modules.order", "modules.builtin"):
        put(root, os.path.join(folder, modules, name), f"{modules}/{name}")
    out(busybox, "depmod", "-b", root, version)
    names = out("find", ".", cwd=root)
    archive = subprocess.run(["cpio", "-o", "-H", "newc", "--quiet"], input=names.encode(),
                             cwd=root, stdout=subprocess.PIPE, check=True).stdout
    path = os.path.join(work, "initrd.gz")
    with gzip.open(path, "wb", compresslevel=1) as f:
        f.write(archive)
    return path


def hmat(target, latency_ns, bandwidth):
    common = f"hmat-lb,initiator=0,target={target},hierarchy=memory,data-type=access-"
    return ["-numa", f"{common}latency,latency={latency_ns}",
            "-numa", f"{common}bandwidth,bandwidth={bandwidth}"]


def machine(vmlinuz, disk):
    return ["qemu-system-x86_64", "-M", "q35,cxl=on,hmat=on", "-accel", "tcg,thread=multi",
            "-cpu", "max", "-smp", "2", "-m", "1G,maxmem=8G,slots=8",
            "-nographic", "-no-reboot", "-net", "none",
            "-kernel", vmlinuz, "-initrd", disk, "-append", "console=ttyS0 quiet panic=-1",
            "-object", "memory-backend-ram,id=m0,size=768M",
            "-object", "memory-backend-ram,id=m1,size=256M",
            "-numa", "node,nodeid=0,cpus=0-1,memdev=m0,initiator=0",
            "-numa", "node,nodeid=1,memdev=m1,initiator=0",
            "-numa", "dist,src=0,dst=1,val=30",
            *hmat(0, 100, "20G"), *hmat(1, 250, "10G"),
            "-object", "memory-backend-ram,id=cxl0,share=on,size=256M",
            "-object", "memory-backend-ram,id=lsa0,share=on,size=256M",
            "-device", "pxb-cxl,bus_nr=12,bus=pcie.0,id=cxl.1",
            "-device", "cxl-rp,port=0,bus=cxl.1,id=rp0,chassis=0,slot=2",
            # Empty: with a single port Linux leaves the bridge's decoder alone, and
            # QEMU 7.2 then drops all accesses.
            "-device", "cxl-rp,port=1,bus=cxl.1,id=rp1,chassis=0,slot=3",
            "-device", "cxl-type3,bus=rp0,memdev=cxl0,lsa=lsa0,id=t3",
            "-M", "cxl-fmw.0.targets.0=cxl.1,cxl-fmw.0.size=4G"]


def main():
    bindir, work = sys.argv[1:3]
    os.makedirs(work, exist_ok=True)
    for tool in ("qemu-system-x86_64", "cpio", "dpkg-deb", "apt-cache", "apt-get"):
        if shutil.which(tool) is None:
            skip(f"{tool} is not installed (scripts/setup --long)")
    folder = kernel(work)
    vmlinuz = glob.glob(os.path.join(folder, "boot", "vmlinuz-*"))[0]
    version = os.path.basename(vmlinuz)[len("vmlinuz-"):]
    disk = initrd(work, bindir, folder, version)
    log = os.path.join(work, "guest.log")
    with open(log, "wb") as f:
        try:
            subprocess.run(machine(vmlinuz, disk), stdin=subprocess.DEVNULL, stdout=f,
                           stderr=subprocess.STDOUT, timeout=LIMIT_S, check=False)
        except subprocess.TimeoutExpired:
            print(f"qemu: no end within {LIMIT_S} s")
    with open(log, "rb") as f:
        text = f.read().decode(errors="replace").replace("\r", "")
    print(text)
    stages = re.findall(r"^stage (\w+) (.*)$", text, re.M)
    bad = [f"{name}: {what}" for name, what in stages if "failed" in what]
    missing = set(STAGES) - {name for name, _ in stages}
    print(f"qemu: {len(stages)} stages, failed: {bad or 'none'}, missing: {sorted(missing) or 'none'}")
    sys.exit(1 if bad or missing else 0)


if __name__ == "__main__":
    main()
