// The reading side of neurons.h: everything is checked before it is used.
#include <cstring>

#include "core/base/checksum.h"
#include "run/weights/neurons.h"
#include "run/weights/neurons/layout.h"

namespace varve {
namespace {

constexpr int64_t kLine = 64;  // bytes

struct Kind {
  bool gated = true, whole = false, sketched = false;
};

Status unfit(const std::string& path, const std::string& why) {
  return Status(Code::corrupt, path + " " + why + ": 'varve neurons' writes it anew");
}

WeightId find(std::span<const WeightEntry> entries, const std::string& role) {
  for (WeightId id = 0; id < entries.size(); ++id)
    if (entries[id].role == role && entries[id].stack == 1) return id;
  return kNoWeight;
}

// Of a layer, where the model has weights of that shape.
Result<NeuronTable> table_of(const Gguf& gguf, int64_t layer, Kind kind, std::span<const WeightEntry> entries,
                             NeuronFile& file) {
  const auto other = [] { return Status(Code::corrupt, "does not fit the model"); };
  const std::string at = "blk." + std::to_string(layer) + ".";
  const bool gated = kind.gated;
  NeuronTable table;
  table.down = find(entries, at + "ffn_down");
  table.up = gated ? find(entries, at + "ffn_up") : kNoWeight;
  if (table.down == kNoWeight || (gated && table.up == kNoWeight)) return other();
  const WeightEntry& down = entries[table.down];
  if (down.codec->block_values() != 1) return other();
  if (gated) {
    const WeightEntry& up = entries[table.up];
    if (up.rows != down.cols || up.cols != down.rows) return other();
    table.up_bytes = up.codec->bytes_for(up.cols);
  }
  if (kind.whole) {
    table.first = find(entries, at + (gated ? "ffn_gate" : "ffn_up"));
    if (table.first == kNoWeight) return other();
    const WeightEntry& first = entries[table.first];
    if (first.rows != down.cols || first.cols != down.rows) return other();
    table.first_bytes = first.codec->bytes_for(first.cols);
  }
  const int64_t row =
      neurons::whole_blocks(table.first_bytes + table.up_bytes + down.codec->bytes_for(down.rows));
  if (file.neurons == 0) file.neurons = down.cols, file.row_bytes = row;
  const GgufTensor* rows = gguf.tensor(neurons::rows_name(layer));
  const GgufTensor* sums = gguf.tensor(neurons::sums_name(layer));
  const bool fits = row == file.row_bytes && down.cols == file.neurons && rows != nullptr &&
                    sums != nullptr && rows->type == kGgufBytes &&
                    rows->shape == std::vector<int64_t>{row, down.cols} && rows->offset % kDirectBytes == 0 &&
                    sums->type == kGgufBytes &&
                    sums->shape == std::vector<int64_t>{(int64_t(down.cols) + 1 + kind.sketched) * 4};
  if (!fits) return other();
  table.offset = rows->offset;
  return table;
}

Status damaged() {
  return Status(Code::corrupt, "is damaged, or was not finished");
}

Status read_sums(std::span<const std::byte> bytes, const Gguf& gguf, const std::vector<int64_t>& layers,
                 bool sketched, Ledger& ledger, NeuronFile& file) {
  const size_t own = size_t(file.neurons) * sizeof(uint32_t), summed = own + (sketched ? 4 : 0);
  file.sums = TRY(Buffer::make(ledger, Tag::weights, int64_t(own * layers.size())));
  for (size_t i = 0; i < layers.size(); ++i) {
    const auto from = bytes.subspan(size_t(gguf.tensor(neurons::sums_name(layers[i]))->offset), summed + 4);
    uint32_t all = 0;
    std::memcpy(&all, from.data() + summed, sizeof all);
    if (all != crc32c(from.first(summed))) return damaged();
    std::memcpy(file.sums.bytes().data() + i * own, from.data(), own);
  }
  return {};
}

// All layers' in one buffer: the sketch of a layer, its errors, the next layer's.
Status read_sketch(std::span<const std::byte> bytes, const Gguf& gguf, const std::vector<int64_t>& layers,
                   std::span<const WeightEntry> entries, Ledger& ledger, NeuronFile& file) {
  int64_t size = 0;
  const Codec* codec = nullptr;
  for (size_t i = 0; i < layers.size(); ++i) {
    const GgufTensor* sketch = gguf.tensor(neurons::sketch_name(layers[i]));
    const GgufTensor* errors = gguf.tensor(neurons::errors_name(layers[i]));
    const int64_t width = entries[file.tables[i].down].rows;
    const bool fits = sketch != nullptr && errors != nullptr && errors->type == 0 &&
                      sketch->shape == std::vector<int64_t>{width, file.neurons} &&
                      errors->shape == std::vector<int64_t>{file.neurons};
    if (!fits) return Status(Code::corrupt, "does not fit the model");
    codec = TRY(codec_of_gguf(sketch->type));
    file.tables[i].sketch_at = size;
    file.tables[i].errors_at = size += (sketch->bytes + kLine - 1) / kLine * kLine;
    size += (errors->bytes + kLine - 1) / kLine * kLine;
  }
  file.sketch = TRY(Buffer::make(ledger, Tag::weights, size).with("keeping a sketch of the gates"));
  for (size_t i = 0; i < layers.size(); ++i) {
    const GgufTensor* sketch = gguf.tensor(neurons::sketch_name(layers[i]));
    const GgufTensor* errors = gguf.tensor(neurons::errors_name(layers[i]));
    std::byte* to = file.sketch.bytes().data();
    std::memcpy(to + file.tables[i].sketch_at, bytes.data() + sketch->offset, size_t(sketch->bytes));
    std::memcpy(to + file.tables[i].errors_at, bytes.data() + errors->offset, size_t(errors->bytes));
    const auto held = [&](int64_t at, int64_t of) { return std::span(to + at, size_t(of)); };
    const uint32_t sum = crc32c(held(file.tables[i].errors_at, errors->bytes),
                                crc32c(held(file.tables[i].sketch_at, sketch->bytes)));
    uint32_t known = 0;
    std::memcpy(&known,
                bytes.data() + gguf.tensor(neurons::sums_name(layers[i]))->offset + int64_t(file.neurons) * 4,
                sizeof known);
    if (sum != known) return damaged();
  }
  file.sketch_codec = codec;
  return {};
}

Result<NeuronFile> read(Env& env, const std::string& path, const Hash256& fingerprint,
                        std::span<const WeightEntry> entries, Ledger& ledger, bool with_sketch) {
  const auto mapping = TRY(env.map(path));
  const Gguf gguf = TRY(Gguf::parse(mapping->bytes()));
  if (TRY(gguf.string(neurons::kModel)) != fingerprint.hex())
    return Status(Code::corrupt, "was made of another model");
  Kind kind{.gated = TRY(gguf.boolean(neurons::kGated))};
  if (gguf.find(neurons::kWhole) != nullptr) kind.whole = TRY(gguf.boolean(neurons::kWhole));
  NeuronFile file{.path = path};
  if (gguf.find(neurons::kIdle) != nullptr) file.idle = TRY(gguf.boolean(neurons::kIdle));
  std::vector<int64_t> layers;
  for (int64_t layer = 0; layer < int64_t(entries.size()); ++layer) {
    if (gguf.tensor(neurons::rows_name(layer)) == nullptr) continue;
    kind.sketched = gguf.tensor(neurons::sketch_name(layer)) != nullptr;
    file.tables.push_back(TRY(table_of(gguf, layer, kind, entries, file)));
    layers.push_back(layer);
  }
  if (layers.empty() || int64_t(layers.size()) * file.neurons > INT32_MAX)
    return Status(Code::corrupt, "does not fit the model");
  TRY(read_sums(mapping->bytes(), gguf, layers, kind.sketched, ledger, file));
  if (with_sketch && kind.sketched) TRY(read_sketch(mapping->bytes(), gguf, layers, entries, ledger, file));
  return file;
}

}  // namespace

std::string neurons_path(const std::string& model) {
  return model + ".neurons";
}

Result<NeuronFile> open_neuron_file(Env& env, const std::string& model, const Hash256& fingerprint,
                                    std::span<const WeightEntry> entries, Ledger& ledger, bool with_sketch) {
  const std::string path = neurons_path(model);
  if (!TRY(env.exists(path))) return Status(Code::not_found, "there is no " + path);
  auto file = read(env, path, fingerprint, entries, ledger, with_sketch);
  if (file.ok() || file.code() == Code::io || file.code() == Code::over_budget) return file;
  return unfit(path, std::string(std::move(file).status().message()));
}

}  // namespace varve
