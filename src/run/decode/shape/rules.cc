#include "run/decode/shape/rules.h"

#include <algorithm>

namespace varve::shape {

constexpr uint32_t kLastCode = 0x10FFFF;
constexpr size_t kBytes = 4 << 20;  // of literals, ranges and lists of parts

Ranges normalized(Ranges ranges) {
  std::sort(ranges.begin(), ranges.end(), [](Range a, Range b) { return a.first < b.first; });
  Ranges out;
  for (const Range range : ranges) {
    if (range.first > range.last) continue;
    if (!out.empty() && range.first <= out.back().last + 1) {
      out.back().last = std::max(out.back().last, range.last);
    } else {
      out.push_back(range);
    }
  }
  return out;
}

Ranges inverted(const Ranges& ranges) {
  Ranges out;
  uint32_t next = 0;
  for (const Range range : normalized(ranges)) {
    if (range.first > next) out.push_back({next, range.first - 1});
    next = range.last + 1;
  }
  if (next <= kLastCode) out.push_back({next, kLastCode});
  return out;
}

Ranges without(const Ranges& ranges, const Ranges& taken) {
  Ranges all = inverted(ranges);
  all.insert(all.end(), taken.begin(), taken.end());
  return inverted(all);
}

Part Rules::add(Piece piece) {
  const size_t cost =
      piece.bytes.size() + piece.ranges.size() * sizeof(Range) + piece.parts.size() * sizeof(Part);
  full_ = full_ || pieces_.size() >= size_t(kParts) || bytes_ + cost > kBytes;
  if (full_) return 0;
  bytes_ += cost;
  pieces_.push_back(std::move(piece));
  return Part(pieces_.size() - 1);
}

Part Rules::text(std::string_view bytes) {
  return add({.kind = Piece::text, .bytes = std::string(bytes)});
}
Part Rules::chars(Ranges ranges) {
  return add({.kind = Piece::chars, .ranges = normalized(std::move(ranges))});
}
Part Rules::call(Rule rule) {
  return add({.kind = Piece::rule, .target = rule});
}
Part Rules::sequence(std::vector<Part> parts) {
  return parts.size() == 1 ? parts[0] : add({.kind = Piece::sequence, .parts = std::move(parts)});
}
Part Rules::choice(std::vector<Part> parts) {
  return parts.size() == 1 ? parts[0] : add({.kind = Piece::choice, .parts = std::move(parts)});
}
Part Rules::repeat(Part part, int32_t least, int32_t most) {
  return add({.kind = Piece::repeat, .least = least, .most = most, .parts = {part}});
}

Rule Rules::declare() {
  full_ = full_ || bodies_.size() >= size_t(kRules);
  if (full_ && !bodies_.empty()) return 0;
  bodies_.push_back(0);
  return Rule(bodies_.size() - 1);
}

Rule Rules::rule(Part part) {
  const Rule rule = declare();
  define(rule, part);
  return rule;
}

}  // namespace varve::shape
