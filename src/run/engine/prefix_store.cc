#include "run/engine/prefix_store.h"

#include <algorithm>

namespace varve {
namespace {

constexpr size_t kMostPrefixes = 256;  // a look-up compares with each

int32_t common(std::span<const Token> a, std::span<const Token> b) {
  const size_t shorter = std::min(a.size(), b.size());
  return int32_t(std::mismatch(a.begin(), a.begin() + shorter, b.begin()).first - a.begin());
}

}  // namespace

bool PrefixStore::of(const Prefix& prefix, const PrefixKey& key) {
  return prefix.scope == key.scope && prefix.adapter == key.adapter.get() &&
         prefix.alive.lock() == key.adapter;
}

PrefixStore::Match PrefixStore::longest(const PrefixKey& key, std::span<const Token> tokens) {
  std::lock_guard lock(mutex_);
  auto best = prefixes_.end();
  int32_t length = 0;
  for (auto one = prefixes_.begin(); one != prefixes_.end(); ++one) {
    if (!of(*one, key)) continue;
    const int32_t matching = common(one->tokens, tokens);
    if (matching > length) {
      best = one;
      length = matching;
    }
  }
  if (length == 0) return {};
  prefixes_.splice(prefixes_.begin(), prefixes_, best);
  return {.kv = best->kv, .tokens = length};
}

uint64_t PrefixStore::epoch(const std::string& scope) const {
  std::lock_guard lock(mutex_);
  auto found = forgotten_.find(scope);
  return found == forgotten_.end() ? 0 : found->second;
}

void PrefixStore::add(const PrefixKey& key, uint64_t epoch, std::span<const Token> tokens, KvSnapshot kv) {
  std::list<Prefix> dropped;
  std::lock_guard lock(mutex_);
  auto found = forgotten_.find(key.scope);
  if (tokens.empty() || epoch != (found == forgotten_.end() ? 0 : found->second)) return;
  for (auto one = prefixes_.begin(); one != prefixes_.end();) {
    const auto next = std::next(one);
    const size_t matching = of(*one, key) ? size_t(common(one->tokens, tokens)) : 0;
    if (matching == tokens.size()) {  // nothing new
      prefixes_.splice(prefixes_.begin(), prefixes_, one);
      return;
    }
    if (matching == one->tokens.size())
      dropped.splice(dropped.end(), prefixes_, one);  // the new one has it all
    one = next;
  }
  prefixes_.push_front(
      {key.scope, key.adapter.get(), key.adapter, {tokens.begin(), tokens.end()}, std::move(kv)});
  if (prefixes_.size() > kMostPrefixes) {
    dropped.splice(dropped.end(), prefixes_, std::prev(prefixes_.end()));
  }
}

void PrefixStore::forget(const std::string& scope) {
  std::list<Prefix> dropped;
  std::lock_guard lock(mutex_);
  ++forgotten_[scope];
  for (auto one = prefixes_.begin(); one != prefixes_.end();) {
    const auto next = std::next(one);
    if (one->scope == scope) dropped.splice(dropped.end(), prefixes_, one);
    one = next;
  }
}

void PrefixStore::shrink(int64_t bytes) {
  const int64_t before = pool_->booked_bytes();
  while (before - pool_->booked_bytes() < bytes) {
    std::list<Prefix> oldest;
    std::lock_guard lock(mutex_);
    if (prefixes_.empty()) return;
    oldest.splice(oldest.end(), prefixes_, std::prev(prefixes_.end()));
  }
}

int64_t PrefixStore::bytes() const {
  std::vector<const KvPage*> pages;
  std::lock_guard lock(mutex_);
  for (const Prefix& prefix : prefixes_) {
    for (const KvPagePtr& page : prefix.kv.pages) pages.push_back(page.get());
  }
  std::sort(pages.begin(), pages.end());
  return (std::unique(pages.begin(), pages.end()) - pages.begin()) * pool_->layout.bytes();
}

}  // namespace varve
