// The writing side of neurons.h. Columns of ffn_down become rows, some at a time.
#include <algorithm>
#include <cstring>

#include "core/base/checksum.h"
#include "core/format/gguf_head.h"
#include "run/weights/neurons.h"
#include "run/weights/neurons/layout.h"

namespace varve {
namespace {

constexpr int64_t kReadBytes = 4 << 20, kMostTile = 256 << 20;
constexpr uint32_t kAlignment = uint32_t(kDirectBytes);

struct Layer {
  const WeightEntry *up = nullptr, *down = nullptr;  // up: where a gate says who fires
  int64_t rows_at = 0, sums_at = 0;                  // in the new file
};

class NeuronWriter {
 public:
  NeuronWriter(Env& env, const std::string& model, Ledger& ledger)
      : env_(env), model_(model), out_(neurons_path(model)), work_(out_ + ".part"), ledger_(ledger) {}

  Status find(const std::vector<WeightEntry>& entries, const NeuronPlan& plan);
  Status begin(const Gguf& gguf, const Hash256& fingerprint, const NeuronPlan& plan);
  Status run(const NeuronProgress& progress);

 private:
  int64_t up_bytes() const { return layers_[0].up == nullptr ? 0 : row_bytes_of(*layers_[0].up); }
  static int64_t row_bytes_of(const WeightEntry& entry) { return entry.codec->bytes_for(entry.cols); }
  bool is_done(const Layer& layer) const;
  Status write_layer(const Layer& layer, std::span<std::byte> tile, std::span<std::byte> room);
  Status fill_up(const Layer& layer, int32_t first, int32_t count, std::span<std::byte> tile);
  Status fill_down(const Layer& layer, int32_t first, int32_t count, std::span<std::byte> tile,
                   std::span<std::byte> room);

  Env& env_;
  const std::string model_, out_, work_;
  Ledger& ledger_;
  std::vector<Layer> layers_;
  int32_t neurons_ = 0;
  int64_t element_ = 0, row_bytes_ = 0;
  std::unique_ptr<File> from_, file_;
};

Status NeuronWriter::find(const std::vector<WeightEntry>& entries, const NeuronPlan& plan) {
  const auto found = [&](const std::string& role) {
    const auto at = std::find_if(entries.begin(), entries.end(), [&](auto& one) { return one.role == role; });
    return at == entries.end() ? nullptr : &*at;
  };
  for (const int32_t number : plan.layers) {
    const std::string at = "blk." + std::to_string(number) + ".";
    const Layer layer{plan.gated ? found(at + "ffn_up") : nullptr, found(at + "ffn_down")};
    if (layer.down == nullptr || (plan.gated && layer.up == nullptr))
      return Status(Code::invalid, model_ + " has no " + at + "ffn_up or ffn_down");
    if (layer.down->codec->block_values() != 1)
      return Status(Code::unsupported, layer.down->role + " is in blocks of " +
                                           std::string(layer.down->codec->name()) +
                                           ", of which a neuron's column is none; f32, f16 and bf16 can be "
                                           "read by neuron");
    layers_.push_back(layer);
  }
  if (layers_.empty())
    return Status(Code::unsupported, model_ + " has no feed-forward network of the ReLU family");
  const WeightEntry& down = *layers_[0].down;
  neurons_ = down.cols, element_ = int64_t(down.codec->block_bytes());
  row_bytes_ = neurons::whole_blocks(up_bytes() + down.codec->bytes_for(down.rows));
  for (const Layer& one : layers_) {
    const bool alike = one.down->cols == neurons_ && one.down->rows == down.rows &&
                       one.down->codec == down.codec &&
                       (one.up == nullptr || one.up->codec == layers_[0].up->codec);
    if (!alike) return Status(Code::unsupported, one.down->role + " differs from those of other layers");
  }
  return {};
}

// A part of a former run with the same head goes on.
Status NeuronWriter::begin(const Gguf& gguf, const Hash256& fingerprint, const NeuronPlan& plan) {
  auto metadata = gguf.metadata();
  std::erase_if(metadata, [](const auto& one) { return one.first != "general.architecture"; });
  GgufValue text, flag, number;
  text.type = GgufType::string, text.held = fingerprint.hex();
  flag.type = GgufType::boolean, flag.held = plan.gated;
  number.type = GgufType::u32, number.held = int64_t(kAlignment);
  metadata[neurons::kModel] = text, metadata[neurons::kGated] = flag, metadata["general.alignment"] = number;
  std::vector<GgufTensor> tensors;
  for (const int32_t layer : plan.layers) {
    tensors.push_back(
        {neurons::rows_name(layer), kGgufBytes, {row_bytes_, neurons_}, 0, row_bytes_ * neurons_});
    tensors.push_back(
        {neurons::sums_name(layer), kGgufBytes, {(neurons_ + 1ll) * 4}, 0, (neurons_ + 1ll) * 4});
  }
  const GgufHead head = TRY(gguf_head(3, metadata, tensors));
  auto at = int64_t(head.bytes.size());
  for (size_t i = 0; i < layers_.size(); ++i) {
    layers_[i].rows_at = at;
    layers_[i].sums_at = at += row_bytes_ * neurons_;
    at = neurons::whole_blocks(at + (neurons_ + 1ll) * 4);
  }
  from_ = TRY(env_.open(model_, Open::read));
  const bool again = TRY(env_.exists(work_));
  file_ = TRY(env_.open(work_, again ? Open::write : Open::create));
  std::vector<std::byte> before(head.bytes.size());
  if (again && TRY(file_->size()) == at && file_->read(0, before).ok() && before == head.bytes) return {};
  TRY(file_->truncate(0));
  TRY(file_->truncate(at).with("making room for " + out_));
  return file_->write(0, head.bytes);
}

bool NeuronWriter::is_done(const Layer& layer) const {
  std::vector<std::byte> sums((size_t(neurons_) + 1) * 4);
  if (!file_->read(layer.sums_at, sums).ok()) return false;
  uint32_t all = 0;
  std::memcpy(&all, sums.data() + sums.size() - 4, 4);
  return all == crc32c(std::span(sums).first(sums.size() - 4));
}

Status NeuronWriter::fill_up(const Layer& layer, int32_t first, int32_t count, std::span<std::byte> tile) {
  if (layer.up == nullptr) return {};
  for (int32_t i = 0; i < count; ++i) {
    const auto row = tile.subspan(size_t(i * row_bytes_), size_t(up_bytes()));
    TRY(from_->read(layer.up->offset + (first + i) * up_bytes(), row).with("reading " + layer.up->role));
  }
  return {};
}

// room: some rows of ffn_down, of which these neurons' part.
Status NeuronWriter::fill_down(const Layer& layer, int32_t first, int32_t count, std::span<std::byte> tile,
                               std::span<std::byte> room) {
  const int64_t row = row_bytes_of(*layer.down), part = count * element_;
  const int32_t width = layer.down->rows;
  const auto at_once = int32_t(count == neurons_ ? std::max<int64_t>(1, int64_t(room.size()) / row) : 1);
  for (int32_t from = 0; from < width; from += at_once) {
    const int32_t some = std::min(at_once, width - from);
    const auto bytes = room.first(size_t(some * part));
    TRY(from_->read(layer.down->offset + from * row + first * element_, bytes)
            .with("reading " + layer.down->role));
    for (int32_t i = 0; i < count; ++i) {
      std::byte* to = tile.data() + i * row_bytes_ + up_bytes() + from * element_;
      for (int32_t j = 0; j < some; ++j)
        std::memcpy(to + j * element_, bytes.data() + j * part + i * element_, size_t(element_));
    }
  }
  return {};
}

Status NeuronWriter::write_layer(const Layer& layer, std::span<std::byte> tile, std::span<std::byte> room) {
  const auto at_once = int32_t(int64_t(tile.size()) / row_bytes_);
  std::vector<uint32_t> sums(size_t(neurons_) + 1);
  for (int32_t first = 0; first < neurons_; first += at_once) {
    const int32_t count = std::min(at_once, neurons_ - first);
    TRY(fill_up(layer, first, count, tile));
    TRY(fill_down(layer, first, count, tile, room));
    for (int32_t i = 0; i < count; ++i)
      sums[size_t(first + i)] = crc32c_of_quarters(tile.subspan(size_t(i * row_bytes_), size_t(row_bytes_)));
    TRY(file_->write(layer.rows_at + first * row_bytes_, tile.first(size_t(count * row_bytes_))));
  }
  TRY(file_->sync());
  sums.back() = crc32c(std::as_bytes(std::span(sums).first(size_t(neurons_))));
  TRY(file_->write(layer.sums_at, std::as_bytes(std::span(sums))));
  return file_->sync();
}

Status NeuronWriter::run(const NeuronProgress& progress) {
  const int64_t left = (ledger_.limit() - ledger_.used()) / 2;
  const int64_t most = std::min({left, kMostTile, row_bytes_ * neurons_});
  Buffer tile = TRY(Buffer::make(ledger_, Tag::io, std::max(row_bytes_, most / row_bytes_ * row_bytes_)));
  Buffer room = TRY(Buffer::make(ledger_, Tag::io, std::max(kReadBytes, row_bytes_of(*layers_[0].down))));
  const int64_t each = row_bytes_ * neurons_, all = each * int64_t(layers_.size());
  for (size_t i = 0; i < layers_.size(); ++i) {
    if (progress) progress(int64_t(i) * each, all);
    if (!is_done(layers_[i])) TRY(write_layer(layers_[i], tile.bytes(), room.bytes()));
  }
  file_.reset();
  TRY(env_.rename(work_, out_));
  if (progress) progress(all, all);
  return {};
}

}  // namespace

Status write_neuron_file(Env& env, const std::string& model, const Gguf& gguf, const Hash256& fingerprint,
                         const NeuronPlan& plan, Ledger& ledger, const NeuronProgress& progress) {
  const auto entries = TRY(list_weights(gguf).with("listing the weights of " + model));
  NeuronWriter writer(env, model, ledger);
  TRY(writer.find(entries, plan));
  TRY(writer.begin(gguf, fingerprint, plan));
  return writer.run(progress).with("writing " + neurons_path(model));
}

}  // namespace varve
