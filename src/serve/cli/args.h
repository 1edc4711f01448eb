// Args: the words after a command. Each command takes the flags that it knows; whatever is left over then is
// an error, so that a misspelt flag is never ignored.
#pragma once

#include <charconv>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"

namespace varve {

class Args {
 public:
  explicit Args(std::span<const std::string> words) : words_(words.begin(), words.end()) {}

  bool flag(std::string_view name);  // "--json"
  // "--model F" or "--model=F"; the last one counts.
  Result<std::optional<std::string>> value(std::string_view name);
  Result<std::vector<std::string>> values(std::string_view name);  // each time that it is given
  template <class T>
  Status number(std::string_view name, T& out, T low, T high);
  // What is left: words that are no flags, at least and at most so many. After "--" everything is a word.
  Result<std::vector<std::string>> rest(size_t least, size_t most, std::string_view what);
  std::vector<std::string> everything() { return std::move(words_); }  // for commands with their own syntax

 private:
  Status out_of_range(std::string_view name, std::string_view text, std::string low, std::string high) const;
  std::vector<std::string> words_;
};

template <class T>
Status Args::number(std::string_view name, T& out, T low, T high) {
  const std::optional<std::string> text = TRY(value(name));
  if (!text) return {};
  T parsed{};
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), parsed);
  const bool whole = error == std::errc() && end == text->data() + text->size();
  if (!whole || !(parsed >= low && parsed <= high)) {
    return out_of_range(name, *text, std::to_string(low), std::to_string(high));
  }
  out = parsed;
  return {};
}

}  // namespace varve
