#include "learn/data/bpe_training.h"

#include <algorithm>
#include <map>
#include <queue>
#include <unordered_map>

#include "run/model/tokenizer/split/pre_tokenizer.h"

namespace varve {
namespace {

// GPT-2's alphabet: printable Latin-1 stands for itself, the other 68 bytes follow from U+0100, in order.
std::string spelled(uint8_t byte) {
  auto printable = [](int b) { return (b >= '!' && b <= '~') || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE; };
  int code = byte;
  if (!printable(byte)) {
    code = 0x100;
    for (int b = 0; b < byte; ++b) code += printable(b) ? 0 : 1;
  }
  if (code < 0x80) return std::string(1, char(code));
  return {char(0xC0 | code >> 6), char(0x80 | (code & 0x3F))};
}

struct Word {
  std::vector<int32_t> symbols;
  int64_t count = 0;
};

using Pair = std::pair<int32_t, int32_t>;
uint64_t key_of(Pair pair) {
  return uint64_t(uint32_t(pair.first)) << 32 | uint32_t(pair.second);
}

class Trainer {
 public:
  explicit Trainer(std::vector<Word> words) : words_(std::move(words)) {
    for (size_t i = 0; i < words_.size(); ++i) count_pairs(i, +1);
    for (const auto& [key, pair] : pairs_) push(key);
  }

  // The most frequent pair; its count is 0 when there is none left.
  struct Best {
    int64_t count = 0;
    Pair pair{};
  };
  Best best() {
    while (!queue_.empty()) {
      const Entry top = queue_.top();
      const auto now = pairs_.find(top.key);
      if (now != pairs_.end() && now->second.count == top.count && top.count > 1) {
        return {top.count, {int32_t(top.key >> 32), int32_t(uint32_t(top.key))}};
      }
      queue_.pop();  // the count has changed since; the newer one is in the queue as well
    }
    return {};
  }

  void merge(Pair pair, int32_t into) {
    const std::vector<uint32_t> where = std::move(pairs_[key_of(pair)].words);
    changed_.clear();
    for (size_t i = 0; i < where.size(); ++i) {
      if (i > 0 && where[i] == where[i - 1]) continue;
      count_pairs(where[i], -1);
      replace(words_[where[i]].symbols, pair, into);
      count_pairs(where[i], +1);
    }
    pairs_.erase(key_of(pair));
    std::sort(changed_.begin(), changed_.end());
    changed_.erase(std::unique(changed_.begin(), changed_.end()), changed_.end());
    for (const uint64_t key : changed_) push(key);
  }

 private:
  struct Stat {
    int64_t count = 0;
    std::vector<uint32_t> words;  // that had the pair once; some may have it no more
  };
  struct Entry {
    int64_t count;
    uint64_t key;
    bool operator<(const Entry& other) const {
      return count != other.count ? count < other.count : key > other.key;
    }
  };

  void count_pairs(size_t index, int64_t sign) {
    const Word& word = words_[index];
    for (size_t i = 0; i + 1 < word.symbols.size(); ++i) {
      const uint64_t key = key_of({word.symbols[i], word.symbols[i + 1]});
      Stat& stat = pairs_[key];
      stat.count += sign * word.count;
      if (sign > 0 && (stat.words.empty() || stat.words.back() != index))
        stat.words.push_back(uint32_t(index));
      changed_.push_back(key);
    }
  }
  static void replace(std::vector<int32_t>& symbols, Pair pair, int32_t into) {
    size_t to = 0;
    for (size_t i = 0; i < symbols.size(); ++i) {
      const bool here = i + 1 < symbols.size() && symbols[i] == pair.first && symbols[i + 1] == pair.second;
      symbols[to++] = here ? into : symbols[i];
      i += here ? 1 : 0;
    }
    symbols.resize(to);
  }
  void push(uint64_t key) {
    const auto found = pairs_.find(key);
    if (found != pairs_.end() && found->second.count > 1) queue_.push({found->second.count, key});
  }

  std::vector<Word> words_;
  std::unordered_map<uint64_t, Stat> pairs_;
  std::priority_queue<Entry> queue_;
  std::vector<uint64_t> changed_;
};

// Sorted, so that nothing depends on a hash.
using Counts = std::map<std::string, int64_t, std::less<>>;

Status count_words(std::string_view text, const PreTokenizer& splitter, Counts& counts, Reservation& booked) {
  constexpr size_t kPiece = 1 << 20;
  constexpr int64_t kBytesAWord = 400, kBytesALetter = 40;  // of the word, its symbols and its pairs
  std::vector<std::string_view> words;
  int64_t bytes = booked.bytes();
  while (!text.empty()) {
    size_t end = std::min(kPiece, text.size());
    const size_t line = text.substr(0, end).rfind('\n');
    if (end < text.size() && line != std::string_view::npos) end = line + 1;
    words.clear();
    splitter.split(text.substr(0, end), words);
    for (const std::string_view word : words) {
      const auto found = counts.find(word);
      if (found != counts.end()) {
        ++found->second;
        continue;
      }
      counts.emplace(word, 1);
      bytes += kBytesAWord + kBytesALetter * int64_t(word.size());
    }
    TRY(booked.resize(bytes).with("counting the words of the text"));
    text.remove_prefix(end);
  }
  return {};
}

}  // namespace

Result<BpeVocabulary> train_bpe(const std::vector<std::string_view>& texts, const BpeShape& shape,
                                Ledger& ledger) {
  const auto control = int32_t(shape.control.size());
  if (shape.vocabulary < 256 + control) {
    return Status(Code::invalid, "a vocabulary has the 256 bytes and " + std::to_string(control) +
                                     " control tokens at least");
  }
  const NamedPreTokenizer named = TRY(named_pre_tokenizer(shape.words));
  Reservation booked = TRY(ledger.reserve(Tag::scratch, 0));
  Counts counts;
  for (const std::string_view text : texts) TRY(count_words(text, named.splitter, counts, booked));
  std::vector<Word> words;
  for (const auto& [text, count] : counts) {
    Word& word = words.emplace_back();
    for (const char c : text) word.symbols.push_back(uint8_t(c));
    word.count = count;
  }
  counts.clear();
  BpeVocabulary made{.control = control, .shape = shape};
  for (int byte = 0; byte < 256; ++byte) made.tokens.push_back(spelled(uint8_t(byte)));
  Trainer trainer(std::move(words));
  while (int32_t(made.tokens.size()) + control < shape.vocabulary) {
    const Trainer::Best best = trainer.best();
    if (best.count == 0) {
      return Status(Code::invalid, "the text has words for no more than " +
                                       std::to_string(int32_t(made.tokens.size()) + control) +
                                       " tokens, not " + std::to_string(shape.vocabulary));
    }
    const std::string &left = made.tokens[size_t(best.pair.first)],
                      &right = made.tokens[size_t(best.pair.second)];
    made.merges.push_back(left + " " + right);
    made.tokens.push_back(left + right);
    trainer.merge(best.pair, int32_t(made.tokens.size()) - 1);
  }
  made.tokens.insert(made.tokens.end(), shape.control.begin(), shape.control.end());
  return made;
}

void set_tokenizer(const BpeVocabulary& vocabulary, GgufWriter& writer) {
  constexpr int64_t kNormal = 1, kControl = 3;
  GgufValue::Ints kinds(vocabulary.tokens.size(), kNormal);
  std::fill(kinds.end() - vocabulary.control, kinds.end(), kControl);
  const auto end = uint32_t(vocabulary.end_of_document());
  writer.set("tokenizer.ggml.model", "gpt2").set("tokenizer.ggml.pre", vocabulary.shape.words);
  writer.set("tokenizer.ggml.tokens", vocabulary.tokens).set("tokenizer.ggml.merges", vocabulary.merges);
  writer.set("tokenizer.ggml.token_type", GgufValue{GgufType::i32, true, std::move(kinds)});
  writer.set("tokenizer.ggml.eos_token_id", end).set("tokenizer.ggml.padding_token_id", end);
  writer.set("tokenizer.ggml.add_bos_token", false);
  if (vocabulary.control < 3) return;
  writer.set("tokenizer.ggml.eot_token_id", end + 2);
  writer.set(
      "tokenizer.chat_template",
      "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + "
      "'<|im_end|>\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}"
      "{% endif %}");
}

}  // namespace varve
