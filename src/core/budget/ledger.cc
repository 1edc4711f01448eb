#include "core/budget/ledger.h"

#include <algorithm>

namespace varve {

std::string_view to_string(Tag tag) {
  static constexpr std::string_view names[] = {"weights",   "kv",        "scratch", "index",      "cubes",
                                               "gradients", "optimizer", "io",      "activations"};
  return names[static_cast<size_t>(tag)];
}

Reservation& Reservation::operator=(Reservation&& other) noexcept {
  std::swap(ledger_, other.ledger_);
  std::swap(tag_, other.tag_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

Reservation::~Reservation() {
  if (ledger_ != nullptr) ledger_->give(tag_, bytes_);
}

Status Reservation::resize(int64_t bytes) {
  if (bytes <= bytes_) {
    ledger_->give(tag_, bytes_ - bytes);
  } else {
    Reservation more = TRY(ledger_->reserve(tag_, bytes - bytes_));
    more.bytes_ = 0;  // ours now
  }
  bytes_ = bytes;
  return {};
}

Result<Reservation> Ledger::reserve(Tag tag, int64_t bytes) {
  if (bytes < 0) return Status(Code::invalid, "negative reservation");
  if (take(tag, bytes)) return Reservation(this, tag, bytes);
  std::shared_lock lock(shrinkers_mutex_);
  for (Shrinker* shrinker : shrinkers_) {
    shrinker->shrink(bytes - (limit_ - used()));
    if (take(tag, bytes)) return Reservation(this, tag, bytes);
  }
  return Status(Code::over_budget, std::to_string(bytes) + " bytes do not fit: " + std::to_string(used()) +
                                       " of " + std::to_string(limit_) +
                                       " are in use; it takes a budget of " +
                                       std::to_string(((used() + bytes + outside_) >> 20) + 1) + "MiB");
}

Status Ledger::set_limit(int64_t limit_bytes) {
  const int64_t before = limit_.exchange(limit_bytes);
  std::shared_lock lock(shrinkers_mutex_);
  for (Shrinker* shrinker : shrinkers_) {
    if (used() <= limit_bytes) return {};
    shrinker->shrink(used() - limit_bytes);
  }
  if (used() <= limit_bytes) return {};
  limit_ = before;
  return Status(Code::over_budget, std::to_string(used()) +
                                       " bytes are in use and cannot be given back now; the limit would be " +
                                       std::to_string(limit_bytes));
}

void Ledger::add_shrinker(Shrinker* shrinker, bool last) {
  std::lock_guard lock(shrinkers_mutex_);
  last_ += last;
  shrinkers_.insert(last ? shrinkers_.end() : shrinkers_.end() - ptrdiff_t(last_), shrinker);
}

void Ledger::remove_shrinker(Shrinker* shrinker) {
  std::lock_guard lock(shrinkers_mutex_);
  const auto found = std::find(shrinkers_.begin(), shrinkers_.end(), shrinker);
  if (found == shrinkers_.end()) return;
  if (shrinkers_.end() - found <= ptrdiff_t(last_)) --last_;
  shrinkers_.erase(found);
}

bool Ledger::take(Tag tag, int64_t bytes) {
  std::lock_guard lock(mutex_);
  if (bytes > limit_ - used_) return false;
  used_ += bytes;
  by_tag_[static_cast<size_t>(tag)] += bytes;
  peak_ = std::max(peak_, used_);
  return true;
}

void Ledger::give(Tag tag, int64_t bytes) {
  std::lock_guard lock(mutex_);
  used_ -= bytes;
  by_tag_[static_cast<size_t>(tag)] -= bytes;
}

int64_t Ledger::used() const {
  std::lock_guard lock(mutex_);
  return used_;
}

int64_t Ledger::used(Tag tag) const {
  std::lock_guard lock(mutex_);
  return by_tag_[static_cast<size_t>(tag)];
}

int64_t Ledger::peak() const {
  std::lock_guard lock(mutex_);
  return peak_;
}

}  // namespace varve
