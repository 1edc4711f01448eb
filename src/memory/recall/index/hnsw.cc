// HNSW (Malkov & Yashunin 2018, "Efficient and robust approximate nearest neighbor search using Hierarchical
// Navigable Small World graphs"), by hnswlib. A search walks a graph of near neighbours, coarse to fine. Its
// exceptions end here, its memory is booked before it is taken, and the graph is checked when it is read.
#include <hnswlib/hnswlib.h>

#include <algorithm>
#include <exception>

#include "math/kernel/kernel.h"
#include "memory/recall/index/vector_index.h"

namespace varve::vector_index {
namespace {

struct Options {
  int m = 16, build = 100, search = 100;  // links a vector; candidates looked at when building and searching
};

using Graph = hnswlib::HierarchicalNSW<float>;

class InnerProduct : public hnswlib::SpaceInterface<float> {
 public:
  explicit InnerProduct(size_t width) : width_(width) {}
  size_t get_data_size() override { return width_ * sizeof(float); }
  hnswlib::DISTFUNC<float> get_dist_func() override {
    return [](const void* a, const void* b, const void* width) {
      const auto* n = static_cast<const size_t*>(width);
      return 1 - kernels().dot(static_cast<const float*>(a), static_cast<const float*>(b), nullptr, *n);
    };
  }
  void* get_dist_func_param() override { return &width_; }

 private:
  size_t width_;
};

template <class Call>
Status guarded(Call call) {
  try {
    call();
    return {};
  } catch (const std::bad_alloc&) {
    return Status(Code::over_budget, "no memory for the graph of vectors");
  } catch (const std::exception& thrown) {
    return Status(Code::internal, std::string("hnswlib: ") + thrown.what());
  }
}

class Hnsw : public VectorIndex {
 public:
  explicit Hnsw(const Options& options) : options_(options) {}

  Status settle(const IndexGround& ground) override {
    ground_ = ground;
    space_ = std::make_unique<InnerProduct>(ground.width);
    if (ground.ledger != nullptr) booked_ = TRY(ground.ledger->reserve(Tag::index, 0));
    return {};
  }

  Status add(uint32_t slot, std::span<const float> vector) override {
    TRY(room_for(slot));
    // A label that is marked deleted comes back with this vector, linked anew.
    return guarded([&] { graph_->addPoint(vector.data(), slot); });
  }

  void remove(uint32_t slot) override {
    if (graph_ == nullptr) return;
    const auto found = graph_->label_lookup_.find(slot);
    if (found == graph_->label_lookup_.end() || graph_->isMarkedDeleted(found->second)) return;
    guarded([&] { graph_->markDelete(slot); }).ignore("it is there and not marked");
    if (size() == 0) {
      drop();
    } else if (graph_->num_deleted_ > 64 && graph_->num_deleted_ * 4 > graph_->cur_element_count) {
      rebuild().ignore("the marked ones stay waypoints until there is room");
    }
  }

  Result<std::vector<Near>> search(std::span<const float> query, int32_t k) const override {
    std::vector<Near> all;
    if (size() == 0 || k <= 0) return all;
    TRY(guarded([&] {
      auto found = graph_->searchKnn(query.data(), std::min(size(), size_t(k)));
      for (; !found.empty(); found.pop())
        all.push_back({uint32_t(found.top().second), 1 - found.top().first});
    }));
    keep_best(all, k);
    return all;
  }

  Status each(const Visit& visit) const override {
    for (uint32_t i = 0; graph_ != nullptr && i < graph_->cur_element_count; ++i) {
      if (graph_->isMarkedDeleted(i)) continue;
      TRY(visit(uint32_t(graph_->getExternalLabel(i)), vector_of(*graph_, i)));
    }
    return {};
  }

  size_t size() const override { return graph_ ? graph_->cur_element_count - graph_->num_deleted_ : 0; }
  int64_t bytes() const override {
    return graph_ == nullptr ? 0 : int64_t(graph_->max_elements_) * bytes_each() + kFixedBytes;
  }

  Status save(SnapshotWriter& out) const override;
  Status load(SnapshotReader& in) override;

 private:
  static constexpr size_t kSlackBytes = 4;  // the library fetches ahead what follows a list's last link
  // The library's table of 65,536 update locks, its random generators and the first list of visited nodes.
  static constexpr int64_t kFixedBytes = 65536 * 40 + 16384;

  // Vector, links and label; of one in m the links above; a lock, level, pointer, place among labels, mark.
  int64_t bytes_each() const {
    const int64_t links = int64_t(options_.m) * 4 + 4, above = links + int64_t(kSlackBytes) + 16;
    return int64_t(ground_.width) * 4 + 2 * links + 8 + above / (options_.m - 1) + 40 + 4 + 8 + 48 + 4;
  }
  std::span<const float> vector_of(const Graph& graph, uint32_t i) const {
    return {reinterpret_cast<const float*>(graph.getDataByInternalId(i)), ground_.width};
  }
  static bool well_linked(Graph& graph);
  void drop() {
    graph_.reset();
    if (ground_.ledger != nullptr) booked_.resize(0).ignore("it shrinks");
  }
  Result<std::unique_ptr<Graph>> graph_for(size_t room) {
    std::unique_ptr<Graph> made;
    TRY(guarded([&] {
      made = std::make_unique<Graph>(space_.get(), room, size_t(options_.m), size_t(options_.build));
      made->setEf(size_t(options_.search));
      made->size_links_per_element_ += kSlackBytes;
    }));
    return made;
  }
  Status book(size_t room) {
    if (ground_.ledger == nullptr) return {};
    return booked_.resize(int64_t(room) * bytes_each() + kFixedBytes);
  }
  Status room_for(uint32_t slot) {
    const size_t used = graph_ == nullptr ? 0 : graph_->cur_element_count;
    if (graph_ && (used < graph_->max_elements_ || graph_->label_lookup_.contains(slot))) return {};
    const size_t room = std::max<size_t>(64, used + used / 4);
    TRY(book(room));
    if (graph_ != nullptr) return guarded([&] { graph_->resizeIndex(room); });
    graph_ = TRY(graph_for(room));
    return {};
  }
  Status rebuild() {
    const size_t room = std::max<size_t>(64, size() + size() / 8);
    Reservation both;
    if (ground_.ledger != nullptr) {
      both = TRY(ground_.ledger->reserve(Tag::index, int64_t(room) * bytes_each() + kFixedBytes));
    }
    auto fresh = TRY(graph_for(room));
    TRY(each([&](uint32_t slot, std::span<const float> vector) {
      return guarded([&] { fresh->addPoint(vector.data(), slot); });
    }));
    graph_ = std::move(fresh);
    return book(room);
  }

  Options options_;
  IndexGround ground_;
  Reservation booked_;
  std::unique_ptr<InnerProduct> space_;
  std::unique_ptr<Graph> graph_;  // null while empty
};

// A removed vector stays a waypoint in RAM; in the file it is zeros.
Status Hnsw::save(SnapshotWriter& out) const {
  const uint64_t count = graph_ == nullptr ? 0 : graph_->cur_element_count;
  TRY(out.number(count));
  if (count == 0) return {};
  TRY(out.number(int32_t(options_.m)));
  TRY(out.number(int32_t(graph_->maxlevel_)));
  TRY(out.number(uint32_t(graph_->enterpoint_node_)));
  std::vector<char> element(graph_->size_data_per_element_);
  for (uint32_t i = 0; i < count; ++i) {
    std::memcpy(element.data(), graph_->data_level0_memory_ + i * element.size(), element.size());
    if (graph_->isMarkedDeleted(i)) std::memset(element.data() + graph_->offsetData_, 0, graph_->data_size_);
    TRY(out.put(std::as_bytes(std::span(element))));
    const int32_t level = graph_->element_levels_[i];
    TRY(out.number(level));
    if (level == 0) continue;
    TRY(out.put(
        std::as_bytes(std::span(graph_->linkLists_[i], size_t(level) * graph_->size_links_per_element_))));
  }
  return {};
}

Status Hnsw::load(SnapshotReader& in) {
  const auto count = TRY(in.number<uint64_t>());
  if (count == 0) return {};
  if (count > (uint64_t(1) << 30) || int64_t(count * ground_.width * 4) > in.left()) return in.damaged();
  if (TRY(in.number<int32_t>()) != options_.m) return in.damaged();
  const size_t room = size_t(count + count / 16);
  TRY(book(room));
  graph_ = TRY(graph_for(room));
  Graph& graph = *graph_;
  graph.maxlevel_ = TRY(in.number<int32_t>());
  graph.enterpoint_node_ = TRY(in.number<uint32_t>());
  for (uint32_t i = 0; i < count; ++i) {
    char* element = graph.data_level0_memory_ + i * graph.size_data_per_element_;
    TRY(in.get(std::as_writable_bytes(std::span(element, graph.size_data_per_element_))));
    const auto level = TRY(in.number<int32_t>());
    const bool fresh = graph.label_lookup_.emplace(graph.getExternalLabel(i), i).second;
    if (!fresh || level < 0 || level > graph.maxlevel_) return in.damaged();
    graph.num_deleted_ += graph.isMarkedDeleted(i);
    if (level > 0) {
      const size_t size = size_t(level) * graph.size_links_per_element_;
      graph.linkLists_[i] = static_cast<char*>(std::malloc(size));
      if (graph.linkLists_[i] == nullptr) return Status(Code::over_budget, "no memory for the graph");
      graph.element_levels_[i] = level;
      graph.cur_element_count = i + 1;
      TRY(in.get(std::as_writable_bytes(std::span(graph.linkLists_[i], size))));
    }
    graph.cur_element_count = i + 1;
  }
  return well_linked(graph) ? Status() : in.damaged();
}

// Every link leads to a vector that is there, on that level too.
bool Hnsw::well_linked(Graph& graph) {
  const auto& levels = graph.element_levels_;
  const size_t count = graph.cur_element_count;
  if (graph.enterpoint_node_ >= count || levels[graph.enterpoint_node_] != graph.maxlevel_) return false;
  for (uint32_t i = 0; i < count; ++i) {
    for (int32_t level = 0; level <= levels[i]; ++level) {
      const uint32_t* links = graph.get_linklist_at_level(i, level);
      const size_t size = graph.getListCount(const_cast<uint32_t*>(links));
      if (size > (level == 0 ? graph.maxM0_ : graph.maxM_)) return false;
      for (size_t j = 1; j <= size; ++j) {
        if (links[j] >= count || levels[links[j]] < level) return false;
      }
    }
  }
  return true;
}

}  // namespace

Made hnsw(const Spec& spec) {
  Options options;
  TRY(OptionReader(spec)
          .read("m", options.m, 4, 64)
          .read("build", options.build, 10, 2000)
          .read("search", options.search, 10, 10000)
          .done());
  return std::unique_ptr<VectorIndex>(new Hnsw(options));
}

}  // namespace varve::vector_index
