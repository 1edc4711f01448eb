// From parts to states, backwards: each part is emitted knowing the state that follows it.
#include <algorithm>
#include <map>
#include <string>
#include <unordered_map>

#include "run/decode/shape/automaton.h"

namespace varve::shape {
namespace {

std::string encoded(uint32_t code) {
  if (code < 0x80) return {char(code)};
  if (code < 0x800) return {char(0xC0 | code >> 6), char(0x80 | (code & 63))};
  if (code < 0x10000)
    return {char(0xE0 | code >> 12), char(0x80 | (code >> 6 & 63)), char(0x80 | (code & 63))};
  return {char(0xF0 | code >> 18), char(0x80 | (code >> 12 & 63)), char(0x80 | (code >> 6 & 63)),
          char(0x80 | (code & 63))};
}

class Compiler {
 public:
  explicit Compiler(const Rules& rules) : rules_(rules) {}

  Result<Automaton> run(Rule root) {
    out_.entries.assign(rules_.bodies().size(), 0);
    out_.root = root;
    out_.states.push_back({});  // of every rule: done
    for (size_t rule = 0; rule < rules_.bodies().size() && !full_; ++rule) {
      out_.entries[rule] = emit(rules_.bodies()[rule], 0);
    }
    for (size_t i = 0; i < repeated_.size() && !full_; ++i) {  // emitting may add more of them
      const auto [entry, part] = repeated_[i];
      out_.entries[size_t(entry)] = emit(part, 0);
    }
    if (full_ || rules_.full()) {
      return Status(Code::invalid, "the grammar is too large: at most " + std::to_string(kRules) +
                                       " rules and " + std::to_string(kStates) + " states");
    }
    sort_bytes();
    TRY(check(out_));
    return std::move(out_);
  }

 private:
  int32_t add(State state) {
    full_ = full_ || out_.states.size() >= size_t(kStates);
    if (full_) return 0;
    out_.states.push_back(state);
    return int32_t(out_.states.size() - 1);
  }
  int32_t match(const std::bitset<256>& set, int32_t next) {
    const auto [at, fresh] = set_ids_.emplace(set, int32_t(out_.sets.size()));
    if (fresh) out_.sets.push_back(set);
    return add({State::match, at->second, next});
  }
  int32_t either(int32_t a, int32_t b) { return add({State::split, a, b}); }
  int32_t never() { return match({}, 0); }

  int32_t emit(Part part, int32_t next) {
    const Piece& piece = rules_.piece(part);
    switch (piece.kind) {
      case Piece::text: return emit_text(piece.bytes, next);
      case Piece::chars: return emit_chars(piece.ranges, next);
      case Piece::rule: return add({State::call, piece.target, next});
      case Piece::sequence:
        for (size_t i = piece.parts.size(); i-- > 0 && !full_;) next = emit(piece.parts[i], next);
        return next;
      case Piece::choice: {
        if (piece.parts.empty()) return never();
        int32_t all = emit(piece.parts.back(), next);
        for (size_t i = piece.parts.size() - 1; i-- > 0 && !full_;)
          all = either(emit(piece.parts[i], next), all);
        return all;
      }
      case Piece::repeat: return emit_repeat(piece, next);
    }
    return 0;
  }

  int32_t emit_text(std::string_view bytes, int32_t next) {
    for (size_t i = bytes.size(); i-- > 0 && !full_;) {
      std::bitset<256> one;
      one.set(uint8_t(bytes[i]));
      next = match(one, next);
    }
    return next;
  }

  // A part that is written out many times becomes a rule, so that nested repeats do not multiply.
  int32_t emit_repeat(const Piece& piece, int32_t next) {
    const Part part = piece.parts[0];
    const bool many = piece.most == kForever ? piece.least > 0 : piece.most > 1;
    const Piece& inner = rules_.piece(part);
    const bool small = inner.kind == Piece::rule || (inner.kind == Piece::text && inner.bytes.size() <= 1);
    const auto once = [&](int32_t then) {
      return many && !small ? add({State::call, as_rule(part), then}) : emit(part, then);
    };
    if (piece.most == kForever) {
      const int32_t loop = either(0, next);
      const int32_t body = once(loop);
      out_.states[size_t(loop)].what = body;
      next = loop;
    } else {
      const int32_t end = next;
      for (int32_t i = piece.least; i < piece.most && !full_; ++i) next = either(once(next), end);
    }
    for (int32_t i = 0; i < piece.least && !full_; ++i) next = once(next);
    return next;
  }

  int32_t as_rule(Part part) {
    const auto [at, fresh] = rule_of_.emplace(part, int32_t(out_.entries.size()));
    if (fresh) {
      out_.entries.push_back(0);
      repeated_.emplace_back(at->second, part);
    }
    return at->second;
  }

  // Code points as UTF-8: sequences of byte ranges, which share their ends.
  using Tails = std::map<std::array<int32_t, 3>, int32_t>;  // first, last, next -> state

  int32_t emit_chars(const Ranges& ranges, int32_t next) {
    Tails tails;
    std::map<int32_t, std::bitset<256>> heads;  // where a first byte leads
    for (const Range range : ranges) {
      static constexpr Range kLengths[] = {
          {0, 0x7F}, {0x80, 0x7FF}, {0x800, 0xD7FF}, {0xE000, 0xFFFF}, {0x10000, 0x10FFFF}};
      for (const Range length : kLengths) {
        const Range part{std::max(range.first, length.first), std::min(range.last, length.last)};
        if (part.first <= part.last && !full_) sequences(part, next, tails, heads);
      }
    }
    int32_t all = 0;
    for (const auto& [then, set] : heads) {
      const int32_t one = match(set, then);
      all = all == 0 ? one : either(one, all);
    }
    return all == 0 ? never() : all;
  }

  // A range whose characters have the same length; cut until each byte ranges by itself.
  void sequences(Range range, int32_t next, Tails& tails, std::map<int32_t, std::bitset<256>>& heads) {
    const std::string low = encoded(range.first), high = encoded(range.last);
    for (size_t i = 1; i < low.size(); ++i) {
      const uint32_t mask = (1u << (6 * i)) - 1;
      if ((range.first & ~mask) == (range.last & ~mask)) continue;
      if ((range.first & mask) != 0) {
        sequences({range.first, range.first | mask}, next, tails, heads);
        sequences({(range.first | mask) + 1, range.last}, next, tails, heads);
        return;
      }
      if ((range.last & mask) != mask) {
        sequences({range.first, (range.last & ~mask) - 1}, next, tails, heads);
        sequences({range.last & ~mask, range.last}, next, tails, heads);
        return;
      }
    }
    for (size_t i = low.size(); i-- > 1;) {
      const auto [at, fresh] =
          tails.emplace(std::array<int32_t, 3>{uint8_t(low[i]), uint8_t(high[i]), next}, 0);
      if (fresh) at->second = match(bytes(low[i], high[i]), next);
      next = at->second;
    }
    heads[next] |= bytes(low[0], high[0]);
  }
  static std::bitset<256> bytes(char first, char last) {
    std::bitset<256> set;
    for (int b = uint8_t(first); b <= uint8_t(last); ++b) set.set(size_t(b));
    return set;
  }

  void sort_bytes() {
    out_.kinds.fill(0);
    for (const auto& set : out_.sets) {
      std::map<std::pair<uint8_t, bool>, uint8_t> ids;
      for (size_t b = 0; b < 256; ++b) {
        const auto key = std::make_pair(out_.kinds[b], bool(set[b]));
        out_.kinds[b] = ids.emplace(key, uint8_t(ids.size())).first->second;
      }
      out_.kind_count = int32_t(ids.size());
    }
  }

  const Rules& rules_;
  Automaton out_;
  std::unordered_map<std::bitset<256>, int32_t> set_ids_;
  std::unordered_map<Part, int32_t> rule_of_;
  std::vector<std::pair<int32_t, Part>> repeated_;
  bool full_ = false;
};

}  // namespace

Result<Automaton> compile(const Rules& rules, Rule root) {
  if (rules.bodies().empty()) return Status(Code::invalid, "the grammar has no rules");
  return Compiler(rules).run(root);
}

}  // namespace varve::shape
