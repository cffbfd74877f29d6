#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The three programs from outside: exit codes, messages, and that the same input
# gives the same bytes. Usage: cli_test.sh DIRECTORY_OF_PROGRAMS
set -u
bin=$1
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
failed=0

# expect NAME EXIT TEXT COMMAND...: the command ends with EXIT and TEXT is in
# its output; standard error has at most one line.
expect() {
  name=$1 code=$2 text=$3
  shift 3
  "$@" >"$dir/out" 2>"$dir/err"
  got=$?
  lines=$(wc -l <"$dir/err")
  if [ "$got" -ne "$code" ] || [ "$lines" -gt 1 ] ||
    { [ -n "$text" ] && ! grep -qF -- "$text" "$dir/out" "$dir/err"; }; then
    echo "FAIL $name: exit $got, wanted $code and '$text'"
    cat "$dir/out" "$dir/err"
    failed=1
  fi
}

same() {
  if ! cmp "$2" "$3"; then
    echo "FAIL $1"
    failed=1
  fi
}

small="--nodes 500 --sources 20 --sinks 20 --arcs 4000 --supply 9000"
# shellcheck disable=SC2086 # a list of options
expect generate 0 "" "$bin/mcf-gen" $small -o "$dir/a.min"
# shellcheck disable=SC2086
"$bin/mcf-gen" $small >"$dir/b.min"
same "generated twice" "$dir/a.min" "$dir/b.min"

expect solve 0 "verified   feasible and optimal" \
  "$bin/mcf" --verify -o "$dir/a.sol" "$dir/a.min"
cp "$dir/out" "$dir/first"
"$bin/mcf" --verify --stats="$dir/stats" -o "$dir/b.sol" - \
  <"$dir/a.min" >"$dir/second"
same "output of two runs" "$dir/first" "$dir/second"
same "solutions of two runs" "$dir/a.sol" "$dir/b.sol"
grep -q '"heap_bytes": [1-9]' "$dir/stats" || { echo FAIL stats; failed=1; }
expect verify 0 "feasible and optimal" \
  "$bin/mcf-verify" "$dir/a.min" "$dir/a.sol"
sed '2s/\([0-9]*\)$/1\1/' "$dir/a.sol" >"$dir/bad.sol"
expect "verify corrupted" 1 "not feasible" \
  "$bin/mcf-verify" "$dir/a.min" "$dir/bad.sol"
sed '1s/ / 1/' "$dir/a.sol" >"$dir/bad.sol"
expect "verify objective" 1 "wrong objective" \
  "$bin/mcf-verify" "$dir/a.min" "$dir/bad.sol"

printf 'p min 2 1\nn 1 5\nn 2 -5\na 1 2 0 4 1\n' >"$dir/p.min"
expect infeasible 3 "mcf: infeasible:" "$bin/mcf" "$dir/p.min"
printf 'p min 1 1\na 1 1 0 9223372036854775807 -1\n' >"$dir/p.min"
expect unbounded 3 "mcf: unbounded:" "$bin/mcf" "$dir/p.min"
printf 'p min 2 1\nn 1 5\na 1 2 0 4 1\n' >"$dir/p.min"
expect unbalanced 2 "p.min:3: unbalanced" "$bin/mcf" "$dir/p.min"
printf 'p min 2 1\na 1 7 0 4 1\n' >"$dir/p.min"
expect "bad node" 2 "p.min:2: head 7 out of range" "$bin/mcf" "$dir/p.min"
expect "no file" 2 "cannot open" "$bin/mcf" "$dir/none"
expect "directory" 1 "cannot read" "$bin/mcf" "$dir"
expect "bad instance" 2 "must be test, train or ref" "$bin/mcf" --instance x
expect "no input" 2 "give one FILE" "$bin/mcf"
expect "two inputs" 2 "give one FILE" "$bin/mcf" --instance test "$dir/a.min"
expect "bad number" 2 "must be an integer" \
  "$bin/mcf" --group-size 0 "$dir/a.min"
expect "bad output" 1 "cannot create" "$bin/mcf" -o "$dir/x/y" "$dir/a.min"
expect "bad recipe" 2 "are needed" "$bin/mcf-gen" --arcs 5
expect "bad recipe number" 2 "must be an integer" "$bin/mcf-gen" --arcs 5x
expect "full disk" 1 "cannot write" "$bin/mcf" -o /dev/full "$dir/a.min"
expect "verify usage" 2 "give PROBLEM and SOLUTION" "$bin/mcf-verify" x
for program in mcf mcf-gen mcf-verify; do
  expect "$program --help" 0 "Usage: $program" "$bin/$program" --help
done
exit $failed
