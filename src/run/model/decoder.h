// Decoder: the model of every family here: embed, blocks, norm, logits, as its DecoderSpec says.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "run/model/block/decoder_block.h"
#include "run/model/model.h"

namespace varve {

// What open_model() found in the file beside the weights.
struct ModelIdentity {
  Hash256 fingerprint;
  std::string name;
  std::unique_ptr<Tokenizer> tokenizer;  // null when the file has none
  std::optional<ChatTemplate> chat_template;
  std::string chat_template_problem;
  std::optional<float> temperature;
};

class Decoder : public Model {
 public:
  // Finds and checks every weight; nothing later can miss one.
  static Result<std::shared_ptr<const Model>> make(DecoderSpec spec, std::unique_ptr<WeightStore> store,
                                                   ModelIdentity identity, bool to_embed = false);

  const Hash256& fingerprint() const override { return identity_.fingerprint; }
  const ModelShape& shape() const override { return shape_; }
  const std::string& name() const override { return identity_.name; }
  std::optional<float> temperature() const override { return identity_.temperature; }
  const Tokenizer* tokenizer() const override { return identity_.tokenizer.get(); }
  const ChatTemplate* chat_template() const override;
  const std::string& chat_template_problem() const override { return identity_.chat_template_problem; }
  const WeightStore& weights() const override { return *store_; }
  std::optional<RopeSpec> rope(int32_t layer) const override;
  int64_t scratch_bytes(int32_t rows, int32_t outputs) const override;
  Status forward(const Batch& batch, Ops& ops, Scratch& scratch, Rows logits) const override;
  Status hidden(const Batch& batch, Ops& ops, Scratch& scratch, Rows hidden) const override;
  Status head(std::span<const Segment> segments, Ops& ops, Scratch& scratch, Rows hidden,
              Rows logits) const override;

 private:
  Decoder(DecoderSpec spec, std::unique_ptr<WeightStore> store, ModelIdentity identity, bool to_embed);
  Status bind();
  Status check(const Batch& batch, const Rows& out, int32_t width) const;
  Status embed(const Batch& batch, Step& step) const;
  Status add_rows(WeightId table, std::span<const int32_t> rows, Step& step) const;
  Status run(const Batch& batch, Step& step, Rows out) const;  // out: the wanted rows of Batch::layer

  DecoderSpec spec_;
  std::unique_ptr<WeightStore> store_;
  ModelIdentity identity_;
  bool to_embed_;  // see open_embedding_model
  ModelShape shape_;
  DecoderWeights weights_;
  std::vector<float> rope_factors_;
  RopeSpec rope_, rope_local_;
  std::vector<DecoderBlock> blocks_;
  std::vector<WeightId> pass_, pass_of_few_;  // of many rows, and of those that are written
};

ModelShape shape_of(const DecoderSpec& spec);

}  // namespace varve
