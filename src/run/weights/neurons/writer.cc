// The writing side of neurons.h. Columns of ffn_down become rows, some at a time.
#include <algorithm>
#include <cmath>
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
  const WeightEntry* first = nullptr;                              // of whole neurons: what says who fires
  const WeightEntry *up = nullptr, *down = nullptr;                // up: where a gate says who fires
  int64_t rows_at = 0, sums_at = 0, sketch_at = 0, errors_at = 0;  // in the new file
};

class NeuronWriter {
 public:
  NeuronWriter(Env& env, const std::string& model, Ledger& ledger)
      : env_(env), model_(model), out_(neurons_path(model)), work_(out_ + ".part"), ledger_(ledger) {}

  Status find(const std::vector<WeightEntry>& entries, const NeuronPlan& plan);
  Status begin(const Gguf& gguf, const Hash256& fingerprint, const NeuronPlan& plan);
  Status run(const NeuronProgress& progress);

 private:
  static int64_t row_bytes_if(const WeightEntry* entry) {
    return entry == nullptr ? 0 : row_bytes_of(*entry);
  }
  int64_t first_bytes() const { return row_bytes_if(layers_[0].first); }
  int64_t up_bytes() const { return row_bytes_if(layers_[0].up); }
  int64_t sketch_bytes() const { return sketch_ == nullptr ? 0 : sketch_->bytes_for(layers_[0].first->cols); }
  int64_t sums_bytes() const { return (neurons_ + 1ll + (sketch_ != nullptr)) * 4; }
  static int64_t row_bytes_of(const WeightEntry& entry) { return entry.codec->bytes_for(entry.cols); }
  bool is_done(const Layer& layer) const;
  Status write_layer(const Layer& layer, std::span<std::byte> tile, std::span<std::byte> room);
  Status fill_rows(const WeightEntry* entry, int32_t first, int32_t count, std::span<std::byte> tile,
                   int64_t at);
  void sketch(const Layer& layer, std::span<const std::byte> row, std::span<std::byte> out,
              float& error) const;
  Status write_sketch(const Layer& layer, int32_t first, int32_t count, std::span<const std::byte> tile);
  Status fill_down(const Layer& layer, int32_t first, int32_t count, std::span<std::byte> tile,
                   std::span<std::byte> room);

  Env& env_;
  const std::string model_, out_, work_;
  Ledger& ledger_;
  std::vector<Layer> layers_;
  const Codec* sketch_ = nullptr;
  int32_t neurons_ = 0;
  int64_t element_ = 0, row_bytes_ = 0;
  uint32_t sketch_sum_ = 0;    // so far
  std::vector<float> errors_;  // of a layer
  std::unique_ptr<File> from_, file_;
};

Status NeuronWriter::find(const std::vector<WeightEntry>& entries, const NeuronPlan& plan) {
  const auto found = [&](const std::string& role) {
    const auto at = std::find_if(entries.begin(), entries.end(), [&](auto& one) { return one.role == role; });
    return at == entries.end() ? nullptr : &*at;
  };
  for (const int32_t number : plan.layers) {
    const std::string at = "blk." + std::to_string(number) + ".";
    const WeightEntry* first = found(at + (plan.gated ? "ffn_gate" : "ffn_up"));
    const Layer layer{plan.whole ? first : nullptr, plan.gated ? found(at + "ffn_up") : nullptr,
                      found(at + "ffn_down")};
    if (layer.down == nullptr || first == nullptr || (plan.gated && layer.up == nullptr))
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
  sketch_ = plan.sketch;
  row_bytes_ = neurons::whole_blocks(first_bytes() + up_bytes() + down.codec->bytes_for(down.rows));
  for (const Layer& one : layers_) {
    const bool alike = one.down->cols == neurons_ && one.down->rows == down.rows &&
                       one.down->codec == down.codec &&
                       (one.up == nullptr || one.up->codec == layers_[0].up->codec) &&
                       (one.first == nullptr || one.first->codec == layers_[0].first->codec);
    if (!alike) return Status(Code::unsupported, one.down->role + " differs from those of other layers");
  }
  if (sketch_ == nullptr) return {};
  if (!sketch_->gguf_type() || down.rows % int64_t(sketch_->block_values()) != 0)
    return Status(Code::invalid, "rows of " + std::to_string(down.rows) + " values are no whole blocks of " +
                                     std::string(sketch_->name()) + "; sketch them in q4_0 or q8_0");
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
  if (!plan.idle) flag.held = false, metadata[neurons::kIdle] = flag;
  if (plan.whole) flag.held = true, metadata[neurons::kWhole] = flag;
  flag.held = plan.gated;
  metadata[neurons::kModel] = text, metadata[neurons::kGated] = flag, metadata["general.alignment"] = number;
  std::vector<GgufTensor> tensors;
  for (const int32_t layer : plan.layers) {
    tensors.push_back(
        {neurons::rows_name(layer), kGgufBytes, {row_bytes_, neurons_}, 0, row_bytes_ * neurons_});
    tensors.push_back({neurons::sums_name(layer), kGgufBytes, {sums_bytes()}, 0, sums_bytes()});
    if (sketch_ == nullptr) continue;
    tensors.push_back({neurons::sketch_name(layer),
                       *sketch_->gguf_type(),
                       {layers_[0].first->cols, neurons_},
                       0,
                       sketch_bytes() * neurons_});
    tensors.push_back({neurons::errors_name(layer), 0, {neurons_}, 0, neurons_ * 4ll});
  }
  const GgufHead head = TRY(gguf_head(3, metadata, tensors));
  auto at = int64_t(head.bytes.size());
  for (size_t i = 0; i < layers_.size(); ++i) {
    layers_[i].rows_at = at;
    layers_[i].sums_at = at += row_bytes_ * neurons_;
    at = neurons::whole_blocks(at + sums_bytes());
    if (sketch_ == nullptr) continue;
    layers_[i].sketch_at = at;
    layers_[i].errors_at = at = neurons::whole_blocks(at + sketch_bytes() * neurons_);
    at = neurons::whole_blocks(at + neurons_ * 4ll);
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
  std::vector<std::byte> sums(static_cast<size_t>(sums_bytes()));
  if (!file_->read(layer.sums_at, sums).ok()) return false;
  uint32_t all = 0;
  std::memcpy(&all, sums.data() + sums.size() - 4, 4);
  return all == crc32c(std::span(sums).first(sums.size() - 4));
}

// Rows of a matrix, `at` bytes into those of the neurons.
Status NeuronWriter::fill_rows(const WeightEntry* entry, int32_t first, int32_t count,
                               std::span<std::byte> tile, int64_t at) {
  if (entry == nullptr) return {};
  const int64_t bytes = row_bytes_of(*entry);
  for (int32_t i = 0; i < count; ++i) {
    const auto row = tile.subspan(size_t(i * row_bytes_ + at), size_t(bytes));
    TRY(from_->read(entry->offset + (first + i) * bytes, row).with("reading " + entry->role));
  }
  return {};
}

// error: the norm of what it leaves out of the row.
void NeuronWriter::sketch(const Layer& layer, std::span<const std::byte> row, std::span<std::byte> out,
                          float& error) const {
  std::vector<float> values(size_t(layer.first->cols)), again(values.size());
  layer.first->codec->decode(row, values);
  sketch_->encode(values, out);
  sketch_->decode(out, again);
  double sum = 0;
  for (size_t i = 0; i < values.size(); ++i) sum += std::pow(double(values[i]) - double(again[i]), 2);
  error = float(std::sqrt(sum));
}

Status NeuronWriter::write_sketch(const Layer& layer, int32_t first, int32_t count,
                                  std::span<const std::byte> tile) {
  const auto own = size_t(sketch_bytes());
  std::vector<std::byte> rows(own * size_t(count));
  for (int32_t i = 0; i < count; ++i)
    sketch(layer, tile.subspan(size_t(i * row_bytes_), size_t(first_bytes())),
           std::span(rows).subspan(size_t(i) * own, own), errors_[size_t(first + i)]);
  sketch_sum_ = crc32c(rows, sketch_sum_);
  return file_->write(layer.sketch_at + first * int64_t(own), rows);
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
      std::byte* to = tile.data() + i * row_bytes_ + first_bytes() + up_bytes() + from * element_;
      for (int32_t j = 0; j < some; ++j)
        std::memcpy(to + j * element_, bytes.data() + j * part + i * element_, size_t(element_));
    }
  }
  return {};
}

Status NeuronWriter::write_layer(const Layer& layer, std::span<std::byte> tile, std::span<std::byte> room) {
  const auto at_once = int32_t(int64_t(tile.size()) / row_bytes_);
  std::vector<uint32_t> sums(size_t(sums_bytes()) / 4);
  sketch_sum_ = 0;
  errors_.assign(size_t(neurons_), 0);
  for (int32_t first = 0; first < neurons_; first += at_once) {
    const int32_t count = std::min(at_once, neurons_ - first);
    TRY(fill_rows(layer.first, first, count, tile, 0));
    TRY(fill_rows(layer.up, first, count, tile, first_bytes()));
    TRY(fill_down(layer, first, count, tile, room));
    for (int32_t i = 0; i < count; ++i)
      sums[size_t(first + i)] = crc32c_of_quarters(tile.subspan(size_t(i * row_bytes_), size_t(row_bytes_)));
    TRY(file_->write(layer.rows_at + first * row_bytes_, tile.first(size_t(count * row_bytes_))));
    if (sketch_ != nullptr) TRY(write_sketch(layer, first, count, tile));
  }
  if (sketch_ != nullptr) {
    const auto errors = std::as_bytes(std::span(errors_));
    TRY(file_->write(layer.errors_at, errors));
    sums[size_t(neurons_)] = crc32c(errors, sketch_sum_);
  }
  TRY(file_->sync());
  sums.back() = crc32c(std::as_bytes(std::span(sums).first(sums.size() - 1)));
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
