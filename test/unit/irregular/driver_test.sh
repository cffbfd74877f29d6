#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The driver on small data: its result file, its sweep, its refusals.
# Usage: driver_test.sh IRREGULAR_PY BUILD
set -u
driver=$1
build=$2
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
failed=0

# expect NAME EXIT TEXT OPTION...
expect() {
  name=$1 code=$2 text=$3
  shift 3
  "$driver" --build "$build" --out "$dir/r.json" "$@" >"$dir/out" 2>&1
  got=$?
  if [ "$got" -ne "$code" ] || ! grep -qF -- "$text" "$dir/out"; then
    echo "FAIL $name: exit $got, wanted $code and '$text'"
    cat "$dir/out"
    failed=1
  fi
}

test="--preset test --rounds 2 --kernels"
expect pairs 0 "join-8" $test 'join-*,gups' --pages huge,small
python3 - "$dir/r.json" <<'END' || failed=1
import json, sys
with open(sys.argv[1], encoding="utf-8") as f:
    r = json.load(f)
names = {(c["kernel"], c["pages"]) for c in r["cases"]}
assert len(names) == 10, names
for case in r["cases"]:
    assert case["verified"] and len(case["runs"]["clang plain"]) == 2, case
    assert case["medians"]["clang best"] > 0, case
END
expect sweep 0 "tree-search" $test tree-search --sweep
expect classic 0 "geometric mean" --classic --preset test --rounds 1
expect "classic and kernels" 2 "leave out --kernels" $test gups --classic
expect "no kernel" 2 "no kernel is called" $test nothing
expect "bad pages" 2 "pages" $test gups --pages large
expect "no build" 2 "irregular-clang" $test gups --build "$dir"
exit $failed
