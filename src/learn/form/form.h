// WeightForm: in what shape a change of a frozen model learns. A form puts an expression over each weight
// that it is given, says with which values it begins, and at the end what an adapter file holds of it. One
// file a form, one line in all.def.
#pragma once

#include <deque>
#include <functional>

#include "core/base/registry.h"
#include "learn/grad/parts.h"

namespace varve {

struct BaseWeight {  // a weight of the model that a form is over
  std::string role;
  int32_t rows = 0, cols = 0;
  const Codec* codec = nullptr;
};

// What a form may look at before the first step. The values that it begins with depend on nothing else, so
// that a lesson that goes on needs no file for what is held.
struct Beginning {
  std::span<const BaseWeight> weights;
  Parts& parts;
  const WeightStore& store;
  TrainOps& train;
  Ledger& ledger;
  uint64_t seed = 1;
  // Plays the first step's batches both ways, and hands over each part's gradient.
  using Visit = std::function<void(const Part& part, std::span<const float> gradient)>;
  std::function<Status(const Visit&)> gradients;
};

struct Learnt {  // tensors of an adapter, and the kind that says what they mean
  struct Tensor {
    std::string role, name;
    int32_t rows = 0, cols = 0;
    std::span<const float> values;  // of the parts, or of `made`
  };
  std::string kind = "lora";
  float alpha = 1;
  std::vector<Tensor> tensors;
  std::deque<Buffer> made;
  Result<std::span<float>> room(Ledger& ledger, size_t values);
};

class WeightForm {
 public:
  virtual ~WeightForm() = default;
  // unsupported or invalid: a weight that it cannot be over.
  virtual Result<std::unique_ptr<Leaf>> over(std::unique_ptr<Leaf> base, const BaseWeight& weight,
                                             Parts& parts) const = 0;
  virtual Status begin(const Beginning& at) const = 0;
  virtual Status finish(std::span<const BaseWeight> weights, const Parts& parts, Ledger& ledger,
                        Learnt& out) const = 0;
  // The slopes of a loss of the parts themselves, added to their gradients; an empty one is not asked for.
  virtual bool regularises() const { return false; }
  using Gradient = std::function<std::span<float>(const Part& part)>;
  virtual void regularise(std::span<const BaseWeight>, const Parts&, const Gradient&) const {}
};

const Registry<WeightForm>& forms();

// The model as it is, and a form over the weights whose role matches one of the patterns ("blk.*.attn_q").
class AdapterSource : public LeafSource {
 public:
  AdapterSource(const WeightStore& store, std::unique_ptr<WeightForm> form, std::vector<std::string> on,
                Parts& parts)
      : store_(store), form_(std::move(form)), on_(std::move(on)), parts_(parts) {}
  bool has(std::string_view role) const override { return store_.find(role) != kNoWeight; }
  Result<std::unique_ptr<Leaf>> leaf(std::string_view role, int32_t rows, int32_t cols) override;
  Result<Vector> vector(std::string_view role, int32_t width) override;
  const WeightForm& form() const { return *form_; }
  std::span<const BaseWeight> weights() const { return weights_; }

 private:
  const WeightStore& store_;
  std::unique_ptr<WeightForm> form_;
  std::vector<std::string> on_;
  Parts& parts_;
  std::vector<BaseWeight> weights_;
};

namespace form {  // one file a form, one line in all.def
using Made = Registry<WeightForm>::Made;
}

}  // namespace varve
