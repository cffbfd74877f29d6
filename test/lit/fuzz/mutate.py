# SPDX-License-Identifier: Apache-2.0
# Feeds truncated and mutated .mlir files to cira-opt: it may refuse them, but
# must not crash, hang or run out of memory.
#   mutate.py CIRA_OPT FOLDER [RUNS] [SEED]
# The corpus is every .mlir file below FOLDER. Exit 0: no crash. A failing
# input is written to the present folder and named.
import pathlib
import random
import subprocess
import sys

ARGS = ["--split-input-file", "--allow-unregistered-dialect",
        "-o", "/dev/null"]
PIPELINES = ["canonicalize,cse,cira-default", "cira-to-llvm",
             "cira-default,cira-to-llvm"]


def pieces(text):
    """Tokens, roughly: words, numbers, single signs, white space."""
    out, word = [], ""
    for c in text:
        if c.isalnum() or c in "_.%@#!":
            word += c
            continue
        if word:
            out.append(word)
        word = ""
        out.append(c)
    return out + [word]


def mutate(rng, texts):
    text = rng.choice(texts)
    # One part of a split file reaches the parser more often than the whole.
    text = rng.choice(text.split("// -----"))
    kind = rng.randrange(4)
    if kind == 0:
        return text[:rng.randrange(len(text) + 1)]
    if kind == 1:
        raw = list(text)
        for _ in range(rng.randrange(1, 4)):
            if raw:
                raw[rng.randrange(len(raw))] = chr(rng.randrange(1, 256))
        return "".join(raw)
    parts = pieces(text)
    other = pieces(rng.choice(texts))
    for _ in range(rng.randrange(1, 4)):
        at = rng.randrange(len(parts))
        if kind == 2:
            parts[at] = rng.choice(other)
        else:
            end = min(len(parts), at + rng.randrange(1, 12))
            rng.choice([lambda: parts.__delitem__(slice(at, end)),
                        lambda: parts.insert(at, "".join(parts[at:end]))])()
            if not parts:
                parts = [""]
    return "".join(parts)


def main():
    tool, folder = sys.argv[1:3]
    runs = int(sys.argv[3]) if len(sys.argv) > 3 else 2000
    seed = int(sys.argv[4]) if len(sys.argv) > 4 else 1
    texts = [p.read_text() for p in sorted(pathlib.Path(folder).rglob("*.mlir"))]
    if not texts:
        sys.exit(f"mutate: no .mlir file below {folder}")
    print(f"mutate: {runs} runs, seed {seed}, {len(texts)} files")
    rng = random.Random(seed)
    for run in range(runs):
        text = mutate(rng, texts)
        try:
            stages = PIPELINES[run % len(PIPELINES)]
            done = subprocess.run([tool] + ARGS + [f"--pass-pipeline=builtin.module({stages})"], input=text.encode("latin-1", "replace"),
                                  capture_output=True, timeout=20)
            bad = done.returncode not in (0, 1)
            what = f"exit code {done.returncode} of {stages}"
        except subprocess.TimeoutExpired:
            bad, what = True, "no end after 20 s"
        if bad:
            name = f"mutate-{seed}-{run}.mlir"
            pathlib.Path(name).write_bytes(text.encode("latin-1", "replace"))
            sys.exit(f"mutate: run {run}: {what}; input kept in {name}")
    print("mutate: no crash")


if __name__ == "__main__":
    main()
