// Tool calls in what a model wrote, in the forms that the common templates teach: Hermes' and Qwen's
// <tool_call>{...}</tool_call>, Llama's {"name", "parameters"}, Mistral's [{"name", "arguments"}]. Only calls
// of tools that were offered count; everything else stays words.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/format/json.h"

namespace varve {

struct ToolCall {
  std::string name;
  Json arguments;
};

// The names of a request's "tools"; of anything else none.
std::vector<std::string> tool_names(const Json& tools);

// Reads an answer as it comes: what is certainly words is given out at once, what may become a call is held.
class ToolCallReader {
 public:
  explicit ToolCallReader(std::vector<std::string> offered) : offered_(std::move(offered)) {}

  std::string push(std::string_view text);  // words so far
  struct End {
    std::string words;  // that were held and are no call
    std::vector<ToolCall> calls;
  };
  End finish();

 private:
  bool read_value(const Json& value, std::vector<ToolCall>& calls) const;
  bool read_bare(std::string_view text, std::vector<ToolCall>& calls) const;

  std::vector<std::string> offered_;
  std::string held_;
  bool words_begun_ = false;
};

}  // namespace varve
