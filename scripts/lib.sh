# SPDX-License-Identifier: Apache-2.0
# Sourced by the scripts: stages with elapsed time, heartbeats for long ones,
# and a log file for each.
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
ROOT=$PWD
LOGS=$ROOT/out/log
mkdir -p "$LOGS"
export LC_ALL=C.UTF-8
PYTHON=/usr/bin/python3 # Debian's, whatever else PATH has
START=$(date +%s.%N)

elapsed() { # seconds since START, or since $1
  awk -v a="${1:-$START}" -v b="$(date +%s.%N)" 'BEGIN { printf "%.1f", b - a }'
}

say() {
  printf '[%7ss] %s\n' "$(elapsed)" "$*"
}

# stage NAME COMMAND...: runs the command with its output in out/log/NAME.log,
# shows the log's last line every 15 s, and one line at the end. On failure
# shows the end of the log. Returns the command's status.
stage() {
  local name=$1 log=$LOGS/${1//[ \/]/-}.log began status pid tick=0
  shift
  began=$(date +%s.%N)
  "$@" >"$log" 2>&1 </dev/null &
  pid=$!
  while kill -0 "$pid" 2>/dev/null; do
    sleep 0.2
    tick=$((tick + 1))
    if [ $((tick % 75)) = 0 ]; then
      say "$name ... $(tail -n 1 "$log" | tr -d '\r' | cut -c 1-100)"
    fi
  done
  wait "$pid"
  status=$?
  if [ $status = 0 ]; then
    say "$name: done in $(elapsed "$began") s"
  else
    say "$name: FAILED (status $status) after $(elapsed "$began") s; log: ${log#"$ROOT"/}"
    if [ "${STAGE_QUIET:-}" != 1 ]; then
      tail -n 40 "$log" | sed 's/^/    /'
    fi
  fi
  return $status
}

setup() {
  scripts/setup "$@" || exit 1
}

# build PRESET: configures when needed (ninja itself notices changed CMake
# files) and builds everything.
build() {
  local preset=$1 dir=$ROOT/build/$1 options=()
  if [ "${WERROR:-}" = 1 ]; then
    options+=(-DCIRA_WERROR=ON)
  fi
  case $preset in
  asan-ubsan | tsan) # Debian's libMLIR is not instrumented: no use, long builds
    options+=(-DCIRA_COMPILER=OFF)
    ;;
  esac
  if [ ! -e "$dir/build.ninja" ] || [ CMakePresets.json -nt "$dir/CMakeCache.txt" ]; then
    stage "configure $preset" cmake --preset "$preset" "${options[@]}" || return 1
    touch "$dir/CMakeCache.txt"
  fi
  stage "build $preset" ninja -C "$dir"
}
