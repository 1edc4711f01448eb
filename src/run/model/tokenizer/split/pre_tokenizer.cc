#include "run/model/tokenizer/split/pre_tokenizer.h"

#include <algorithm>

#include "run/model/tokenizer/split/names_table.h"

namespace varve {
namespace {

bool listed(std::string_view names, std::string_view name) {
  for (size_t at = names.find(name); at != std::string_view::npos; at = names.find(name, at + 1)) {
    const size_t end = at + name.size();
    if ((at == 0 || names[at - 1] == ' ') && (end == names.size() || names[end] == ' ')) return true;
  }
  return false;
}

}  // namespace

int64_t PreTokenizer::held_bytes() const {
  int64_t bytes = 0;
  for (const Pass& pass : passes_) bytes += pass.pattern.held_bytes();
  return bytes;
}

Status PreTokenizer::add(std::string_view expression) {
  Pass pass;
  if (expression == kThousandsPass) {
    pass.thousands = Thousands::everywhere;
  } else if (expression == kThousandsBeforeBorderPass) {
    pass.thousands = Thousands::before_border;
  } else {
    pass.pattern = TRY(Pattern::compile(expression));
  }
  passes_.push_back(std::move(pass));
  return {};
}

void PreTokenizer::split(std::string_view text, std::vector<std::string_view>& words) const {
  std::vector<std::string_view> pieces{text};
  for (const Pass& pass : passes_) {
    words.clear();
    for (const std::string_view piece : pieces) {
      if (pass.thousands == Thousands::no) {
        pass.pattern.split(piece, words);
      } else {
        split_thousands(piece, pass.thousands, words);
      }
    }
    pieces.swap(words);
  }
  words.swap(pieces);
}

void PreTokenizer::split_thousands(std::string_view text, Thousands kind,
                                   std::vector<std::string_view>& out) {
  using namespace unicode;
  std::vector<size_t> digits;  // where the digits of the run begin
  size_t taken = 0, at = 0;
  const auto cut = [&](size_t end) {
    if (end > taken) out.push_back(text.substr(taken, end - taken));
    taken = end;
  };
  while (at <= text.size()) {
    const Char c = at < text.size() ? first_char(text.substr(at)) : Char{U' ', 1, true};
    if (in(c.code, bit(Nd)) && c.valid) {
      digits.push_back(at);
    } else if (!digits.empty()) {
      const bool inside = in(c.code, kLetter | kMark | kNumber | bit(Pc));
      if (kind == Thousands::everywhere || !inside) {
        for (size_t i = 0; i < digits.size(); ++i) {
          if (i == 0 || (digits.size() - i) % 3 == 0) cut(digits[i]);
        }
        cut(at);
      }
      digits.clear();
    }
    at += c.bytes;
  }
  cut(text.size());
}

Result<NamedPreTokenizer> named_pre_tokenizer(std::string_view name) {
  std::string known;
  for (const NamedPasses& row : named_passes()) {
    known += (known.empty() ? "" : " ") + std::string(row.names);
    if (name.empty() || !listed(row.names, name)) continue;
    NamedPreTokenizer named{
        .ignore_merges = row.ignore_merges, .add_bos = row.add_bos, .byte_level = row.byte_level};
    for (const std::string_view pass : row.passes) {
      if (!pass.empty()) TRY(named.splitter.add(pass));
    }
    return named;
  }
  return Status(Code::unsupported,
                "tokenizer: unknown pre-tokenizer \"" + std::string(name) + "\"; known: " + known);
}

}  // namespace varve
