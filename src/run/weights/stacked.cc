#include "run/weights/stacked.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdlib>
#include <functional>
#include <map>
#include <mutex>
#include <numeric>

#include "core/base/check.h"
#include "core/base/log.h"
#include "core/budget/buffer.h"
#include "run/weights/stream_plan.h"

namespace varve {
namespace {

constexpr int64_t kLeftShare = 8;  // of what is left of a budget, for others, until somebody says how much

class StackedWeights : public WeightStore, public Streaming, public Shrinker {
 public:
  StackedWeights(std::vector<WeightEntry> entries, std::unique_ptr<WeightStore> base,
                 std::unique_ptr<File> file, Ledger& ledger)
      : entries_(std::move(entries)), base_(std::move(base)), file_(std::move(file)), ledger_(ledger) {
    for (WeightId id = 0; id < entries_.size(); ++id) {
      ids_[entries_[id].role] = id;
      base_ids_.push_back(base_->find(entries_[id].role));
    }
    order_blocks();
    ledger_.add_shrinker(this, true);
  }
  ~StackedWeights() override { ledger_.remove_shrinker(this); }

  std::span<const WeightEntry> entries() const override { return entries_; }
  WeightId find(std::string_view role) const override {
    const auto found = ids_.find(role);
    return found == ids_.end() ? kNoWeight : found->second;
  }
  Result<WeightPin> pin(WeightId id, int32_t of_stack) const override {
    CHECK(id < entries_.size(), "no such weight");
    if (base_ids_[id] != kNoWeight) return base_->pin(base_ids_[id], of_stack);
    std::lock_guard lock(mutex_);
    const auto& bytes = held_[place_.at(id)];
    const WeightEntry& entry = entries_[id];
    if (bytes == nullptr) return WeightPin({.codec = entry.codec, .bytes = {}, .cols = entry.cols}, nullptr);
    return WeightPin({entry.codec, bytes->bytes(), entry.rows, entry.cols}, bytes);
  }
  void hint(std::span<const WeightId>) const override {}
  int64_t resident_bytes() const override { return base_->resident_bytes() + counts().resident_bytes; }
  Streaming* streaming() const override { return const_cast<StackedWeights*>(this); }

  StreamPlan plan() const override {
    StreamPlan plan;
    plan.leaves_out = true;
    for (const WeightId id : order_) plan.pass_bytes += entries_[id].bytes;
    plan.resident_bytes = counts().resident_bytes;
    plan.groups.push_back({"residual blocks", plan.pass_bytes, plan.resident_bytes});
    return plan;
  }
  StreamCounts counts() const override {
    std::lock_guard lock(mutex_);
    StreamCounts counts;
    for (size_t i = 0; i < loaded_; ++i) counts.resident_bytes += entries_[order_[i]].bytes;
    return counts;
  }
  void keep(int64_t bytes) override;
  void shrink(int64_t bytes) override {
    if (!loading_) drop([&](int64_t given, size_t) { return given < bytes; });
  }

 private:
  size_t loaded() const {
    std::lock_guard lock(mutex_);
    return loaded_;
  }
  void order_blocks();
  Status load(size_t place);
  // From the least worthy on, while `on(bytes given back, blocks left)`.
  void drop(const std::function<bool(int64_t, size_t)>& on) {
    std::vector<std::shared_ptr<Buffer>> gone;  // freed without the lock
    std::lock_guard lock(mutex_);
    for (int64_t given = 0; loaded_ > 0 && on(given, loaded_); given += entries_[order_[loaded_]].bytes)
      gone.push_back(std::move(held_[--loaded_]));
  }

  const std::vector<WeightEntry> entries_;
  const std::unique_ptr<WeightStore> base_;
  const std::unique_ptr<File> file_;
  Ledger& ledger_;
  std::map<std::string, WeightId, std::less<>> ids_;
  std::vector<WeightId> base_ids_;     // kNoWeight: a block
  std::vector<WeightId> order_;        // blocks, the worthiest first
  std::map<WeightId, size_t> place_;   // in it
  std::mutex keeping_;                 // one thread loads
  std::atomic<bool> loading_ = false;  // what is loaded for one block must not be taken from another
  mutable std::mutex mutex_;
  std::vector<std::shared_ptr<Buffer>> held_;  // by place
  size_t loaded_ = 0;                          // the first so many places
};

// A block is worth no more than those before it of the same weight: without them it is of no use.
void StackedWeights::order_blocks() {
  for (WeightId id = 0; id < entries_.size(); ++id) {
    if (is_block(entries_[id])) order_.push_back(id);
  }
  std::vector<float> worth(order_.size(), 1.f);
  const WeightId table = base_->find(kMoreWorth);
  if (table != kNoWeight && base_->entries()[table].cols == int32_t(worth.size()) &&
      base_->entries()[table].rows == 1) {
    const auto pin = base_->pin(table);
    if (pin.ok()) (**pin).codec->decode((**pin).bytes, worth);
  }
  std::map<std::string, std::map<int, size_t>> of;  // of a weight, by number
  for (size_t i = 0; i < order_.size(); ++i) {
    const std::string& role = entries_[order_[i]].role;
    const size_t at = role.find(kMore);
    of[role.substr(0, at)][std::atoi(role.c_str() + at + kMore.size())] = i;
  }
  std::vector<int> number(order_.size());
  for (const auto& [role, blocks] : of) {
    float most = INFINITY;
    for (const auto& [own, i] : blocks) {
      number[i] = own;
      most = worth[i] = worth[i] > 0 ? std::min(worth[i], most) : 0;  // NaN: 0
    }
  }
  std::vector<size_t> by(order_.size());
  std::iota(by.begin(), by.end(), size_t(0));
  std::stable_sort(by.begin(), by.end(), [&](size_t a, size_t b) {
    return worth[a] != worth[b] ? worth[a] > worth[b] : number[a] < number[b];
  });
  std::vector<WeightId> sorted;
  for (const size_t i : by) place_[order_[i]] = sorted.size(), sorted.push_back(order_[i]);
  order_ = std::move(sorted);
  held_.resize(order_.size());
}

Status StackedWeights::load(size_t place) {
  const WeightEntry& entry = entries_[order_[place]];
  auto bytes = std::make_shared<Buffer>(TRY(Buffer::make(ledger_, Tag::weights, entry.bytes)));
  TRY(file_->read(entry.offset, bytes->bytes()).with("loading " + entry.role));
  std::lock_guard lock(mutex_);
  if (loaded_ == place) held_[loaded_++] = std::move(bytes);
  return {};
}

void StackedWeights::keep(int64_t bytes) {
  std::lock_guard keeping(keeping_);
  size_t goal = 0;
  for (; goal < order_.size() && entries_[order_[goal]].bytes <= bytes; ++goal)
    bytes -= entries_[order_[goal]].bytes;
  drop([&](int64_t, size_t left) { return left > goal; });
  loading_ = true;
  Status read;
  for (size_t place = loaded(); place < goal && read.ok(); ++place) read = load(place);
  loading_ = false;
  if (!read.ok() && read.code() != Code::over_budget)  // no room: it runs with those that there are
    log(LogLevel::warning, "residual blocks are left out: " + read.text());
}

}  // namespace

Result<std::unique_ptr<WeightStore>> open_stacked_weights(Env& env, const std::string& path,
                                                          std::vector<WeightEntry> entries, Ledger& ledger,
                                                          int64_t working_bytes) {
  std::vector<WeightEntry> base = entries;
  std::erase_if(base, is_block);
  for (const WeightEntry& entry : entries) {
    if (is_block(entry) && entry.stack > 1)
      return Status(Code::unsupported, entry.role + " is a stack of matrices; residual blocks are not");
  }
  auto store = TRY(open_resident_entries(env, path, std::move(base), ledger, working_bytes));
  auto file = TRY(env.open(path, Open::read));
  auto stacked =
      std::make_unique<StackedWeights>(std::move(entries), std::move(store), std::move(file), ledger);
  const int64_t left = ledger.limit() - ledger.used() - working_bytes;
  stacked->keep(left - left / kLeftShare);
  return std::unique_ptr<WeightStore>(std::move(stacked));
}

}  // namespace varve
