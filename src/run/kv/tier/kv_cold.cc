#include "run/kv/tier/kv_cold.h"

#include <algorithm>

namespace varve {

ColdPages::~ColdPages() {
  for (auto& layers : slots_) {
    for (KvSwap::Slot& slot : layers) pool_.disk->drop(slot);
  }
}

Status ColdPages::write(std::span<const KvPagePtr> block) {
  const auto heads = size_t(pool_.shape.kv_heads);
  std::vector<KvSwap::Slot> slots;
  for (size_t lane = 0; lane < block.size(); lane += heads) {
    auto slot = pool_.disk->write(block.subspan(lane, heads));
    if (!slot.ok()) {
      for (KvSwap::Slot& one : slots) pool_.disk->drop(one);
      return std::move(slot).status();
    }
    slots.push_back(std::move(*slot));
  }
  slots_.push_back(std::move(slots));
  return {};
}

Status ColdPages::read(size_t block, int32_t lane, std::span<const KvPagePtr> pages) const {
  const int32_t heads = pool_.shape.kv_heads;
  return pool_.disk->read(slots_[block][size_t(lane / heads)], pages, size_t(lane % heads))
      .with("reading attention state from the disk");
}

int64_t LayerStages::lacks(int64_t blocks) const {
  int64_t lacks = 0;
  for (const Stage& one : stages_) lacks += std::max<int64_t>(0, blocks * heads_ - int64_t(one.pages.size()));
  return lacks;
}

void LayerStages::give(int64_t blocks, std::vector<KvPagePtr>& from) {
  for (Stage& one : stages_) {
    for (; int64_t(one.pages.size()) < blocks * heads_; from.pop_back())
      one.pages.push_back(std::move(from.back()));
  }
}

void LayerStages::clear() {
  settle().ignore("it is read again");
  for (Stage& one : stages_) one.layer = -1, one.pages.clear();
}

Status LayerStages::settle() {
  Status worst;
  for (Stage& one : stages_) {
    if (!one.reading.valid()) continue;
    Status read = one.reading.get();
    if (!read.ok()) one.layer = -1, worst = std::move(read);
  }
  return worst;
}

Status LayerStages::bring(int32_t layer) {
  if (stages_[now_].layer != layer) now_ ^= 1;
  Stage& one = stages_[now_];
  if (one.reading.valid()) {
    Status ahead = one.reading.get();
    if (!ahead.ok()) one.layer = -1;
  }
  if (one.layer != layer) one.layer = layer, one.blocks = 0;
  Status status = read(one, layer, one.blocks, cold_.blocks());
  if (!status.ok()) {
    one.layer = -1;
    return status;
  }
  one.blocks = cold_.blocks();
  read_ahead((layer + 1) % layers_);
  return {};
}

Status LayerStages::read(Stage& stage, int32_t layer, size_t from, size_t to) const {
  for (size_t block = from; block < to; ++block) {
    const auto pages = std::span(stage.pages).subspan(block * size_t(heads_), size_t(heads_));
    TRY(cold_.read(block, layer * heads_, pages));
  }
  return {};
}

void LayerStages::read_ahead(int32_t layer) {
  Stage& next = stages_[now_ ^ 1];
  if (stages_[now_].layer == layer || next.layer == layer || next.reading.valid()) return;
  next.layer = layer, next.blocks = cold_.blocks();
  next.reading = std::async(std::launch::async, [this, &next, layer, blocks = next.blocks] {
    return read(next, layer, 0, blocks);
  });
}

int64_t ReturnedPages::pages() const {
  size_t pages = free_.size();
  for (const Lane& lane : lanes_) pages += lane.frames.size();
  return int64_t(pages);
}

int64_t ReturnedPages::fetched() const {
  int64_t fetched = 0;
  for (const Lane& lane : lanes_) fetched += lane.fetched;
  return fetched;
}

int64_t ReturnedPages::lacks(int64_t pages) const {
  const int64_t most = std::min(pages, int64_t(most_)) * int64_t(lanes_.size());
  return std::max<int64_t>(0, most - this->pages());
}

void ReturnedPages::give(std::vector<KvPagePtr>& from) {
  std::move(from.begin(), from.end(), std::back_inserter(free_));
  from.clear();
}

void ReturnedPages::clear() {
  for (Lane& lane : lanes_) lane.frames.clear();
  free_.clear();
}

Result<KvPagePtr> ReturnedPages::take() {
  {
    std::lock_guard lock(mutex_);
    if (!free_.empty()) {
      KvPagePtr page = std::move(free_.back());
      free_.pop_back();
      return page;
    }
  }
  return std::move(TRY(pool_.take(1)).front());
}

// What a query needed beyond `most_` goes once it is done, the least used first.
void ReturnedPages::trim(Lane& lane) {
  if (lane.frames.size() <= most_) return;
  const auto used_later = [](const Frame& a, const Frame& b) { return a.used > b.used; };
  std::sort(lane.frames.begin(), lane.frames.end(), used_later);
  while (lane.frames.size() > most_ && lane.frames.back().used < query_) lane.frames.pop_back();
}

// A new frame, or that of the page which was used longest ago.
Result<ReturnedPages::Frame*> ReturnedPages::room(Lane& lane) {
  Frame* oldest = nullptr;
  for (Frame& one : lane.frames) {
    if (one.stays < query_ && (oldest == nullptr || one.used < oldest->used)) oldest = &one;
  }
  if (oldest != nullptr && lane.frames.size() >= most_) return oldest;
  KvPagePtr page = TRY(take());
  lane.frames.push_back({.page = std::move(page)});
  return &lane.frames.back();
}

Result<const KvPage*> ReturnedPages::bring(int32_t lane, size_t block, bool stays) {
  Lane& of = lanes_[size_t(lane)];
  trim(of);
  const auto found = std::find_if(of.frames.begin(), of.frames.end(),
                                  [&](const Frame& one) { return one.block == int64_t(block); });
  Frame* frame = found != of.frames.end() ? &*found : nullptr;
  if (frame == nullptr) {
    frame = TRY(room(of));
    frame->block = -1;
    TRY(cold_.read(block, lane, {&frame->page, 1}));
    frame->block = int64_t(block);
    ++of.fetched;
  }
  frame->used = query_;
  if (stays) frame->stays = query_;
  return frame->page.get();
}

}  // namespace varve
