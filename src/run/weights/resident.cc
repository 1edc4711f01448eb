// All weights in one booked buffer, read once. pin() costs nothing. Large ones lie as far behind a block of
// the disk as in the file, so that what the page cache does not hold comes straight from the disk, without a
// copy.
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <map>
#include <mutex>
#include <thread>

#include "core/budget/buffer.h"
#include "core/io/page_cache.h"
#include "run/weights/stacked.h"

namespace varve {
namespace {

constexpr int64_t kAlign = 64;           // a cache line, and the widest vector
constexpr int64_t kReadBytes = 1 << 20;  // while some wait for the disk, others wait for their pages
constexpr int64_t kLarge = 1 << 20;      // what a block more or less matters little to
constexpr int kReaders = 8;

int64_t aligned(int64_t bytes, int64_t to = kAlign) {
  return (bytes + to - 1) / to * to;
}

struct Places {
  std::vector<int64_t> starts;
  int64_t end = 0;
};
Places places_of(const std::vector<WeightEntry>& entries) {
  Places places;
  for (const WeightEntry& entry : entries) {
    const bool large = entry.bytes >= kLarge;
    const int64_t at =
        large ? aligned(places.end, kDirectBytes) + entry.offset % kDirectBytes : aligned(places.end);
    places.starts.push_back(at);
    places.end = large ? aligned(at + entry.bytes, kDirectBytes) : at + entry.bytes;
  }
  return places;
}

std::string in_words(int64_t bytes) {
  constexpr const char* kUnits[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
  double amount = double(bytes);
  int unit = 0;
  while (amount >= 1024 && unit < 4) amount /= 1024, ++unit;
  char text[32];
  std::snprintf(text, sizeof text, unit == 0 ? "%.0f %s" : "%.2f %s", amount, kUnits[unit]);
  return text;
}

Status over_budget(int64_t weights, int64_t working, const Ledger& ledger) {
  const int64_t least = weights + working + ledger.used() + ledger.outside();
  std::string sentence = "the model needs " + in_words(weights) + " of weights";
  if (working > 0) sentence += " + " + in_words(working) + " to run at all";
  if (ledger.used() > 0) sentence += " beside " + in_words(ledger.used()) + " in use";
  if (ledger.outside() > 0) sentence += " and " + in_words(ledger.outside()) + " for the program itself";
  sentence += ", the budget is " + in_words(ledger.limit() + ledger.outside()) +
              ": choose a smaller model or quantisation, or raise --budget to at least " +
              std::to_string(least / (1 << 20) + 1) + "MiB";
  return Status(Code::over_budget, sentence);
}

class ResidentWeights : public WeightStore {
 public:
  ResidentWeights(std::vector<WeightEntry> entries, Places places, Buffer bytes)
      : entries_(std::move(entries)), bytes_(std::move(bytes)), starts_(std::move(places.starts)) {
    for (WeightId id = 0; id < entries_.size(); ++id) ids_[entries_[id].role] = id;
  }

  std::span<const WeightEntry> entries() const override { return entries_; }
  WeightId find(std::string_view role) const override {
    auto found = ids_.find(role);
    return found == ids_.end() ? kNoWeight : found->second;
  }
  Result<WeightPin> pin(WeightId id, int32_t of_stack) const override {
    CHECK(id < entries_.size(), "no such weight");
    const WeightEntry& entry = entries_[id];
    CHECK(of_stack >= 0 && of_stack < entry.stack, "no such matrix in the stack");
    const int64_t each = entry.bytes / entry.stack;
    return WeightPin({.codec = entry.codec,
                      .bytes = bytes_.bytes().subspan(size_t(starts_[id] + of_stack * each), size_t(each)),
                      .rows = entry.rows,
                      .cols = entry.cols},
                     nullptr);
  }
  void hint(std::span<const WeightId>) const override {}
  int64_t resident_bytes() const override { return bytes_.size(); }

  // Several at once: one reader waits for the disk, then for its pages, and never for both.
  // `direct` may be null.
  Status read(const File& file, const File* direct) {
    const std::vector<Piece> pieces = cut();
    std::atomic<size_t> next = 0;
    std::mutex mutex;
    Status problem;
    const auto work = [&] {
      for (size_t i; (i = next++) < pieces.size();) {
        const Piece& piece = pieces[i];
        Status done = fill(piece, file, direct).with("reading " + entries_[piece.id].role);
        if (done.ok()) continue;
        std::lock_guard lock(mutex);
        if (problem.ok()) problem = std::move(done);
        return;
      }
    };
    std::vector<std::thread> others;
    for (int i = 1; i < kReaders; ++i) others.emplace_back(work);
    work();
    for (std::thread& one : others) one.join();
    return problem;
  }

 private:
  struct Piece {
    WeightId id;
    int64_t offset;
    size_t at, bytes;
    bool blocks;  // of the disk, but that the last one is not used whole
  };
  Status fill(const Piece& piece, const File& file, const File* direct) {
    const std::span<std::byte> out = bytes_.bytes().subspan(piece.at, piece.bytes);
    if (piece.blocks && direct != nullptr) {
      const auto whole = size_t(aligned(int64_t(piece.bytes), kDirectBytes));
      const auto got = direct->read_up_to(piece.offset, bytes_.bytes().subspan(piece.at, whole));
      if (got.ok() && *got >= int64_t(piece.bytes)) return {};
    }
    return file.read(piece.offset, out);
  }
  std::vector<Piece> cut() const {
    std::vector<Piece> pieces;
    for (WeightId id = 0; id < entries_.size(); ++id) {
      const WeightEntry& entry = entries_[id];
      const bool blocks = entry.bytes >= kLarge;
      const int64_t before = blocks ? entry.offset % kDirectBytes : 0;
      for (int64_t done = -before; done < entry.bytes; done += kReadBytes) {
        pieces.push_back({id, entry.offset + done, size_t(starts_[id] + done),
                          size_t(std::min(kReadBytes, entry.bytes - done)), blocks});
      }
    }
    return pieces;
  }

  std::vector<WeightEntry> entries_;
  Buffer bytes_;
  std::vector<int64_t> starts_;
  std::map<std::string, WeightId, std::less<>> ids_;
};

// The working bytes are booked only to see that they fit beside the weights.
Result<Buffer> book(Ledger& ledger, int64_t weights, int64_t working) {
  auto room = ledger.reserve(Tag::scratch, working);
  if (!room.ok()) return over_budget(weights, working, ledger);
  auto bytes = Buffer::make(ledger, Tag::weights, weights);
  if (bytes.ok()) return bytes;
  TRY(room->resize(0));
  return over_budget(weights, working, ledger);
}

}  // namespace

Result<std::unique_ptr<WeightStore>> open_resident_weights(Env& env, const std::string& path,
                                                           const Gguf& gguf, Ledger& ledger,
                                                           int64_t working_bytes) {
  auto entries = TRY(list_weights(gguf).with("listing the weights of " + path));
  const bool stacked = std::any_of(entries.begin(), entries.end(), is_block);
  return (stacked ? open_stacked_weights : open_resident_entries)(env, path, std::move(entries), ledger,
                                                                  working_bytes);
}

Result<std::unique_ptr<WeightStore>> open_resident_entries(Env& env, const std::string& path,
                                                           std::vector<WeightEntry> entries, Ledger& ledger,
                                                           int64_t working_bytes) {
  Places places = places_of(entries);
  Buffer bytes = TRY(book(ledger, places.end, working_bytes));
  auto file = TRY(env.open(path, Open::read));
  std::unique_ptr<File> direct;
  if (cached_share(path) < 0.5) {
    auto opened = env.open(path, Open::direct);  // not every file system can
    if (opened.ok()) direct = std::move(*opened);
  }
  auto store = std::make_unique<ResidentWeights>(std::move(entries), std::move(places), std::move(bytes));
  TRY(store->read(*file, direct.get()).with("loading " + path));
  return std::unique_ptr<WeightStore>(std::move(store));
}

}  // namespace varve
