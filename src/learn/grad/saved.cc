#include "learn/grad/saved.h"

#include <algorithm>

namespace varve {

Result<Saved::Place> Saved::place(const Score& score, const SlotPlan& plan, Slot slot) {
  const int32_t width = score.width(slot);
  if (plan.keep == Keep::recompute || width == 0 || slot == Slot::y) return Place{};
  // The sums are a few numbers a row: they are kept as they are.
  const Codec* codec = slot == Slot::sums ? TRY(codec_named("f32")) : plan.codec;
  CHECK(codec != nullptr, "a slot that is kept has a codec");
  if (width % int32_t(codec->block_values()) != 0) {
    return Status(Code::invalid, "slot " + std::string(to_string(slot)) + " has " + std::to_string(width) +
                                     " values a row: no whole blocks of " + std::string(codec->name()));
  }
  return Place{.bytes_a_row = codec->bytes_for(width),
               .codec = codec,
               .spilled = plan.keep == Keep::spill,
               .plan = plan};
}

Result<SavedBytes> Saved::bytes(const Score& score, std::span<const LayerPlan> layers, int32_t rows) {
  SavedBytes sum;
  for (const LayerPlan& layer : layers) {
    for (size_t slot = 0; slot < kSlots; ++slot) {
      const Place one = TRY(place(score, layer[slot], Slot(slot)));
      const int64_t bytes = one.bytes_a_row * one.plan.rows(rows);
      (one.spilled ? sum.spilled : sum.held) += bytes;
      if (one.spilled) sum.staging = std::max(sum.staging, bytes);
    }
  }
  return sum;
}

Result<Saved> Saved::make(const Score& score, std::span<const LayerPlan> layers, int32_t rows, Ledger& ledger,
                          std::unique_ptr<File> file) {
  const SavedBytes total = TRY(bytes(score, layers, rows));
  CHECK(total.spilled == 0 || file != nullptr, "what is spilled needs a file");
  Saved saved;
  saved.held_ = TRY(Buffer::make(ledger, Tag::activations, total.held));
  saved.staging_ = TRY(Buffer::make(ledger, Tag::activations, total.staging));
  saved.file_ = std::move(file);
  int64_t held = 0, spilled = 0;
  for (const LayerPlan& layer : layers) {
    Places& places = saved.layers_.emplace_back();
    for (size_t slot = 0; slot < kSlots; ++slot) {
      places[slot] = TRY(place(score, layer[slot], Slot(slot)));
      int64_t& next = places[slot].spilled ? spilled : held;
      places[slot].at = next;
      next += places[slot].bytes_a_row * places[slot].plan.rows(rows);
    }
  }
  return saved;
}

Status Saved::put(TrainOps& train, int32_t layer, Frame& frame) {
  for (size_t slot = 0; slot < kSlots; ++slot) {
    const Place& place = layers_[size_t(layer)][slot];
    if (place.codec == nullptr) continue;
    const Rows kept = place.kept(frame.value[slot]);
    const auto bytes = size_t(place.bytes_a_row * kept.count());
    const auto to =
        place.spilled ? staging_.bytes().first(bytes) : held_.bytes().subspan(size_t(place.at), bytes);
    train.save(kept, *place.codec, to);
    if (place.spilled) TRY(file_->write(place.at, to));
  }
  return {};
}

Result<std::array<int32_t, kSlots>> Saved::get(TrainOps& train, int32_t layer, Frame& frame) {
  std::array<int32_t, kSlots> there{};
  for (size_t slot = 0; slot < kSlots; ++slot) {
    const Place& place = layers_[size_t(layer)][slot];
    if (place.codec == nullptr) continue;
    const Rows kept = place.kept(frame.value[slot]);
    const auto bytes = size_t(place.bytes_a_row * kept.count());
    const auto from =
        place.spilled ? staging_.bytes().first(bytes) : held_.bytes().subspan(size_t(place.at), bytes);
    if (place.spilled) TRY(file_->read(place.at, from));
    train.restore(from, *place.codec, kept);
    there[slot] = kept.count();
  }
  return there;
}

}  // namespace varve
