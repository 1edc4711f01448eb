// Which layers of a model have neurons that do not fire.
#include "run/model/arch/family.h"
#include "run/model/fingerprint.h"
#include "run/model/open_streamed.h"

namespace varve {

Status write_neurons(Env& env, const std::string& path, Ledger& ledger, const NeuronProgress& progress,
                     NeuronWords words) {
  auto mapping = TRY(env.map(path));
  const Gguf gguf = TRY(Gguf::parse(mapping->bytes()).with("reading " + path));
  const DecoderSpec spec = TRY(read_decoder_spec(gguf).with("reading " + path));
  const bool idle = spec.activation == Activation::relu;
  if (spec.fused_gate || (!idle && !words.whole))
    return Status(Code::unsupported, path + " (" + spec.family +
                                         ") has no feed-forward network of the ReLU family: all of its "
                                         "neurons fire for every token" +
                                         (spec.fused_gate ? "" : "; whole ones (--whole) can be chosen"));
  if (!idle && words.sketch != nullptr)
    return Status(Code::unsupported, path + " is not of the ReLU family: no sketch says which neurons fire");
  NeuronPlan plan{.idle = idle, .gated = spec.gated, .whole = words.whole, .sketch = words.sketch};
  for (size_t i = 0; i < spec.layers.size(); ++i)
    if (!spec.layers[i].experts) plan.layers.push_back(int32_t(i));
  const Hash256 fingerprint = model_fingerprint(mapping->bytes(), gguf);
  mapping.reset();
  return write_neuron_file(env, path, gguf, fingerprint, plan, ledger, progress);
}

}  // namespace varve
