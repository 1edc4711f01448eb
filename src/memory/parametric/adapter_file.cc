// Adapters as GGUF: tensors <role>.weight.<name>, of any number format.
#include "memory/parametric/adapter_file.h"

#include <algorithm>

#include "core/format/gguf.h"
#include "memory/parametric/peft.h"

namespace varve {
namespace {

constexpr std::string_view kOf = ".weight.";

Result<AdapterNote> read_note(const Gguf& gguf, const std::string& name) {
  const auto type = gguf.string("general.type");
  if (!type.ok() || *type != "adapter") return Status(Code::invalid, name + " is no adapter");
  AdapterNote note;
  note.kind = TRY(gguf.string("adapter.type").with("reading " + name));
  if (gguf.find("adapter.lora.alpha") != nullptr) note.alpha = float(TRY(gguf.number("adapter.lora.alpha")));
  if (auto base = gguf.string("general.base_model.0.name"); base.ok()) note.base = std::move(base).value();
  if (auto family = gguf.string("general.architecture"); family.ok()) note.family = std::move(family).value();
  if (gguf.find("varve.base_model") != nullptr) {
    note.fingerprint = TRY(Hash256::from_hex(TRY(gguf.string("varve.base_model"))));
  }
  if (gguf.find("varve.lesson") != nullptr) {
    note.lesson = TRY(parse_json(TRY(gguf.string("varve.lesson"))).with("reading how " + name + " was made"));
  }
  return note;
}

Result<AdapterTensor> read_tensor(const GgufTensor& tensor, const std::string& name) {
  const size_t dot = tensor.name.rfind(kOf);
  const size_t dims = tensor.shape.size();
  if (dot == std::string::npos || dot == 0 || dot + kOf.size() == tensor.name.size() || dims > 2 ||
      tensor.shape[0] > INT32_MAX || (dims == 2 && tensor.shape[1] > INT32_MAX)) {
    return Status(Code::invalid, name + ": " + tensor.name + " is no tensor of an adapter");
  }
  return AdapterTensor{.role = tensor.name.substr(0, dot),
                       .name = tensor.name.substr(dot + kOf.size()),
                       .rows = dims == 2 ? int32_t(tensor.shape[1]) : 1,
                       .cols = int32_t(tensor.shape[0]),
                       .values = {}};
}

GgufWriter writer_of(const AdapterFile& file) {
  const AdapterNote& note = file.note;
  GgufWriter writer;
  writer.set("general.type", "adapter").set("adapter.type", note.kind);
  if (!note.family.empty()) writer.set("general.architecture", note.family);
  writer.set("adapter.lora.alpha", note.alpha);
  if (!note.base.empty()) {
    writer.set("general.base_model.0.name", note.base).set("general.base_model.count", 1u);
  }
  if (note.fingerprint) writer.set("varve.base_model", note.fingerprint->hex());
  if (!note.lesson.is_null()) writer.set("varve.lesson", note.lesson.dump());
  for (const AdapterTensor& one : file.tensors) {
    writer.add(one.role + std::string(kOf) + one.name, 0, {one.cols, one.rows}, std::as_bytes(one.values));
  }
  return writer;
}

}  // namespace

Matrix AdapterTensor::matrix() const {
  static const Codec* const kF32 = std::move(codec_named("f32")).value();
  return {kF32, std::as_bytes(values), rows, cols};
}

Status check_base(const AdapterNote& note, const std::string& adapter, const Hash256& fingerprint,
                  const std::string& model) {
  if (!note.fingerprint || *note.fingerprint == fingerprint) return {};
  return Status(Code::invalid, adapter + " was made for another model than " + model +
                                   (note.base.empty() ? "" : ": for " + note.base));
}

Result<AdapterFile> parse_adapter(std::span<const std::byte> bytes, const std::string& name, Ledger& ledger) {
  const Gguf gguf = TRY(Gguf::parse(bytes).with("reading " + name));
  AdapterFile file;
  file.note = TRY(read_note(gguf, name));
  int64_t values = 0;
  for (const GgufTensor& tensor : gguf.tensors()) values += tensor.elements();
  file.values = TRY(Buffer::make(ledger, Tag::weights, values * 4).with("reading " + name));
  std::span<float> free(reinterpret_cast<float*>(file.values.bytes().data()), size_t(values));
  for (const GgufTensor& tensor : gguf.tensors()) {
    AdapterTensor& one = file.tensors.emplace_back(TRY(read_tensor(tensor, name)));
    const Codec& codec = *TRY(codec_of_gguf(tensor.type).with("reading " + name));
    const auto own = free.first(size_t(tensor.elements()));
    free = free.subspan(own.size());
    codec.decode(bytes.subspan(size_t(tensor.offset), size_t(tensor.bytes)), own);
    one.values = own;
  }
  if (file.tensors.empty()) return Status(Code::invalid, name + " holds no tensors");
  return file;
}

Result<std::vector<std::byte>> encode_adapter(const AdapterFile& file) {
  return writer_of(file).bytes();
}

Result<AdapterFile> read_adapter(Env& env, const std::string& path, HeadCounts permuted, Ledger& ledger) {
  if (TRY(env.exists(path + "/adapter_config.json"))) return read_peft(env, path, permuted, ledger);
  const auto mapping = TRY(env.map(path));
  return parse_adapter(mapping->bytes(), path, ledger);
}

Status write_adapter_gguf(Env& env, const std::string& path, const AdapterFile& file) {
  return writer_of(file).write(env, path);
}

}  // namespace varve
