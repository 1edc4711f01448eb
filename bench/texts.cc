#include "bench/texts.h"

#include <algorithm>
#include <filesystem>
#include <unordered_set>

#include "core/base/rng.h"
#include "core/format/json.h"
#include "core/io/env.h"

namespace varve::bench {
namespace {

constexpr size_t kShortest = 16, kLongest = 400;

class Reading {
 public:
  void walk(const Json& json) {
    if (json.is_string()) cut(json.as_string());
    if (json.is_array()) {
      for (const Json& one : json.as_array()) walk(one);
    }
    if (json.is_object()) {
      for (const auto& [key, value] : json.as_object()) walk(value);
    }
  }
  Texts take() { return std::move(texts_); }

 private:
  void cut(const std::string& text) {
    for (size_t from = 0; from < text.size();) {
      size_t end = from;
      do {
        end = text.find_first_of(".!?", end + 1);
      } while (end != std::string::npos && end + 1 < text.size() && text[end + 1] != ' ');
      end = end == std::string::npos ? text.size() : end + 1;
      add(text.substr(from, end - from));
      from = text.find_first_not_of(' ', end);
    }
  }
  void add(std::string sentence) {
    if (sentence.size() < kShortest || sentence.size() > kLongest) return;
    if (std::count(sentence.begin(), sentence.end(), ' ') < 3 || !seen_.insert(sentence).second) return;
    (sentence.back() == '?' ? texts_.questions : texts_.sentences).push_back(std::move(sentence));
  }

  Texts texts_;
  std::unordered_set<std::string> seen_;
};

}  // namespace

std::string Texts::memory(int64_t number) const {
  const auto count = int64_t(sentences.size()), at = number % count;
  if (number < count) return sentences[size_t(at)];
  const int64_t off = 1 + random_bits({.seed = 3, .step = uint64_t(number)}, 0) % 64;
  return sentences[size_t(at)] + " " + sentences[size_t((at + off) % count)];
}

Result<Texts> read_texts(const std::string& root, const std::vector<std::string>& folders) {
  std::vector<std::string> files;
  for (const std::string& folder : folders) {
    const std::filesystem::path below = std::filesystem::path(root) / folder;
    if (!std::filesystem::exists(below)) continue;
    for (const auto& file : std::filesystem::recursive_directory_iterator(below)) {
      if (file.path().extension() == ".json") files.push_back(file.path().string());
    }
  }
  std::sort(files.begin(), files.end());
  Reading reading;
  for (const std::string& file : files) {
    const auto bytes = TRY(read_file(posix_env(), file, 64 << 20));
    const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    reading.walk(TRY(parse_json(text, {.max_bytes = 64u << 20, .max_items = 10000000})));
  }
  Texts texts = reading.take();
  if (texts.sentences.empty() || texts.questions.empty())
    return Status(Code::not_found, "no sentences below " + root);
  return texts;
}

}  // namespace varve::bench
