// What changed between two texts: by words when they are short, by lines when they are long.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace varve {

struct DiffPart {
  enum class Kind : uint8_t { same, removed, added } kind = Kind::same;
  std::string_view text;  // of one of the texts, which must outlive it
};
// Put together, all but the added parts are `before`, all but the removed ones `after`. Texts too large to
// compare in a moment differ as a whole.
std::vector<DiffPart> diff_texts(std::string_view before, std::string_view after);

}  // namespace varve
