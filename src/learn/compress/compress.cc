#include "learn/compress/compress.h"

#include <algorithm>
#include <atomic>

#include "core/base/hash.h"
#include "learn/compress/calibration.h"
#include "learn/compress/choose.h"
#include "learn/compress/compressed_file.h"
#include "run/model/open_streamed.h"

namespace varve {
namespace {

constexpr int64_t kPiece = int64_t(4) << 20;  // bytes of f32 rows that are rounded at a time
constexpr int64_t kRowsAtOnce = 8;            // of one thread

Result<std::shared_ptr<const Model>> open_somehow(Env& env, const std::string& path, Ledger& ledger) {
  const int64_t left = ledger.limit() - ledger.used(), size = TRY(TRY(env.open(path, Open::read))->size());
  return size < left / 3 ? open_model(env, path, ledger) : open_streamed_model(env, path, ledger, left / 4);
}

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
    TRY(copy_rest());
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
    model_ = TRY(open_somehow(env_, path_, ledger_));
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
      Chooser chooser{*draft_, product_->work("choice"), model_.get(), &text_, progress_};
      TRY(chooser.choose(limit, rule()));
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

  // What stays as it is.
  Status copy_rest() {
    const auto from = TRY(env_.open(path_, Open::read));
    std::vector<std::byte> piece;
    for (size_t i = 0; i < draft_->weights().size(); ++i) {
      const Weight& weight = draft_->weights()[i];
      if (weight.rounds || product_->done(i) || draft_->vectors().contains(weight.role())) continue;
      for (int64_t at = 0; at < weight.from.bytes; at += kPiece) {
        piece.resize(size_t(std::min(kPiece, weight.from.bytes - at)));
        TRY(from->read(weight.from.offset + at, piece));
        TRY(product_->write(i, at, piece));
      }
      TRY(product_->finish_weight(i));
    }
    return {};
  }

  std::vector<size_t> to_do() const {
    std::vector<size_t> some;
    for (size_t i = 0; i < draft_->weights().size(); ++i) {
      if (draft_->weights()[i].rounds && !product_->done(i)) some.push_back(i);
    }
    return some;
  }

  Status write_weights() {
    std::vector<size_t> left = to_do();
    report_.kept = int32_t(report_.weights.size() - left.size());
    of_ = int64_t(report_.weights.size()), done_ = report_.kept;
    const SeenByInput none;
    while (!left.empty()) {
      std::vector<size_t> now = std::move(left);
      left.clear();
      SeenByInput counted;
      if (recipe_.sight == Sight::gram) counted = TRY(count_products(now, left));
      for (const size_t i : now) {
        const Weight& weight = draft_->weights()[i];
        for (int32_t of = 0; of < weight.from.stack; ++of)
          TRY(write_matrix(i, of, counted).with("rounding " + weight.role()));
        TRY(product_->finish_weight(i));
        progress_("writing", ++done_, of_);
      }
    }
    return {};
  }

  // The second moments of inputs, of as many weights as there is room for: `now` keeps those, the others go
  // to `later`. A pass over the text ends with the last layer that is asked about.
  Result<SeenByInput> count_products(std::vector<size_t>& now, std::vector<size_t>& later) {
    std::stable_sort(now.begin(), now.end(), [&](size_t a, size_t b) { return layer(a) < layer(b); });
    Look look{.inputs = {}, .gram = true, .layers = 1};
    const int64_t room = (ledger_.limit() - ledger_.used()) / 5;  // then a copy, a factor and what they take
    int64_t bytes = 0;
    std::vector<size_t> taken;
    bool full = false;
    for (const size_t i : now) {
      const Weight& weight = draft_->weights()[i];
      const std::string input = draft_->input(weight);
      const int64_t squares = int64_t(weight.from.cols) * weight.from.cols * 4 * weight.from.stack;
      if (weight.from.stack > 1 && squares > room) {  // too many experts: their moments must do
        taken.push_back(i);
        continue;
      }
      if (!input.empty() && !look.inputs.contains(input)) {
        full = full || (bytes > 0 && bytes + squares > room);
        for (int32_t of = 0; !full && of < weight.from.stack; ++of)
          look.inputs.insert(draft_->input(weight, of));
        if (!full) bytes += squares, look.layers = std::max(look.layers, layer(i) + 1);
      }
      (full && !look.inputs.contains(input) && !input.empty() ? later : taken).push_back(i);
    }
    now = std::move(taken);
    if (look.inputs.empty()) return SeenByInput();
    if (look.layers > int32_t(draft_->spec().layers.size())) look.layers = 0;
    return observe(*model_, *train_, text_, look, ledger_,
                   [&](int64_t done, int64_t of) { progress_("counting products", done, of); });
  }
  int32_t layer(size_t i) const {  // the head comes last
    const std::string& role = draft_->weights()[i].role();
    return role.starts_with("blk.") ? layer_of(role) : int32_t(draft_->spec().layers.size());
  }

  Status write_matrix(size_t i, int32_t of_stack, const SeenByInput& counted) {
    const Weight& weight = draft_->weights()[i];
    const bool own = counted.contains(draft_->input(weight, of_stack));
    Seen seen = TRY(own ? draft_->seen(weight, counted, of_stack) : draft_->seen(weight, of_stack));
    std::unique_ptr<Rounder> rounder;
    const auto& methods = draft_->methods();
    for (auto method = methods.rbegin(); rounder == nullptr && method != methods.rend(); ++method)
      rounder = TRY((*method)->rounder(weight, seen, ops_, ledger_));
    seen = {};
    if (rounder == nullptr)
      rounder = TRY(TRY(compressors().make("rtn"))->rounder(weight, seen, ops_, ledger_));
    const int64_t row_bytes = weight.codec->bytes_for(weight.cols());
    Buffer encoded;
    return draft_->each_of(weight, of_stack, [&](int32_t first, std::span<const float> rows) -> Status {
      const int64_t count = int64_t(rows.size()) / weight.cols();
      if (encoded.size() < count * row_bytes)
        encoded = TRY(Buffer::make(ledger_, Tag::io, count * row_bytes));
      ops_.parallel((count + kRowsAtOnce - 1) / kRowsAtOnce, [&](int64_t task) {
        const int64_t row = task * kRowsAtOnce, some = std::min(kRowsAtOnce, count - row);
        rounder->round(rows.subspan(size_t(row * weight.cols()), size_t(some * weight.cols())),
                       encoded.bytes().subspan(size_t(row * row_bytes), size_t(some * row_bytes)));
      });
      return product_->write(i, first * row_bytes, encoded.bytes().first(size_t(count * row_bytes)));
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
  CompressReport report_;
  int64_t done_ = 0, of_ = 0;
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
