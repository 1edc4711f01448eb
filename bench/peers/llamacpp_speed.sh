#!/bin/sh
# llamacpp_speed.sh GENERATE LLAMA.CPP: the same random weights in both programs, in turns, format by format;
# medians and ratios. GENERATE: what stands before the options of `bench generate`, as "./varve bench generate".
# LLAMA.CPP as for llamacpp.sh. Both are one process a turn: reads one of PROMPTS, then writes TOKENS after
# each. With 4 of the 16 layers of a 1B shape a turn is shorter and the ratio that of the layers.
set -e
generate=$1 peer=$2 here=$(dirname "$0") at=${TMPDIR:-/tmp}/varve-speed
rounds=${ROUNDS:-5} tokens=${TOKENS:-32} threads=${THREADS:-2} layers=${LAYERS:-4}
g++ -O2 -std=c++17 -I"$peer/include" -I"$peer/ggml/include" -I"$peer/src" "$here/llamacpp.cpp" -o "$at.driver" \
  "$peer/build/src/libllama.a" $(find "$peer/build/ggml/src" -name 'libggml.a' -o -name 'libggml-cpu.a') \
  $(find "$peer/build/ggml/src" -name 'libggml-base.a') -fopenmp -lpthread -ldl
median() { sort -g | awk '{v[NR] = $1} END {print v[int((NR + 1) / 2)]}'; }
for format in ${FORMATS:-q8_0 q4_0 q4_k q5_k q6_k iq4_xs q2_k tq2_0 bf16}; do
  $generate weights="$format" layers="$layers" prompt=1 tokens=1 rounds=1 file="$at.gguf" > /dev/null
  rm -f "$at".*.theirs "$at".*.ours
  for round in $(seq "$rounds"); do
    for prompt in ${PROMPTS:-512 2048}; do
      "$at.driver" "$at.gguf" 32000 0 "$tokens" "$threads" f16 0 1 "$prompt" > "$at.theirs"
      sed -n 's/^prompt.*: \([0-9.]*\) .*/\1/p' "$at.theirs" >> "$at.read-$prompt.theirs"
      sed -n 's/^depth.*: \([0-9.]*\) .*/\1/p' "$at.theirs" >> "$at.write-$prompt.theirs"
      $generate model="$at.gguf" prompt="$prompt" tokens="$tokens" threads="$threads" rounds=1 > "$at.ours"
      sed -n 's/.* prompt  *\([0-9.]*\) .*/\1/p' "$at.ours" >> "$at.read-$prompt.ours"
      sed -n 's/.* write  *\([0-9.]*\) .*/\1/p' "$at.ours" >> "$at.write-$prompt.ours"
    done
  done
  for what in $(cd "$(dirname "$at")" && ls "$(basename "$at")".*.ours | sed 's/.*speed\.\(.*\)\.ours/\1/'); do
    theirs=$(median < "$at.$what.theirs") ours=$(median < "$at.$what.ours")
    echo "$format $what: $ours, theirs $theirs, $(echo "$ours $theirs" | awk '{printf "%.2f", $1 / $2}') x"
  done
done
rm -f "$at".*
