#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# A server behind a network that loses one packet in ten and is then cut. Two
# network namespaces joined by a veth pair, nft drops packets. Needs root and
# ip, nft; exits 77 (skip) without.
#   partition.sh CIRA_MEMD CLIENT
set -u
memd=$1
client=$2
tag=cira$$
dir=$(mktemp -d)
server_pid=

cleanup() {
  [ -n "$server_pid" ] && kill "$server_pid" 2>/dev/null
  ip netns del "$tag-s" 2>/dev/null
  ip netns del "$tag-c" 2>/dev/null
  rm -rf "$dir"
}
trap cleanup EXIT

skip() {
  echo "skipped: $1"
  exit 77
}

fail() {
  echo "failed: $1"
  cat "$dir"/* 2>/dev/null
  exit 1
}

[ "$(id -u)" = 0 ] || skip "needs root for network namespaces"
command -v nft >/dev/null && command -v ip >/dev/null || skip "no nft or no ip"
ip netns add "$tag-s" 2>/dev/null || skip "no network namespaces here"
ip netns add "$tag-c" || skip "no network namespaces here"
ip link add "${tag}s" netns "$tag-s" type veth peer name "${tag}c" \
  netns "$tag-c" || skip "no veth here"
ip -n "$tag-s" addr add 10.99.7.1/24 dev "${tag}s"
ip -n "$tag-c" addr add 10.99.7.2/24 dev "${tag}c"
ip -n "$tag-s" link set "${tag}s" up
ip -n "$tag-c" link set "${tag}c" up

drop() { # drop RULE: everything that comes in at the client
  ip netns exec "$tag-c" nft flush ruleset
  ip netns exec "$tag-c" nft -f - <<EOF || skip "nft refuses: $1"
table ip t {
  chain c {
    type filter hook input priority 0; policy accept;
    $1
  }
}
EOF
}

ip netns exec "$tag-s" "$memd" --listen tcp://10.99.7.1:7070 --size 64m \
  >"$dir/server" 2>&1 &
server_pid=$!
for _ in 1 2 3 4 5 6 7 8 9 10; do
  grep -q ready "$dir/server" && break
  sleep 0.2
done
grep -q ready "$dir/server" || fail "the server does not start"

drop "numgen random mod 100 < 10 drop"
mkfifo "$dir/in"
ip netns exec "$tag-c" "$client" tcp://10.99.7.1:7070 <"$dir/in" \
  >"$dir/out" 2>&1 &
client_pid=$!
exec 3>"$dir/in"
n=0
until grep -q "cut me" "$dir/out"; do
  kill -0 "$client_pid" 2>/dev/null || { cat "$dir/out"; exit 1; }
  n=$((n + 1))
  [ "$n" -lt 500 ] || { cat "$dir/out"; echo "too slow"; exit 1; }
  sleep 0.2
done
drop "drop"
echo go >&3
wait "$client_pid"
code=$?
cat "$dir/out"
exit "$code"
