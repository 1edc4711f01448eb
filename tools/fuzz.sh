#!/usr/bin/env bash
# Searches for inputs that break the readers, with clang's libFuzzer under ASan and UBSan.
#   tools/fuzz.sh [seconds each] [names...]     default: 60 seconds, every fuzzer
# Starts from tests/fuzz/corpus/<name>, grows build/fuzz/corpus/<name>, and leaves in build/fuzz/minimal/<name>
# the smallest set that covers as much, fit to replace the committed one. Findings stay in
# build/fuzz/findings/<name>; any makes the script fail.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-60}
shift || true
names=("$@")
if [ ${#names[@]} -eq 0 ]; then
  for source in tests/fuzz/fuzz_*.cc; do
    name=$(basename "$source" .cc)
    names+=("${name#fuzz_}")
  done
fi

cmake --preset fuzz >/dev/null
build() { cmake --build build/fuzz -j"${JOBS:-$(nproc)}" --target "${names[@]/#/fuzz_}"; }
build >build/fuzz/build.log 2>&1 || { grep -E -A 8 'FAILED|error' build/fuzz/build.log; exit 1; }
failed=0
for name in "${names[@]}"; do
  program=build/fuzz/tests/fuzz/fuzz_$name
  grown=build/fuzz/corpus/$name minimal=build/fuzz/minimal/$name findings=build/fuzz/findings/$name
  seeds=tests/fuzz/corpus/$name
  mkdir -p "$grown" "$findings" "$seeds"
  options=(-rss_limit_mb=2048 -timeout=10 -max_len=4096 -artifact_prefix="$findings/")
  [ -f "tests/fuzz/$name.dict" ] && options+=("-dict=tests/fuzz/$name.dict")
  log=build/fuzz/$name.log
  status=ok
  "$program" "${options[@]}" -max_total_time="$seconds" -print_final_stats=1 "$grown" "$seeds" >"$log" 2>&1 || status=FOUND
  executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
  rm -rf "$minimal" && mkdir -p "$minimal"
  "$program" "${options[@]}" -merge=1 "$minimal" "$seeds" "$grown" >>"$log" 2>&1 || status=FOUND
  printf '%-14s %s  %s executions, %s inputs of %s bytes cover as much\n' "$name" "$status" "${executions:-?}" \
    "$(find "$minimal" -type f | wc -l)" "$(cat "$minimal"/* 2>/dev/null | wc -c)"
  if [ "$status" != ok ]; then
    failed=1
    grep -m 3 -E 'ERROR|SUMMARY|varve: bug' "$log" || true
    ls "$findings"
  fi
done
exit $failed
