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

PrefixStore::PrefixStore(std::shared_ptr<const Model> model, std::shared_ptr<KvPool> pool,
                         const PrefixHome& home)
    : model_(std::move(model)), pool_(std::move(pool)), home_(home) {}

Status PrefixStore::open_disk() {
  if (home_.env == nullptr || home_.folder.empty()) return {};
  if (!codec_named(pool_->methods.saved_as).ok()) return {};  // packed or selected: write_kv() refuses it
  disk_ = TRY(PrefixDisk::open(home_, pool_).with("opening the prefixes of former runs"));
  return {};
}

KvIdentity PrefixStore::identity(const std::string& scope) const {
  std::call_once(once_, [this] {
    identity_ = {.model = model_->fingerprint(),
                 .positions = model_->shape().positions,
                 .pack = pool_->methods.saved_as,
                 .shape = pool_->shape};
    if (model_->tokenizer() != nullptr) identity_.tokenizer = tokenizer_hash(*model_->tokenizer());
  });
  KvIdentity one = identity_;
  one.salt = kv_salt(home_.secret, scope);
  return one;
}

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
  ++best->uses;
  return {.kv = best->kv, .tokens = length};
}

uint64_t PrefixStore::epoch() const {
  std::lock_guard lock(mutex_);
  return forgotten_;
}

void PrefixStore::add(const PrefixKey& key, uint64_t epoch, std::span<const Token> tokens, KvSnapshot kv,
                      bool lasting) {
  std::list<Prefix> dropped;
  std::lock_guard lock(mutex_);
  if (tokens.empty() || epoch != forgotten_) return;
  int32_t uses = 0;
  for (auto one = prefixes_.begin(); one != prefixes_.end();) {
    const auto next = std::next(one);
    const size_t matching = of(*one, key) ? size_t(common(one->tokens, tokens)) : 0;
    if (matching == tokens.size() && (one->lasting || !lasting)) {  // nothing new
      prefixes_.splice(prefixes_.begin(), prefixes_, one);
      return;
    }
    if (matching == one->tokens.size() && (lasting || !one->lasting)) {  // the new one has it all
      uses = std::max(uses, one->uses);
      dropped.splice(dropped.end(), prefixes_, one);
    }
    one = next;
  }
  unsaved_ = unsaved_ || lasting;
  prefixes_.push_front({key.scope,
                        key.adapter.get(),
                        key.adapter,
                        {tokens.begin(), tokens.end()},
                        std::move(kv),
                        lasting,
                        uses});
  if (prefixes_.size() > kMostPrefixes) {
    dropped.splice(dropped.end(), prefixes_, std::prev(prefixes_.end()));
  }
}

int32_t PrefixStore::known(const PrefixKey& key, std::span<const Token> tokens) const {
  int32_t most = 0;
  std::lock_guard lock(mutex_);
  for (const Prefix& one : prefixes_) most = std::max(most, of(one, key) ? common(one.tokens, tokens) : 0);
  return most;
}

bool PrefixStore::worth_fetching(const PrefixKey& key, std::span<const Token> tokens) const {
  if (disk_ == nullptr || key.adapter != nullptr) return false;
  const int32_t least = known(key, tokens) + kPageTokens;
  return least <= int32_t(tokens.size()) && disk_->longest(identity(key.scope), tokens) >= least;
}

int32_t PrefixStore::fetch(const PrefixKey& key, std::span<const Token> tokens) {
  if (disk_ == nullptr || key.adapter != nullptr) return 0;
  const uint64_t now = epoch();
  const int32_t here = known(key, tokens);
  if (here + kPageTokens > int32_t(tokens.size())) return 0;
  auto kv = disk_->load(identity(key.scope), tokens, here);
  if (!kv.ok() || kv->tokens == 0) return 0;
  const int32_t brought = kv->tokens;
  add(key, now, tokens.first(size_t(brought)), std::move(*kv), true);
  return brought;
}

// Those used most, then newest, until the disk is full; written the other way round, so that they are the
// last to go there.
Status PrefixStore::spill() {
  if (disk_ == nullptr) return {};
  const uint64_t epoch = disk_->epoch();
  std::vector<Prefix> lasting;
  {
    std::lock_guard lock(mutex_);
    unsaved_ = false;
    for (const Prefix& one : prefixes_) {
      if (one.lasting && one.adapter == nullptr) lasting.push_back(one);
    }
  }
  std::stable_sort(lasting.begin(), lasting.end(), [](auto& a, auto& b) { return a.uses > b.uses; });
  int64_t room = home_.disk_bytes;
  size_t count = 0;
  while (count < lasting.size() && room >= lasting[count].kv.bytes()) room -= lasting[count++].kv.bytes();
  for (size_t i = count; i-- > 0;) {
    TRY(disk_->save(identity(lasting[i].scope), lasting[i].tokens, lasting[i].kv, epoch));
  }
  return disk_->settle();
}

Status PrefixStore::forget() {
  std::list<Prefix> dropped;
  {
    std::lock_guard lock(mutex_);
    ++forgotten_;
    dropped.swap(prefixes_);
  }
  return disk_ == nullptr ? Status() : disk_->forget();
}

bool PrefixStore::unsaved() const {
  std::lock_guard lock(mutex_);
  return disk_ != nullptr && unsaved_;
}

int64_t PrefixStore::disk_bytes() const {
  return disk_ == nullptr ? 0 : disk_->bytes();
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
