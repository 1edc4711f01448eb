#include "learn/compress/allot/choose.h"

#include <algorithm>
#include <cmath>

#include "core/format/json.h"
#include "learn/compress/allot/allocate.h"
#include "learn/compress/allot/correlated.h"
#include "learn/compress/allot/formats.h"
#include "learn/compress/answers.h"

namespace varve {
namespace {

constexpr int64_t kMostChoice = int64_t(1) << 26;
constexpr int64_t kMeasuredTokens = 768;

struct Errors {  // of one weight, by format
  double total = 0;
  std::vector<double> of;
};

// sum over rows and columns of importance * (w - rounded)^2, and of importance * w^2.
Result<Errors> errors_of(const Draft& draft, const Weight& weight, std::span<const Codec* const> formats) {
  Errors errors;
  errors.of.resize(formats.size());
  TRY(each_rounded(draft, weight, formats, [&](size_t format, auto row, auto back, auto squares) {
    for (size_t i = 0; i < row.size(); ++i) {
      const double importance = double(squares[i]), value = double(row[i]), off = value - double(back[i]);
      errors.of[format] += importance * off * off;
      if (format == 0) errors.total += importance * value * value;
    }
  }));
  return errors;
}

// What rounding one weight does, as an adapter: x (Q(w) - w)^T is added to its products.
class Difference : public Delta, public Adapter {
 public:
  Difference(const Model& model, const Weight& weight, std::span<const std::byte> values)
      : id_(model.weights().find(weight.role())),
        matrix_{codec_named("f32").value(), values, weight.rows(), weight.cols()} {}
  const Delta* on(WeightId id) const override { return id == id_ ? this : nullptr; }
  void add(Ops& ops, Scratch&, Rows x, Rows y, float) const override { ops.matmul(x, matrix_, y, true); }
  int64_t scratch_bytes(int32_t) const override { return 0; }

 private:
  WeightId id_;
  Matrix matrix_;
};

Result<double> divergence(const Chooser& to, const Weight& weight, const Codec& format,
                          const Answers& answers) {
  const Draft& draft = to.draft;
  Buffer room = TRY(Buffer::make(draft.ledger(), Tag::scratch, int64_t(weight.rows()) * weight.cols() * 4)
                        .with("measuring " + weight.role()));
  auto* values = reinterpret_cast<float*>(room.bytes().data());
  std::vector<std::byte> bytes(size_t(format.bytes_for(weight.cols())));
  TRY(draft.each(weight, [&](int32_t first, std::span<const float> rows) -> Status {
    const auto cols = size_t(weight.cols());
    for (size_t at = 0; at < rows.size(); at += cols) {
      float* own = values + size_t(first) * cols + at;
      format.encode(rows.subspan(at, cols), bytes);
      format.decode(bytes, {own, cols});
      for (size_t i = 0; i < cols; ++i) own[i] -= rows[at + i];
    }
    return {};
  }));
  const Difference difference(*to.model, weight, room.bytes());
  return TRY(answers.compare(*to.model, &difference, draft.ops(), draft.ledger())).kl;
}

std::vector<std::vector<Token>> some_of(const CalibrationText& text) {
  std::vector<std::vector<Token>> some;
  int64_t tokens = 0;
  for (size_t i = 0; i < text.texts.size() && tokens < kMeasuredTokens; ++i) {
    some.push_back(text.texts[i]);
    tokens += int64_t(some.back().size());
  }
  return some;
}

using Losses = std::vector<std::vector<double>>;  // of weights that round, by format

Result<Losses> find_losses(const Chooser& to, const std::vector<Weight*>& weights, LossRule rule) {
  const bool measured = rule == LossRule::measured;
  Losses losses;
  double typical = 0;
  int counted = 0;
  std::optional<Answers> answers;
  if (measured) answers = TRY(Answers::make(*to.model, some_of(*to.text), to.draft.ops(), to.draft.ledger()));
  for (size_t i = 0; i < weights.size(); ++i) {
    const Weight& weight = *weights[i];
    const auto formats = formats_for(weight, to.planes);
    if (rule == LossRule::correlation) {
      losses.push_back(TRY(uncorrelated(to.draft, weight, formats)));
      to.progress("deciding", int64_t(i) + 1, int64_t(weights.size()));
      continue;
    }
    const Errors errors = TRY(errors_of(to.draft, weight, formats));
    double scale = errors.total > 0 ? 1 / errors.total : 0;
    if (measured && errors.of[0] > 0 && !to.draft.input(weight).empty() && !weight.is_expert() &&
        weight.kept_rows.empty() && weight.kept_cols.empty()) {
      const double found = TRY(divergence(to, weight, *formats[0], *answers)) / errors.of[0];
      if (scale > 0) typical += found / scale, ++counted;
      scale = found;
    }
    losses.emplace_back();
    for (const double error : errors.of) losses.back().push_back(error * scale);
    to.progress("deciding", int64_t(i) + 1, int64_t(weights.size()));
  }
  // Experts are not measured one by one: an error of theirs counts as others do in the mean.
  for (size_t i = 0; counted > 0 && i < losses.size(); ++i) {
    for (double& loss : losses[i]) loss *= weights[i]->is_expert() ? typical / counted : 1;
  }
  for (size_t i = 0; i < losses.size(); ++i) {
    for (double& loss : losses[i]) loss *= to.draft.use(*weights[i]);
  }
  return losses;
}

Result<Losses> load(Env& env, const std::string& path, const std::vector<Weight*>& weights, bool planes) {
  const auto bytes = TRY(read_file(env, path, kMostChoice));
  const Json json = TRY(parse_json({reinterpret_cast<const char*>(bytes.data()), bytes.size()}));
  Losses losses;
  for (const Json& weight : json.as_array()) {
    losses.emplace_back();
    for (const Json& one : weight.as_array()) losses.back().push_back(one.as_double());
  }
  bool fits = losses.size() == weights.size();
  for (size_t i = 0; fits && i < losses.size(); ++i)
    fits = losses[i].size() == formats_for(*weights[i], planes).size();
  if (!fits) return Status(Code::corrupt, path + " is of another model");
  return losses;
}

Status save(Env& env, const std::string& path, const Losses& losses) {
  Json json = Json::array();
  for (const auto& weight : losses) {
    Json row = Json::array();
    for (const double one : weight) row.push(one);
    json.push(std::move(row));
  }
  const std::string text = json.dump();
  return write_file(env, path, std::as_bytes(std::span(text)));
}

// What does not round, and what stands beside the weights.
int64_t fixed_bytes(const Draft& draft) {
  int64_t fixed = 0;
  for (const Weight& weight : draft.weights()) {
    const auto found = draft.vectors().find(weight.role());
    if (!weight.rounds)
      fixed += found == draft.vectors().end() ? weight.bytes() : int64_t(found->second.size()) * 4;
  }
  for (const Companion& one : draft.companions()) fixed += one.bytes();
  return fixed;
}

}  // namespace

Result<Choice> Chooser::choose(int64_t limit, LossRule rule) {
  if (rule == LossRule::measured && model == nullptr)
    return Status(Code::invalid,
                  "formats chosen by what they do to answers need a text to measure by: --calibrate TEXT");
  const int64_t fixed = fixed_bytes(draft);
  Choice choice{{}, {}, {}, limit - fixed};
  std::vector<Weight*> weights;
  for (size_t i = 0; i < draft.weights().size(); ++i) {
    if (draft.weights()[i].rounds) choice.weights.push_back(i), weights.push_back(&draft.weights()[i]);
  }
  const bool known = TRY(draft.env().exists(kept));
  const Losses losses =
      known ? TRY(load(draft.env(), kept, weights, planes)) : TRY(find_losses(*this, weights, rule));
  if (!known) TRY(save(draft.env(), kept, losses));
  std::vector<std::vector<Option>> items;
  for (size_t i = 0; i < weights.size(); ++i) {
    const auto formats = formats_for(*weights[i], planes);
    std::vector<Option> options;
    for (size_t f = 0; f < formats.size(); ++f)
      options.push_back(
          {formats[f]->bytes_for(int64_t(weights[i]->rows()) * weights[i]->cols()), losses[i][f]});
    items.emplace_back(), choice.ladders.emplace_back();
    for (const size_t step : efficient(options))
      items.back().push_back(options[step]), choice.ladders.back().push_back(formats[step]);
  }
  auto chosen = allocate(items, choice.limit);
  if (!chosen.ok())
    return std::move(chosen).status().with("fitting the weights, beside " + std::to_string(fixed) +
                                           " bytes of what else there is");
  choice.chosen = std::move(chosen).value();
  for (size_t i = 0; i < weights.size(); ++i) weights[i]->codec = choice.ladders[i][choice.chosen[i]];
  return choice;
}

}  // namespace varve
