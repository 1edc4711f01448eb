#include "serve/session/answer/tool_calls.h"

#include <algorithm>
#include <utility>

namespace varve {
namespace {

constexpr std::string_view kBegin = "<tool_call>", kEnd = "</tool_call>", kMistral = "[TOOL_CALLS]",
                           kPython = "<|python_tag|>", kBlank = " \t\r\n";

std::string_view trimmed(std::string_view text) {
  const size_t begin = text.find_first_not_of(kBlank);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlank) + 1 - begin);
}

// How much of the end of `text` may be the beginning of a tag.
size_t open_tag(std::string_view text) {
  for (size_t size = std::min(text.size(), kBegin.size() - 1); size > 0; --size) {
    if (text.ends_with(kBegin.substr(0, size))) return size;
  }
  return 0;
}

}  // namespace

std::vector<std::string> tool_names(const Json& tools) {
  std::vector<std::string> names;
  if (!tools.is_array()) return names;
  for (const Json& tool : tools.as_array()) {
    const Json& name = tool["function"]["name"].is_string() ? tool["function"]["name"] : tool["name"];
    if (name.is_string()) names.push_back(name.as_string());
  }
  return names;
}

// One call, or a list of them; all or none.
bool ToolCallReader::read_value(const Json& value, std::vector<ToolCall>& calls) const {
  if (value.is_array()) {
    return value.size() > 0 &&
           std::all_of(value.as_array().begin(), value.as_array().end(),
                       [&](const Json& one) { return one.is_object() && read_value(one, calls); });
  }
  const Json& name = value["name"];
  const Json& arguments = value.find("arguments") != nullptr ? value["arguments"] : value["parameters"];
  if (!name.is_string() || !arguments.is_object()) return false;
  if (std::find(offered_.begin(), offered_.end(), name.as_string()) == offered_.end()) return false;
  calls.push_back({name.as_string(), arguments});
  return true;
}

bool ToolCallReader::read_bare(std::string_view text, std::vector<ToolCall>& calls) const {
  for (const std::string_view mark : {kMistral, kPython}) {
    if (text.starts_with(mark)) text = trimmed(text.substr(mark.size()));
  }
  auto value = parse_json(text);
  return value.ok() && read_value(*value, calls);
}

std::string ToolCallReader::push(std::string_view text) {
  held_ += text;
  if (offered_.empty()) return std::exchange(held_, "");
  const std::string_view rest = trimmed(held_);
  if (!words_begun_) {
    if (rest.empty()) return {};
    const bool bare =
        rest[0] == '{' || rest[0] == '[' || rest.starts_with(kPython) || kPython.starts_with(rest);
    if (bare || rest.starts_with(kBegin) || kBegin.starts_with(rest)) return {};
    words_begun_ = true;
  }
  const size_t tag = held_.find(kBegin);
  const size_t words = tag != std::string::npos ? tag : held_.size() - open_tag(held_);
  std::string out = held_.substr(0, words);
  held_.erase(0, words);
  return out;
}

ToolCallReader::End ToolCallReader::finish() {
  const std::string held = std::exchange(held_, "");
  End end;
  if (!words_begun_ && read_bare(trimmed(held), end.calls)) return end;
  end.calls.clear();
  std::string_view rest = held;
  while (!rest.empty()) {
    const size_t begin = rest.find(kBegin);
    const size_t inside = begin == std::string_view::npos ? begin : begin + kBegin.size();
    if (inside == std::string_view::npos) break;
    const size_t close = std::min(rest.find(kEnd, inside), rest.size());  // the last one may lack its end
    std::vector<ToolCall> found;
    auto value = parse_json(trimmed(rest.substr(inside, close - inside)));
    if (!value.ok() || !read_value(*value, found)) break;
    end.words += trimmed(rest.substr(0, begin));
    end.calls.insert(end.calls.end(), found.begin(), found.end());
    rest.remove_prefix(std::min(rest.size(), close + kEnd.size()));
  }
  if (end.calls.empty() || !trimmed(rest).empty()) end.words += rest;
  return end;
}

}  // namespace varve
