#include "serve/cli/args.h"

#include <algorithm>

namespace varve {
namespace {

std::vector<std::string>::iterator end_of_flags(std::vector<std::string>& words) {
  return std::find(words.begin(), words.end(), "--");
}

}  // namespace

bool Args::flag(std::string_view name) {
  bool found = false;
  for (auto at = words_.begin(); at < end_of_flags(words_);) {
    found |= *at == name;
    at = *at == name ? words_.erase(at) : at + 1;
  }
  return found;
}

Result<std::optional<std::string>> Args::value(std::string_view name) {
  std::vector<std::string> all = TRY(values(name));
  return all.empty() ? std::optional<std::string>() : std::move(all.back());
}

Result<std::vector<std::string>> Args::values(std::string_view name) {
  std::vector<std::string> found;
  for (auto at = words_.begin(); at < end_of_flags(words_);) {
    if (at->size() > name.size() && at->compare(0, name.size(), name) == 0 && (*at)[name.size()] == '=') {
      found.push_back(at->substr(name.size() + 1));
      at = words_.erase(at);
    } else if (*at == name) {
      if (at + 1 >= end_of_flags(words_)) {
        return Status(Code::invalid, std::string(name) + " needs a value after it");
      }
      found.push_back(*(at + 1));
      at = words_.erase(at, at + 2);
    } else {
      ++at;
    }
  }
  return found;
}

Status Args::out_of_range(std::string_view name, std::string_view text, std::string low,
                          std::string high) const {
  return Status(Code::invalid, std::string(name) + " cannot be '" + std::string(text) +
                                   "'; it is a number from " + low + " to " + high);
}

Result<std::vector<std::string>> Args::rest(size_t least, size_t most, std::string_view what) {
  const auto flags_end = end_of_flags(words_);
  for (auto at = words_.begin(); at != flags_end; ++at) {
    if (at->size() > 1 && at->front() == '-') {
      return Status(Code::invalid,
                    "unknown option '" + *at + "'; write -- before words that begin with a dash");
    }
  }
  if (flags_end != words_.end()) words_.erase(flags_end);
  if (words_.size() < least) return Status(Code::invalid, "expected " + std::string(what));
  if (words_.size() > most) {
    return Status(Code::invalid,
                  "'" + words_[most] + "' is one word too many; expected " + std::string(what));
  }
  return std::move(words_);
}

}  // namespace varve
