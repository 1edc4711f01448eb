// The kinds of feed-forward network of a DecoderBlock.
#pragma once

#include "run/model/block/decoder_block.h"

namespace varve {

// Rows in, what is added out, in place.
Status dense_forward(Step& step, const DecoderParts& parts, const LayerWeights& weights, Rows rows);
int64_t dense_scratch_bytes(const DecoderSpec& spec, int32_t rows);

// The same, where few rows are written and the store gives neurons alone: only those that fire are read.
inline constexpr int32_t kSparseRows = 8;
bool has_neurons(const DecoderParts& parts, const LayerWeights& weights);
bool reads_neurons(const Step& step, const DecoderParts& parts, const LayerWeights& weights);
Status sparse_forward(Step& step, const DecoderParts& parts, const LayerWeights& weights, Rows rows);
int64_t sparse_scratch_bytes(const DecoderParts& parts, int32_t rows);

Status experts_forward(Step& step, const DecoderParts& parts, const LayerWeights& weights, Rows rows);
int64_t experts_scratch_bytes(const DecoderSpec& spec, int32_t rows);

}  // namespace varve
