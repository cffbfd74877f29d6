# SPDX-License-Identifier: Apache-2.0
"""What scripts/make-symbols and scripts/make-man both know of include/cira."""
import os
import re

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
HEADERS = os.path.join(ROOT, "include", "cira")
# Headers that are not installed.
PRIVATE = os.path.join(ROOT, "cmake", "package", "private-headers")

COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.S)
FUNCTION = re.compile(r"^(?:extern\s+)?CIRA_API\b[^;{}]*?\b(\w+)\s*\(", re.M)
DATA = re.compile(r"^(?:extern\s+CIRA_API|CIRA_API\s+extern)\b[^;{}()]*?\b(\w+)\s*(?:\[[^\]]*\])?;", re.M)
ABI_ENTRY = re.compile(r"^CIRA_ABI\(\s*\w+,\s*(\w+)", re.M)


def private_headers():
    with open(PRIVATE, encoding="utf-8") as f:
        return {line.strip() for line in f if line.strip() and not line.startswith("#")}


def public_headers():
    hidden = private_headers()
    return [name for name in sorted(os.listdir(HEADERS))
            if name.endswith(".h") and name not in hidden]


def header_names(name):
    """Exported names of one header, in order."""
    with open(os.path.join(HEADERS, name), encoding="utf-8") as f:
        text = COMMENT.sub("", f.read())
    return FUNCTION.findall(text) + DATA.findall(text)
