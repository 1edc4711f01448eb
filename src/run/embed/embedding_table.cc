#include "run/embed/embedding_table.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "math/codec/codec.h"

namespace varve {
namespace {

constexpr int64_t kMostWidth = 65536, kMostRows = int64_t(1) << 31;
constexpr int64_t kSlice = 256;  // values that are decoded at a time
constexpr const char* kCodecs[] = {"", "f16", "bf16", "f32"};

Status wrong(const std::string& what) {
  return Status(Code::invalid, "the table of embeddings " + what);
}

// A tensor of numbers, one a token, as doubles: 64 bits of them are enough for token ids.
Result<std::vector<double>> numbers(const SafeTensor& tensor, std::span<const std::byte> file) {
  const auto bytes = file.subspan(size_t(tensor.offset), size_t(tensor.bytes));
  std::vector<double> out;
  const auto take = [&]<class T>(T value) {
    for (size_t at = 0; at + sizeof value <= bytes.size(); at += sizeof value) {
      std::memcpy(&value, bytes.data() + at, sizeof value);
      out.push_back(double(value));
    }
  };
  if (tensor.dtype == "F32") {
    take(float());
  } else if (tensor.dtype == "F64") {
    take(double());
  } else if (tensor.dtype == "I32") {
    take(int32_t());
  } else if (tensor.dtype == "I64") {
    take(int64_t());
  } else {
    return wrong("has '" + tensor.name + "' of type " + tensor.dtype + "; F32, F64, I32 and I64 are read");
  }
  return out;
}

}  // namespace

Status EmbeddingTable::read_head(const SafeTensors& tensors) {
  const SafeTensor* table = tensors.find("embeddings");
  if (table == nullptr) table = tensors.find("embedding.weight");
  if (table == nullptr || table->shape.size() != 2 || table->shape[1] < 1 || table->shape[1] > kMostWidth ||
      table->shape[0] > kMostRows) {
    return wrong("has no two-dimensional tensor 'embeddings'");
  }
  constexpr std::array<std::string_view, 4> kTypes = {"I8", "F16", "BF16", "F32"};
  constexpr std::array<int64_t, 4> kBytes = {1, 2, 2, 4};
  const auto type = std::find(kTypes.begin(), kTypes.end(), table->dtype);
  if (type == kTypes.end()) {
    return Status(Code::unsupported,
                  "embeddings of type " + table->dtype + "; I8, F16, BF16 and F32 are read");
  }
  kind_ = Kind(type - kTypes.begin());
  rows_ = table->shape[0];
  width_ = int(table->shape[1]);
  row_bytes_ = width_ * kBytes[size_t(kind_)];
  offset_ = table->offset;
  return {};
}

Status EmbeddingTable::read_tokens(const SafeTensors& tensors, std::span<const std::byte> file) {
  if (const SafeTensor* mapping = tensors.find("mapping")) {
    for (const double row : TRY(numbers(*mapping, file))) {
      if (!(row >= 0 && row < double(rows_))) return wrong("maps a token to a row that is not there");
      mapping_.push_back(int32_t(row));
    }
  }
  if (const SafeTensor* weights = tensors.find("weights")) {
    for (const double weight : TRY(numbers(*weights, file))) {
      if (!std::isfinite(weight)) return wrong("has a weight that is not finite");
      weights_.push_back(float(weight));
    }
    if (int64_t(weights_.size()) != tokens()) return wrong("has not as many weights as tokens");
  }
  return {};
}

Result<EmbeddingTable> EmbeddingTable::open(Env& env, const std::string& path, Ledger& ledger) {
  const auto mapping = TRY(env.map(path));
  const SafeTensors tensors = TRY(SafeTensors::parse(mapping->bytes()));
  EmbeddingTable table;
  int64_t beside = 0;
  for (const char* name : {"mapping", "weights"}) {
    if (const SafeTensor* found = tensors.find(name)) beside += found->bytes;
  }
  table.booked_ = TRY(ledger.reserve(Tag::index, beside));
  TRY(table.read_head(tensors));
  TRY(table.read_tokens(tensors, mapping->bytes()));
  auto buffer = Buffer::make(ledger, Tag::index, table.rows_ * table.row_bytes_);
  if (buffer.ok()) {
    table.table_ = std::move(buffer).value();
    std::memcpy(table.table_.bytes().data(), mapping->bytes().data() + table.offset_,
                size_t(table.table_.size()));
  } else {
    table.file_ = TRY(env.open(path, Open::read));
  }
  return table;
}

Status EmbeddingTable::add(int64_t token, std::span<float> sum) const {
  if (token < 0 || token >= tokens()) return {};
  const int64_t row = mapping_.empty() ? token : mapping_[size_t(token)];
  const float weight = weights_.empty() ? 1 : weights_[size_t(token)];
  std::array<std::byte, kSlice * sizeof(float)> read;
  std::array<float, kSlice> values;
  const int64_t each = row_bytes_ / width_;
  for (int64_t at = 0; at < width_; at += kSlice) {
    const int64_t count = std::min(kSlice, width_ - at), begin = row * row_bytes_ + at * each;
    std::span<const std::byte> bytes;
    if (file_ == nullptr) {
      bytes = table_.bytes().subspan(size_t(begin), size_t(count * each));
    } else {
      TRY(file_->read(offset_ + begin, std::span(read).first(size_t(count * each))));
      bytes = std::span(read).first(size_t(count * each));
    }
    float* to = sum.data() + at;
    if (kind_ == Kind::i8) {  // one scale for all, which the final scaling to length 1 cancels
      const auto* small = reinterpret_cast<const int8_t*>(bytes.data());
      for (int64_t i = 0; i < count; ++i) to[i] += weight * float(small[i]);
      continue;
    }
    TRY(codec_named(kCodecs[size_t(kind_)]))->decode(bytes, std::span(values).first(size_t(count)));
    for (int64_t i = 0; i < count; ++i) to[i] += weight * values[size_t(i)];
  }
  return {};
}

}  // namespace varve
