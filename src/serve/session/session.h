// Session: one conversation. A turn has five named stages, each timed: recall, prompt, reuse, answer,
// afterthought. The transcript is the evidence log itself: cubes of kind "turn" with this session's name.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "memory/recall/recall.h"
#include "memory/reflect/reflector.h"
#include "run/engine/engine.h"

namespace varve {

struct TurnReport {  // for /why, `varve explain` and the API's `varve` object
  std::string answer;
  Finish finish = Finish::stop;
  Usage usage;
  std::vector<Recalled> recalled;
  std::vector<std::pair<std::string, double>> stage_ms;
  int64_t peak_bytes = 0;
  std::vector<std::string> stored;  // ids of the new cubes
};

struct TurnOptions {
  SamplingOptions sampling;
  int32_t max_tokens = 512;
  bool recall = true, remember = true;
  int32_t recall_tokens = 1000;
  std::vector<std::string> stop;
  std::shared_ptr<const Grammar> grammar;
};

using OnText = std::function<bool(std::string_view)>;  // whole characters; false stops

class Session {
 public:
  virtual ~Session() = default;
  virtual const std::string& id() const = 0;
  // Without a model the answer is what was recalled, in words: memory on its own.
  virtual Result<TurnReport> turn(std::string_view user, const TurnOptions& options,
                                  const OnText& on_text) = 0;
  virtual void interrupt() = 0;  // from any thread; the turn ends with what was said so far
  virtual Result<std::vector<std::pair<std::string, std::string>>> transcript() const = 0;  // role, text
};

}  // namespace varve
