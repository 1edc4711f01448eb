// From the tensor table of a GGUF file to roles and matrices.
#include <algorithm>
#include <map>
#include <set>

#include "math/codec/codebook.h"
#include "math/codec/df11.h"
#include "run/weights/weight_store.h"

namespace varve {
namespace {

constexpr std::string_view kWeight = ".weight";
constexpr int64_t kMost = (int64_t(1) << 31) - 1;  // rows and columns are int32

std::string role_of(const std::string& name) {
  const bool suffixed = name.size() > kWeight.size() && name.ends_with(kWeight);
  return suffixed ? name.substr(0, name.size() - kWeight.size()) : name;
}

Result<const Codec*> codec_for(const GgufTensor& tensor) {
  auto codec = codec_of_gguf(tensor.type);
  if (codec.ok()) return codec;
  auto block = gguf_block(tensor.type);
  const std::string format = block.ok() ? std::string(block->name) : "type " + std::to_string(tensor.type);
  return Status(Code::unsupported, tensor.name + " is stored as " + format +
                                       "; the number formats here are " + codecs().known());
}

using Columns = std::map<std::string, int64_t>;

Result<Columns> coded_columns(const Gguf& gguf) {
  Columns columns;
  if (gguf.find(kCodedTensors) == nullptr) return columns;
  const auto names = TRY(gguf.strings(kCodedTensors));
  const auto counts = TRY(gguf.integers(kCodedColumns));
  if (names.size() != counts.size())
    return Status(Code::corrupt, std::string(kCodedColumns) + " has " + std::to_string(counts.size()) +
                                     " numbers for " + std::to_string(names.size()) + " tensors");
  for (size_t i = 0; i < names.size(); ++i) {
    if (counts[i] < 1 || counts[i] > kMost)
      return Status(Code::corrupt, names[i] + " has rows of " + std::to_string(counts[i]) + " values");
    columns[names[i]] = counts[i];
  }
  return columns;
}

// Of a tensor whose levels stand in the head.
Status make_book(WeightEntry& entry, const GgufTensor& tensor, const Gguf& gguf) {
  const auto numbers = TRY(gguf.numbers(Codebook::key(tensor.name)).with("reading " + tensor.name));
  auto made =
      Codebook::make(Codebook::bits_of_type(tensor.type), std::vector<float>(numbers.begin(), numbers.end()));
  if (!made.ok())
    return Status(Code::corrupt, tensor.name + ": " + std::string(std::move(made).status().message()));
  entry.own = std::move(made).value();
  entry.codec = entry.own.get();
  return {};
}

// Of a tensor whose rows are bytes.
Status make_coded(WeightEntry& entry, const GgufTensor& tensor, int64_t columns) {
  auto made = Df11::make(columns, tensor.shape[0]);
  if (!made.ok())
    return Status(Code::corrupt, tensor.name + ": " + std::string(std::move(made).status().message()));
  entry.own = std::move(made).value();
  entry.codec = entry.own.get();
  entry.cols = int32_t(columns);
  return {};
}

Result<WeightEntry> entry_of(const GgufTensor& tensor, const Columns& coded, const Gguf& gguf) {
  WeightEntry entry;
  entry.role = role_of(tensor.name);
  const auto columns = tensor.type == kGgufBytes ? coded.find(tensor.name) : coded.end();
  if (Codebook::bits_of_type(tensor.type) > 0) {
    TRY(make_book(entry, tensor, gguf));
  } else if (columns == coded.end()) {
    entry.codec = TRY(codec_for(tensor));
  }
  auto extent = [&](size_t i) { return i < tensor.shape.size() ? tensor.shape[i] : 1; };
  for (size_t i = 0; i < 3; ++i) {
    if (extent(i) < 1 || extent(i) > kMost) {
      return Status(Code::corrupt, tensor.name + " has an extent of " + std::to_string(extent(i)));
    }
  }
  if (extent(3) != 1) return Status(Code::unsupported, tensor.name + " has four dimensions");
  if (columns == coded.end()) {
    entry.cols = int32_t(extent(0));
  } else {
    TRY(make_coded(entry, tensor, columns->second));
  }
  entry.rows = int32_t(extent(1));
  entry.stack = int32_t(extent(2));
  entry.offset = tensor.offset;
  entry.bytes = tensor.bytes;
  const int64_t values = int64_t(entry.codec->block_values());
  if (entry.cols % values != 0 || entry.bytes % entry.stack != 0 ||
      entry.codec->bytes_for(int64_t(entry.rows) * entry.cols) != entry.bytes / entry.stack) {
    return Status(Code::corrupt, tensor.name + " does not fill whole blocks of " + std::to_string(values));
  }
  return entry;
}

}  // namespace

Result<std::vector<WeightEntry>> list_weights(const Gguf& gguf) {
  std::vector<WeightEntry> entries;
  std::set<std::string_view> seen;
  const Columns coded = TRY(coded_columns(gguf));
  entries.reserve(gguf.tensors().size());  // so that the views in `seen` stay valid
  for (const GgufTensor& tensor : gguf.tensors()) {
    entries.push_back(TRY(entry_of(tensor, coded, gguf)));
    if (!seen.insert(entries.back().role).second) {
      return Status(Code::corrupt, "two tensors have the role " + entries.back().role);
    }
  }
  return entries;
}

Result<WeightPin> WeightStore::pin_rows(WeightId id, int32_t first, int32_t count) const {
  const WeightEntry& entry = entries()[id];
  CHECK(entry.stack == 1 && first >= 0 && count > 0 && first + count <= entry.rows, "rows of one matrix");
  auto whole = std::make_shared<WeightPin>(TRY(pin(id)));
  Matrix part = **whole;
  const auto row = size_t(part.codec->bytes_for(part.cols));
  part.bytes = part.bytes.subspan(size_t(first) * row, size_t(count) * row), part.rows = count;
  return WeightPin(part, std::move(whole));
}

Result<WeightPin> WeightStore::pin_from(WeightId id, int32_t first, int32_t of_stack) const {
  if (first == 0) return pin(id, of_stack);
  CHECK(of_stack == 0, "a store without parts gives a matrix of a stack whole");
  return pin_rows(id, first, entries()[id].rows - first);
}

bool role_matches(std::string_view pattern, std::string_view role) {
  auto next = [](std::string_view& rest) {
    const size_t dot = rest.find('.');
    std::string_view part = rest.substr(0, dot);
    rest = dot == std::string_view::npos ? std::string_view() : rest.substr(dot + 1);
    return part;
  };
  if (std::count(pattern.begin(), pattern.end(), '.') != std::count(role.begin(), role.end(), '.'))
    return false;
  while (!pattern.empty() || !role.empty()) {
    const std::string_view wanted = next(pattern), part = next(role);
    if (wanted != "*" && wanted != part) return false;
  }
  return true;
}

}  // namespace varve
