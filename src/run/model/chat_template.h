// ChatTemplate: a model's own Jinja template, rendered. A subset of Jinja 2 (trim_blocks, lstrip_blocks) with
// limits on steps, depth and output; no access to anything but its inputs.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "core/base/clock.h"
#include "core/base/status.h"
#include "core/format/json.h"

namespace varve {

struct ChatInput {
  Json messages = Json::array();  // [{role, content, ...}]
  Json tools;                     // an array; null leaves the variable undefined
  Json extra = Json::object();    // further variables of the template, e.g. enable_thinking
  bool add_generation_prompt = true;
  std::string bos, eos;
  TimeMs now = 0;  // for strftime_now, which speaks UTC
};

class ChatTemplate {
 public:
  // Linear in the source, of at most 256 KiB. invalid: names the line and what is not understood.
  static Result<ChatTemplate> parse(std::string_view source);
  ChatTemplate(ChatTemplate&&) noexcept;
  ChatTemplate& operator=(ChatTemplate&&) noexcept;
  ~ChatTemplate();
  // invalid: the template's own raise_exception text, or the line with what went wrong there or the limit
  // that was hit. Thread-safe.
  Result<std::string> render(const ChatInput& input) const;

 private:
  struct Impl;
  explicit ChatTemplate(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace varve
