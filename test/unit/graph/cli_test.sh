#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# cira-graph as a user meets it. Usage: cli_test.sh FOLDER-OF-THE-PROGRAMS
graph=$1/cira-graph
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export XDG_RUNTIME_DIR=$work
unset CIRA_FAR CIRA_LOCAL CIRA_TOKEN_FILE
failed=0
fail() {
  echo "FAILED: $*"
  cat "$work/out" "$work/err"
  failed=1
}
runs() { # WORDS ARGUMENT...: exit 0 and the words on standard output
  local words=$1
  shift
  "$graph" "$@" >"$work/out" 2>"$work/err" && grep -q -- "$words" "$work/out" &&
    [ ! -s "$work/err" ] || fail "$*"
}
refused() { # STATUS WORDS ARGUMENT...: that exit, words in the first line
  local status=$1 words=$2
  shift 2
  "$graph" "$@" >"$work/out" 2>"$work/err"
  [ $? = "$status" ] && head -1 "$work/err" | grep -q -- "$words" &&
    [ ! -s "$work/out" ] || fail "$*"
}
recipe=kronecker:11,10
for command in bfs sssp pr cc bc tc; do
  runs 'verified *yes' $command --generate $recipe --verify --threads 2
  runs '"verified": true' $command --json -g $recipe -v --far shm: --local 1M
done
runs 'place *host:' bfs -g grid:50x40 -v --far host: --local 512K --plain
runs 'reached *2000' bfs -g grid:50x40 --source 1999
runs 'edges *7820' info -g grid:50x40 --convert "$work/g.cgr"
runs 'reached *2000' bfs "$work/g.cgr" --trials 3
for suffix in el mtx gr; do
  runs 'edges *7820' info "$work/g.cgr" --convert "$work/g.$suffix"
  runs 'verified *yes' cc "$work/g.$suffix" -v
done
if ! "$1/cira-run" --local 16M "$graph" bfs -g $recipe -v >"$work/out" 2>"$work/err" ||
  ! grep -q 'verified *yes' "$work/out"; then
  fail 'below cira-run'
fi
runs 'Usage: cira-graph' --help
runs 'cira-graph [0-9]' --version
refused 2 'a command is missing'
refused 2 'not walk' walk x.el
refused 2 'give one FILE' bfs
refused 2 'give one FILE' bfs x.el -g grid:2x2
refused 2 'unexpected argument y.el' bfs x.el y.el
refused 2 '--source is for' cc -g grid:2x2 -s 1
refused 2 'source 4: the vertices are 0 to 3' bfs -g grid:2x2 -s 4
refused 2 'no recipe' bfs -g ring:5
refused 2 'add --far' bfs -g grid:2x2 --local 1M
refused 2 '256K' bfs -g grid:2x2 --far host: --local 1K
refused 2 'random:MAX' sssp -g grid:2x2 --weights random:0
refused 1 'cannot be read' bfs "$work/missing.el"
printf '0 1\n0 x\n' >"$work/bad.el"
refused 2 "bad.el:2: the second vertex 'x'" bfs "$work/bad.el"
head -c 100 "$work/g.cgr" >"$work/cut.cgr"
refused 2 'was cut' bfs "$work/cut.cgr"
printf 'p sp 1 0\n' >"$work/none.gr"
refused 2 'without --compact' bfs --compact "$work/none.gr"
printf '0 1 -4\n' >"$work/negative.wel"
refused 2 'weight -4' sssp "$work/negative.wel"
"$graph" info -g grid:2x2 >/dev/full 2>"$work/err"
[ $? = 1 ] || fail 'a full standard output'
exit $failed
