// Reflect: turns through reflectors into the store. Here is what holds for every method, whatever it plans: a
// turn is reflected on once, evidence is never touched, what was recalled is not learnt again, and everything
// derived can be dropped and derived anew.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "memory/reflect/reflector.h"

namespace varve {

struct Reflecting {  // for whom, and with what
  const Principal& who;
  CubeStore& cubes;
  const Recall& recall;
  const Embedder* embedder = nullptr;
  Writer* writer = nullptr;  // null: without a model
  TimeMs since = 0;          // what was derived before does not count: of a rebuilding, when it began
};

// What was stored: nothing when the turn was reflected on before. All of the plan or, on an error, none.
Result<std::vector<CubeId>> reflect(const Reflecting& with, const Reflector& reflector, const Turn& turn);

// The turns of a space as they stand in the log, in its order; an answer is joined to what it answers.
class PastTurns {
 public:
  PastTurns(const CubeStore& cubes, Principal who, std::string space, std::optional<CubeId> after)
      : cubes_(cubes), who_(std::move(who)), space_(std::move(space)), read_(after), mark_(after) {}
  Result<std::optional<Turn>> next();  // nullopt: no more
  // Where a later pass goes on: every turn up to here was given out.
  const std::optional<CubeId>& mark() const { return mark_; }

 private:
  Status read_page();
  Status take(const CubeHeader& header);
  void give(Turn turn) { ready_.push_back(std::move(turn)); }

  const CubeStore& cubes_;
  const Principal who_;
  const std::string space_;
  std::optional<CubeId> read_, mark_;
  bool ended_ = false;
  std::map<std::string, Turn> open_;  // by session: what may still be answered
  std::deque<Turn> ready_;
};

struct Dropped {
  int64_t erased = 0;
  int64_t closed = 0;  // an answer cited it, so its words stay, expired
};
// Erases all that a reflector derived in a space. Evidence stays, always.
Result<Dropped> drop_derived(const Reflecting& with, const Reflector& reflector, const std::string& space);

}  // namespace varve
