#include "learn/data/feed.h"

#include <algorithm>
#include <numeric>

#include "core/base/check.h"
#include "core/format/json.h"

namespace varve {

Result<Feed> Feed::make(Ledger& ledger) {
  Feed feed;
  feed.booked_ = TRY(ledger.reserve(Tag::io, 0));
  return feed;
}

Feed::View Feed::operator[](size_t index) const {
  const int64_t first = index == 0 ? 0 : ends_[index - 1];
  const auto at = size_t(first), n = size_t(ends_[index] - first);
  return {std::span(tokens_).subspan(at, n), std::span(learn_).subspan(at, n)};
}

Status Feed::append(const std::vector<int32_t>& tokens, const std::vector<uint8_t>& learn, int32_t length) {
  const size_t skip = tokens.size() > size_t(length) ? tokens.size() - size_t(length) : 0;
  if (std::count(learn.begin() + int64_t(skip) + 1, learn.end(), 1) == 0) {
    return Status(Code::invalid, "nothing in it is to be learnt");
  }
  const size_t size = tokens_.size() + tokens.size() - skip;
  if (size > tokens_.capacity()) {
    const size_t room = std::max(size, tokens_.capacity() * 3 / 2);
    TRY(booked_.resize(int64_t(5 * (room + tokens_.capacity()) + 16 * ends_.size()))
            .with("keeping the examples"));
    tokens_.reserve(room), learn_.reserve(room);
  }
  tokens_.insert(tokens_.end(), tokens.begin() + int64_t(skip), tokens.end());
  learn_.insert(learn_.end(), learn.begin() + int64_t(skip), learn.end());
  ends_.push_back(int64_t(tokens_.size()));
  learnt_ += std::count(learn.begin() + int64_t(skip) + 1, learn.end(), 1);
  cut_ += skip > 0 ? 1 : 0;
  return {};
}

namespace {

// One line of a file at a time.
class ExampleMaker {
 public:
  ExampleMaker(const FeedShape& shape, Example& out) : shape_(shape), tokens_(out.tokens), learn_(out.learn) {
    tokens_.clear(), learn_.clear();
  }

  Status line(const Json& json) {
    if (json["messages"].is_array()) return chat(json["messages"]);
    if (json["prompt"].is_string() && json["completion"].is_string()) {
      answer(json["prompt"].as_string(), json["completion"].as_string());
    } else if (json["text"].is_string()) {
      add(json["text"].as_string(), true, false);
      end();
    } else {
      return Status(
          Code::invalid,
          "it has neither messages, nor prompt and completion, nor prompt, chosen and rejected, nor text");
    }
    return {};
  }

 private:
  void add(std::string_view text, bool learn, bool parse_special) {
    shape_.tokenizer->encode(text, parse_special, tokens_);
    learn_.resize(tokens_.size(), learn ? 1 : 0);
  }
  void answer(const std::string& prompt, const std::string& text) {
    add(prompt, false, false);
    tokens_ = as_prompt(*shape_.tokenizer, std::move(tokens_));
    learn_.assign(tokens_.size(), 0);
    add(text, true, false);
    end();
  }
  void end() {
    const SpecialTokens& special = shape_.tokenizer->special();
    if (!special.eos) return;
    tokens_.push_back(*special.eos);
    learn_.push_back(1);
  }

  Result<std::string> rendered(const Json::Array& messages, size_t count, bool ask) const {
    const SpecialTokens& special = shape_.tokenizer->special();
    ChatInput input{.add_generation_prompt = ask};
    for (size_t i = 0; i < count; ++i) input.messages.push(messages[i]);
    if (special.bos) shape_.tokenizer->decode(*special.bos, true, input.bos);
    if (special.eos) shape_.tokenizer->decode(*special.eos, true, input.eos);
    return shape_.chat_template->render(input);
  }

  // What comes before each answer as one piece of text and the answer as another, as when they are generated.
  Status chat(const Json& list) {
    if (shape_.chat_template == nullptr)
      return Status(Code::invalid, "the model has no chat template for messages");
    Json::Array messages = list.as_array();
    std::string done;
    for (size_t i = 0; i < messages.size(); ++i) {
      const Json& role = messages[i]["role"];
      if (!role.is_string() || !messages[i]["content"].is_string()) {
        return Status(Code::invalid, "message " + std::to_string(i + 1) + " has no role or content in words");
      }
      const Json& train = messages[i]["train"];
      if (role.as_string() != "assistant" || (train.is_bool() && !train.as_bool())) continue;
      TRY(take(done, TRY(rendered(messages, i, true)), false));
      TRY(take(done, TRY(rendered(messages, i + 1, false)), true));
    }
    if (done.empty()) return Status(Code::invalid, "no message of an assistant is to be learnt");
    const std::vector<int32_t> with_marks = as_prompt(*shape_.tokenizer, tokens_);
    if (with_marks.size() > tokens_.size() &&
        with_marks.back() == tokens_.back()) {  // a beginning that was not there
      learn_.insert(learn_.begin(), with_marks.size() - tokens_.size(), 0);
      tokens_ = with_marks;
    }
    return {};
  }
  Status take(std::string& done, std::string whole, bool learn) {
    if (!whole.starts_with(done)) {
      return Status(Code::unsupported, "the model's template changes earlier turns when later ones come");
    }
    add(std::string_view(whole).substr(done.size()), learn, true);
    done = std::move(whole);
    return {};
  }

  const FeedShape& shape_;
  std::vector<int32_t>& tokens_;
  std::vector<uint8_t>& learn_;
};

}  // namespace

Status encode_example(const Json& line, const FeedShape& shape, Example& out) {
  return ExampleMaker(shape, out).line(line);
}

Status Feed::json_line(std::string_view line, const FeedShape& shape, Example& example) {
  const Json json = TRY(parse_json(line));
  if (!json["prompt"].is_string() || !json["chosen"].is_string() || !json["rejected"].is_string()) {
    TRY(encode_example(json, shape, example));
    return append(example.tokens, example.learn, shape.length);
  }
  for (const char* which : {"chosen", "rejected"}) {
    const Json one = Json::object().set("prompt", json["prompt"]).set("completion", json[which]);
    TRY(encode_example(one, shape, example));
    TRY(append(example.tokens, example.learn, shape.length));
  }
  ++pairs_;
  return {};
}

// Windows of the whole, each an example.
Status Feed::plain(std::string_view text, const FeedShape& shape) {
  std::vector<int32_t> all;
  shape.tokenizer->encode(text, false, all);
  if (all.size() < 2) return Status(Code::invalid, "it is too short to learn from");
  for (size_t at = 0; at + 1 < all.size(); at += size_t(shape.length)) {
    const size_t n = std::min(size_t(shape.length), all.size() - at);
    if (n < 2) break;
    TRY(append({all.begin() + int64_t(at), all.begin() + int64_t(at + n)}, std::vector<uint8_t>(n, 1),
               shape.length));
  }
  return {};
}

Status Feed::add(std::string_view name, std::string_view file, const FeedShape& shape) {
  CHECK(shape.tokenizer != nullptr && shape.length > 1, "a feed needs a tokenizer and a length");
  const size_t first = file.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return Status(Code::invalid, std::string(name) + " is empty");
  if (file[first] != '{') return plain(file, shape).with("reading " + std::string(name));
  Example example;
  for (int64_t line = 1; !file.empty(); ++line) {
    const size_t end = std::min(file.find('\n'), file.size());
    const std::string_view text = file.substr(0, end);
    file.remove_prefix(std::min(end + 1, file.size()));
    if (text.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    if (Status status = json_line(text, shape, example); !status.ok()) {
      return Status(status.code(), std::string(name) + ", line " + std::to_string(line) + ": " +
                                       std::string(status.message()));
    }
  }
  if (paired() && 2 * pairs_ != size()) {
    return Status(Code::invalid, std::string(name) + ": pairs of answers and other examples do not mix");
  }
  return {};
}

void append(const Feed::View& example, TextBatch& out) {
  out.starts.push_back(int32_t(out.tokens.size()));
  for (size_t j = 0; j < example.tokens.size(); ++j) {
    const bool learn = j + 1 < example.tokens.size() && example.learn[j + 1] != 0;
    out.tokens.push_back(example.tokens[j]);
    out.targets.push_back(learn ? example.tokens[j + 1] : -1);
    out.weights.push_back(learn ? 1.f : 0.f);
  }
}

Result<Feed> Feed::hold_out(int32_t every, Ledger& ledger) {
  Feed held = TRY(make(ledger)), rest = TRY(make(ledger));
  const size_t together = paired() ? 2 : 1;
  if (every < 2 || size() < together * size_t(every)) return held;
  for (size_t i = 0; i < size(); ++i) {
    const bool out = i / together % size_t(every) == size_t(every) - 1;
    const View one = (*this)[i];
    Feed& to = out ? held : rest;
    TRY(to.append({one.tokens.begin(), one.tokens.end()}, {one.learn.begin(), one.learn.end()}, INT32_MAX));
    if (paired() && i % 2 == 1) ++to.pairs_;
  }
  rest.cut_ = cut_;
  *this = std::move(rest);
  return held;
}

PackedFeed::PackedFeed(const Feed& feed, int32_t rows, int32_t parts, uint64_t seed)
    : feed_(feed), rows_(rows), parts_(parts), seed_(seed) {
  int32_t used = rows;  // the first example opens the first pack
  for (uint64_t i = 0; i < feed.size(); ++i) {
    const auto example = uint32_t(shuffled(seed, i, feed.size()));
    const auto size = int32_t(feed[example].tokens.size());
    if (used + size > rows) firsts_.push_back(uint32_t(order_.size())), used = 0;
    order_.push_back(example);
    used += size;
  }
  firsts_.push_back(uint32_t(order_.size()));
}

Status PackedFeed::fill(int64_t step, int32_t part, TextBatch& out) const {
  if (packs() < 1) return Status(Code::invalid, "there are no examples");
  out.clear();
  const auto pack = size_t(shuffled(seed_ + 1, uint64_t(step * parts_ + part), uint64_t(packs())));
  for (uint32_t i = firsts_[pack]; i < firsts_[pack + 1]; ++i) {
    append(feed_[order_[i]], out);
  }
  return {};
}

}  // namespace varve
