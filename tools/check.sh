#!/usr/bin/env bash
# Everything that must hold, in the order of what is cheapest to know. CI runs exactly this.
#   tools/check.sh         all
#   tools/check.sh asan    only the unit tests under the sanitizers
set -euo pipefail
cd "$(dirname "$0")/.."
jobs=${JOBS:-$(nproc)}

# Quiet where it builds; where it does not, the compiler's own words.
build() {
  local log
  log=$(mktemp)
  cmake --build "$1" -j"$jobs" "${@:2}" >"$log" 2>&1 || { grep -A 20 -E '^FAILED|error:' "$log" | head -n 200; exit 1; }
  tail -n 1 "$log"
  rm -f "$log"
}
# What fails stands out, and a line for each 200 tests that pass.
tests() {
  ctest --test-dir "$1" -j"$jobs" --output-on-failure --no-tests=error "${@:2}" |
    awk '/ Start +[0-9]+: / { next } / Passed +[0-9.]+ sec$/ { if (++n % 200 == 0) print n, "passed"; next } { print }'
}
step() { printf '\n== %s (%ss)\n' "$1" "$SECONDS"; }

asan() {
  step "unit tests under ASan and UBSan"
  cmake --preset asan >/dev/null
  build build/asan --target unit_tests
  tests build/asan -L unit
}
if [ "${1:-}" = asan ]; then asan; exit; fi

step "layers and shape"
python3 tools/check_layers.py
python3 tools/check_shape.py
step "format"
git ls-files '*.h' '*.cc' | xargs clang-format-14 --dry-run --Werror
step "the public clients"
npm ci --prefix tests/client --no-audit --no-fund --silent
step "build"
cmake --preset dev >/dev/null
build build/dev
asan
step "all tests"
tests build/dev
