#include "run/decode/constraint.h"

#include <algorithm>
#include <limits>
#include <unordered_map>
#include <vector>

#include "run/decode/shape/automaton.h"
#include "run/decode/shape/gbnf.h"
#include "run/decode/shape/json_schema.h"
#include "run/decode/shape/vocabulary.h"
#include "run/decode/shape/walker.h"

namespace varve {
namespace {

constexpr size_t kMasks = 64;      // remembered by one answer
constexpr int64_t kMaskNode = 64;  // of the map that holds them, and what the heap adds

struct Compiled : Grammar, std::enable_shared_from_this<Compiled> {
  Compiled(shape::Automaton a, const Tokenizer& t) : automaton(std::move(a)), vocabulary(t), tokenizer(t) {}
  std::unique_ptr<Constraint> start() const override;
  int64_t held_bytes() const override { return automaton.held_bytes() + vocabulary.held_bytes(); }
  const shape::Automaton automaton;
  const shape::Vocabulary vocabulary;
  const Tokenizer& tokenizer;
};

class Walking : public Constraint {
 public:
  explicit Walking(std::shared_ptr<const Compiled> grammar)
      : grammar_(std::move(grammar)), walker_(grammar_->automaton), at_(walker_.start()) {}

  bool mask(std::span<float> logits) const override {
    if (!ended_ && walker_.trim(at_)) masks_.clear();
    const std::vector<uint64_t>& bits = allowed();
    bool any = false;
    for (size_t token = 0; token < logits.size(); ++token) {
      if (token / 64 < bits.size() && (bits[token / 64] >> (token % 64) & 1) != 0) {
        any = true;
      } else {
        logits[token] = -std::numeric_limits<float>::infinity();
      }
    }
    return any;
  }

  Status accept(Token token) override {
    if (ends_answer(token)) {
      if (!complete()) return Status(Code::invalid, "the answer ends before its grammar does");
      ended_ = true;
      return {};
    }
    if (token < 0 || token >= grammar_->tokenizer.size()) return Status(Code::invalid, "no such token");
    if (walker_.trim(at_)) masks_.clear();
    const std::string_view piece = grammar_->tokenizer.piece(token);
    shape::Walker::Place to = ended_ || piece.empty() ? shape::Walker::kNowhere : at_;
    for (size_t i = 0; i < piece.size() && to != shape::Walker::kNowhere; ++i)
      to = walker_.step(to, uint8_t(piece[i]));
    if (walker_.lost()) return Status(Code::unsupported, "the grammar is too ambiguous to follow");
    if (to == shape::Walker::kNowhere) {
      return Status(Code::invalid, "token " + std::to_string(token) + " cannot follow in the grammar");
    }
    at_ = to;
    return {};
  }

  bool complete() const override { return ended_ || walker_.complete(at_); }
  int64_t held_bytes() const override {
    const int64_t mask = (int64_t(grammar_->tokenizer.size()) + 63) / 64 * 8 + kMaskNode;
    return walker_.held_bytes() + int64_t(masks_.size()) * mask;
  }

 private:
  bool ends_answer(Token token) const {
    const auto& ends = grammar_->tokenizer.special().end_of_generation;
    return std::find(ends.begin(), ends.end(), token) != ends.end();
  }

  // After the end of the answer, and only when the text is whole, the end may follow.
  const std::vector<uint64_t>& allowed() const {
    const shape::Walker::Place at = ended_ ? shape::Walker::kNowhere : at_;
    if (const auto known = masks_.find(at); known != masks_.end()) return known->second;
    if (masks_.size() >= kMasks) masks_.clear();
    std::vector<uint64_t> bits((size_t(grammar_->tokenizer.size()) + 63) / 64);
    if (!ended_ && !walker_.lost()) bits = grammar_->vocabulary.allowed(walker_, at);
    if (walker_.lost()) bits.assign(bits.size(), 0);
    for (const Token token : grammar_->tokenizer.special().end_of_generation) {
      if (token < 0 || token >= grammar_->tokenizer.size()) continue;
      const uint64_t bit = uint64_t(1) << (token % 64);
      uint64_t& word = bits[size_t(token) / 64];
      word = complete() && !walker_.lost() ? word | bit : word & ~bit;
    }
    return masks_.emplace(at, std::move(bits)).first->second;
  }

  const std::shared_ptr<const Compiled> grammar_;
  mutable shape::Walker walker_;  // what it remembers grows while it looks ahead
  mutable shape::Walker::Place at_;
  mutable std::unordered_map<shape::Walker::Place, std::vector<uint64_t>> masks_;
  bool ended_ = false;
};

std::unique_ptr<Constraint> Compiled::start() const {
  return std::make_unique<Walking>(shared_from_this());
}

Result<std::shared_ptr<const Grammar>> grammar(const shape::Rules& rules, shape::Rule root,
                                               const Tokenizer& tokenizer) {
  shape::Automaton automaton = TRY(shape::compile(rules, root));
  return std::shared_ptr<const Grammar>(std::make_shared<const Compiled>(std::move(automaton), tokenizer));
}

}  // namespace

Result<std::shared_ptr<const Grammar>> grammar_from_gbnf(std::string_view text, const Tokenizer& tokenizer) {
  shape::Rules rules;
  const shape::Rule root = TRY(shape::parse_gbnf(text, rules));
  return grammar(rules, root, tokenizer);
}

Result<std::shared_ptr<const Grammar>> grammar_from_json_schema(const Json& schema,
                                                                const Tokenizer& tokenizer) {
  shape::Rules rules;
  const shape::Rule root = TRY(shape::schema_rules(schema, rules));
  return grammar(rules, root, tokenizer);
}

Result<std::shared_ptr<const Grammar>> grammar_any_json(const Tokenizer& tokenizer) {
  shape::Rules rules;
  const shape::Rule root = shape::any_object(rules);
  return grammar(rules, root, tokenizer);
}

}  // namespace varve
