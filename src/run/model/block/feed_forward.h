// The kinds of feed-forward network of a DecoderBlock.
#pragma once

#include <functional>

#include "run/model/block/decoder_block.h"

namespace varve {

// Rows in, what is added out, in place. seen: is shown what meets ffn_down.
using Seen = std::function<void(Rows values)>;
Status dense_forward(Step& step, const DecoderParts& parts, const LayerWeights& weights, Rows rows,
                     const Seen& seen = {});
int64_t dense_scratch_bytes(const DecoderSpec& spec, int32_t rows);

// The same, where few rows are written and the store gives neurons alone: only those that fire are read.
inline constexpr int32_t kSparseRows = 8;
bool has_neurons(const DecoderParts& parts, const LayerWeights& weights);
bool reads_neurons(const Step& step, const DecoderParts& parts, const LayerWeights& weights);
Status sparse_forward(Step& step, const DecoderParts& parts, const LayerWeights& weights, Rows rows);
int64_t sparse_scratch_bytes(const DecoderParts& parts, int32_t rows);

// For segments that choose their neurons (run/model/choose): a prompt passes all of them, and is seen; rows
// that are written pass those that are chosen, by neuron where the store gives them so. can_choose: a model
// of which this can be asked.
bool can_choose(const DecoderParts& parts, const LayerWeights& weights);
bool chooses(const Step& step);
bool lies_whole(const DecoderParts& parts, const LayerWeights& weights);  // no pass of few counts on its gate
Status chosen_forward(Step& step, const DecoderParts& parts, const LayerWeights& weights, int32_t layer,
                      Rows rows);
int64_t chosen_scratch_bytes(const DecoderParts& parts, int32_t rows);

Status experts_forward(Step& step, const DecoderParts& parts, const LayerWeights& weights, Rows rows);
int64_t experts_scratch_bytes(const DecoderSpec& spec, int32_t rows);

}  // namespace varve
