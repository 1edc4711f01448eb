#!/usr/bin/env bash
# Trains varve-nano from nothing: the stages of models/varve-nano/stages, one after another.
#   tools/train_nano.sh [FOLDER]    default: build/nano
# Ctrl-C stops after a checkpoint; the same command goes on from it. Vocabulary, checkpoints and one GGUF file a
# stage lie in FOLDER; the last is FOLDER/cool.gguf. VARVE names the program, default build/release/varve.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
folder=${1:-$root/build/nano}
varve=${VARVE:-$root/build/release/varve}
mkdir -p "$folder"
common=() after=()
while read -r name line; do
  case $name in '' | '#'*) continue ;; esac
  read -ra options <<<"$line"
  if [ "$name" = common ]; then
    common=("${options[@]}")
    continue
  fi
  if [ ! -e "$folder/$name.gguf" ]; then
    echo "stage $name"
    "$varve" pretrain "${common[@]}" "${options[@]}" ${after[@]+"${after[@]}"} -o "$folder/$name.gguf"
  fi
  after=(--after "$folder/$name.gguf")
done <"$root/models/varve-nano/stages"
