// Which layers of a model have neurons that do not fire.
#include "run/model/arch/family.h"
#include "run/model/fingerprint.h"
#include "run/model/open_streamed.h"

namespace varve {

Status write_neurons(Env& env, const std::string& path, Ledger& ledger, const NeuronProgress& progress) {
  auto mapping = TRY(env.map(path));
  const Gguf gguf = TRY(Gguf::parse(mapping->bytes()).with("reading " + path));
  const DecoderSpec spec = TRY(read_decoder_spec(gguf).with("reading " + path));
  if (spec.activation != Activation::relu || spec.fused_gate)
    return Status(Code::unsupported, path + " (" + spec.family +
                                         ") has no feed-forward network of the ReLU family: all of its "
                                         "neurons fire for every token");
  NeuronPlan plan{.gated = spec.gated};
  for (size_t i = 0; i < spec.layers.size(); ++i)
    if (!spec.layers[i].experts) plan.layers.push_back(int32_t(i));
  const Hash256 fingerprint = model_fingerprint(mapping->bytes(), gguf);
  mapping.reset();
  return write_neuron_file(env, path, gguf, fingerprint, plan, ledger, progress);
}

}  // namespace varve
