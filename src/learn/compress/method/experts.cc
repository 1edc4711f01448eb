// experts: bit widths by expert (MC-MoE, Huang et al. 2024). A stack has one number format; taken apart, each
// expert is a weight of its own under the allocator, which counts its errors as often as calibration chose
// it. Theirs are 1 to 3 bits by an integer program; here all formats, by the allocator of every recipe. The
// tensors have the names that mixtures had before there were stacks, "blk.0.ffn_up.3.weight".
#include "learn/compress/draft.h"

namespace varve::compress {
namespace {

constexpr std::string_view kStack = "_exps";

std::string numbered(std::string name, int32_t number) {
  return name.replace(name.rfind(kStack), kStack.size(), "." + std::to_string(number));
}

class Experts : public Compressor {
 public:
  Status plan(Draft& draft) override {
    if (!draft.methods().empty())
      return Status(Code::invalid, "experts is the first of a recipe: those before it know the stacks");
    std::vector<Weight> apart;
    for (const Weight& weight : draft.weights()) {
      const bool stack = weight.from.stack > 1 && weight.role().ends_with(kStack);
      for (int32_t i = 0; stack && i < weight.from.stack; ++i) apart.push_back(one_of(weight, i));
      if (!stack) apart.push_back(weight);
    }
    if (apart.size() == draft.weights().size())
      return Status(Code::invalid, draft.path() + " has no stacks of experts");
    draft.weights() = std::move(apart);
    return {};
  }

 private:
  static Weight one_of(const Weight& stack, int32_t number) {
    Weight one = stack;
    one.stack = stack.role(), one.of_stack = number;
    one.name = numbered(stack.name, number), one.from.role = numbered(stack.role(), number);
    one.from.bytes /= stack.from.stack, one.from.stack = 1;
    one.from.offset += number * one.from.bytes;
    return one;
  }
};

}  // namespace

Made experts(const Spec& spec) {
  TRY(OptionReader(spec).done());
  return std::unique_ptr<Compressor>(new Experts);
}

}  // namespace varve::compress
