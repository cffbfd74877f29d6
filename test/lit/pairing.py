# SPDX-License-Identifier: Apache-2.0
# No pass without its C file and its two tests, and none of these without its
# pass. Names belong together: CiraConvertAsync in Passes.td, the flag
# cira-convert-async, convert_async.c, convert_async.mlir and
# convert_async_invalid.mlir.
#   pairing.py ROOT
import pathlib
import re
import sys

root = pathlib.Path(sys.argv[1])
td = (root / "compiler/passes/Passes.td").read_text()
passes = re.findall(r'^def Cira(\w+) : Pass<"cira-([a-z-]+)">', td, re.M)
wrong = []
stems = set()
for name, flag in passes:
    stem = flag.replace("-", "_")
    stems.add(stem)
    if re.sub(r"(?<!^)([A-Z])", r"_\1", name).lower() != stem:
        wrong.append(f"pass Cira{name} has the flag cira-{flag}; rename one")
    for path in (f"compiler/passes/{stem}.c", f"test/lit/passes/{stem}.mlir",
                 f"test/lit/passes/{stem}_invalid.mlir"):
        if not (root / path).exists():
            wrong.append(f"pass cira-{flag} has no {path}; write it")
for path in sorted((root / "compiler/passes").glob("*.c")):
    if path.stem not in stems | {"registry"}:
        wrong.append(f"{path.relative_to(root)} belongs to no pass of Passes.td")
for path in sorted((root / "test/lit/passes").glob("*.mlir")):
    if path.stem.removesuffix("_invalid") not in stems:
        wrong.append(f"{path.relative_to(root)} belongs to no pass of Passes.td")
if not passes:
    wrong.append("Passes.td names no pass")
print("\n".join(wrong) if wrong else f"{len(passes)} passes, all with both tests")
sys.exit(bool(wrong))
