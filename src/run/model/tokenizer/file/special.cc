#include "run/model/tokenizer/file/special.h"

#include <algorithm>
#include <iterator>

namespace varve {
namespace {

// Those that end a turn, the surest first: Llama 3, ChatML, Phi, Gemma, GPT-2, Granite, Kimi, DeepSeek, ...
constexpr std::string_view kTurnEnds[] = {
    "<|eot_id|>", "<|im_end|>", "<|end|>", "<end_of_turn>",         "<|endoftext|>",     "<|end_of_text|>",
    "<EOT>",      "_<EOT>",     "[EOT]",   "<｜end▁of▁sentence｜>", "<end_of_utterance>"};
constexpr std::string_view kOtherEnds[] = {
    "<|return|>", "<|call|>", "<|flush|>",        "<|calls|>", "</s>",    "<|eom_id|>",    "[EOS]",
    "<eos>",      "<turn|>",  "<|tool_response>", "[e~[",      "<|eot|>", "<|endofturn|>", "<|role_end|>"};

template <size_t N>
size_t place(const std::string_view (&spellings)[N], std::string_view text) {  // N: not among them
  return static_cast<size_t>(std::find(std::begin(spellings), std::end(spellings), text) -
                             std::begin(spellings));
}

class Ends {
 public:
  explicit Ends(Vocabulary& vocabulary) : vocabulary_(vocabulary) {}

  void find() {
    SpecialTokens& special = vocabulary_.special;
    size_t best = std::size(kTurnEnds);  // the spelling that names eot, unless the file does
    for (Token token = 0; token < vocabulary_.size(); ++token) {
      const std::string_view text = vocabulary_.texts[token];
      const size_t turn = place(kTurnEnds, text);
      if (turn == std::size(kTurnEnds) && place(kOtherEnds, text) == std::size(kOtherEnds)) continue;
      add(token);
      if (turn >= best || (special.eot && best == std::size(kTurnEnds))) continue;
      special.eot = token;
      best = turn;
    }
    // Where a model ends in other ways, these two only end a part of its answer.
    if (has("<|call|>", "<|return|>") || has("<|calls|>", "<|flush|>")) remove("<|end|>");
    if (has("<|tool_response>", "</s>")) remove("</s>");
    if (special.eos) add(*special.eos);
    if (special.eot) add(*special.eot);
    std::sort(ends().begin(), ends().end());
  }

 private:
  std::vector<Token>& ends() { return vocabulary_.special.end_of_generation; }
  void add(Token token) {
    if (std::find(ends().begin(), ends().end(), token) == ends().end()) ends().push_back(token);
    const std::string_view text = vocabulary_.texts[token];
    if (text.starts_with('<') || text.starts_with('[')) vocabulary_.kinds[token] = TokenKind::control;
  }
  bool has(std::string_view text) {
    return std::any_of(ends().begin(), ends().end(),
                       [&](Token token) { return vocabulary_.texts[token] == text; });
  }
  bool has(std::string_view a, std::string_view b) { return has(a) && has(b); }
  void remove(std::string_view text) {
    std::erase_if(ends(), [&](Token token) { return vocabulary_.texts[token] == text; });
    auto& eot = vocabulary_.special.eot;
    if (eot && vocabulary_.texts[*eot] == text) eot.reset();
  }

  Vocabulary& vocabulary_;
};

}  // namespace

void find_ends(Vocabulary& vocabulary) {
  Ends(vocabulary).find();
}

}  // namespace varve
