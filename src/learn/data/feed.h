// Feed: examples from a file. Recognised by themselves: lines of JSON with "messages", with "prompt" and
// "completion", with "prompt", "chosen" and "rejected", or with "text"; anything else is plain text.
//
// A chat is rendered by the model's own template, and only what the assistant says is learnt, with the mark
// that ends it; a message with "train": false is not. A template that changes earlier turns when later ones
// come is refused, because what would be learnt is not what will be seen.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/budget/ledger.h"
#include "core/format/json.h"
#include "learn/data/batches.h"
#include "run/model/chat_template.h"
#include "run/model/tokenizer.h"

namespace varve {

struct FeedShape {
  int32_t length = 512;  // of an example, at most: a longer one loses its beginning
  const Tokenizer* tokenizer = nullptr;
  const ChatTemplate* chat_template = nullptr;  // null: a chat is refused
};

struct Example {
  std::vector<int32_t> tokens;
  std::vector<uint8_t> learn;  // whether a token is to be learnt
};
// One line. invalid: it is none of the three; unsupported: the template is not prefix-stable.
Status encode_example(const Json& line, const FeedShape& shape, Example& out);

class Feed {
 public:
  static Result<Feed> make(Ledger& ledger);
  // invalid: an empty or malformed file, with the line and what is wrong with it.
  Status add(std::string_view name, std::string_view file, const FeedShape& shape);

  size_t size() const { return ends_.size(); }
  int64_t tokens() const { return int64_t(tokens_.size()); }
  int64_t learnt() const { return learnt_; }  // tokens that are to be learnt
  int64_t cut() const { return cut_; }        // examples that lost their beginning
  // Its examples are pairs: the chosen answer, then the rejected. All of them or none.
  bool paired() const { return pairs_ > 0; }
  // Takes one example in `every` out, spread evenly, pairs as pairs; 0 or too few: none.
  Result<Feed> hold_out(int32_t every, Ledger& ledger);
  struct View {
    std::span<const int32_t> tokens;
    std::span<const uint8_t> learn;
  };
  View operator[](size_t index) const;

 private:
  Status plain(std::string_view text, const FeedShape& shape);
  Status json_line(std::string_view line, const FeedShape& shape, Example& example);
  Status append(const std::vector<int32_t>& tokens, const std::vector<uint8_t>& learn, int32_t length);
  Reservation booked_;
  std::vector<int32_t> tokens_;
  std::vector<uint8_t> learn_;
  std::vector<int64_t> ends_;
  int64_t learnt_ = 0, cut_ = 0;
  size_t pairs_ = 0;
};
void append(const Feed::View& example, TextBatch& out);  // as a document of its own

// Examples packed into batches, each a document of its own; packed once, in random order by `seed`.
class PackedFeed : public Batches {
 public:
  PackedFeed(const Feed& feed, int32_t rows, int32_t parts, uint64_t seed);
  int32_t rows() const override { return rows_; }
  int64_t count() const override { return packs(); }
  int64_t packs() const { return int64_t(firsts_.size()) - 1; }
  Status fill(int64_t step, int32_t part, TextBatch& out) const override;

 private:
  const Feed& feed_;
  int32_t rows_, parts_;
  uint64_t seed_;
  std::vector<uint32_t> order_;   // examples, pack after pack
  std::vector<uint32_t> firsts_;  // where each begins, and the end
};

}  // namespace varve
