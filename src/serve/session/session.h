// Session: one conversation. A turn has five named stages, each timed: recall, prompt, reuse, answer,
// afterthought. The transcript is the evidence log itself: cubes of kind "turn" with this session's name.
//
// What is acknowledged is durable: the user's words are stored before the model begins, the answer (or what
// was said of it before an interruption) when it ends.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/format/json.h"
#include "memory/recall/recall.h"
#include "run/engine/engine.h"
#include "serve/session/afterthought.h"
#include "serve/session/answer/generate.h"
#include "serve/session/captured.h"
#include "serve/session/habits.h"

namespace varve {

struct TurnReport {  // for /why, `varve explain` and the API's `varve` object
  std::string answer;
  Finish finish = Finish::stop;
  Usage usage;
  std::vector<Recalled> recalled;     // what the answer could see (without a model: what it says)
  std::optional<Captured> captured;   // memories that stand first in the prompt, computed earlier
  int32_t parts_read = 0, parts = 0;  // of a message too long, when an excerpt of it was read
  std::vector<Spliced> spliced;       // memories whose state stands in the middle of the prompt
  std::string counted;                // over all memories, when the message asks for that; in words
  std::vector<Sampled> sampled;       // one a token, when logprobs were asked for
  std::vector<std::pair<std::string, double>> stage_ms;
  int64_t peak_bytes = 0;             // of the process, measured by the system
  int32_t turn = 0;                   // place in the conversation, from 0
  int32_t turns_left_out = 0;         // oldest turns that no longer stand in the prompt; still recallable
  std::vector<std::string> stored;    // ids of the new cubes
  std::vector<std::string> troubles;  // what went wrong after an answer; the turn itself stands
};
// `words` false: numbers and ids only, for what is kept on disk.
Json to_json(const TurnReport& report, bool words);
Json subtasks_json(const Usage& usage);  // how much of their work left the KV

struct TurnOptions {
  SamplingOptions sampling;
  int32_t max_tokens = 512;
  bool recall = true, remember = true;
  bool excerpt = false;  // a message too long for the context is read in part, see excerpt.h
  // An answer may be longer than the context, see run/decode/subtasks.h.
  std::optional<SubtaskMarks> subtasks;
  bool settle = true;          // wait for the afterthought; false: it goes on by itself
  int32_t recall_tokens = -1;  // at most; -1: the recipe's; never more than a quarter of the context
  std::vector<std::string> stop;
  std::shared_ptr<const Grammar> grammar;
  std::shared_ptr<const Adapter> adapter;  // Home::adapter(); null: the model alone
  std::string system;                      // words before the conversation, or empty
  std::optional<CubeId> activation;  // a cube of 'varve capture' to begin with; none: one that recall finds
  Json history;                 // null: the stored transcript; else messages that the caller keeps itself
  Json after;                   // messages after the user's: calls of tools, their results, a begun answer
  Json tools;                   // null or an array, handed to the chat template
  Json extra = Json::object();  // further variables of the chat template
};

struct Said {  // one entry of the transcript
  CubeId cube;
  int32_t turn = 0;
  std::string speaker;  // "user" or "assistant"
  std::string text;
  TimeMs time = 0;
};

class Session {
 public:
  virtual ~Session() = default;
  virtual const std::string& id() const = 0;
  // One at a time: a second caller waits for the first. Without a model the answer is what was recalled, in
  // words. A failed turn says whether the user's words were kept; asking again does not store them twice.
  virtual Result<TurnReport> turn(std::string_view user, const TurnOptions& options,
                                  const OnPiece& on_piece) = 0;
  // From any thread: the turn ends with what was said so far; an afterthought is given up.
  virtual void interrupt() = 0;
  virtual void settle() = 0;  // waits for an afterthought that goes on
  virtual Result<std::vector<Said>> transcript() = 0;
};

struct SessionParts {  // what a session works with; all of it outlives the session
  CubeStore& cubes;
  const Recall& recall;
  Afterthought& thoughts;
  Engine* engine = nullptr;  // null: memory on its own
  const Clock& clock = system_clock();
  int32_t recall_tokens = 1000;
  Habits* habits = nullptr;  // null: nothing is captured by itself
  Scorer* scorer = nullptr;  // null: no excerpts
};
Result<std::shared_ptr<Session>> open_session(const SessionParts& parts, const Principal& who,
                                              const std::string& id);

}  // namespace varve
