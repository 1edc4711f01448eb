// Model: weights, tokenizer, template and blocks of one GGUF file. Immutable after open; shared by every
// sequence.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/base/hash.h"
#include "core/budget/ledger.h"
#include "core/io/env.h"
#include "run/kv/kv_cache.h"
#include "run/model/block.h"
#include "run/model/chat_template.h"
#include "run/model/tokenizer.h"

namespace varve {

enum class Readout : uint8_t { mean, first, last };

struct ModelShape {
  std::string family;  // "llama", "qwen3", ...
  int32_t layers = 0, width = 0, heads = 0, vocabulary = 0;
  int32_t context = 0;  // tokens that the model was trained for
  int32_t neurons = 0;  // of each feed-forward network, where rows may pass some of them; 0: only all
  Readout readout = Readout::last;  // how rows of hidden() become the vector of a text
  KvShape kv;
  std::string positions;  // how keys hold theirs, as "halves dim=64 base=10000": saved KV must agree in it
};

// One forward pass: the rows of several sequences, each with its own KvCache (already reserved).
struct Batch {
  std::span<const Token> tokens;
  std::span<const int32_t> positions;
  std::span<const Segment> segments;
  std::span<const int32_t> outputs;  // rows whose logits (or hidden states) are wanted, ascending
  // Of hidden(): as they are after so many layers; 0: after all and the norm. Without outputs it ends there.
  int32_t layer = 0;
};

class Model {
 public:
  virtual ~Model() = default;
  virtual const Hash256& fingerprint() const = 0;  // binds cubes to the model that made them
  virtual const ModelShape& shape() const = 0;
  virtual const std::string& name() const = 0;
  virtual const Tokenizer* tokenizer() const = 0;         // null when the file has none
  virtual const ChatTemplate* chat_template() const = 0;  // null when the file has none that parses
  // Why chat_template() is null although the file has a template; else empty.
  virtual const std::string& chat_template_problem() const {
    static const std::string kNone;
    return kNone;
  }
  // At which its makers would have it sampled (general.sampling.temp).
  virtual std::optional<float> temperature() const { return std::nullopt; }
  virtual const WeightStore& weights() const = 0;
  // How the keys of a layer hold their place, when a rotation (or nothing) is all; else they cannot be moved.
  virtual std::optional<RopeSpec> rope(int32_t) const { return std::nullopt; }
  // What forward() and hidden() take at most, logits not counted; adapters add the largest of their
  // Delta::scratch_bytes(rows).
  virtual int64_t scratch_bytes(int32_t rows, int32_t outputs) const = 0;
  // logits: [outputs][vocabulary]. invalid: a token or position that the model does not have. A batch whose
  // parts do not fit each other is a bug of the caller.
  virtual Status forward(const Batch& batch, Ops& ops, Scratch& scratch, Rows logits) const = 0;
  // hidden: [outputs][width], see Batch::layer. For embeddings.
  virtual Status hidden(const Batch& batch, Ops& ops, Scratch& scratch, Rows hidden) const = 0;
  // The logits of rows that hidden() gave with layer 0; `segments` cover them, their KV is not looked at. It
  // takes at most scratch_bytes(rows, rows).
  virtual Status head(std::span<const Segment> segments, Ops& ops, Scratch& scratch, Rows hidden,
                      Rows logits) const = 0;
};

// Opens a model. corrupt, invalid or unsupported: a bad file, named to the tensor or key; an unknown family
// (lists the known); over_budget: one sentence with the arithmetic, before any weight is read. A file without
// a tokenizer opens: tokenizer() is null. A chat template that does not parse costs only the chat: see
// chat_template_problem().
Result<std::shared_ptr<const Model>> open_model(Env& env, const std::string& path, Ledger& ledger);
// The same for a model of any family, encoders too, of which only hidden() is wanted, whole texts at a time:
// its KV has one layer, which holds nothing after a pass.
Result<std::shared_ptr<const Model>> open_embedding_model(Env& env, const std::string& path, Ledger& ledger);

}  // namespace varve
