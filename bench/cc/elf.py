# SPDX-License-Identifier: Apache-2.0
"""Reads just enough of 64-bit ELF files to compare code: sections by flags."""
import struct

SHT_NOBITS, SHT_NOTE = 8, 7
SHF_ALLOC, SHF_EXECINSTR = 2, 4


def sections(path):
    """(type, flags, size, content) of each section."""
    with open(path, "rb") as f:
        data = f.read()
    if data[:5] != b"\x7fELF\x02":
        raise SystemExit(f"{path} is no 64-bit ELF file")
    table, = struct.unpack_from("<Q", data, 0x28)
    entry, count = struct.unpack_from("<HH", data, 0x3a)
    for i in range(count):
        kind, flags = struct.unpack_from("<IQ", data, table + i * entry + 4)
        offset, size = struct.unpack_from("<QQ", data, table + i * entry + 24)
        yield kind, flags, size, data[offset:offset + size] if kind != SHT_NOBITS else b""


def code_bytes(path):
    """Size of all executable sections."""
    return sum(size for _, flags, size, _ in sections(path) if flags & SHF_EXECINSTR)


def same_code(a, b):
    """Is everything that is loaded the same (but for notes: build ids)?"""
    def loaded(path):
        return [(flags, size, content) for kind, flags, size, content in sections(path)
                if flags & SHF_ALLOC and kind != SHT_NOTE]
    return loaded(a) == loaded(b)
