#include "memory/parametric/adapter_kind.h"

#include <algorithm>
#include <cmath>
#include <map>

namespace varve {
namespace adapters {
#define METHOD(name, summary) Made name(const Spec& spec);
#include "memory/parametric/all.def"
#undef METHOD
}  // namespace adapters

const Registry<AdapterKind>& adapter_kinds() {
  static const Registry<AdapterKind> all = [] {
    Registry<AdapterKind> registry;
#define METHOD(name, summary) registry.add(#name, summary, adapters::name);
#include "memory/parametric/all.def"
#undef METHOD
    return registry;
  }();
  return all;
}

const AdapterTensor* AdapterWeight::find(std::string_view name) const {
  const auto found =
      std::find_if(tensors.begin(), tensors.end(), [&](auto* one) { return one->name == name; });
  return found == tensors.end() ? nullptr : *found;
}

Result<const AdapterTensor*> AdapterWeight::need(std::string_view name, int32_t r, int32_t c) const {
  const AdapterTensor* found = find(name);
  if (found == nullptr)
    return Status(Code::invalid, "the adapter has no " + std::string(name) + " for " + role);
  if ((r < 0 || found->rows == r) && (c < 0 || found->cols == c)) return found;
  return Status(Code::invalid, "the adapter's " + std::string(name) + " for " + role + " is " +
                                   std::to_string(found->rows) + " x " + std::to_string(found->cols) +
                                   ", which does not fit the model's " + std::to_string(rows) + " x " +
                                   std::to_string(cols));
}

Status AdapterWeight::holds_only(std::initializer_list<std::string_view> names) const {
  for (const AdapterTensor* one : tensors) {
    if (std::find(names.begin(), names.end(), one->name) == names.end()) {
      return Status(Code::invalid, "the adapter has an unknown tensor " + one->name + " for " + role);
    }
  }
  return {};
}

Result<AdapterDeltas> deltas_of(const AdapterFile& file, const WeightStore& base) {
  if (!std::isfinite(file.note.alpha)) return Status(Code::invalid, "the adapter's alpha is no number");
  const auto kind = TRY(adapter_kinds().make(Spec{.name = file.note.kind}).with("reading an adapter"));
  std::map<WeightId, AdapterWeight> weights;
  for (const AdapterTensor& tensor : file.tensors) {
    const WeightId id = base.find(tensor.role);
    if (id == kNoWeight) return Status(Code::invalid, "the model has no weight " + tensor.role);
    const WeightEntry& entry = base.entries()[id];
    if (entry.stack != 1) return Status(Code::unsupported, tensor.role + " is a stack of matrices");
    AdapterWeight& weight = weights[id];
    if (weight.find(tensor.name) != nullptr) {
      return Status(Code::invalid, "the adapter has " + tensor.name + " of " + tensor.role + " twice");
    }
    weight.role = tensor.role, weight.rows = entry.rows, weight.cols = entry.cols;
    weight.alpha = file.note.alpha;
    weight.tensors.push_back(&tensor);
  }
  AdapterDeltas deltas;
  for (const auto& [id, weight] : weights) {
    auto delta = TRY(kind->delta(weight, base));
    deltas.of.emplace_back(id, std::move(delta));
  }
  return deltas;
}

}  // namespace varve
