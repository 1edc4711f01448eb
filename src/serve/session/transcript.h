// Transcript: a conversation as it stands in the store. The words stay there; this keeps ids, order and
// lengths, so that what was erased is gone from the next prompt too.
#pragma once

#include <optional>
#include <vector>

#include "memory/cube/cube_store.h"
#include "serve/session/prompt.h"
#include "serve/session/session.h"

namespace varve {

class Transcript {
 public:
  // `prompter` null: lengths are not counted.
  static Result<Transcript> open(const CubeStore& cubes, const Principal& who, const std::string& session,
                                 const Prompter* prompter);

  void add(const CubeId& cube, int32_t turn, bool user, std::string_view text);
  // From now on answers count without the work of their finished subtasks.
  Status leave_out(const std::optional<SubtaskMarks>& work);
  // First turn that stands in a prompt with room for this many tokens of history.
  int32_t first_turn(int32_t room) const;
  // What was said from `first` on, oldest first; forgets entries that the store no longer shows.
  Result<std::vector<Said>> read(int32_t first);
  int32_t next_turn() const { return entries_.empty() ? 0 : entries_.back().turn + 1; }
  // The newest entry when it is the user's and has no answer yet.
  std::optional<CubeId> unanswered() const;

 private:
  struct Entry {
    CubeId cube;
    int32_t turn;
    bool user;
    int32_t tokens;
  };
  Transcript(const CubeStore& cubes, Principal who, const Prompter* prompter)
      : cubes_(&cubes), who_(std::move(who)), prompter_(prompter) {}
  Result<std::optional<Said>> look(const Entry& entry) const;
  int32_t count(bool user, std::string_view text) const;

  const CubeStore* cubes_;
  Principal who_;
  const Prompter* prompter_;
  std::optional<SubtaskMarks> left_out_;
  std::vector<Entry> entries_;  // by turn, the user first
};

}  // namespace varve
