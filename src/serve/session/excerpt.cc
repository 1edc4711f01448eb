#include "serve/session/excerpt.h"

#include <algorithm>
#include <numeric>

namespace varve {
namespace {

constexpr int32_t kPartTokens = 200;  // a scorer reads a little more
constexpr size_t kAtOnce = 16;
constexpr std::string_view kLeftOut = "[...]\n";

struct Part {
  std::string_view text;
  int32_t tokens = 0;
};

int32_t count(const Tokenizer& tokenizer, std::string_view text) {
  std::vector<Token> tokens;
  tokenizer.encode(text, false, tokens);
  return int32_t(tokens.size());
}

// The end of the first sentence or line, or of so many bytes, in the middle of no character.
size_t first_end(std::string_view text, size_t most) {
  for (size_t i = 0; i < std::min(most, text.size()); ++i) {
    const bool stop = text[i] == '.' || text[i] == '!' || text[i] == '?';
    if (text[i] == '\n' || (stop && i + 1 < text.size() && text[i + 1] == ' ')) return i + 1 + size_t(stop);
  }
  size_t end = std::min(most, text.size());
  while (end > 1 && end < text.size() && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return end;
}

// Whole sentences, as many as fit into a part.
std::vector<Part> cut(const Tokenizer& tokenizer, std::string_view text) {
  std::vector<Part> parts;
  size_t open = 0;  // of the part that is being filled, in bytes
  int32_t tokens = 0;
  const auto close = [&](std::string_view whole) {
    if (open > 0) parts.push_back({whole.substr(0, open), tokens});
    open = 0, tokens = 0;
  };
  std::string_view left = text;
  while (open < left.size()) {
    const size_t end = first_end(left.substr(open), size_t(kPartTokens));  // a token is a byte at least
    const int32_t more = count(tokenizer, left.substr(open, end));
    if (open > 0 && tokens + more > kPartTokens) {
      const size_t closed = open;
      close(left);
      left.remove_prefix(closed);
      continue;
    }
    open += end, tokens += more;
  }
  close(left);
  return parts;
}

// The last paragraph; of one without lines the last sentence.
size_t question_at(std::string_view words) {
  const size_t end = words.find_last_not_of(" \t\r\n");
  if (end == std::string_view::npos) return 0;
  const size_t line = words.rfind('\n', end);
  if (line != std::string_view::npos) return line + 1;
  for (size_t i = end; i-- > 0;)
    if ((words[i] == '.' || words[i] == '!' || words[i] == '?') && words[i + 1] == ' ') return i + 2;
  return 0;
}

}  // namespace

Result<Excerpt> excerpt(Scorer& scorer, const Tokenizer& tokenizer, std::string_view words,
                        int32_t most_tokens) {
  const size_t at = question_at(words);
  const std::string_view question = words.substr(at);
  int32_t left = most_tokens - count(tokenizer, question);
  if (left < 0) return Status(Code::invalid, "the last paragraph alone is longer than the model may read");
  const std::vector<Part> parts = cut(tokenizer, words.substr(0, at));
  std::vector<float> scores;
  for (size_t first = 0; first < parts.size(); first += kAtOnce) {
    std::vector<std::string_view> texts;
    for (size_t i = first; i < std::min(first + kAtOnce, parts.size()); ++i) texts.push_back(parts[i].text);
    const auto some = TRY(scorer.score(question, texts));
    scores.insert(scores.end(), some.begin(), some.end());
  }
  std::vector<size_t> order(parts.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return scores[a] > scores[b]; });
  std::vector<bool> stays(parts.size());
  const int32_t mark = count(tokenizer, kLeftOut);
  Excerpt made{.of = int32_t(parts.size())};
  for (const size_t i : order) {
    if (parts[i].tokens + mark > left) break;
    left -= parts[i].tokens + mark;
    stays[i] = true, ++made.kept;
  }
  for (size_t i = 0; i < parts.size(); ++i) {
    if (stays[i]) made.text += parts[i].text;
    if (!stays[i] && (i == 0 || stays[i - 1])) made.text += kLeftOut;
  }
  made.text += question;
  return made;
}

}  // namespace varve
