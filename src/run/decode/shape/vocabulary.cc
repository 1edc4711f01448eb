#include "run/decode/shape/vocabulary.h"

#include <algorithm>

namespace varve::shape {
namespace {

constexpr size_t kLongest = 4096;  // bytes of a token that a grammar may use

uint64_t first_bytes(std::string_view piece) {
  uint64_t key = 0;
  for (size_t i = 0; i < 8; ++i) key = key << 8 | (i < piece.size() ? uint8_t(piece[i]) : 0);
  return key;
}

}  // namespace

Vocabulary::Vocabulary(const Tokenizer& tokenizer) : tokenizer_(tokenizer) {
  struct Entry {
    uint64_t key;
    std::string_view piece;
    Token token;
  };
  std::vector<Entry> entries;
  for (Token token = 0; token < tokenizer.size(); ++token) {
    const std::string_view piece = tokenizer.piece(token);
    if (piece.empty() || piece.size() > kLongest || tokenizer.is_control(token)) continue;
    entries.push_back({first_bytes(piece), piece, token});
  }
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return a.key != b.key ? a.key < b.key : a.piece < b.piece;
  });
  std::string_view before;
  for (const Entry& entry : entries) {
    const size_t most = std::min(before.size(), entry.piece.size());
    size_t common = 0;
    while (common < most && before[common] == entry.piece[common]) ++common;
    order_.push_back(entry.token);
    common_.push_back(uint16_t(common));
    before = entry.piece;
  }
}

std::vector<uint64_t> Vocabulary::allowed(Walker& walker, Walker::Place at) const {
  std::vector<uint64_t> bits((size_t(tokenizer_.size()) + 63) / 64);
  std::vector<Walker::Place> places{at};  // after each byte of the token before, as far as it went
  for (size_t i = 0; i < order_.size(); ++i) {
    if (common_[i] >= places.size()) continue;  // begins with what was refused
    places.resize(size_t(common_[i]) + 1);
    const std::string_view piece = tokenizer_.piece(order_[i]);
    for (size_t byte = common_[i]; byte < piece.size(); ++byte) {
      const Walker::Place next = walker.step(places.back(), uint8_t(piece[byte]));
      if (next == Walker::kNowhere) break;
      places.push_back(next);
    }
    if (places.size() > piece.size()) bits[size_t(order_[i]) / 64] |= uint64_t(1) << (order_[i] % 64);
    if (walker.lost()) break;
  }
  return bits;
}

}  // namespace varve::shape
