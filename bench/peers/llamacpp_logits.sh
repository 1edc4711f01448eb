#!/bin/sh
# llamacpp_logits.sh VARVE LLAMA.CPP: the error of both programs' logits beside f32 activations, on the same
# random weights, format by format. LLAMA.CPP as for llamacpp.sh.
set -e
varve=$1 peer=$2 here=$(dirname "$0") at=${TMPDIR:-/tmp}/varve-logits
tokens=${TOKENS:-64} layers=${LAYERS:-4}
g++ -O2 -std=c++17 -I"$peer/include" -I"$peer/ggml/include" "$here/llamacpp_logits.cpp" -o "$at.driver" \
  "$peer/build/src/libllama.a" $(find "$peer/build/ggml/src" -name 'libggml.a' -o -name 'libggml-cpu.a') \
  $(find "$peer/build/ggml/src" -name 'libggml-base.a') -fopenmp -lpthread -ldl
for format in ${FORMATS:-q8_0 q4_0 q4_k q5_k q6_k iq4_xs q2_k tq2_0 bf16 f16}; do
  "$varve" bench generate weights="$format" layers="$layers" prompt=1 tokens=1 rounds=1 file="$at.gguf" > /dev/null
  "$at.driver" "$at.gguf" 32000 "$tokens" 1 2 > "$at.written"
  "$at.driver" "$at.gguf" 32000 "$tokens" "$tokens" 2 > "$at.read"
  echo "$format"
  "$varve" bench logits model="$at.gguf" tokens="$tokens" written="$at.written" read="$at.read" | grep error
done
rm -f "$at".*
