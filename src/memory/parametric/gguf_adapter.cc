// GGUF adapters: tensors <weight>.weight.lora_a [rank][cols] and .lora_b [rows][rank], of any number format.
#include "memory/parametric/low_rank_file.h"

namespace varve {
namespace {

constexpr std::string_view kA = ".weight.lora_a", kB = ".weight.lora_b";

Result<std::span<const float>> decoded(const GgufTensor& tensor, std::span<const std::byte> file,
                                       std::span<float>& free) {
  const Codec& codec = *TRY(codec_of_gguf(tensor.type));
  const auto own = free.first(size_t(tensor.elements()));
  free = free.subspan(own.size());
  codec.decode(file.subspan(size_t(tensor.offset), size_t(tensor.bytes)), own);
  return std::span<const float>(own);
}

Status check_kind(const Gguf& gguf, const std::string& path) {
  const auto type = gguf.string("general.type"), kind = gguf.string("adapter.type");
  if (type.ok() && *type == "adapter" && kind.ok() && *kind == "lora") return {};
  return Status(Code::invalid, path + " is no low-rank adapter");
}

}  // namespace

Result<LowRankFile> read_gguf_adapter(Env& env, const std::string& path, Ledger& ledger) {
  const auto mapping = TRY(env.map(path));
  const Gguf gguf = TRY(Gguf::parse(mapping->bytes()).with("reading " + path));
  TRY(check_kind(gguf, path));
  LowRankFile file;
  file.note.alpha = float(TRY(gguf.number("adapter.lora.alpha")));
  if (gguf.find("varve.base_model") != nullptr) {
    file.note.fingerprint = TRY(Hash256::from_hex(TRY(gguf.string("varve.base_model"))));
  }
  int64_t values = 0;
  for (const GgufTensor& tensor : gguf.tensors()) values += tensor.elements();
  file.values = TRY(Buffer::make(ledger, Tag::io, values * 4).with("reading " + path));
  std::span<float> free(reinterpret_cast<float*>(file.values.bytes().data()), size_t(values));
  for (const GgufTensor& a : gguf.tensors()) {
    if (a.name.ends_with(kB)) continue;
    const std::string role = a.name.substr(0, a.name.size() - std::min(a.name.size(), kA.size()));
    const GgufTensor* b = gguf.tensor(role + std::string(kB));
    if (!a.name.ends_with(kA) || b == nullptr || a.shape.size() != 2 || b->shape.size() != 2 ||
        a.shape[1] != b->shape[0] || a.shape[0] > INT32_MAX || a.shape[1] > INT32_MAX ||
        b->shape[1] > INT32_MAX) {
      return Status(Code::invalid, path + ": " + a.name + " is no half of a low-rank pair");
    }
    LowRankFactors& one = file.factors.emplace_back();
    one.role = role, one.rank = int32_t(a.shape[1]), one.cols = int32_t(a.shape[0]),
    one.rows = int32_t(b->shape[1]);
    one.a = TRY(decoded(a, mapping->bytes(), free));
    one.b = TRY(decoded(*b, mapping->bytes(), free));
  }
  if (file.factors.empty()) return Status(Code::invalid, path + " holds no pair of factors");
  return file;
}

Status write_low_rank_gguf(Env& env, const std::string& path, const std::string& architecture,
                           std::span<const LowRankFactors> factors, const LowRankNote& note) {
  GgufWriter writer;
  writer.set("general.type", "adapter").set("general.architecture", architecture).set("adapter.type", "lora");
  writer.set("adapter.lora.alpha", note.alpha);
  if (!note.base.empty())
    writer.set("general.base_model.0.name", note.base).set("general.base_model.count", 1u);
  if (note.fingerprint) writer.set("varve.base_model", note.fingerprint->hex());
  if (!note.lesson.is_null()) writer.set("varve.lesson", note.lesson.dump());
  for (const LowRankFactors& one : factors) {
    writer.add(one.role + std::string(kA), 0, {one.cols, one.rank}, std::as_bytes(one.a));
    writer.add(one.role + std::string(kB), 0, {one.rank, one.rows}, std::as_bytes(one.b));
  }
  return writer.write(env, path);
}

}  // namespace varve
