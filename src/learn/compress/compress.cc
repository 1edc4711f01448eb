#include "learn/compress/compress.h"

#include <algorithm>
#include <atomic>

#include "core/base/hash.h"
#include "learn/compress/allot/search.h"
#include "learn/compress/calibration.h"
#include "learn/compress/compressed_file.h"

namespace varve {
namespace {

class Work {
 public:
  Work(Env& env, const CompressOptions& options, const CompressRecipe& recipe, ThreadPool& threads,
       Ledger& ledger, const CompressProgress& progress)
      : env_(env),
        options_(options),
        recipe_(recipe),
        threads_(threads),
        ops_(threads),
        ledger_(ledger),
        progress_(progress) {}

  Result<CompressReport> run() {
    draft_ = TRY(Draft::open(env_, options_.model, ops_, ledger_));
    for (const Weight& weight : draft_->weights()) {
      report_.bytes_before += weight.from.bytes;
      report_.elements += int64_t(weight.from.rows) * weight.from.cols * weight.from.stack;
    }
    product_ = TRY(CompressedFile::open(env_, options_.out, TRY(plan_text())));
    for (const auto& method : recipe_.methods) {
      if (method->reshapes()) TRY(reshape(*method));
    }
    TRY(calibrate());
    TRY(decide());
    fill_report();
    if (options_.plan_only) return std::move(report_);
    TRY(product_->begin(*draft_).with("writing " + options_.out));
    TRY(write_weights());
    for (const auto& method : draft_->methods()) TRY(method->finish(*draft_, *product_, ledger_));
    TRY(product_->commit());
    return std::move(report_);
  }

 private:
  // What must be the same for the work of a former run to be of use.
  Result<std::string> plan_text() {
    Json json = Json::object();
    json.set("version", 1)
        .set("model", draft_->fingerprint().hex())
        .set("recipe", recipe_.text)
        .set("tokens", options_.tokens)
        .set("length", int64_t(options_.length));
    if (!options_.calibrate.empty()) {
      const auto text = TRY(read_file(env_, options_.calibrate, int64_t(1) << 30));
      Sha256 hash;
      hash.add(text);
      json.set("text", hash.finish().hex());
    }
    return json.dump();
  }

  Status reshape(const Compressor& method) {
    if (options_.calibrate.empty())
      return Status(Code::invalid, "'" + recipe_.text + "' needs a text to calibrate by: --calibrate TEXT");
    if (path_ != options_.model)
      return Status(Code::invalid, "one method that begins with another shape, not two");
    const std::string path = product_->work("reshaped");
    if (!TRY(env_.exists(path))) {
      TRY(open_reader());
      TRY(method.reshape(*draft_, {*model_, *train_, text_}, path));
    }
    model_.reset(), train_.reset();
    path_ = path;
    draft_ = TRY(Draft::open(env_, path_, ops_, ledger_));
    return {};
  }

  LossRule rule() const {
    const LossRule otherwise = options_.calibrate.empty() ? LossRule::error : LossRule::measured;
    return recipe_.target ? recipe_.target->rule.value_or(otherwise) : LossRule::error;
  }

  Status calibrate() {
    if (options_.calibrate.empty()) {
      if (recipe_.sight == Sight::gram)
        return Status(Code::invalid, "'" + recipe_.text + "' needs a text to calibrate by: --calibrate TEXT");
      return {};
    }
    if (recipe_.sight == Sight::nothing && !recipe_.target) return {};
    if (recipe_.sight == Sight::gram || rule() == LossRule::measured) TRY(open_reader());
    const std::string path = product_->work("seen");
    if (TRY(env_.exists(path))) {
      draft_->calibrate(TRY(load_seen(env_, path)));
      return {};
    }
    TRY(open_reader());
    SeenByInput seen = TRY(observe(*model_, *train_, text_, {}, ledger_, [&](int64_t done, int64_t of) {
                             progress_("reading the text", done, of);
                           }).with("calibrating"));
    TRY(save_seen(env_, path, seen));
    draft_->calibrate(std::move(seen));
    return {};
  }

  Status open_reader() {
    if (model_ != nullptr) return {};
    model_ = TRY(open_to_read(env_, path_, ledger_));
    text_ =
        TRY(read_calibration(env_, options_.calibrate, *model_, options_.tokens, options_.length, ledger_));
    train_.emplace(TRY(TrainOps::make(threads_, ledger_, TrainOps::Precision::bf16)));
    return {};
  }

  void set_types() {
    for (Weight& weight : draft_->weights()) {
      const Codec& from = weight.from.codec->coded() ? *codec_named("bf16").value() : *weight.from.codec;
      const Codec& wanted = recipe_.type != nullptr ? *recipe_.type : from;
      if (weight.rounds && weight.own == nullptr)
        weight.codec = &fitting(wanted, weight.cols(), weight.role().starts_with("blk."));
    }
  }

  Status decide() {
    set_types();
    for (const auto& method : recipe_.methods) TRY(draft_->add(method));
    set_types();  // of the shapes that are left
    for (const Weight& weight : draft_->weights()) {
      if (weight.own != nullptr && weight.cols() % int32_t(weight.codec->block_values()) != 0)
        return Status(Code::invalid, "'" + recipe_.text + "' cuts " + weight.role() +
                                         " after it was coded: put what cuts before what codes");
    }
    if (recipe_.target) {
      const int64_t limit = recipe_.target->bytes > 0
                                ? recipe_.target->bytes
                                : int64_t(recipe_.target->bits * double(report_.elements) / 8);
      Chooser chooser{*draft_,   product_->work("choice"), model_.get(), &text_,
                      progress_, recipe_.target->planes};
      Choice choice = TRY(chooser.choose(limit, rule()));
      if (!recipe_.target->search) return {};
      search_.emplace(FormatSearch::Tools{*draft_, *product_, recipe_.sight, *train_, text_, progress_},
                      *recipe_.target->search, std::move(choice));
      TRY(search_->run(std::move(model_)).with("searching"));
    }
    return {};
  }

  void fill_report() {
    report_.bytes = 0;
    for (const Weight& weight : draft_->weights()) {
      const auto found = draft_->vectors().find(weight.role());
      report_.bytes += found != draft_->vectors().end() ? int64_t(found->second.size()) * 4 : weight.bytes();
      if (!weight.rounds) continue;
      report_.weights.push_back({weight.role(), std::string(weight.from.codec->name()),
                                 std::string(weight.codec->name()), weight.rows(), weight.cols(),
                                 weight.bytes()});
    }
    for (const Companion& one : draft_->companions()) report_.bytes += one.bytes();
    for (const auto& [role, values] : draft_->vectors())
      report_.bytes += draft_->find(role) == nullptr ? int64_t(values.size()) * 4 : 0;
  }

  Status write_weights() {
    std::vector<RoundTask> left;
    for (size_t i = 0; i < draft_->weights().size(); ++i) {
      const Weight& weight = draft_->weights()[i];
      if (weight.rounds && !product_->done(i)) left.push_back({i, weight.codec});
    }
    report_.kept = int32_t(report_.weights.size() - left.size());
    if (search_) return search_->write();
    const int64_t of = int64_t(report_.weights.size());
    int64_t done = report_.kept;
    std::optional<Reading> reader;
    if (model_ != nullptr) reader.emplace(Reading{*model_, *train_, text_});
    const Rounding rounding{*draft_, recipe_.sight, reader ? &*reader : nullptr, false, progress_};
    return rounding.run(
        left,
        [&](size_t task, int64_t at, std::span<const std::byte> bytes) {
          return product_->write(left[task].weight, at, bytes);
        },
        [&](size_t task) -> Status {
          TRY(product_->finish_weight(left[task].weight));
          progress_("writing", ++done, of);
          return {};
        });
  }

  Env& env_;
  const CompressOptions& options_;
  const CompressRecipe& recipe_;
  ThreadPool& threads_;
  Ops ops_;
  Ledger& ledger_;
  const CompressProgress& progress_;
  std::string path_ = options_.model;  // of the model that is rounded
  std::unique_ptr<Draft> draft_;
  std::unique_ptr<CompressedFile> product_;
  std::shared_ptr<const Model> model_;  // when a text is read
  CalibrationText text_;
  std::optional<TrainOps> train_;
  std::optional<FormatSearch> search_;
  CompressReport report_;
};

}  // namespace

Json CompressReport::json() const {
  Json all = Json::array();
  for (const CompressedWeight& one : weights) {
    Json weight = Json::object();
    weight.set("role", one.role).set("from", one.from).set("to", one.to);
    weight.set("rows", int64_t(one.rows)).set("cols", int64_t(one.cols)).set("bytes", one.bytes);
    all.push(std::move(weight));
  }
  Json json = Json::object();
  json.set("bytes_before", bytes_before)
      .set("bytes", bytes)
      .set("bits_a_weight", bits())
      .set("weights", std::move(all));
  return json;
}

Result<CompressReport> compress_model(Env& env, const CompressOptions& options, const CompressRecipe& recipe,
                                      ThreadPool& threads, Ledger& ledger, const CompressProgress& progress) {
  if (TRY(env.exists(options.out)))
    return Status(Code::exists, options.out + " is there already; name another file");
  return Work(env, options, recipe, threads, ledger, progress).run();
}

}  // namespace varve
