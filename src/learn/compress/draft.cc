#include "learn/compress/draft.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <numeric>

#include "run/model/arch/family.h"
#include "run/model/fingerprint.h"

namespace varve {
namespace {

constexpr int64_t kPiece = int64_t(4) << 20;  // bytes of f32 rows on their way

bool is_rounded(const WeightEntry& entry) {
  const std::string& role = entry.role;
  return entry.rows > 1 && !role.ends_with("_norm") && !role.ends_with(".bias") &&
         !role.ends_with("ffn_gate_inp") && !role.ends_with("ffn_gate_inp_shexp") &&
         role != "position_embd" && role != "token_types";
}

}  // namespace

std::span<const Codec* const> rounding_formats() {
  static const auto all = [] {
    constexpr std::array<std::string_view, 13> kNames = {"tq2_0",  "q2_k", "q3_k", "iq4_xs", "q4_k",
                                                         "iq4_nl", "q4_1", "q5_k", "q5_0",   "q5_1",
                                                         "q6_k",   "q8_0", "f16"};
    std::array<const Codec*, kNames.size()> found{};
    for (size_t i = 0; i < found.size(); ++i) found[i] = codec_named(kNames[i]).value();
    return found;
  }();
  return all;
}

const Codec& fitting(const Codec& wanted, int32_t cols, bool may_be_sparse) {
  const auto fits = [&](const Codec& one) {
    return cols % int32_t(one.block_values()) == 0 && (may_be_sparse || !one.sparse());
  };
  const auto bits = [](const Codec& one) { return double(one.block_bytes()) / double(one.block_values()); };
  if (fits(wanted)) return wanted;
  for (const Codec* one : rounding_formats()) {
    if (fits(*one) && bits(*one) >= bits(wanted)) return *one;
  }
  return *rounding_formats().back();
}

std::string input_of(std::string_view role) {
  for (const auto& [from, to] : {std::pair{".attn_k", ".attn_q"},
                                 {".attn_v", ".attn_q"},
                                 {".ffn_gate", ".ffn_up"},
                                 {".ffn_gate_exps", ".ffn_up_exps"}}) {
    if (role.ends_with(from)) return std::string(role.substr(0, role.rfind('.'))) + to;
  }
  return std::string(role == "token_embd" ? "output" : role);  // tied: the head is what is read with
}

int32_t layer_of(std::string_view role) {
  int32_t layer = -1;
  if (role.starts_with("blk.")) std::from_chars(role.data() + 4, role.data() + role.size(), layer);
  return layer;
}

Result<std::unique_ptr<Draft>> Draft::open(Env& env, const std::string& path, Ops& ops, Ledger& ledger) {
  std::unique_ptr<Draft> draft(new Draft(env, path, ops, ledger));
  const auto mapping = TRY(env.map(path));
  const Gguf gguf = TRY(Gguf::parse(mapping->bytes()).with("reading " + path));
  draft->spec_ = TRY(read_decoder_spec(gguf).with("reading " + path));
  draft->fingerprint_ = model_fingerprint(mapping->bytes(), gguf);
  draft->version_ = gguf.version();
  draft->metadata_ = gguf.metadata();
  const auto entries = TRY(list_weights(gguf).with("reading " + path));
  for (size_t i = 0; i < entries.size(); ++i) {
    if (entries[i].role.find(".weight.") != std::string::npos)
      return Status(Code::unsupported, path + " is compressed already, with " + entries[i].role +
                                           " beside a weight: begin with what it was made from");
    draft->weights_.push_back({.from = entries[i],
                               .name = gguf.tensors()[i].name,
                               .codec = entries[i].codec,
                               .rounds = is_rounded(entries[i])});
  }
  draft->file_ = TRY(env.open(path, Open::read));
  return draft;
}

const Weight* Draft::find(std::string_view role) const {
  for (const Weight& one : weights_) {
    if (one.role() == role) return &one;
  }
  return nullptr;
}

Result<std::vector<float>> Draft::vector(std::string_view role) const {
  if (const auto found = vectors_.find(role); found != vectors_.end()) return found->second;
  for (const Weight& one : weights_) {
    if (one.role() != role) continue;
    std::vector<std::byte> bytes(size_t(one.from.bytes));
    TRY(file_->read(one.from.offset, bytes));
    std::vector<float> values(size_t(one.from.rows) * size_t(one.from.cols));
    one.from.codec->decode(bytes, values);
    return values;
  }
  return Status(Code::not_found, path_ + " has no " + std::string(role));
}

std::string Draft::input(const Weight& weight, int32_t of_stack) const {
  if (weight.from.stack > 1) return input_of(weight.role(), of_stack);
  if (!weight.stack.empty()) return input_of(weight.stack, weight.of_stack);
  if (weight.role() != "token_embd") return input_of(weight.role());
  for (const Weight& one : weights_) {
    if (one.role() == "output") return "";  // then the table is only looked up
  }
  return "output";
}

Result<Seen> Draft::seen(const Weight& weight, const SeenByInput& counted, int32_t of_stack,
                         bool changed) const {
  Seen seen;
  const auto found = counted.find(input(weight, of_stack));
  if (found == counted.end() || found->second.rows == 0) return seen;
  const Seen& whole = found->second;
  std::vector<int32_t> kept = changed ? std::vector<int32_t>() : weight.kept_cols;
  if (kept.empty()) kept.resize(whole.square.size()), std::iota(kept.begin(), kept.end(), 0);
  seen.rows = whole.rows;
  for (const int32_t col : kept) {
    seen.square.push_back(whole.square[size_t(col)]), seen.mean.push_back(whole.mean[size_t(col)]);
    seen.size.push_back(whole.size[size_t(col)]);
  }
  if (whole.gram.size() > 0) {
    const auto n = kept.size();
    seen.gram = TRY(Buffer::make(ledger_, Tag::scratch, int64_t(n * n) * 4));
    for (size_t i = 0; i < n; ++i) {
      const float* from = whole.gram_values() + size_t(kept[i]) * whole.square.size();
      for (size_t j = 0; j < n; ++j) seen.gram_values()[i * n + j] = from[size_t(kept[j])];
    }
  }
  for (size_t i = 0; !changed && i < methods_.size(); ++i) methods_[i]->change(weight, seen);
  return seen;
}

double Draft::use(const Weight& weight) const {
  if (weight.stack.empty()) return 1;
  const auto rows = [&](int32_t i) {
    const auto found = calibration_.find(input_of(weight.stack, i));
    return found == calibration_.end() ? int64_t(0) : found->second.rows;
  };
  int64_t all = 0;
  for (int32_t i = 0; i < spec_.experts.count; ++i) all += rows(i);
  return all == 0 ? 1 : double(rows(weight.of_stack)) * spec_.experts.count / double(all);
}

Status Draft::read(const Weight& weight, int32_t first, std::span<float> rows) const {
  const int32_t cols = weight.cols(), count = int32_t(rows.size()) / cols;
  const auto row_bytes = size_t(weight.from.codec->bytes_for(weight.from.cols));
  std::vector<std::byte> bytes(row_bytes);
  std::vector<float> whole(size_t(weight.from.cols));
  for (int32_t i = 0; i < count; ++i) {
    const int32_t row = weight.kept_rows.empty() ? first + i : weight.kept_rows[size_t(first + i)];
    TRY(file_->read(weight.from.offset + row * int64_t(row_bytes), bytes));
    const auto out = rows.subspan(size_t(i) * size_t(cols), size_t(cols));
    if (weight.kept_cols.empty()) {
      weight.from.codec->decode(bytes, out);
    } else {
      weight.from.codec->decode(bytes, whole);
      for (size_t j = 0; j < out.size(); ++j) out[j] = whole[size_t(weight.kept_cols[j])];
    }
  }
  for (const auto& method : methods_) method->change(weight, first, rows);
  return {};
}

Status Draft::each(const Weight& weight, const TakeRows& take) const {
  for (int32_t i = 0; i < weight.from.stack; ++i) TRY(each_of(weight, i, take));
  return {};
}

Status Draft::each_of(const Weight& weight, int32_t of_stack, const TakeRows& take) const {
  const int32_t rows = weight.rows() / weight.from.stack, begin = of_stack * rows, end = begin + rows;
  const int32_t at_once = int32_t(std::clamp<int64_t>(kPiece / 4 / weight.cols(), 1, rows));
  Buffer room = TRY(Buffer::make(ledger_, Tag::io, int64_t(at_once) * weight.cols() * 4));
  auto* values = reinterpret_cast<float*>(room.bytes().data());
  for (int32_t first = begin; first < end; first += at_once) {
    const auto count = size_t(std::min(at_once, end - first)) * size_t(weight.cols());
    TRY(read(weight, first, {values, count}).with("reading " + weight.role()));
    TRY(take(first, {values, count}));
  }
  return {};
}

Status Draft::add(std::shared_ptr<Compressor> method) {
  TRY(method->plan(*this));
  methods_.push_back(std::move(method));
  return {};
}

}  // namespace varve
