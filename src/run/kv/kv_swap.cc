#include "run/kv/kv_swap.h"

#include "core/base/hash.h"

namespace varve {
namespace {

uint32_t sum_of(uint64_t number, size_t page, std::span<const std::byte> bytes) {
  const uint64_t name[] = {number, page};
  return crc32c(bytes, crc32c(std::as_bytes(std::span(name))));
}

std::span<std::byte> bytes_of(const KvPage& page) {
  return {page.at, size_t(page.pool->layout.bytes())};
}

}  // namespace

Result<std::unique_ptr<KvSwap>> KvSwap::open(Env& env, const std::string& folder, int64_t most_bytes) {
  TRY(env.make_folder(folder));
  const std::string path = folder + "/pages";
  if (TRY(env.exists(path))) TRY(env.remove(path));  // of a process that died before it took the name away
  std::unique_ptr<File> file = TRY(env.open(path, Open::create));
  TRY(env.remove(path));
  return std::unique_ptr<KvSwap>(new KvSwap(std::move(file), most_bytes));
}

// The first gap that is wide enough.
Result<int64_t> KvSwap::place(int64_t bytes) {
  if (bytes_ + bytes > most_bytes_) {
    return Status(Code::over_budget, "attention state on the disk may take " + std::to_string(most_bytes_) +
                                         " bytes, of which " + std::to_string(bytes_) + " are taken and " +
                                         std::to_string(bytes) + " more are needed; raise --pause-disk");
  }
  int64_t at = 0;
  for (const auto& [begin, end] : taken_) {
    if (begin - at >= bytes) break;
    at = end;
  }
  taken_.emplace(at, at + bytes);
  bytes_ += bytes;
  return at;
}

Result<KvSwap::Slot> KvSwap::write(std::span<const KvPagePtr> pages) {
  if (pages.empty()) return Slot{};
  const int64_t each = pages.front()->pool->layout.bytes();
  for (const KvPagePtr& page : pages) {
    if (page->pool != pages.front()->pool)
      return Status(Code::unsupported, "packed attention state does not go to the disk");
  }
  Slot slot;
  {
    std::lock_guard lock(mutex_);
    slot.at = TRY(place(each * int64_t(pages.size())));
    slot.number = ++last_;
  }
  Status status;
  for (size_t i = 0; i < pages.size() && status.ok(); ++i) {
    slot.sums.push_back(sum_of(slot.number, i, bytes_of(*pages[i])));
    status = file_->write(slot.at + int64_t(i) * each, bytes_of(*pages[i]));
  }
  if (status.ok()) return slot;
  slot.sums.resize(1);
  drop(slot);
  return std::move(status).with("writing attention state to the disk");
}

Status KvSwap::read(const Slot& slot, std::span<const KvPagePtr> pages, size_t first) const {
  CHECK(first + pages.size() <= slot.sums.size(), "pages that were not written");
  for (size_t i = first; i < first + pages.size(); ++i) {
    const auto bytes = bytes_of(*pages[i - first]);
    TRY(file_->read(slot.at + int64_t(i) * int64_t(bytes.size()), bytes));
    if (sum_of(slot.number, i, bytes) != slot.sums[i])
      return Status(Code::corrupt, "attention state on the disk has another checksum than was written");
  }
  return {};
}

void KvSwap::drop(Slot& slot) {
  if (slot.empty()) return;
  std::lock_guard lock(mutex_);
  const auto found = taken_.find(slot.at);
  CHECK(found != taken_.end(), "a slot that is not taken");
  bytes_ -= found->second - found->first;
  taken_.erase(found);
  if (taken_.empty()) file_->truncate(0).ignore("it is written over");
  slot = {};
}

int64_t KvSwap::bytes() const {
  std::lock_guard lock(mutex_);
  return bytes_;
}

}  // namespace varve
