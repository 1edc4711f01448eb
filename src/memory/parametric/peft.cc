// PEFT's adapters: adapter_config.json and adapter_model.safetensors. Queries and keys of families whose
// rotation pairs neighbours are stored by PEFT with the halves of a head apart; GGUF files interleave them.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/format/safetensors.h"
#include "math/codec/codec.h"
#include "memory/parametric/peft.h"

namespace varve {
namespace {

constexpr std::pair<std::string_view, std::string_view> kNames[] = {
    {"attn_q", "self_attn.q_proj"},      {"attn_k", "self_attn.k_proj"}, {"attn_v", "self_attn.v_proj"},
    {"attn_output", "self_attn.o_proj"}, {"ffn_gate", "mlp.gate_proj"},  {"ffn_up", "mlp.up_proj"},
    {"ffn_down", "mlp.down_proj"}};
constexpr std::string_view kPrefix = "base_model.model.model.layers.";
constexpr std::string_view kA = ".lora_A.weight", kB = ".lora_B.weight";
constexpr int64_t kMostConfig = 1 << 20;

bool all_digits(std::string_view text) {
  return !text.empty() && text.size() < 6 &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

int32_t heads_of(std::string_view role, HeadCounts permuted) {
  return role.ends_with(".attn_q") ? permuted.heads : role.ends_with(".attn_k") ? permuted.kv_heads : 0;
}

// Row 2 i + j of a head here is row j dim / 2 + i there.
size_t row_there(size_t row, size_t rows, int32_t heads) {
  if (heads == 0) return row;
  const size_t dim = rows / size_t(heads), at = row % dim;
  return row - at + at % 2 * (dim / 2) + at / 2;
}

Result<const Codec*> codec_of(const std::string& dtype) {
  if (dtype == "F32") return codec_named("f32");
  if (dtype == "F16") return codec_named("f16");
  if (dtype == "BF16") return codec_named("bf16");
  return Status(Code::unsupported, "an adapter of " + dtype + "; there are F32, F16, BF16");
}

struct Config {
  float alpha = 8;
  bool root = false;  // the product is scaled by alpha / sqrt(rank)
  std::string base;
};

Result<Config> read_config(Env& env, const std::string& path) {
  const auto bytes = TRY(read_file(env, path + "/adapter_config.json", kMostConfig));
  const Json json =
      TRY(parse_json({reinterpret_cast<const char*>(bytes.data()), bytes.size()}).with("reading " + path));
  if (!json["peft_type"].is_string() || json["peft_type"].as_string() != "LORA") {
    return Status(Code::unsupported, path + " is no LORA adapter");
  }
  for (const char* other : {"use_dora", "alora_invocation_tokens"}) {
    if (json[other].is_array() || (json[other].is_bool() && json[other].as_bool())) {
      return Status(Code::unsupported, path + " uses " + other + ", which is not read here");
    }
  }
  for (const char* pattern : {"rank_pattern", "alpha_pattern", "modules_to_save"}) {
    if (json[pattern].size() > 0) return Status(Code::unsupported, path + " uses " + pattern);
  }
  Config config;
  if (json["lora_alpha"].is_number()) config.alpha = float(json["lora_alpha"].as_double());
  if (json["base_model_name_or_path"].is_string()) config.base = json["base_model_name_or_path"].as_string();
  config.root = json["use_rslora"].is_bool() && json["use_rslora"].as_bool();
  return config;
}

Result<AdapterTensor> head_of(const SafeTensor& tensor, const std::string& path) {
  const bool is_a = tensor.name.ends_with(kA), is_b = tensor.name.ends_with(kB);
  const std::string_view name(tensor.name);
  const std::string role = is_a || is_b ? role_of_peft(name.substr(0, name.size() - kA.size())) : "";
  if (role.empty()) {
    return Status(Code::unsupported, path + ": " + tensor.name + " is no half of a pair that is known here");
  }
  const auto& shape = tensor.shape;
  if (shape.size() != 2 || std::min(shape[0], shape[1]) < 1 || std::max(shape[0], shape[1]) > INT32_MAX) {
    return Status(Code::invalid, path + ": " + tensor.name + " is no matrix");
  }
  return AdapterTensor{role, is_a ? "lora_a" : "lora_b", int32_t(shape[0]), int32_t(shape[1]), {}};
}

// What write_adapter_peft() leaves beside the tensors.
Status read_own(const SafeTensors& tensors, AdapterNote& note) {
  const auto& own = tensors.metadata();
  if (const auto found = own.find("varve.base_model"); found != own.end()) {
    note.fingerprint = TRY(Hash256::from_hex(found->second));
  }
  if (const auto found = own.find("varve.lesson"); found != own.end()) {
    note.lesson = TRY(parse_json(found->second));
  }
  return {};
}

Status decode_turned(const SafeTensor& tensor, std::span<const std::byte> file, HeadCounts permuted,
                     AdapterTensor& to, std::span<float> own) {
  const Codec& codec = *TRY(codec_of(tensor.dtype));
  const auto rows = size_t(to.rows), cols = size_t(to.cols), row = size_t(codec.bytes_for(to.cols));
  const int32_t heads = to.name == "lora_b" ? heads_of(to.role, permuted) : 0;
  if (heads > 0 && rows % size_t(2 * heads) != 0) return Status(Code::invalid, to.role + " has odd heads");
  const auto bytes = file.subspan(size_t(tensor.offset), size_t(tensor.bytes));
  for (size_t i = 0; i < rows; ++i) {
    codec.decode(bytes.subspan(row_there(i, rows, heads) * row, row), own.subspan(i * cols, cols));
  }
  to.values = own;
  return {};
}

}  // namespace

HeadCounts permuted_heads(std::string_view family, int32_t heads, int32_t kv_heads) {
  return family == "llama" ? HeadCounts{heads, kv_heads} : HeadCounts{};
}

std::string peft_name(std::string_view role) {
  if (!role.starts_with("blk.")) return {};
  const size_t dot = role.find('.', 4);
  for (const auto& [own, theirs] : kNames) {
    if (dot != std::string_view::npos && role.substr(dot + 1) == own) {
      return std::string(kPrefix) + std::string(role.substr(4, dot - 4)) + "." + std::string(theirs);
    }
  }
  return {};
}

std::string role_of_peft(std::string_view name) {
  if (!name.starts_with(kPrefix)) return {};
  const std::string_view rest = name.substr(kPrefix.size());
  const size_t dot = rest.find('.');
  if (dot == std::string_view::npos || !all_digits(rest.substr(0, dot))) return {};
  for (const auto& [own, theirs] : kNames) {
    if (rest.substr(dot + 1) == theirs)
      return "blk." + std::string(rest.substr(0, dot)) + "." + std::string(own);
  }
  return {};
}

Result<AdapterFile> read_peft(Env& env, const std::string& path, HeadCounts permuted, Ledger& ledger) {
  const Config config = TRY(read_config(env, path));
  const auto mapping = TRY(env.map(path + "/adapter_model.safetensors"));
  const SafeTensors tensors = TRY(SafeTensors::parse(mapping->bytes()).with("reading " + path));
  AdapterFile file;
  int64_t values = 0;
  int32_t rank = 0;
  for (const SafeTensor& tensor : tensors.tensors()) {
    AdapterTensor& one = file.tensors.emplace_back(TRY(head_of(tensor, path)));
    if (one.name == "lora_a") rank = one.rows;
    values += int64_t(one.rows) * one.cols;
  }
  if (rank == 0) return Status(Code::invalid, path + " holds no pair of factors");
  file.values = TRY(Buffer::make(ledger, Tag::weights, values * 4).with("reading " + path));
  std::span<float> free(reinterpret_cast<float*>(file.values.bytes().data()), size_t(values));
  for (size_t i = 0; i < file.tensors.size(); ++i) {
    const auto own = free.first(size_t(file.tensors[i].rows) * size_t(file.tensors[i].cols));
    free = free.subspan(own.size());
    TRY(decode_turned(tensors.tensors()[i], mapping->bytes(), permuted, file.tensors[i], own).with(path));
  }
  TRY(read_own(tensors, file.note).with("reading " + path));
  file.note.base = config.base;
  file.note.alpha = config.root ? config.alpha * std::sqrt(float(rank)) : config.alpha;
  return file;
}

Status write_adapter_peft(Env& env, const std::string& path, const AdapterFile& file, HeadCounts permuted) {
  if (file.note.kind != "lora") {
    return Status(Code::unsupported, "PEFT's files hold lora, this adapter is of the kind " + file.note.kind +
                                         "; a GGUF file holds it");
  }
  SafeTensorsWriter writer;
  Json targets = Json::array();
  std::vector<std::vector<float>> turned;  // kept until they are written
  turned.reserve(file.tensors.size());
  int32_t rank = 0;
  for (const AdapterTensor& one : file.tensors) {
    const std::string name = peft_name(one.role);
    if (name.empty()) return Status(Code::unsupported, "PEFT has no name for " + one.role);
    const std::string module = name.substr(name.rfind('.') + 1);
    const auto& all = targets.as_array();
    if (std::find(all.begin(), all.end(), Json(module)) == all.end()) targets.push(module);
    if (one.name == "lora_a") {
      rank = one.rows;
      writer.add(name + std::string(kA), "F32", {one.rows, one.cols}, std::as_bytes(one.values));
      continue;
    }
    std::vector<float>& b = turned.emplace_back(one.values.size());
    const auto rows = size_t(one.rows), cols = size_t(one.cols);
    for (size_t i = 0; i < rows; ++i) {
      std::copy_n(&one.values[i * cols], cols, &b[row_there(i, rows, heads_of(one.role, permuted)) * cols]);
    }
    writer.add(name + std::string(kB), "F32", {one.rows, one.cols}, std::as_bytes(std::span(b)));
  }
  Json config = Json::object();
  config.set("peft_type", "LORA").set("task_type", "CAUSAL_LM");
  config.set("base_model_name_or_path", file.note.base);
  config.set("r", rank).set("lora_alpha", double(file.note.alpha));
  config.set("target_modules", std::move(targets)).set("lora_dropout", 0.0).set("bias", "none");
  for (const char* off : {"use_rslora", "use_dora", "fan_in_fan_out"}) config.set(off, false);
  config.set("inference_mode", true);
  TRY(env.make_folder(path));
  writer.set("format", "pt");
  if (file.note.fingerprint) writer.set("varve.base_model", file.note.fingerprint->hex());
  if (!file.note.lesson.is_null()) writer.set("varve.lesson", file.note.lesson.dump());
  TRY(writer.write(env, path + "/adapter_model.safetensors"));
  const std::string text = config.dump(2) + "\n";
  return write_file(env, path + "/adapter_config.json", std::as_bytes(std::span(text)));
}

}  // namespace varve
