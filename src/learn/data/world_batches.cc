#include "learn/data/world_batches.h"

namespace varve {
namespace {

constexpr uint64_t kItems = 1 << 12;  // that a batch may look at: its own, no other batch's
constexpr int kMisses = 8;            // items that do not fit into what is left, before it is left

}  // namespace

Status WorldBatches::fill(int64_t step, int32_t part, TextBatch& out) const {
  out.clear();
  const uint64_t first = (uint64_t(step) * uint64_t(shape_.parts) + uint64_t(part)) * kItems;
  Example example;
  int misses = 0;
  for (uint64_t i = 0; i < kItems && (misses < kMisses || out.tokens.empty()); ++i) {
    const world::Item item = world_.item(first + i);
    TRY(encode_example(world_.to_json(item, first + i), shape_.feed, example));
    if (int32_t(example.tokens.size()) > shape_.feed.length) continue;
    if (example.tokens.size() + out.tokens.size() > size_t(shape_.rows)) {
      ++misses;
      continue;
    }
    append(example, item.messages.size() == 0, out);
  }
  return out.tokens.empty() ? Status(Code::invalid, "no item of this world is short enough") : Status();
}

void WorldBatches::append(const Example& example, bool prose, TextBatch& out) const {
  out.starts.push_back(int32_t(out.tokens.size()));
  for (size_t i = 0; i < example.tokens.size(); ++i) {
    const bool last = i + 1 == example.tokens.size();
    const float weight = last ? 0 : example.learn[i + 1] != 0 && !prose ? 1 : shape_.context;
    out.tokens.push_back(example.tokens[i]);
    out.targets.push_back(weight == 0 ? -1 : example.tokens[i + 1]);
    out.weights.push_back(weight);
  }
}

}  // namespace varve
