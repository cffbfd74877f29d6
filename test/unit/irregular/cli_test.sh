#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The program from outside: exit codes, messages, modes.
# Usage: cli_test.sh PROGRAM
set -u
program=$1
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
failed=0
# Under the address sanitizer malloc must fail as it does elsewhere.
export ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}allocator_may_return_null=1"
export TSAN_OPTIONS="${TSAN_OPTIONS:+$TSAN_OPTIONS:}allocator_may_return_null=1"

# expect NAME EXIT TEXT OPTION...: the program ends with EXIT and TEXT is in
# its output; standard error has at most one line.
expect() {
  name=$1 code=$2 text=$3
  shift 3
  "$program" "$@" </dev/null >"$dir/out" 2>"$dir/err"
  check
}

check() {
  got=$?
  lines=$(grep -vc '^==' "$dir/err") # not the address sanitizer's own
  if [ "$got" -ne "$code" ] || [ "$lines" -gt 1 ] ||
    ! grep -qF -- "$text" "$dir/out" "$dir/err"; then
    echo "FAIL $name: exit $got, wanted $code and '$text'"
    cat "$dir/out" "$dir/err"
    failed=1
  fi
}

# serve NAME EXIT TEXT INPUT OPTION...
serve() {
  name=$1 code=$2 text=$3 input=$4
  shift 4
  printf "$input" | "$program" --serve "$@" >"$dir/out" 2>"$dir/err"
  check
}

small="--kernel bfs-kron --scale 8"
expect list 0 "join-8" --list
expect "list as JSON" 0 '"kernel":"tc-uniform"' --list --json
expect help 0 "Usage:" --help
expect plain 0 "verified" $small --variant plain --verify
expect param 0 "best, distance 3 " $small --param 3 --trials 3
expect sweep 0 "best, distance 64 " $small --sweep --verify
expect json 0 '"verified":true,"results":[{"variant":"plain"' $small --json --verify
expect degree 0 "degree 3" $small --degree 3
expect "huge pages" 0 "huge pages" $small --huge-pages
expect "small pages" 0 "small pages" $small --small-pages
expect "cpu time" 0 "ns/edge" $small --cpu-time
expect size 0 ": 65536 values" --kernel indirect-sum --size 64k
serve serve 0 '"variant":"best","param":9' 'plain\nverify\nbest\nbest 9\n' $small
serve "serve verifies" 0 '"verified":true' 'best 5\nverify\n' $small

expect nothing 2 "give --kernel NAME or --list"
expect "unknown kernel" 2 "no such kernel; --list" --kernel bfs
expect "unknown option" 2 "unrecognized option" --kernels bfs-kron
expect "extra argument" 2 "unexpected argument" $small more
expect "not a power" 2 "must be a power of two from 2" --kernel bfs-kron --size 100
expect "too small" 2 "must be a whole number from 64" --kernel cg --size 4
expect "too large" 2 "from 1 to 2147483648" --kernel join-1 --size 8g
expect "no number" 2 "--size 12q: must be a whole number" --kernel gups --size 12q
expect "negative" 2 "--scale -3: must be" --kernel gups --scale -3
expect "overflow" 2 "--size 99999999999g: must be" --kernel gups --size 99999999999g
expect "zero trials" 2 "--trials 0: must be" $small --trials 0
expect "param range" 2 "--param 4096: must be a whole number from 1 to 1024" $small --param 4096
expect variant 2 "must be plain, best or both" $small --variant fast
expect preset 2 "must be test or bench" $small --preset huge
expect "degree of no graph" 2 "--degree is for graphs" --kernel gups --degree 4
expect "pages twice" 2 "exclude each other" $small --huge-pages --small-pages
expect "sweep and param" 2 "leave out --param" $small --sweep --param 3
expect "serve all" 2 "name it instead of all" --serve --kernel all
expect "no memory" 1 "choose a smaller" --kernel bfs-uniform --scale 30 --degree 4096
serve "serve unknown" 2 "must be plain, best" 'fast\n' $small
serve "serve verify first" 2 "verify after one of them" 'verify\n' $small
serve "serve param" 2 "best 0: must be" 'best 0\n' $small
exit $failed
