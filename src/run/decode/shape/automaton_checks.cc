// What makes an automaton safe to walk: every state that is entered can come to an end within the depth, and
// no rule calls itself before it has matched a byte.
#include <algorithm>
#include <string>

#include "run/decode/shape/automaton.h"

namespace varve::shape {
namespace {

using Lists = std::vector<std::vector<int32_t>>;

bool ends(const Automaton& a, int32_t state) {
  return a.states[size_t(state)].kind == State::done;
}

// Who leads to each state, and which calls enter each rule.
void predecessors(const Automaton& a, Lists& before, Lists& callers) {
  before.resize(a.states.size());
  callers.resize(a.entries.size());
  for (int32_t i = 0; i < int32_t(a.states.size()); ++i) {
    const State& s = a.states[size_t(i)];
    if (s.kind == State::done || (s.kind == State::match && a.sets[size_t(s.what)].none())) continue;
    before[size_t(s.next)].push_back(i);
    if (s.kind == State::split) before[size_t(s.what)].push_back(i);
    if (s.kind == State::call) callers[size_t(s.what)].push_back(i);
  }
}

// The least nesting for each state, as shortest paths: a state's need is settled once, in ascending order.
class Needs {
 public:
  explicit Needs(Automaton& a) : a_(a), waiting_(kNever) {
    predecessors(a, before_, callers_);
    a_.needs.assign(a_.states.size(), kNever);
    entered_.resize(a_.states.size());
    for (size_t rule = 0; rule < a_.entries.size(); ++rule)
      entered_[size_t(a_.entries[rule])].push_back(int32_t(rule));
  }

  void run() {
    propose(0, 0);
    for (int16_t need = 0; need < kNever; ++need) {
      auto& now = waiting_[size_t(need)];
      for (size_t i = 0; i < now.size(); ++i) settle(now[i], need);
    }
  }

 private:
  void propose(int32_t state, int16_t need) {
    if (need < a_.needs[size_t(state)]) waiting_[size_t(need)].push_back(state);
  }
  void settle(int32_t state, int16_t need) {
    if (a_.needs[size_t(state)] <= need) return;
    a_.needs[size_t(state)] = need;
    for (const int32_t other : before_[size_t(state)]) {
      if (a_.states[size_t(other)].kind == State::call) {
        propose_call(other);
      } else {
        propose(other, need);
      }
    }
    for (const int32_t rule : entered_[size_t(state)]) {
      for (const int32_t call : callers_[size_t(rule)]) propose_call(call);
    }
  }
  void propose_call(int32_t call) {
    const State& s = a_.states[size_t(call)];
    const int16_t inside = a_.needs[size_t(a_.entries[size_t(s.what)])], after = a_.needs[size_t(s.next)];
    if (inside == kNever || after == kNever) return;
    propose(call, std::max<int16_t>(inside + !ends(a_, s.next), after));
  }

  Automaton& a_;
  Lists before_, callers_, entered_;  // entered_: the rules that begin at a state
  Lists waiting_;                     // states by the need that was proposed
};

// Rules that match the empty text.
std::vector<bool> empty_rules(const Automaton& a) {
  Lists before, callers;
  predecessors(a, before, callers);
  std::vector<bool> reaches(a.states.size()), empty(a.entries.size());
  Lists entered(a.states.size());
  for (size_t rule = 0; rule < a.entries.size(); ++rule)
    entered[size_t(a.entries[rule])].push_back(int32_t(rule));
  std::vector<int32_t> work{0};
  const auto visit = [&](int32_t state) {
    if (reaches[size_t(state)]) return;
    reaches[size_t(state)] = true;
    work.push_back(state);
  };
  reaches[0] = true;
  while (!work.empty()) {
    const int32_t state = work.back();
    work.pop_back();
    for (const int32_t other : before[size_t(state)]) {
      const State& s = a.states[size_t(other)];
      if (s.kind == State::split || (s.kind == State::call && empty[size_t(s.what)])) visit(other);
    }
    for (const int32_t rule : entered[size_t(state)]) {
      empty[size_t(rule)] = true;
      for (const int32_t call : callers[size_t(rule)]) {
        if (reaches[size_t(a.states[size_t(call)].next)]) visit(call);
      }
    }
  }
  return empty;
}

// The rules that each rule may call before any byte.
Lists first_calls(const Automaton& a) {
  const std::vector<bool> empty = empty_rules(a);
  Lists calls(a.entries.size());
  std::vector<int32_t> seen(a.states.size(), -1), work;
  for (int32_t rule = 0; rule < int32_t(a.entries.size()); ++rule) {
    work.assign(1, a.entries[size_t(rule)]);
    while (!work.empty()) {
      const int32_t state = work.back();
      work.pop_back();
      if (std::exchange(seen[size_t(state)], rule) == rule) continue;
      const State& s = a.states[size_t(state)];
      if (s.kind == State::split) work.insert(work.end(), {s.what, s.next});
      if (s.kind != State::call) continue;
      calls[size_t(rule)].push_back(s.what);
      if (empty[size_t(s.what)]) work.push_back(s.next);
    }
  }
  return calls;
}

// Takes away rules that nobody calls first, again and again; what stays goes round in a circle.
bool goes_round(const Lists& calls) {
  std::vector<int32_t> callers(calls.size(), 0), work;
  for (const auto& list : calls) {
    for (const int32_t rule : list) ++callers[size_t(rule)];
  }
  for (size_t rule = 0; rule < calls.size(); ++rule) {
    if (callers[rule] == 0) work.push_back(int32_t(rule));
  }
  size_t taken = 0;
  while (!work.empty()) {
    const int32_t rule = work.back();
    work.pop_back();
    ++taken;
    for (const int32_t other : calls[size_t(rule)]) {
      if (--callers[size_t(other)] == 0) work.push_back(other);
    }
  }
  return taken < calls.size();
}

}  // namespace

Status check(Automaton& a) {
  if (goes_round(first_calls(a))) {
    return Status(Code::invalid, "a rule of the grammar begins with itself (left recursion)");
  }
  Needs(a).run();
  if (a.needs[size_t(a.entries[size_t(a.root)])] == kNever) {
    return Status(Code::invalid, "nothing can match the grammar, or only what nests deeper than " +
                                     std::to_string(kDepth) + " rules");
  }
  return {};
}

}  // namespace varve::shape
