#!/usr/bin/env bash
# Everything that must hold, in the order of what is cheapest to know. CI runs exactly this.
#   tools/check.sh         all
#   tools/check.sh asan    only the unit tests under the sanitizers
set -euo pipefail
cd "$(dirname "$0")/.."
jobs=${JOBS:-$(nproc)}

step() { printf '\n== %s (%ss)\n' "$1" "$SECONDS"; }

asan() {
  step "unit tests under ASan and UBSan"
  cmake --preset asan >/dev/null
  cmake --build build/asan -j"$jobs" --target unit_tests | tail -n 1
  ctest --test-dir build/asan -L unit -j"$jobs" --output-on-failure --no-tests=error
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
cmake --build build/dev -j"$jobs" | tail -n 1
asan
step "all tests"
ctest --test-dir build/dev -j"$jobs" --output-on-failure --no-tests=error
