#include "learn/compress/calibration.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <deque>

#include "learn/compress/draft.h"
#include "learn/data/feed.h"
#include "run/model/stack_delta.h"

namespace varve {
namespace {

constexpr int64_t kMostText = int64_t(1) << 30;
constexpr int64_t kLeastTokens = 64;

class Watcher : public Delta {  // of one input
 public:
  Watcher(TrainOps& ops, int32_t cols)
      : ops_(ops), square_(size_t(cols)), mean_(size_t(cols)), size_(size_t(cols)) {}

  Status ask_for_gram(Ledger& ledger) {
    const int64_t cols = int64_t(square_.size());
    gram_ = TRY(Buffer::make(ledger, Tag::scratch, cols * cols * 4).with("counting products of inputs"));
    return {};
  }
  void add(Ops& ops, Scratch&, Rows x, Rows, float) const override {
    std::vector<float> row(square_.size());
    for (int32_t i = 0; i < x.count(); ++i) {
      ops.store(x.slice(i, 1), row);
      for (size_t j = 0; j < row.size(); ++j) {
        const double value = double(row[j]);
        square_[j] += value * value, mean_[j] += value, size_[j] += std::abs(value);
      }
    }
    rows_ += x.count();
    if (gram_.size() > 0) ops_.outer_add(x, x, {gram(), row.size() * row.size()});
  }
  int64_t scratch_bytes(int32_t) const override { return 0; }

  Seen finish() {
    Seen seen;
    seen.rows = rows_;
    const double share = rows_ > 0 ? 1 / double(rows_) : 0;
    for (size_t j = 0; j < square_.size(); ++j) {
      seen.square.push_back(float(square_[j] * share)), seen.mean.push_back(float(mean_[j] * share));
      seen.size.push_back(float(size_[j] * share));
    }
    for (size_t i = 0; gram_.size() > 0 && i < square_.size() * square_.size(); ++i)
      gram()[i] *= float(share);
    seen.gram = std::move(gram_);
    return seen;
  }

 private:
  float* gram() const { return reinterpret_cast<float*>(gram_.bytes().data()); }
  TrainOps& ops_;
  mutable std::vector<double> square_, mean_, size_;
  mutable Buffer gram_;
  mutable int64_t rows_ = 0;
};

class StackWatcher : public StackDelta {  // of the inputs of a layer's experts
 public:
  const Delta* of(int32_t matrix) const override { return watchers[size_t(matrix)]; }
  std::vector<const Watcher*> watchers;
};

class Watchers : public Adapter {
 public:
  const Delta* on(WeightId id) const override {
    if (const auto found = stacks_.find(id); found != stacks_.end()) return &found->second;
    const auto found = of_.find(id);
    return found == of_.end() ? nullptr : found->second;
  }
  Status watch(const Model& model, TrainOps& ops, const Look& look, Ledger& ledger) {
    const auto entries = model.weights().entries();
    for (WeightId id = 0; id < entries.size(); ++id) {
      const std::string input = input_of(entries[id].role);
      const bool head = input == "output", own = entries[id].role.starts_with("blk.");
      if (entries[id].rows == 1 || !(head || own) || by_input_.contains(input)) continue;
      if (entries[id].stack > 1) {
        if (input == entries[id].role) TRY(watch_stack(entries[id], id, ops, look, ledger));
        continue;
      }
      if (!look.inputs.empty() && !look.inputs.contains(input)) continue;
      // Inputs that several read are watched where the one reads them that names them.
      if (own && input != entries[id].role) continue;
      TRY(add(input, entries[id].cols, ops, look, ledger));
      if (!head) of_[id] = &watchers_.back();
    }
    return {};
  }
  Watcher* head() const {
    const auto found = by_input_.find("output");
    return found == by_input_.end() ? nullptr : found->second;
  }
  SeenByInput finish() {
    SeenByInput seen;
    for (auto& [input, watcher] : by_input_) seen[input] = watcher->finish();
    return seen;
  }

 private:
  Status add(const std::string& input, int32_t cols, TrainOps& ops, const Look& look, Ledger& ledger) {
    watchers_.emplace_back(ops, cols);
    by_input_[input] = &watchers_.back();
    return look.gram ? watchers_.back().ask_for_gram(ledger) : Status();
  }
  Status watch_stack(const WeightEntry& entry, WeightId id, TrainOps& ops, const Look& look, Ledger& ledger) {
    StackWatcher& stack = stacks_[id];
    for (int32_t i = 0; i < entry.stack; ++i) {
      const std::string input = input_of(entry.role, i);
      const bool wanted = look.inputs.empty() || look.inputs.contains(input);
      if (wanted) TRY(add(input, entry.cols, ops, look, ledger));
      stack.watchers.push_back(wanted ? &watchers_.back() : nullptr);
    }
    return {};
  }
  std::deque<Watcher> watchers_;
  std::map<WeightId, const Watcher*> of_;
  std::map<WeightId, StackWatcher> stacks_;
  std::map<std::string, Watcher*> by_input_;
};

struct Pass {
  const Model& model;
  Ops& ops;
  const Look& look;
  const Watchers& watchers;
  Scratch scratch;
  std::shared_ptr<KvPool> pool;

  Status read(const std::vector<Token>& text) {
    const auto rows = int32_t(text.size());
    const auto kv = TRY(make_kv_cache(pool));
    TRY(kv->reserve(rows));
    std::vector<int32_t> positions(text.size()), outputs;
    for (int32_t i = 0; i < rows; ++i) positions[size_t(i)] = i;
    if (look.layers == 0) outputs = positions;
    const Segment segment{0, rows, kv.get(), &watchers};
    const int64_t mark = scratch.mark();
    Rows hidden = scratch.take(int32_t(outputs.size()), model.shape().width);
    TRY(model.hidden({text, positions, {&segment, 1}, outputs, look.layers}, ops, scratch, hidden));
    if (look.layers == 0 && watchers.head() != nullptr) watchers.head()->add(ops, scratch, hidden, hidden, 1);
    scratch.release(mark);
    return {};
  }
};

}  // namespace

Result<CalibrationText> read_calibration(Env& env, const std::string& path, const Model& model, int64_t most,
                                         int32_t length, Ledger& ledger) {
  if (model.tokenizer() == nullptr)
    return Status(Code::invalid, "the model has no tokenizer to read " + path + " with");
  CalibrationText out;
  Feed feed = TRY(Feed::make(ledger));
  {
    const auto bytes = TRY(read_file(env, path, kMostText));
    if (std::find(bytes.begin(), bytes.end(), std::byte(0)) != bytes.end())
      return Status(Code::invalid, path + " is no text: it has zero bytes");
    const FeedShape shape{std::min(length, model.shape().context), model.tokenizer(), model.chat_template()};
    TRY(feed.add(path, {reinterpret_cast<const char*>(bytes.data()), bytes.size()}, shape)
            .with("reading the calibration text"));
  }
  if (feed.tokens() < kLeastTokens)
    return Status(Code::invalid, path + " has " + std::to_string(feed.tokens()) +
                                     " tokens: too few to calibrate by; " + std::to_string(kLeastTokens) +
                                     " are the least");
  // One in so many, from all over the file.
  const double step = std::max(1.0, double(feed.tokens()) / double(most));
  for (double at = 0; at < double(feed.size()); at += step) {
    const auto tokens = feed[size_t(at)].tokens;
    out.texts.emplace_back(tokens.begin(), tokens.end());
    out.tokens += int64_t(tokens.size());
  }
  return out;
}

Result<SeenByInput> observe(const Model& model, TrainOps& ops, const CalibrationText& text, const Look& look,
                            Ledger& ledger, const CalibrationStep& step) {
  Watchers watchers;
  TRY(watchers.watch(model, ops, look, ledger));
  int32_t most = 0;
  for (const auto& one : text.texts) most = std::max(most, int32_t(one.size()));
  const int32_t outputs = look.layers == 0 ? most : 0;
  Pass pass{model, ops.ops(), look, watchers, {}, nullptr};
  pass.scratch = TRY(Scratch::make(
      ledger, model.scratch_bytes(most, outputs) + Scratch::bytes_for(outputs, model.shape().width)));
  pass.pool = TRY(make_kv_pool(ledger, model.shape().kv, {.pack = "f32"}));
  int64_t done = 0;
  for (const auto& one : text.texts) {
    TRY(pass.read(one));
    done += int64_t(one.size());
    if (step) step(done, text.tokens);
  }
  return watchers.finish();
}

// A line of text a number would be slow: roles and floats, each with its count before it.
namespace {
constexpr std::string_view kMagic = "varve-seen-1\n";
void put(std::vector<std::byte>& out, const void* from, size_t bytes) {
  const auto* at = static_cast<const std::byte*>(from);
  out.insert(out.end(), at, at + bytes);
}
struct Taking {
  std::span<const std::byte> left;
  bool take(void* to, size_t bytes) {
    if (left.size() < bytes) return false;
    std::memcpy(to, left.data(), bytes);
    left = left.subspan(bytes);
    return true;
  }
};
}  // namespace

Status save_seen(Env& env, const std::string& path, const SeenByInput& seen) {
  std::vector<std::byte> out;
  put(out, kMagic.data(), kMagic.size());
  for (const auto& [input, one] : seen) {
    const int64_t head[3] = {int64_t(input.size()), int64_t(one.square.size()), one.rows};
    put(out, head, sizeof(head)), put(out, input.data(), input.size());
    for (const auto* values : {&one.square, &one.mean, &one.size})
      put(out, values->data(), values->size() * 4);
  }
  return write_file(env, path, out);
}

Result<SeenByInput> load_seen(Env& env, const std::string& path) {
  const auto bytes = TRY(read_file(env, path, kMostText));
  Taking from{bytes};
  std::string magic(kMagic.size(), ' ');
  if (!from.take(magic.data(), magic.size()) || magic != kMagic)
    return Status(Code::corrupt, path + " is damaged");
  SeenByInput seen;
  while (!from.left.empty()) {
    int64_t head[3];
    if (!from.take(head, sizeof(head)) || head[0] < 0 || head[1] < 0 || head[0] > int64_t(from.left.size()) ||
        head[1] > int64_t(from.left.size()) / 12)
      return Status(Code::corrupt, path + " is damaged");
    std::string input(static_cast<size_t>(head[0]), ' ');
    Seen one;
    one.rows = head[2];
    bool whole = from.take(input.data(), input.size());
    for (auto* values : {&one.square, &one.mean, &one.size}) {
      values->resize(size_t(head[1]));
      whole = whole && from.take(values->data(), values->size() * 4);
    }
    if (!whole) return Status(Code::corrupt, path + " is damaged");
    seen[std::move(input)] = std::move(one);
  }
  return seen;
}

}  // namespace varve
