// Prompt: messages to tokens, through the model's own chat template.
//
// A model without a template gets plain text: the system's words, then "User: ..." and "Assistant: ..."
// lines, and "\nUser:" as a stop string. Control tokens come from the template alone:
// what messages and tools spell like one stays the plain text that it is.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/base/clock.h"
#include "core/format/json.h"
#include "run/model/model.h"

namespace varve {

struct Prompt {
  std::vector<Token> tokens;
  std::vector<std::string> stop;  // that this way of writing needs
};

class Prompter {
 public:
  explicit Prompter(const Model& model);  // which has a tokenizer and outlives this
  // `messages` as in ChatInput; an answer at their end is one to go on with. Neighbours of one role become
  // one message: most templates insist on turns.
  Result<Prompt> write(const Json& messages, const Json& tools, const Json& extra, TimeMs now) const;
  int32_t count(std::string_view text) const;  // tokens of plain words

 private:
  std::string marked(std::string_view text) const;
  void mark(Json& value) const;
  std::string_view control_at(std::string_view text) const;
  std::vector<Token> tokens_of(std::string_view text) const;

  const Model& model_;
  std::vector<std::string> controls_;  // "<|im_end|>", ...
  bool begins_control_[256] = {};
};

Json message(std::string_view role, std::string_view content);

}  // namespace varve
