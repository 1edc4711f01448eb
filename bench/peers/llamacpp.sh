#!/bin/sh
# llamacpp.sh VARVE LLAMA.CPP: the same random weights of a 1B llama in Q4_0, two threads, deep contexts, both
# programs. LLAMA.CPP: a checkout whose library was built with `cmake -B build -DBUILD_SHARED_LIBS=OFF` and
# `cmake --build build --target llama`.
set -e
varve=$1 peer=$2 here=$(dirname "$0") model=${TMPDIR:-/tmp}/varve-peer.gguf
rounds=${ROUNDS:-3} tokens=${TOKENS:-16} threads=${THREADS:-2} layers=${LAYERS:-16} format=${FORMAT:-q4_0}
g++ -O2 -std=c++17 -I"$peer/include" -I"$peer/ggml/include" -I"$peer/src" "$here/llamacpp.cpp" -o "$model.driver" \
  "$peer/build/src/libllama.a" $(find "$peer/build/ggml/src" -name 'libggml.a' -o -name 'libggml-cpu.a') \
  $(find "$peer/build/ggml/src" -name 'libggml-base.a') -fopenmp -lpthread -ldl
"$varve" bench generate weights="$format" layers="$layers" prompt=1 tokens=1 rounds=1 file="$model" > /dev/null
for depth in ${DEPTHS:-4096 32768}; do
  for kv in f16 q8_0; do
    "$model.driver" "$model" 32000 "$depth" "$tokens" "$threads" "$kv" 1 "$rounds"
    [ "$kv" = f16 ] && "$model.driver" "$model" 32000 "$depth" "$tokens" "$threads" "$kv" 0 "$rounds"
    "$varve" bench generate model="$model" depth="$depth" prompt=1 tokens="$tokens" threads="$threads" kv="pack=$kv" rounds="$rounds"
  done
done
rm -f "$model" "$model.driver"
