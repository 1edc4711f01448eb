// The reading side of neurons.h: everything is checked before it is used.
#include <cstring>

#include "core/base/checksum.h"
#include "run/weights/neurons.h"
#include "run/weights/neurons/layout.h"

namespace varve {
namespace {

Status unfit(const std::string& path, const std::string& why) {
  return Status(Code::corrupt, path + " " + why + ": 'varve neurons' writes it anew");
}

WeightId find(std::span<const WeightEntry> entries, const std::string& role) {
  for (WeightId id = 0; id < entries.size(); ++id)
    if (entries[id].role == role && entries[id].stack == 1) return id;
  return kNoWeight;
}

// Of a layer, where the model has weights of that shape.
Result<NeuronTable> table_of(const Gguf& gguf, int64_t layer, bool gated,
                             std::span<const WeightEntry> entries, NeuronFile& file) {
  const auto other = [] { return Status(Code::corrupt, "does not fit the model"); };
  const std::string at = "blk." + std::to_string(layer) + ".";
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
  const int64_t row = neurons::whole_blocks(table.up_bytes + down.codec->bytes_for(down.rows));
  if (file.neurons == 0) file.neurons = down.cols, file.row_bytes = row;
  const GgufTensor* rows = gguf.tensor(neurons::rows_name(layer));
  const GgufTensor* sums = gguf.tensor(neurons::sums_name(layer));
  const bool fits = row == file.row_bytes && down.cols == file.neurons && rows != nullptr &&
                    sums != nullptr && rows->type == kGgufBytes &&
                    rows->shape == std::vector<int64_t>{row, down.cols} && rows->offset % kDirectBytes == 0 &&
                    sums->type == kGgufBytes &&
                    sums->shape == std::vector<int64_t>{(int64_t(down.cols) + 1) * 4};
  if (!fits) return other();
  table.offset = rows->offset;
  return table;
}

Status read_sums(std::span<const std::byte> bytes, const Gguf& gguf, const std::vector<int64_t>& layers,
                 Ledger& ledger, NeuronFile& file) {
  const size_t own = size_t(file.neurons) * sizeof(uint32_t);
  file.sums = TRY(Buffer::make(ledger, Tag::weights, int64_t(own * layers.size())));
  for (size_t i = 0; i < layers.size(); ++i) {
    const auto from = bytes.subspan(size_t(gguf.tensor(neurons::sums_name(layers[i]))->offset), own + 4);
    uint32_t all = 0;
    std::memcpy(&all, from.data() + own, sizeof all);
    if (all != crc32c(from.first(own))) return Status(Code::corrupt, "is damaged, or was not finished");
    std::memcpy(file.sums.bytes().data() + i * own, from.data(), own);
  }
  return {};
}

Result<NeuronFile> read(Env& env, const std::string& path, const Hash256& fingerprint,
                        std::span<const WeightEntry> entries, Ledger& ledger) {
  const auto mapping = TRY(env.map(path));
  const Gguf gguf = TRY(Gguf::parse(mapping->bytes()));
  if (TRY(gguf.string(neurons::kModel)) != fingerprint.hex())
    return Status(Code::corrupt, "was made of another model");
  const bool gated = TRY(gguf.boolean(neurons::kGated));
  NeuronFile file{.path = path};
  std::vector<int64_t> layers;
  for (int64_t layer = 0; layer < int64_t(entries.size()); ++layer) {
    if (gguf.tensor(neurons::rows_name(layer)) == nullptr) continue;
    file.tables.push_back(TRY(table_of(gguf, layer, gated, entries, file)));
    layers.push_back(layer);
  }
  if (layers.empty() || int64_t(layers.size()) * file.neurons > INT32_MAX)
    return Status(Code::corrupt, "does not fit the model");
  TRY(read_sums(mapping->bytes(), gguf, layers, ledger, file));
  return file;
}

}  // namespace

std::string neurons_path(const std::string& model) {
  return model + ".neurons";
}

Result<NeuronFile> open_neuron_file(Env& env, const std::string& model, const Hash256& fingerprint,
                                    std::span<const WeightEntry> entries, Ledger& ledger) {
  const std::string path = neurons_path(model);
  if (!TRY(env.exists(path))) return Status(Code::not_found, "there is no " + path);
  auto file = read(env, path, fingerprint, entries, ledger);
  if (file.ok() || file.code() == Code::io || file.code() == Code::over_budget) return file;
  return unfit(path, std::string(std::move(file).status().message()));
}

}  // namespace varve
