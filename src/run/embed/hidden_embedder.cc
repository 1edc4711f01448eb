#include "run/embed/hidden_embedder.h"

#include <algorithm>
#include <array>

#include "core/base/options.h"
#include "run/embed/length_one.h"
#include "run/embed/read_out.h"

namespace varve {
namespace {

// Around the text, which is read where it stands last. `after` is read too when only the last token counts.
struct Frame {
  std::string_view name, before, between, after;
  bool twice = false;
};
constexpr Frame kFrames[] = {
    {"none", "", "", ""},
    {"echo", "Rewrite the text: ", "\nThe text rewritten: ", "", true},
    {"word", "This text: \"", "", "\" means in one word: \""},
};
constexpr std::array<std::string_view, 3> kPoolings = {"mean", "last", "weighted"};

struct Options {
  Frame frame = kFrames[0];
  Pooling pooling = Pooling::mean;
  int32_t layer = 0, tokens = 512;
};

// Takes an option that is a word out of the spec.
std::string word(Spec& spec, std::string_view key, std::string_view absent) {
  const auto found = spec.options.find(key);
  if (found == spec.options.end()) return std::string(absent);
  std::string value = found->second;
  spec.options.erase(found);
  return value;
}

Result<Options> read_options(std::string_view text, const ModelShape& shape) {
  Spec spec = TRY(parse_spec(text));
  Options options;
  const std::string pool = word(spec, "pool", "mean"), prompt = word(spec, "prompt", "none");
  const auto pooling = std::find(kPoolings.begin(), kPoolings.end(), pool);
  if (pooling == kPoolings.end()) return Status(Code::invalid, "pool is mean, last or weighted");
  options.pooling = Pooling(pooling - kPoolings.begin());
  const auto* frame = std::find_if(std::begin(kFrames), std::end(kFrames),
                                   [&](const Frame& one) { return one.name == prompt; });
  if (frame == std::end(kFrames)) return Status(Code::invalid, "prompt is none, echo or word");
  options.frame = *frame;
  TRY(OptionReader(spec)
          .read("layer", options.layer, 0, shape.layers)
          .read("tokens", options.tokens, 1, 1 << 20)
          .done());
  return options;
}

class HiddenEmbedder : public Embedder {
 public:
  HiddenEmbedder(const Options& options, std::string name, Engine& engine)
      : options_(options), name_(std::move(name)), engine_(engine) {}

  std::string_view name() const override { return name_; }
  int width() const override { return engine_.model().shape().width; }

  Result<std::vector<float>> embed(std::string_view text) const override {
    std::vector<Token> words;
    engine_.model().tokenizer()->encode(text, false, words);
    if (words.empty()) return std::vector<float>(size_t(width()));
    std::vector<Request> requests;
    requests.push_back(request_for(std::move(words)));
    auto read = TRY(read_out(engine_, std::move(requests)));
    scale_to_length_one(read[0]);
    return std::move(read[0]);
  }

 private:
  Request request_for(std::vector<Token> words) const {
    const Frame& frame = options_.frame;
    std::vector<Token> tokens = plain(frame.before), between = plain(frame.between),
                       after = plain(frame.after);
    tokens = as_prompt(*engine_.model().tokenizer(), std::move(tokens));
    const size_t around = tokens.size() + between.size() + after.size();
    const size_t room = size_t(engine_.context()) - std::min(size_t(engine_.context()) - 2, around);
    words.resize(std::min({words.size(), size_t(options_.tokens), room / (frame.twice ? 2 : 1)}));
    if (frame.twice) {
      tokens.insert(tokens.end(), words.begin(), words.end());
      tokens.insert(tokens.end(), between.begin(), between.end());
    }
    Request request;
    request.pool_from = int32_t(tokens.size());
    tokens.insert(tokens.end(), words.begin(), words.end());
    tokens.insert(tokens.end(), after.begin(), after.end());
    request.tokens = std::move(tokens);
    request.embed = true;
    request.pooling = options_.pooling;
    request.layer = options_.layer;
    request.priority = 1;
    return request;
  }
  std::vector<Token> plain(std::string_view text) const {
    std::vector<Token> tokens;
    engine_.model().tokenizer()->encode(text, false, tokens);
    return tokens;
  }

  const Options options_;
  const std::string name_;
  Engine& engine_;
};

}  // namespace

Result<std::unique_ptr<Embedder>> make_hidden_embedder(std::string_view spec, Engine& engine) {
  if (engine.model().tokenizer() == nullptr)
    return Status(Code::invalid, "the model has no tokenizer, so it cannot read texts");
  const Options options = TRY(read_options(spec, engine.model().shape()));
  std::string name = "hidden:" + engine.model().fingerprint().hex().substr(0, 16) + ":" +
                     std::string(kPoolings[size_t(options.pooling)]) + ":" + std::to_string(options.layer) +
                     ":" + std::string(options.frame.name) + ":" + std::to_string(options.tokens);
  return std::unique_ptr<Embedder>(new HiddenEmbedder(options, std::move(name), engine));
}

}  // namespace varve
