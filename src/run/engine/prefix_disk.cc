#include "run/engine/prefix_disk.h"

#include <algorithm>
#include <cstdio>
#include <set>

namespace varve {
namespace {

constexpr size_t kMostSegments = 4096;
constexpr std::string_view kSuffix = ".kv";

// The number of a file of ours; nothing of another file.
std::optional<uint64_t> number_of(std::string_view name) {
  if (name.size() != 16 + kSuffix.size() || !name.ends_with(kSuffix)) return std::nullopt;
  uint64_t number = 0;
  for (const char c : name.substr(0, 16)) {
    const int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
    if (digit < 0) return std::nullopt;
    number = number << 4 | uint64_t(digit);
  }
  return number;
}

Status remove_all(Env& env, const std::string& folder) {
  Status worst;
  for (const std::string& name : TRY(env.list(folder))) {
    if (name.find(kSuffix) == name.npos) continue;  // ours, or what a save that was cut off left
    Status removed = env.remove(folder + "/" + name);
    if (!removed.ok() && removed.code() != Code::not_found) worst = std::move(removed);
  }
  return worst;
}

}  // namespace

Status forget_saved_prefixes(Env& env, const std::string& folder) {
  if (!TRY(env.exists(folder))) return {};
  return remove_all(env, folder);
}

Result<std::unique_ptr<PrefixDisk>> PrefixDisk::open(const PrefixHome& home, std::shared_ptr<KvPool> pool) {
  std::unique_ptr<PrefixDisk> disk(new PrefixDisk(home, std::move(pool)));
  TRY(home.env->make_folder(home.folder));
  TRY(remove_leftovers(*home.env, home.folder));
  TRY(disk->read_folder());
  return disk;
}

std::string PrefixDisk::path(uint64_t number) const {
  char name[32];
  std::snprintf(name, sizeof(name), "/%016llx", static_cast<unsigned long long>(number));
  return home_.folder + name + std::string(kSuffix);
}

// Whole files of another model stay: it may be started again. They count, and go first by their age.
Status PrefixDisk::read_folder() {
  for (const std::string& name : TRY(home_.env->list(home_.folder))) {
    const auto number = number_of(name);
    if (!number) continue;
    last_ = std::max(last_, *number);
    auto opened = home_.env->open(path(*number), Open::read);
    auto file = opened.ok() ? KvFile::open(std::move(opened).value()) : std::move(opened).status();
    if (!file.ok() || segments_.size() >= kMostSegments) {
      TRY(home_.env->remove(path(*number)).with("removing a damaged prefix"));
      continue;
    }
    const KvHead& head = file->head();
    learn({.number = *number,
           .before = head.before,
           .chain = file->chain(),
           .first = head.first,
           .bytes = file->bytes()});
  }
  return make_room(0, {});
}

void PrefixDisk::learn(Segment segment) {
  bytes_ += segment.bytes;
  segments_.push_back(std::move(segment));
  const auto at = std::prev(segments_.end());
  for (size_t i = 0; i < at->chain.size(); ++i) pages_.insert_or_assign(at->chain[i], Place{at, i});
}

// Nothing is hashed beyond the first page that is not here.
std::vector<PrefixDisk::Place> PrefixDisk::places(const KvIdentity& by,
                                                  std::span<const int32_t> tokens) const {
  std::vector<Place> found;
  if (pages_.empty()) return found;
  for (Hash256 last = kv_root(by); tokens.size() >= kPageTokens; tokens = tokens.subspan(kPageTokens)) {
    last = kv_link(last, tokens.first(kPageTokens));
    const auto at = pages_.find(last);
    if (at == pages_.end()) break;
    const Place& place = at->second;
    if (place.page > 0 && (found.empty() || found.back().segment != place.segment)) break;
    found.push_back(place);
  }
  return found;
}

int32_t PrefixDisk::longest(const KvIdentity& by, std::span<const int32_t> tokens) const {
  std::lock_guard lock(mutex_);
  return int32_t(places(by, tokens).size()) * kPageTokens;
}

Status PrefixDisk::load_segment(const Segment& segment, const KvIdentity& by, size_t pages,
                                KvBlocks& into) const {
  const KvFile file =
      TRY(KvFile::open(TRY(home_.env->open(path(segment.number), Open::read)), segment.chain));
  TRY(file.made_by(by));
  if (file.head().before != segment.before || file.head().first != segment.first ||
      size_t(segment.first) != into.size() * kPageTokens) {
    return Status(Code::corrupt, "a saved prefix is another than it was");
  }
  return file.load(*pool_, int32_t(pages) * kPageTokens, into);
}

Result<KvSnapshot> PrefixDisk::load(const KvIdentity& by, std::span<const int32_t> tokens, int32_t known) {
  std::lock_guard lock(mutex_);
  const std::vector<Place> found = places(by, tokens);
  if (int32_t(found.size()) * kPageTokens < known + kPageTokens) return KvSnapshot();
  KvBlocks blocks;
  while (blocks.size() < found.size()) {
    const auto segment = found[blocks.size()].segment;
    size_t pages = 0;
    for (size_t at = blocks.size(); at < found.size() && found[at].segment == segment; ++at) ++pages;
    Status loaded = load_segment(*segment, by, pages, blocks);
    if (loaded.ok()) {
      touch(segment);
      continue;
    }
    if (loaded.code() != Code::over_budget) drop(segment).ignore("it is of no use, and tried again later");
    return loaded;
  }
  return join(blocks, int32_t(blocks.size()) * kPageTokens);
}

void PrefixDisk::touch(Segments::iterator segment) {
  segment->used = true;
  segments_.splice(segments_.end(), segments_, segment);
}

Status PrefixDisk::settle() {
  std::lock_guard lock(mutex_);
  for (Segment& one : segments_) {
    if (!one.used) continue;
    TRY(home_.env->rename(path(one.number), path(last_ + 1)));
    one.number = ++last_;
    one.used = false;
  }
  return {};
}

Status PrefixDisk::drop(Segments::iterator segment) {
  Status removed = home_.env->remove(path(segment->number));
  bytes_ -= segment->bytes;
  for (const Hash256& one : segment->chain) {
    const auto at = pages_.find(one);
    if (at != pages_.end() && at->second.segment == segment) pages_.erase(at);
  }
  segments_.erase(segment);
  return removed.code() == Code::not_found ? Status() : std::move(removed);
}

// The oldest that nothing goes on from; the pages up to `before` are about to be gone on from.
Status PrefixDisk::make_room(int64_t bytes, const Hash256& before) {
  while (!segments_.empty() && (bytes_ + bytes > home_.disk_bytes || segments_.size() >= kMostSegments)) {
    std::set<Hash256> continued{before};
    for (const Segment& one : segments_) continued.insert(one.before);
    const auto ends = [&](const Segment& one) {
      return std::none_of(one.chain.begin(), one.chain.end(),
                          [&](const Hash256& hash) { return continued.contains(hash); });
    };
    const auto oldest = std::find_if(segments_.begin(), segments_.end(), ends);
    if (oldest == segments_.end()) break;
    TRY(drop(oldest));
  }
  return {};
}

Status PrefixDisk::save(const KvIdentity& by, std::span<const int32_t> tokens, const KvSnapshot& kv,
                        uint64_t epoch) {
  tokens = tokens.first(tokens.size() / kPageTokens * kPageTokens);
  std::lock_guard lock(mutex_);
  if (epoch != forgotten_) return {};
  const std::vector<Place> known = places(by, tokens);
  for (size_t i = 0; i < known.size(); ++i) {
    if (i == 0 || known[i].segment != known[i - 1].segment) touch(known[i].segment);
  }
  tokens = tokens.subspan(known.size() * kPageTokens);
  if (tokens.empty()) return {};
  KvHead head{.made_by = by,
              .source = {},
              .before = known.empty() ? kv_root(by) : known.back().segment->chain[known.back().page],
              .first = int32_t(known.size()) * kPageTokens,
              .tokens = {tokens.begin(), tokens.end()}};
  const int64_t bytes = kv_file_bytes(head, pool_->layout);
  if (bytes > home_.disk_bytes) return {};
  TRY(make_room(bytes, head.before));
  if (bytes_ + bytes > home_.disk_bytes) return {};  // what it goes on from takes too much
  TRY(save_kv(*home_.env, path(last_ + 1), head, kv));
  learn({.number = ++last_,
         .before = head.before,
         .chain = kv_chain(head.before, tokens),
         .first = head.first,
         .bytes = bytes});
  return {};
}

Status PrefixDisk::forget() {
  std::lock_guard lock(mutex_);
  ++forgotten_;
  segments_.clear();
  pages_.clear();
  bytes_ = 0;
  return remove_all(*home_.env, home_.folder);
}

uint64_t PrefixDisk::epoch() const {
  std::lock_guard lock(mutex_);
  return forgotten_;
}

int64_t PrefixDisk::bytes() const {
  std::lock_guard lock(mutex_);
  return bytes_;
}

}  // namespace varve
