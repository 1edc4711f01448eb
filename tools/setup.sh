#!/usr/bin/env bash
# Installs the Debian packages that Varve needs; says nothing when all are there.
#   tools/setup.sh         what it builds with
#   tools/setup.sh test    and what its tests, checks and fuzzers need besides
set -euo pipefail
packages=(g++ cmake ninja-build python3 libssl-dev libsqlite3-dev nlohmann-json3-dev libutf8proc-dev libcpp-httplib-dev libhnswlib-dev)
if [ "${1:-}" = test ]; then
  packages+=(binutils clang-14 clang-format-14 libclang-rt-14-dev libgtest-dev)
  command -v node >/dev/null || packages+=(nodejs)
  command -v npm >/dev/null || packages+=(npm)
fi
missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0
as_root=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || { echo "Install these packages as root, then try again: ${missing[*]}" >&2; exit 1; }
  as_root=(sudo)
fi
echo "Installing ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
