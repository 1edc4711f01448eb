#include "memory/recall/index/lexical.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>

namespace varve {
namespace {

constexpr uint32_t kWindow = 1 << 14;
// Sums are rounded, and in another order where a bound let a word wait: bounds give that much more.
constexpr double kSlack = 1 + 1e-6;

struct Norm {  // what a count is weighed against in a document of this length
  double fixed, by_length;
  double of(double count, double length) const { return count / (count + fixed + by_length * length); }
};

// The scores of a window, and which documents have one.
class Window {
 public:
  explicit Window(size_t documents) : scores_(std::min<size_t>(documents, kWindow)) {}
  void add(uint32_t at, double score) {
    scores_[at] += score;
    there_[at / 64] |= uint64_t(1) << (at % 64);
  }
  template <class Take>
  void drain(const Take& take) {  // ascending; leaves it empty
    for (size_t word = 0; word < there_.size(); ++word) {
      for (uint64_t bits = std::exchange(there_[word], 0); bits != 0; bits &= bits - 1) {
        const auto at = uint32_t(word * 64 + size_t(std::countr_zero(bits)));
        take(at, std::exchange(scores_[at], 0.0));
      }
    }
  }

 private:
  std::vector<double> scores_;
  std::array<uint64_t, kWindow / 64> there_{};
};

}  // namespace

// Mixed as in the wyhash family: a product of 128 bits folded to 64. Two words of one vocabulary of a million
// meet with a chance of 3e-8, and would then share their postings.
TermKey term_key(std::string_view term) {
  const auto mix = [](uint64_t a, uint64_t b) {
    __extension__ using Wide = unsigned __int128;
    const Wide product = Wide(a) * b;
    return uint64_t(product) ^ uint64_t(product >> 64);
  };
  uint64_t state = 0x9E3779B97F4A7C15u ^ term.size();
  for (size_t at = 0; at < term.size(); at += 8) {
    uint64_t piece = 0;
    std::memcpy(&piece, term.data() + at, std::min<size_t>(8, term.size() - at));
    state = mix(state ^ piece ^ 0xA0761D6478BD642Fu, 0xE7037ED1A0B428DBu ^ state);
  }
  return mix(state, 0x8EBC6AF09C88C6E3u);
}

uint32_t LexicalIndex::slot_of(TermKey key) {
  uint32_t slot = keys_.find(key);
  if (slot != KeyTable<TermKey>::kNone) return slot;
  slot = keys_.add(key);
  if (slot >= lists_.size()) lists_.resize(slot + 1);
  return slot;
}

LexicalIndex::Number LexicalIndex::add(uint32_t owner, uint32_t length, std::span<const Count> terms) {
  Slots slots;
  slots.reserve(terms.size());
  for (const Count& term : terms) slots.emplace_back(slot_of(term.key), term.count);
  return append(owner, length, slots);
}

LexicalIndex::Number LexicalIndex::append(uint32_t owner, uint32_t length, Slots& slots) {
  const auto number = Number(owners_.size());
  owners_.push_back(owner);
  lengths_.push_back(length);
  starts_.push_back(forward_.size());
  total_ += length;
  std::sort(slots.begin(), slots.end());
  const size_t room = forward_.size() + slots.size() * 10;
  if (room > forward_.capacity()) forward_.reserve(std::max(room, forward_.size() * 5 / 4));
  uint32_t before = 0;
  for (const auto& [slot, count] : slots) {
    lists_[slot].append(number, count, length);
    put_varint(forward_, uint64_t(slot - before) << 1 | (count > 1));
    if (count > 1) put_varint(forward_, count);
    before = slot;
  }
  return number;
}

std::pair<const uint8_t*, const uint8_t*> LexicalIndex::forward(Number document) const {
  const size_t end = document + 1 < starts_.size() ? starts_[document + 1] : forward_.size();
  return {forward_.data() + starts_[document], forward_.data() + end};
}

void LexicalIndex::remove(Number document) {
  uint32_t slot = 0;
  auto [at, end] = forward(document);
  while (at < end) {
    const uint64_t step = get_varint(at, end);
    if (step & 1) get_varint(at, end);
    slot += uint32_t(step >> 1);
    lists_[slot].drop_one();
    if (lists_[slot].living() > 0) continue;
    lists_[slot] = {};
    keys_.remove(keys_.at(slot));
  }
  total_ -= lengths_[document];
  owners_[document] = kGone;
  ++dead_;
}

void LexicalIndex::each(const Visit& visit) const {
  std::vector<Count> terms;
  for (size_t document = 0; document < owners_.size(); ++document) {
    if (owners_[document] == kGone) continue;
    terms.clear();
    uint32_t slot = 0;
    auto [at, end] = forward(Number(document));
    while (at < end) {
      const uint64_t step = get_varint(at, end);
      slot += uint32_t(step >> 1);
      terms.push_back({keys_.at(slot), (step & 1) ? uint32_t(get_varint(at, end)) : 1});
    }
    visit(owners_[document], lengths_[document], terms);
  }
}

Status LexicalIndex::save(SnapshotWriter& out) const {
  std::vector<TermKey> keys(keys_.slots());
  for (uint32_t slot = 0; slot < keys.size(); ++slot)
    keys[slot] = lists_[slot].living() > 0 ? keys_.at(slot) : 0;
  TRY(out.array(keys));
  std::vector<uint8_t> bytes;
  for (Number document = 0; document < owners_.size(); ++document) {
    if (owners_[document] == kGone) continue;
    const auto [at, end] = forward(document);
    bytes.clear();
    put_varint(bytes, lengths_[document]);
    put_varint(bytes, uint64_t(end - at));
    bytes.insert(bytes.end(), at, end);
    TRY(out.number(uint32_t(bytes.size())));
    TRY(out.put(std::as_bytes(std::span(bytes))));
  }
  return {};
}

Status LexicalIndex::load(SnapshotReader& in, std::span<const uint32_t> owners) {
  std::vector<TermKey> keys;
  TRY(in.array(keys));
  std::vector<uint32_t> now(keys.size(), UINT32_MAX);  // the slot here of a slot there
  for (size_t slot = 0; slot < keys.size(); ++slot) {
    if (keys[slot] == 0) continue;
    if (keys_.find(keys[slot]) != KeyTable<TermKey>::kNone) return in.damaged();
    now[slot] = slot_of(keys[slot]);
  }
  std::vector<uint8_t> bytes;
  Slots slots;
  for (const uint32_t owner : owners) {
    const auto size = TRY(in.number<uint32_t>());
    if (size > in.left()) return in.damaged();
    bytes.resize(size);
    TRY(in.get(std::as_writable_bytes(std::span(bytes))));
    const uint8_t *at = bytes.data(), *end = at + bytes.size();
    const auto length = uint32_t(get_varint(at, end));
    if (get_varint(at, end) != uint64_t(end - at)) return in.damaged();
    slots.clear();
    for (uint64_t slot = 0; at < end;) {
      const uint64_t step = get_varint(at, end);
      const auto count = (step & 1) ? uint32_t(get_varint(at, end)) : 1;
      slot += step >> 1;
      if (slot >= now.size() || now[size_t(slot)] == UINT32_MAX) return in.damaged();
      slots.emplace_back(now[size_t(slot)], count);
    }
    append(owner, length, slots);
  }
  return {};
}

void LexicalIndex::compact(const std::function<void(uint32_t, Number)>& moved) {
  LexicalIndex fresh;
  each([&](uint32_t owner, uint32_t length, std::span<const Count> terms) {
    moved(owner, fresh.add(owner, length, terms));
  });
  *this = std::move(fresh);
}

void LexicalIndex::search(std::span<const QueryTerm> terms, const Weights& weights,
                          const std::function<CubeId(uint32_t)>& id_of, Top& top) const {
  if (size() == 0 || terms.empty()) return;
  const double n = double(size()), average = std::max(1.0, double(total_) / n);
  const Norm norm{weights.k1 * (1 - weights.b), weights.k1 * weights.b / average};
  std::vector<Cursor> cursors;
  for (const QueryTerm& term : terms) {
    const uint32_t slot = keys_.find(term.key);
    if (slot == KeyTable<TermKey>::kNone || !(term.weight > 0)) continue;
    const double df = lists_[slot].living(), idf = std::log(1 + (n - df + 0.5) / (df + 0.5));
    cursors.push_back({PostingCursor(lists_[slot]), term.weight * idf * (weights.k1 + 1)});
  }
  Window window(owners_.size());
  std::vector<double> below(cursors.size() + 1);  // sums of the bounds of the first so many
  for (uint64_t first = 0; first < owners_.size(); first += kWindow) {
    const auto from = Number(first), to = Number(std::min<uint64_t>(first + kWindow, owners_.size()));
    for (Cursor& one : cursors) {
      const auto block = one.posting.bound(from, to);
      one.bound = block.most_count == 0 ? 0 : one.weight * norm.of(block.most_count, block.least_length);
    }
    std::sort(cursors.begin(), cursors.end(),
              [](const Cursor& a, const Cursor& b) { return a.bound < b.bound; });
    size_t waiting = 0;  // words that together lift no document among the best
    for (size_t i = 0; i < cursors.size(); ++i) {
      below[i + 1] = below[i] + cursors[i].bound;
      if (below[i + 1] * kSlack < top.floor()) waiting = i + 1;
    }
    for (size_t i = waiting; i < cursors.size(); ++i) {
      PostingCursor& posting = cursors[i].posting;
      for (posting.seek(from); posting.document() < to; posting.next()) {
        const Number document = posting.document();
        window.add(document - from, cursors[i].weight * norm.of(posting.count(), lengths_[document]));
      }
    }
    window.drain([&](uint32_t at, double score) {
      const Number document = from + at;
      if (owners_[document] == kGone) return;
      for (size_t i = waiting; i > 0; --i) {
        if ((score + below[i]) * kSlack < top.floor()) return;
        PostingCursor& posting = cursors[i - 1].posting;
        posting.seek(document);
        if (posting.document() == document) {
          score += cursors[i - 1].weight * norm.of(posting.count(), lengths_[document]);
        }
      }
      if (float(score) >= top.floor()) top.offer({id_of(owners_[document]), float(score)});
    });
  }
}

int64_t LexicalIndex::bytes() const {
  int64_t sum = keys_.bytes() + int64_t(lists_.capacity() * sizeof(PostingList) + forward_.capacity());
  sum += int64_t(owners_.capacity() * 4 + lengths_.capacity() * 4 + starts_.capacity() * 8);
  for (const PostingList& list : lists_) sum += list.bytes();
  return sum;
}

}  // namespace varve
