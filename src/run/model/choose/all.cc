#include "run/model/choose/chooser.h"

namespace varve {
namespace neuron_chooser {
#define METHOD(name, summary) Made name(const Spec& spec);
#include "run/model/choose/all.def"
#undef METHOD
}  // namespace neuron_chooser

const Registry<NeuronChooser>& neuron_choosers() {
  static const Registry<NeuronChooser> all = [] {
    Registry<NeuronChooser> registry;
#define METHOD(name, summary) registry.add(#name, summary, neuron_chooser::name);
#include "run/model/choose/all.def"
#undef METHOD
    return registry;
  }();
  return all;
}

Result<NeuronUse> neuron_use(std::string_view spec) {
  if (spec.empty()) return NeuronUse::firing;
  const auto chooser = TRY(neuron_choosers().make(spec));
  return chooser->foresees() ? NeuronUse::foreseen : NeuronUse::chosen;
}

}  // namespace varve
