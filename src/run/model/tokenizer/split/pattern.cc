// The expression becomes a nondeterministic program, and that a table: a state is the list of program points
// that are alive, the preferred first, so the table finds what a backtracking matcher would find (Cox 2010,
// "Regular expression matching in the wild").
#include "run/model/tokenizer/split/pattern.h"

#include <algorithm>
#include <map>

namespace varve {

namespace {
constexpr size_t kMostPoints = 8192;
constexpr size_t kMostEntries = 1 << 18;  // of the table
constexpr size_t kMostWork = 1 << 23;
}  // namespace

class PatternCompiler {
 public:
  explicit PatternCompiler(const ParsedPattern& parsed) : sets_(parsed.sets) {}

  Result<Pattern> compile(const PatternNode& root) {
    pattern_.classes_ = TRY(CharClasses::of(sets_));
    pattern_.width_ = static_cast<size_t>(pattern_.classes_.count()) + 1;
    for (const CharSet& set : sets_) {
      std::vector<bool>& row = member_.emplace_back();
      for (int c = 0; c < pattern_.classes_.count(); ++c)
        row.push_back(set.contains(pattern_.classes_.example(c)));
    }
    TRY(emit(root));
    program_.push_back({Point::match});
    seen_.assign(program_.size(), 0);
    TRY(build());
    return std::move(pattern_);
  }

 private:
  struct Point {
    enum Kind : uint8_t { set, look, fork, match } kind;
    int32_t set_number = 0;
    bool holds_at_end = false;
    int32_t next = 0, other = 0;  // of a fork `next` is preferred
  };
  using State = std::vector<int32_t>;

  int32_t here() const { return static_cast<int32_t>(program_.size()); }

  // Recursion over the expression, whose depth the parser bounds.
  Status emit(const PatternNode& node) {
    if (program_.size() > kMostPoints || ++emitted_ > 4 * kMostPoints)
      return Status(Code::unsupported, "pattern: too large");
    switch (node.kind) {
      case PatternNode::set:
      case PatternNode::look:
        program_.push_back({node.kind == PatternNode::set ? Point::set : Point::look, node.set_number,
                            node.holds_at_end, here() + 1});
        return {};
      case PatternNode::sequence:
        for (const PatternNode& child : node.children) TRY(emit(child));
        return {};
      case PatternNode::choice: return emit_choice(node);
      case PatternNode::repeat: return emit_repeat(node);
    }
    return {};
  }

  int32_t fork() {
    program_.push_back({Point::fork, 0, false, here() + 1});
    return here() - 1;
  }

  Status emit_choice(const PatternNode& node) {
    std::vector<int32_t> ends;
    for (size_t i = 0; i + 1 < node.children.size(); ++i) {
      const int32_t at = fork();
      TRY(emit(node.children[i]));
      ends.push_back(fork());  // always taken: both ways lead behind the choice
      program_[at].other = here();
    }
    TRY(emit(node.children.back()));
    for (const int32_t end : ends) program_[end].next = program_[end].other = here();
    return {};
  }

  Status emit_repeat(const PatternNode& node) {
    const PatternNode& child = node.children[0];
    for (int32_t i = 0; i < node.least; ++i) TRY(emit(child));
    if (node.most < 0) {
      const int32_t at = fork();
      TRY(emit(child));
      const int32_t back = fork();
      program_[back].next = program_[back].other = at;
      program_[at].other = here();
    }
    std::vector<int32_t> forks;
    for (int32_t i = node.least; i < node.most; ++i) {
      forks.push_back(fork());
      TRY(emit(child));
    }
    for (const int32_t at : forks) program_[at].other = here();
    return {};
  }

  // Appends what `from` reaches without reading: sets, matches and, where `ahead` is not known yet (-1),
  // looks.
  void follow(int32_t from, int ahead, State& out) {
    stack_.assign(1, from);
    while (!stack_.empty()) {
      const int32_t at = stack_.back();
      stack_.pop_back();
      ++work_;
      if (seen_[at] == round_) continue;
      seen_[at] = round_;
      const Point& point = program_[at];
      if (point.kind == Point::fork) {
        stack_.push_back(point.other);
        stack_.push_back(point.next);
      } else if (point.kind == Point::look && ahead >= 0) {
        const bool end = ahead + 1 == static_cast<int>(pattern_.width_);
        if (end ? point.holds_at_end : member_[point.set_number][ahead]) stack_.push_back(point.next);
      } else {
        out.push_back(at);
      }
    }
  }

  // One step of `state` over class `c`; returns whether a match ends before it.
  bool step(const State& state, int c, State& next) {
    State alive;
    ++round_;
    for (const int32_t at : state) follow(at, c, alive);
    ++round_;
    next.clear();
    ++work_;
    const bool end = c + 1 == static_cast<int>(pattern_.width_);
    for (const int32_t at : alive) {
      if (program_[at].kind == Point::match) return true;  // what comes later is less preferred
      if (!end && member_[program_[at].set_number][c]) follow(program_[at].next, -1, next);
    }
    return false;
  }

  Status build() {
    std::map<State, uint32_t> numbers{{State{}, 0}};
    std::vector<State> states(2);
    ++round_;
    follow(0, -1, states[1]);
    numbers.emplace(states[1], 1);
    State next;
    for (size_t number = 0; number < states.size(); ++number) {
      for (size_t c = 0; c < pattern_.width_; ++c) {
        const bool ends = step(State(states[number]), static_cast<int>(c), next);
        const auto [at, fresh] = numbers.emplace(next, static_cast<uint32_t>(states.size()));
        if (fresh) states.push_back(next);
        pattern_.table_.push_back(at->second * 2 + ends);
      }
      if (states.size() * pattern_.width_ > kMostEntries || work_ > kMostWork) {
        return Status(Code::unsupported, "pattern: too many states");
      }
    }
    return {};
  }

  const std::vector<CharSet>& sets_;
  std::vector<std::vector<bool>> member_;  // by set and class
  std::vector<Point> program_;
  std::vector<uint32_t> seen_;
  std::vector<int32_t> stack_;
  uint32_t round_ = 0;
  size_t emitted_ = 0, work_ = 0;
  Pattern pattern_;
};

Result<Pattern> Pattern::compile(std::string_view expression) {
  const ParsedPattern parsed = TRY(parse_pattern(expression));
  return PatternCompiler(parsed).compile(parsed.root);
}

// What the last attempt read in vain, behind its match or without one: an attempt that comes to the same
// place in the same state would read it again, and find nothing again.
struct Pattern::Tail {
  const char* begin = nullptr;
  std::vector<uint32_t> states;  // by byte from `begin`; 0 inside characters
  std::vector<uint32_t> fresh;
  size_t wasted = 0;
};

// The length of the match that begins with `text`; 0: none.
size_t Pattern::match(std::string_view text, Tail& tail) const {
  size_t best = 0, at = 0;
  tail.fresh.clear();
  for (uint32_t state = 1; state != 0;) {
    const auto place = static_cast<size_t>(text.data() + at - tail.begin);
    if (place < tail.states.size() && tail.states[place] == state) return best;
    const bool end = at == text.size();
    const unicode::Char c = end ? unicode::Char{.bytes = 0} : unicode::first_char(text.substr(at));
    const uint32_t entry = table_[state * width_ + (end ? width_ - 1 : classes_[c.code])];
    if (entry & 1) {
      best = at;
      tail.fresh.assign(1, 0);
    } else {
      tail.fresh.resize(at - best);
      tail.fresh.push_back(state);
    }
    if (end) break;
    state = entry >> 1;
    at += c.bytes;
  }
  if (at - best > 1) {
    tail.begin = text.data() + best;
    tail.states.swap(tail.fresh);
    tail.wasted += at - best;
  }
  return best;
}

void Pattern::split(std::string_view text, std::vector<std::string_view>& out) const {
  Tail tail;
  const size_t allowed = 64 * text.size() + 4096;
  size_t gap = 0;  // bytes before `text` that no match took
  while (!text.empty() && tail.wasted <= allowed) {
    const size_t length = match(text, tail);
    if (length == 0) {
      const uint32_t bytes = unicode::first_char(text).bytes;
      gap += bytes;
      text.remove_prefix(bytes);
      continue;
    }
    if (gap > 0) out.emplace_back(text.data() - gap, gap);
    out.push_back(text.substr(0, length));
    text.remove_prefix(length);
    gap = 0;
  }
  // A pattern of a hostile file may read ahead in vain from everywhere; then the rest is one word.
  if (gap + text.size() > 0) out.emplace_back(text.data() - gap, gap + text.size());
}

}  // namespace varve
