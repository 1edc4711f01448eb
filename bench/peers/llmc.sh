#!/bin/bash
# Varve's trainer beside llm.c's (github.com/karpathy/llm.c) on the same tokens, in turns:
# bench/peers/llmc.sh VARVE LLM.C-CHECKOUT TEXT [STEPS [RATE]]
set -e
varve=$(realpath "$1") llmc=$(realpath "$2") text=$(realpath "$3") steps=${4:-20} rate=${5:-1e-3}
here=$(cd "$(dirname "$0")" && pwd) work=$(mktemp -d)
trap 'rm -r "$work"' EXIT
python3 "$here/tokens.py" "$text" "$work/tokens.bin"
python3 "$here/gpt2.py" "$work/model.bin"
${CC:-cc} -Ofast -fno-finite-math-only -march=native -fopenmp -w -I "$llmc" "$here/llmc.c" -lm -o "$work/llmc"
OMP_NUM_THREADS=$(nproc) "$work/llmc" "$work/model.bin" "$work/tokens.bin" 512 8 "$steps" "$rate"
"$varve" bench train_curve tokens="$work/tokens.bin" steps="$steps" shown="$steps" rate="$rate"
