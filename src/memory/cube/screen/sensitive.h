// Finds words that should perhaps not be kept: secrets, and what leads to a person. Every matcher looks at a
// bounded stretch from where a word begins, so any text takes time linear in its length.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace varve {

struct SensitivePart {
  size_t begin = 0, end = 0;
  std::string_view kind;  // "api key", "private key", "password", "card number", "email address", ...
};

// What begins at `at`, where a word begins; end 0: nothing.
SensitivePart secret_at(std::string_view text, size_t at);
SensitivePart personal_at(std::string_view text, size_t at);

// In order, none overlapping.
std::vector<SensitivePart> find_sensitive(std::string_view text, bool secrets, bool personal);
std::string redacted(std::string_view text,
                     const std::vector<SensitivePart>& findings);  // "[redacted: api key]"

}  // namespace varve
