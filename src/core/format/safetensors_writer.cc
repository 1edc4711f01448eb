// The safetensors writer.
#include <algorithm>
#include <cstring>
#include <set>

#include "core/format/json.h"
#include "core/format/safetensors.h"

namespace varve {
namespace {

Status invalid(std::string_view what, std::string_view name) {
  return Status(Code::invalid, "writing safetensors: " + std::string(what) + " '" + std::string(name) + "'");
}

// JSON holds valid UTF-8 only; anything else would come back as another name.
bool writable(const std::string& text) {
  auto back = parse_json(Json(text).dump());
  return back.ok() && back->as_string() == text;
}

}  // namespace

SafeTensorsWriter& SafeTensorsWriter::set(std::string key, std::string value) {
  metadata_.insert_or_assign(std::move(key), std::move(value));
  return *this;
}

SafeTensorsWriter& SafeTensorsWriter::add(std::string name, std::string dtype, std::vector<int64_t> shape,
                                          std::span<const std::byte> bytes) {
  tensors_.push_back(
      {{std::move(name), std::move(dtype), std::move(shape), 0, int64_t(bytes.size())}, bytes});
  return *this;
}

Status SafeTensorsWriter::write(Env& env, const std::string& path) const {
  Json::Object metadata, head;
  for (const auto& [key, value] : metadata_) {
    if (!writable(key) || !writable(value)) return invalid("not UTF-8: metadata", key);
    metadata.emplace_back(key, value);
  }
  if (!metadata.empty()) head.emplace_back("__metadata__", std::move(metadata));

  std::vector<std::pair<int64_t, size_t>> order;  // bits of an element, index
  for (size_t i = 0; i < tensors_.size(); ++i) {
    order.emplace_back(TRY(safetensors_bits(tensors_[i].first.dtype).with("writing " + path)), i);
  }
  std::stable_sort(order.begin(), order.end(), [](auto& a, auto& b) { return a.first > b.first; });
  std::set<std::string_view> names = {"__metadata__"};
  int64_t offset = 0;
  for (auto [bits, i] : order) {
    const auto& [tensor, bytes] = tensors_[i];
    if (!writable(tensor.name)) return invalid("not UTF-8: tensor", tensor.name);
    if (!names.insert(tensor.name).second) return invalid("two tensors of the name", tensor.name);
    const int64_t wanted =
        TRY(safetensors_bytes(tensor.dtype, tensor.shape).with("writing tensor " + tensor.name));
    if (wanted != int64_t(bytes.size()))
      return invalid("bytes that do not fit the dtype and shape of", tensor.name);
    Json described = Json::object();
    described.set("dtype", tensor.dtype);
    described.set("shape", Json::Array(tensor.shape.begin(), tensor.shape.end()));
    described.set("data_offsets", Json::Array{offset, offset + wanted});
    head.emplace_back(tensor.name, std::move(described));
    offset += wanted;
  }

  std::string text = Json(std::move(head)).dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  const uint64_t head_bytes = text.size();
  Replacement file = TRY(Replacement::begin(env, path));
  TRY(file.append(std::as_bytes(std::span(&head_bytes, 1))));
  TRY(file.append(std::as_bytes(std::span(text))));
  for (auto [bits, i] : order) TRY(file.append(tensors_[i].second));
  return file.commit();
}

}  // namespace varve
