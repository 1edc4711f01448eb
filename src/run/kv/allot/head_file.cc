#include "run/kv/allot/head_file.h"

#include <charconv>
#include <cmath>
#include <cstdio>

namespace varve {
namespace {

constexpr std::string_view kFirst = "varve heads 1";
constexpr int32_t kMostLanes = 1 << 16;

// Numbers with one space between them, nothing else; false: another line.
template <class... Numbers>
bool numbers(std::string_view line, Numbers&... into) {
  bool good = true;
  const auto one = [&](auto& number) {
    while (line.starts_with(' ')) line.remove_prefix(1);
    const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), number);
    good = good && error == std::errc();
    line.remove_prefix(size_t(end - line.data()));
  };
  (one(into), ...);
  return good && line.empty();
}

std::string_view next_line(std::string_view& text) {
  const std::string_view line = text.substr(0, text.find('\n'));
  text.remove_prefix(std::min(text.size(), line.size() + 1));
  return line;
}

}  // namespace

std::string to_text(const HeadProfile& profile) {
  std::string text = std::string(kFirst) + "\n" + std::to_string(profile.layers) + " " +
                     std::to_string(profile.heads) + "\n";
  for (size_t i = 0; i < profile.lanes.size(); ++i) {
    char line[80];
    std::snprintf(line, sizeof(line), "%d %d %.6f %.6f\n", int(i) / profile.heads, int(i) % profile.heads,
                  double(profile.lanes[i].recall), double(profile.lanes[i].far));
    text += line;
  }
  return text;
}

Result<HeadProfile> parse_head_profile(std::string_view text) {
  HeadProfile profile;
  if (next_line(text) != kFirst) return Status(Code::invalid, "this is no head file of this program");
  if (!numbers(next_line(text), profile.layers, profile.heads) || profile.layers < 1 || profile.heads < 1 ||
      profile.layers > kMostLanes / profile.heads) {
    return Status(Code::invalid, "line 2 of the head file says no number of layers and KV heads");
  }
  for (int32_t i = 0; i < profile.layers * profile.heads; ++i) {
    int32_t layer = -1, head = -1;
    HeadProfile::Head one;
    if (!numbers(next_line(text), layer, head, one.recall, one.far) || layer != i / profile.heads ||
        head != i % profile.heads || !std::isfinite(one.recall) || !std::isfinite(one.far)) {
      return Status(Code::invalid, "line " + std::to_string(i + 3) +
                                       " of the head file is not 'layer head recall far' of the next head");
    }
    profile.lanes.push_back(one);
  }
  if (!text.empty()) return Status(Code::invalid, "the head file goes on after its last head");
  return profile;
}

}  // namespace varve
