// Attention-Gate (Zeng et al. 2024): a small module beside attention reads the hidden states and says, a
// token and KV head, what is worth keeping. `varve learn --recipe gate` trains it over a frozen model. Here
// it is linear in what attention reads, where the paper's attends over the prompt itself: what came before is
// in the hidden states. And here it ranks: a lane keeps the newest, the sinks, and of the rest those of the
// largest logits, so that a budget is held to the token, where the paper's threshold keeps as many as it
// happens to.
#include <cmath>

#include "core/format/gguf.h"
#include "core/format/json.h"
#include "core/io/env.h"
#include "math/codec/codec.h"
#include "math/kernel/kernel.h"
#include "run/kv/policy.h"

namespace varve::kv_policy {
namespace {

constexpr int64_t kMostBytes = 64 << 20;

struct Layer {
  std::vector<float> weights, bias;  // [heads][width], [heads]
};

struct Gates {
  Hash256 model;
  int32_t heads = 0, width = 0;
  int recent = 16, sinks = 4;  // as it was trained
  std::vector<Layer> layers;
};

class Gate : public RankingPolicy {
 public:
  explicit Gate(Gates gates) : gates_(std::move(gates)) {}

  KvNeeds needs() const override { return {.hidden = true}; }

  Status fits(const KvShape& shape, const Hash256* model) const override {
    if (model != nullptr && *model != gates_.model)
      return Status(Code::invalid,
                    "the gate was trained for another model; train one for this model with "
                    "'varve learn --recipe gate'");
    if (shape.layers == int32_t(gates_.layers.size()) && shape.kv_heads == gates_.heads) return {};
    return Status(Code::invalid, "the gate is of a model with " + std::to_string(gates_.layers.size()) +
                                     " layers of " + std::to_string(gates_.heads) +
                                     " KV heads; this one has " + std::to_string(shape.layers) + " of " +
                                     std::to_string(shape.kv_heads));
  }

  Status mark(int32_t layer, std::span<const float> hidden, std::span<float> marks) const override {
    if (hidden.size() != size_t(gates_.width))
      return Status(Code::invalid, "the gate reads " + std::to_string(gates_.width) +
                                       " values of a token, and this model has " +
                                       std::to_string(hidden.size()));
    const Layer& gate = gates_.layers[size_t(layer)];
    for (size_t head = 0; head < marks.size(); ++head) {
      marks[head] = gate.bias[head] + kernels().dot(gate.weights.data() + head * hidden.size(), hidden.data(),
                                                    nullptr, hidden.size());
    }
    return {};
  }

  void score(const KvLane& lane, size_t, std::span<float> scores) const override {
    for (size_t i = 0; i < lane.size(); ++i) {
      const bool stays = lane.positions[i] < gates_.sinks || i + size_t(gates_.recent) >= lane.size();
      scores[i] = stays ? kStays : lane.marks[i];
    }
  }

 private:
  Gates gates_;
};

Status broken(const std::string& what) {
  return Status(Code::invalid, "the gate's file " + what + "; 'varve learn --recipe gate' writes one");
}

Result<std::vector<float>> floats(std::span<const std::byte> file, const GgufTensor& tensor) {
  if (tensor.type != 0 || tensor.shape.size() > 2) return broken("has a tensor that is no matrix of f32");
  std::vector<float> values(size_t(tensor.elements()));
  const Codec& f32 = *TRY(codec_named("f32"));
  f32.decode(file.subspan(size_t(tensor.offset), size_t(tensor.bytes)), values);
  for (float value : values) {
    if (!std::isfinite(value)) return broken("has a value that is no number");
  }
  return values;
}

Result<Gates> parse(std::span<const std::byte> file) {
  const Gguf gguf = TRY(Gguf::parse(file));
  const auto kind = gguf.string("adapter.type"), model = gguf.string("varve.base_model"),
             lesson = gguf.string("varve.lesson");
  if (!kind.ok() || *kind != "gate") return broken("holds no gate");
  if (!model.ok() || !lesson.ok()) return broken("does not say what it was trained for");
  Gates gates;
  gates.model = TRY(Hash256::from_hex(*model));
  const Json all = TRY(parse_json(*lesson));
  const Json &near = all["gate"]["near"], &sinks = all["gate"]["sinks"];
  if (!near.is_int() || !sinks.is_int() || near.as_int() < 1 || near.as_int() > 1 << 20 ||
      sinks.as_int() < 0 || sinks.as_int() > 1024)
    return broken("does not say how many newest tokens it was trained to leave alone");
  gates.recent = int(near.as_int()), gates.sinks = int(sinks.as_int());
  while (true) {
    const std::string at = "blk." + std::to_string(gates.layers.size()) + ".kv_gate.weight.";
    const GgufTensor *weights = gguf.tensor(at + "w"), *bias = gguf.tensor(at + "b");
    if (weights == nullptr || bias == nullptr) break;
    Layer layer{TRY(floats(file, *weights)), TRY(floats(file, *bias))};
    const auto heads = int32_t(layer.bias.size()), width = int32_t(weights->shape[0]);
    if (gates.layers.empty()) gates.heads = heads, gates.width = width;
    if (heads != gates.heads || width != gates.width || layer.weights.size() != size_t(heads) * size_t(width))
      return broken("has layers of different shapes");
    gates.layers.push_back(std::move(layer));
  }
  if (gates.layers.empty() || gguf.tensors().size() != 2 * gates.layers.size())
    return broken("has other tensors than a weight and a bias a layer");
  return gates;
}

}  // namespace

Made gate(const Spec& spec) {
  Spec numbers = spec;
  std::string file;
  if (const auto found = numbers.options.find("file"); found != numbers.options.end()) {
    file = found->second;
    numbers.options.erase(found);
  }
  int sinks = -1, recent = -1;
  TRY(OptionReader(numbers).read("sinks", sinks, 0, 1024).read("recent", recent, 0, 1 << 24).done());
  if (file.empty())
    return Status(Code::invalid, "policy=gate needs file=FILE, which 'varve learn --recipe gate' writes");
  const std::vector<std::byte> bytes =
      TRY(read_file(posix_env(), file, kMostBytes).with("reading the gate's file"));
  Gates gates = TRY(parse(bytes).with("reading " + file));
  if (sinks >= 0) gates.sinks = sinks;
  if (recent >= 0) gates.recent = recent;
  return std::unique_ptr<KvPolicy>(new Gate(std::move(gates)));
}

}  // namespace varve::kv_policy
