// DecoderBlock: one layer of a decoder-only transformer: attention, then a feed-forward network or a mixture
// of experts, each added to the rows it reads.
#pragma once

#include <vector>

#include "run/model/block.h"
#include "run/model/block/decoder_spec.h"
#include "run/model/block/layer_weights.h"

namespace varve {

// What all blocks of a decoder share; the decoder owns it.
struct DecoderParts {
  const DecoderSpec& spec;
  const WeightStore& store;
  const RopeSpec &rope, &rope_local;
  bool one_kv_layer =
      false;  // the KV of a layer is of no use to anybody after the pass: all layers share one
};

class DecoderBlock : public Block {
 public:
  DecoderBlock(const DecoderParts& parts, int32_t layer, LayerWeights weights);
  std::span<const WeightId> weights() const override { return ids_; }
  std::vector<WeightId> weights_of_few() const;
  Status forward(Step& step) const override;
  int64_t scratch_bytes(int32_t rows) const override;

 private:
  Status enter(Step& step, const Affine& norm, Rows in, Rows out) const;
  Status leave(Step& step, const Affine& norm, Rows rows) const;
  Status attention(Step& step, Rows rows) const;  // reads what attention reads, leaves what it adds
  Status project_qkv(Step& step, Rows rows, Rows qkv) const;
  Status norm_heads(Step& step, const Affine& norm, Rows rows, int32_t heads) const;
  Status prepare_heads(Step& step, const Affine& norm, Rows rows, int32_t heads) const;
  Status attend(Step& step, Rows hidden, Rows qkv, Rows out) const;
  void warm(Step& step, Rows queries) const;
  Status feed_forward(Step& step, Rows rows) const;  // likewise

  DecoderParts parts_;
  int32_t layer_;
  LayerWeights weights_;
  std::vector<WeightId> ids_;
};

}  // namespace varve
