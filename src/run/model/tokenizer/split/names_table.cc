// The patterns are facts of the models, as their own tokenizer files state them.
#include "run/model/tokenizer/split/names_table.h"

// clang-format off
#define VARVE_CONTRACTIONS "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define VARVE_BLANKS R"(\s*[\r\n]+|\s+(?!\S)|\s+)"
#define VARVE_UPPER R"([\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}])"
#define VARVE_LOWER R"([\p{Ll}\p{Lm}\p{Lo}\p{M}])"
#define VARVE_ASCII_MARKS R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~])"
// Words are capitalised or not; a capital inside begins a new one.
#define VARVE_CASED(suffix) \
  R"([^\r\n\p{L}\p{N}]?)" VARVE_UPPER "*" VARVE_LOWER "+" suffix R"(|[^\r\n\p{L}\p{N}]?)" VARVE_UPPER \
  "+" VARVE_LOWER "*" suffix "|"
#define VARVE_GPT2 R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S))"
#define VARVE_LLAMA3 \
  VARVE_CONTRACTIONS R"(|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|)" VARVE_BLANKS
#define VARVE_QWEN2 \
  VARVE_CONTRACTIONS R"(|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|)" VARVE_BLANKS
#define VARVE_DEEPSEEK3 \
  VARVE_ASCII_MARKS R"([A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|)" VARVE_BLANKS
#define VARVE_HAN_KANA R"([一-龥\x{3040}-ゟ゠-ヿ]+)"
#define VARVE_BLOOM " ?[^(\\s|.,!?…。，、।۔،)]+"
#define VARVE_KIMI_UPPER R"([\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]])"
#define VARVE_KIMI_LOWER R"([\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]])"

// The cased letters of the Unicode version that DeepSeek LLM was trained with.
#define VARVE_DEEPSEEK_LETTERS \
  R"(\s?[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽ\x{37F}\x{386}\x{388}-\x{38A}ΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚ)" \
  R"(Ḁ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝ\x{1F5F}-\x{1F7D}ᾀ-ᾴᾶ-\x{1FBC}\x{1FBE}ῂ-ῄῆ-ῌῐ-\x{1FD3}ῖ-\x{1FDB}ῠ-Ῥῲ-ῴῶ-ῼ)" \
  R"(ℂℇℊ-ℓℕℙ-ℝℤ\x{2126}ℨ\x{212A}-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ)" \
  R"(\x{10400}-\x{1044F}\x{104B0}-\x{104D3}\x{104D8}-\x{104FB}\x{10C80}-\x{10CB2}\x{10CC0}-\x{10CF2})" \
  R"(\x{118A0}-\x{118DF}\x{1E900}-\x{1E943}]+)"


namespace varve {
namespace {

constexpr NamedPasses kTable[] = {
      {"default", {R"([\p{P}\$\+<=>\^~\|]+)", VARVE_GPT2, R"(\p{N}+)", "[0-9][0-9][0-9]"}},
      {"llama-bpe llama3 llama-v3 falcon3 falcon-h1 pixtral midm-2.0 lfm2 jina-v5-nano",
       {VARVE_LLAMA3},
       true,
       true},
      {"dbrx smaug-bpe glm4 chatglm-bpe", {VARVE_LLAMA3}},
      {"gpt-2 phi-2 mpt olmo jais trillion granite-docling jina-es jina-de jina-v1-en jina-v2-es jina-v2-de "
       "jina-v2-code roberta-bpe gigachat a.x-4.0 mellum modern-bert exaone4",
       {VARVE_GPT2}},
      {"qwen2 deepseek-r1-qwen kormo f2llmv2 megrez stablelm2 hunyuan solar-open grok-2", {VARVE_QWEN2}},
      {"qwen35",
       {VARVE_CONTRACTIONS
        R"(|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|)" VARVE_BLANKS}},
      {"tekken", {VARVE_CASED("") R"(\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|)" VARVE_BLANKS}, true, true},
      {"gpt-4o llama4 kanana2 talkie minimax-m2",
       {VARVE_CASED(VARVE_CONTRACTIONS "?") R"(\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|)" VARVE_BLANKS}},
      {"granite-embed-multi-97m",
       {VARVE_CASED(VARVE_CONTRACTIONS "?") R"(\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|)" VARVE_BLANKS},
       true},
      {"tiny_aya cohere2moe",
       {kThousandsBeforeBorderPass,
        VARVE_CASED(VARVE_CONTRACTIONS "?") R"(\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|)" VARVE_BLANKS}},
      {"deepseek-llm",
       {"[\r\n]", VARVE_DEEPSEEK_LETTERS, R"(\s?[!-/:-~！-／：-～‘-‟\x{3000}-。]+)", R"(\s+$)",
        R"([一-龥\x{800}-一가-\x{D7FF}]+)", R"(\p{N}+)"}},
      {"deepseek-coder",
       {"[\r\n]", R"(\s?\p{L}+)", R"(\s?\p{P}+)", R"([一-龥\x{800}-一가-\x{D7FF}]+)", R"(\p{N})"}},
      {"deepseek-v3 hunyuan-dense joyai-llm hy_v4", {R"(\p{N}{1,3})", VARVE_HAN_KANA, VARVE_DEEPSEEK3}},
      {"spark2_5",
       {R"(\p{N}{1,3})", VARVE_HAN_KANA,
        VARVE_ASCII_MARKS
        R"([A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+|[\r\n]|\s+(?!\S)|\s+)",
        R"(\p{N})"}},
      {"youtu",
       {R"([가-힣ㄱ-ㆎ]+|[！…“”‘’—：；，、-〿︰-﹏]+|[ㄅ-ㄯ]+|)" VARVE_HAN_KANA,
        VARVE_CASED(VARVE_CONTRACTIONS "?") R"(\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|)" VARVE_BLANKS},
       true},
      {"falcon", {R"([\p{P}\$\+<=>\^~\|`]+)", VARVE_GPT2, "[0-9][0-9][0-9]"}},
      {"starcoder refact command-r smollm codeshell exaone minerva-7b mellum2", {R"(\p{N})", VARVE_GPT2}},
      {"poro-chat bloom gpt3-finnish", {VARVE_BLOOM}},
      {"viking", {VARVE_BLOOM, R"(\p{N})"}},
      {"jais-2",
       {VARVE_CONTRACTIONS
        R"(|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+)"
        R"(|\s{512}(?!\S)|\s{256}(?!\S)|\s{128}(?!\S)|\s{64}(?!\S)|\s{32}(?!\S)|\s{16}(?!\S))"
        R"(|\s{8}(?!\S)|\s{4}(?!\S)|\s{1,2}(?!\S)|\s{1})"}},
      {"chameleon",
       {"<sentinel:[0-9]+>", "(IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z", R"([\t\n]|    |  )", R"(\p{N})",
        R"([\p{P}!-/:-@\[-`{-~])", VARVE_GPT2},
       false,
       true},
      {"superbpe", {R"(\p{N}+)", kThousandsPass}},
      {"afmoe",
       {kThousandsPass,
        "[一-鿿㐀-䶿\\x{F900}-\\x{FAFF}\\x{3040}-ゟ゠-ヿ･-\\x{FF9F}\\x{2F00}-\\x{2FDF}เ-\\x{E7F}\\x{E80}-"
        "\\x{EFF}"
        "ក-\\x{17FF}\\x{1000}-\\x{109F}\\x{AA60}-\\x{AA7F}\\x{A9E0}-\\x{A9FF}가-\\x{D7AF}\\x{1100}-\\x{11FF}]"
        "+",
        VARVE_DEEPSEEK3}},
      {"kimi-k2",
       {R"([\p{Han}]+|[^\r\n\p{L}\p{N}]?)" VARVE_KIMI_UPPER "*" VARVE_KIMI_LOWER "+" VARVE_CONTRACTIONS
        R"(?|[^\r\n\p{L}\p{N}]?)" VARVE_KIMI_UPPER "+" VARVE_KIMI_LOWER "*" VARVE_CONTRACTIONS
        R"(?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|)" VARVE_BLANKS}},
      {"bailingmoe bailingmoe2 llada-moe",
       {R"('(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+)"}},
      {"seed-coder",
       {VARVE_CONTRACTIONS R"(|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}\r\n]+|)" VARVE_BLANKS}},
      {"ufakzeka", {R"([^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|)" VARVE_BLANKS}},
      {"laguna", {R"([^\n]+|[\n]+)", VARVE_QWEN2}},
      {"exaone-moe",
       {VARVE_CONTRACTIONS R"(|[^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+|\p{N})"
                           R"(| ?[^\s\p{L}\p{N}]+[\r\n/]?|\s*[\r\n]|\s+(?!\S)|\s+)"}},
      {"minicpm5",
       {R"(\p{N}{1,3})",
        VARVE_CONTRACTIONS R"(|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}+| ?[^\s\p{L}\p{N}]+[\r\n]*|)" VARVE_BLANKS},
       true},
      {"gemma4 granite-embed-multi-311m", {R"([^\n]+|[\n]+)"}, false, true, false},
      {"sarvam-moe", {R"([^\n]+|[\n]+)"}, false, false, false},
};

}  // namespace
// clang-format on

const std::string_view kGpt2Pattern = VARVE_GPT2;

std::span<const NamedPasses> named_passes() {
  return kTable;
}

}  // namespace varve
