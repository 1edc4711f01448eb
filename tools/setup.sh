#!/usr/bin/env bash
# Installs the Debian packages that Varve builds and tests with; says nothing when all are there.
set -euo pipefail
packages=(g++ cmake ninja-build make clang-format-14 clang-14 libclang-rt-14-dev python3 binutils
          libssl-dev libsqlite3-dev nlohmann-json3-dev libutf8proc-dev libcpp-httplib-dev libgtest-dev libbenchmark-dev)
command -v node >/dev/null || packages+=(nodejs)
command -v npm >/dev/null || packages+=(npm)
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
