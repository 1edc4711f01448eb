// Call: what chat and text completions have in common: how to draw, how long, in which form, and the running
// of several choices behind one stream.
#pragma once

#include <array>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "serve/http/http.h"

namespace varve {

struct Call {
  SamplingOptions sampling;
  int32_t max_tokens = 0;  // 0: what the context leaves
  int32_t choices = 1;
  bool stream = false, include_usage = false;
  std::vector<std::string> stop;
  std::shared_ptr<const Grammar> grammar;
  std::shared_ptr<const Adapter> adapter;
  std::optional<SubtaskMarks> subtasks;  // "varve": {"subtasks": "tim"}
  std::string model;  // as the reply names it: with "+name" for each adapter that was asked for
};

// invalid names the field. `chat` decides how logprobs are asked for: {logprobs: true, top_logprobs: n} or
// {logprobs: n}.
Result<Call> read_call(Api& api, const Json& body, const Principal& who, bool chat);

// The engine with its tokenizer, or one sentence about what is missing.
Result<Engine*> engine_with_tokenizer(Api& api);

struct Chunk {
  int32_t choice = 0;
  std::string text;
  std::vector<Sampled> tokens;
  std::optional<std::string> finish = {};  // "stop", "length": the choice has ended
  Json tool_calls = {};                    // of the answer, when it was held back as calls
};
using Emit = std::function<bool(Chunk chunk)>;  // false: nobody listens any more

// Runs `work` on a thread of its own and hands its chunks over, so that an error before the first chunk can
// still become a proper HTTP status.
class Running {
 public:
  explicit Running(std::function<Status(const Emit&)> work);
  ~Running();               // nobody listens any more; waits for the end
  bool next(Chunk& chunk);  // waits; false: the work has ended
  Status ended();           // of the work, after next() gave false

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Chunk> chunks_;
  bool done_ = false, deaf_ = false;
  Status status_;
  std::thread thread_;
};

// An event stream: `first` and every later chunk through `format`, then `last` (may be null), then [DONE].
// What fails on the way becomes an error event. Returns an error instead when the work fails before its first
// chunk.
struct StreamShape {
  std::function<Json(const Chunk&)> format;
  std::function<std::optional<Json>()> last;
};
Result<HttpReply> stream_reply(std::function<Status(const Emit&)> work, StreamShape shape);

std::string_view finish_reason(Finish finish);
Json usage_json(const Usage& usage);
std::string response_id(std::string_view prefix);  // "chatcmpl-" and 24 random digits
// The bytes of one token as OpenAI shows them: {"token", "logprob", "bytes"}.
Json token_json(const Tokenizer& tokenizer, Token token, float logprob);

}  // namespace varve
