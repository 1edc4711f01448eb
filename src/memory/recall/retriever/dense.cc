// Dense retrieval: cosine of embeddings (unit vectors, so an inner product), by a vector index for each
// space. By default a small space is compared whole, and a large one goes to disk, or to a graph in RAM where
// there is no disk. A text whose embedding says nothing (all zero) is left to the words.
#include <algorithm>
#include <atomic>
#include <map>

#include "memory/recall/index/key_table.h"
#include "memory/recall/index/vector_index.h"
#include "memory/recall/retriever.h"
#include "memory/recall/top.h"

namespace varve::retriever {
namespace {

constexpr size_t kFlatMost = 50000;  // vectors of a space that are compared whole: about a millisecond

constexpr uint32_t kNobody = UINT32_MAX;

struct Space {
  std::string kind;  // its index, a spec
  std::unique_ptr<VectorIndex> index;
  std::vector<uint32_t> owners, free;  // owners: slot of ids_, by slot of the index
};
using Spaces = std::map<std::string, Space, std::less<>>;

class Dense : public Retriever {
 public:
  explicit Dense(Spec index) : wanted_(std::move(index)) {}

  bool reads_vectors() const override { return true; }
  Status settle(const RetrieverGround& ground) override {
    ground_ = ground;
    return {};
  }

  Status add(const CubeHeader& header, std::string_view, std::span<const float> vector) override {
    remove(header.id);
    if (std::all_of(vector.begin(), vector.end(), [](float value) { return value == 0; })) return {};
    if (width_ == 0) width_ = vector.size();
    if (vector.size() != width_) return Status(Code::invalid, "embeddings of two widths in one index");
    const auto space = TRY(space_named(header.space));
    Space& in = space->second;
    const uint32_t slot = in.free.empty() ? uint32_t(in.owners.size()) : in.free.back();
    Status added = in.index->add(slot, vector);
    if (added.code() == Code::over_budget && may_move() && in.kind != "spann") {
      TRY(move(in, header.space, "spann"));
      added = in.index->add(slot, vector);
    }
    if (!added.ok()) return drop_if_empty(space), std::move(added);
    if (in.free.empty()) {
      in.owners.push_back(0);
    } else {
      in.free.pop_back();
    }
    in.owners[slot] = place(header.id, space, slot);
    if (may_move() && in.kind == "flat" && in.index->size() > kFlatMost) {
      move(in, header.space, ground_.env != nullptr ? "spann" : "hnsw").ignore("it stays exact, and slower");
    }
    return {};
  }

  void remove(CubeId id) override {
    const uint32_t owner = ids_.remove(id);
    if (owner == Ids::kNone) return;
    const auto [space, slot] = where_[owner];
    space->second.index->remove(slot);
    space->second.owners[slot] = kNobody;
    space->second.free.push_back(slot);
    drop_if_empty(space);
    if (ids_.size() == 0) where_ = std::vector<Place>();
  }

  Result<std::vector<Hit>> search(const Query& query, int32_t k) const override {
    if (query.vector.empty()) return std::vector<Hit>{};
    if (width_ != 0 && query.vector.size() != width_) {
      return Status(Code::invalid, "the query's embedding has another width than the index");
    }
    Top top(k);
    for (const std::string& name : query.spaces) {
      const auto space = spaces_.find(name);
      if (space == spaces_.end()) continue;
      const auto found = space->second.index->search(query.vector, k);
      if (!found.ok()) {  // the other retrievers answer until it is built anew
        sound_ = false;
        continue;
      }
      for (const auto& near : *found) {  // a file may still have what was removed since it was written
        const auto& owners = space->second.owners;
        if (near.slot >= owners.size() || owners[near.slot] == kNobody) continue;
        top.offer({ids_.at(owners[near.slot]), near.score});
      }
    }
    return top.take();
  }

  int64_t bytes() const override {
    int64_t sum = ids_.bytes() + int64_t(where_.capacity() * sizeof(Place)) + booked();
    for (const auto& [name, space] : spaces_) {
      sum += 320 + int64_t(space.owners.capacity() * 4 + space.free.capacity() * 4);
    }
    return sum;
  }
  int64_t booked() const override {
    int64_t sum = 0;
    for (const auto& [name, space] : spaces_) sum += space.index->bytes();
    return sum;
  }
  bool sound() const override { return sound_; }
  bool owns(std::string_view file) const override {
    return std::any_of(spaces_.begin(), spaces_.end(),
                       [&](const auto& one) { return one.second.index->owns(file); });
  }

  Status save(SnapshotWriter& out) const override;
  Status load(SnapshotReader& in) override;

 private:
  using Ids = KeyTable<CubeId>;
  struct Place {
    Spaces::iterator space;
    uint32_t slot = 0;
  };

  bool may_move() const { return wanted_.name == "auto"; }
  Result<std::unique_ptr<VectorIndex>> index_of_kind(const std::string& kind, const std::string& space) {
    Spec spec = wanted_;
    spec.name = kind;
    auto index = TRY(vector_indexes().make(spec));
    TRY(index->settle({ground_.ledger, ground_.env, ground_.folder, ground_.name + "-" + space, width_}));
    return index;
  }
  Result<Spaces::iterator> space_named(const std::string& name) {
    if (const auto found = spaces_.find(name); found != spaces_.end()) return found;
    Space made{.kind = may_move() ? "flat" : wanted_.name};
    made.index = TRY(index_of_kind(made.kind, name));
    return spaces_.emplace(name, std::move(made)).first;
  }
  Status move(Space& space, const std::string& name, const std::string& kind) {
    auto fresh = TRY(index_of_kind(kind, name));
    TRY(space.index->each(
        [&](uint32_t slot, std::span<const float> vector) { return fresh->add(slot, vector); }));
    space.index = std::move(fresh);
    space.kind = kind;
    return {};
  }
  uint32_t place(CubeId id, Spaces::iterator space, uint32_t slot) {
    const uint32_t owner = ids_.add(id);
    if (owner >= where_.size()) where_.resize(owner + 1);
    where_[owner] = {space, slot};
    return owner;
  }
  void drop_if_empty(Spaces::iterator space) {
    if (space->second.index->size() == 0) spaces_.erase(space);
  }

  Spec wanted_;
  RetrieverGround ground_;
  size_t width_ = 0;
  Spaces spaces_;
  Ids ids_;
  std::vector<Place> where_;  // by slot of ids_
  mutable std::atomic<bool> sound_ = true;
};

Status Dense::save(SnapshotWriter& out) const {
  TRY(out.number(uint64_t(width_)));
  TRY(out.number(uint64_t(spaces_.size())));
  for (auto& [name, space] : spaces_) {
    TRY(out.text(name));
    TRY(out.text(space.kind));
    std::vector<CubeId> ids(space.owners.size());  // a free slot has no id
    for (size_t slot = 0; slot < ids.size(); ++slot) {
      if (space.owners[slot] != kNobody) ids[slot] = ids_.at(space.owners[slot]);
    }
    TRY(out.array(ids));
    TRY(space.index->save(out));
  }
  return {};
}

Status Dense::load(SnapshotReader& in) {
  width_ = size_t(TRY(in.number<uint64_t>()));
  const auto spaces = TRY(in.number<uint64_t>());
  if (width_ > 65536) return in.damaged();
  for (uint64_t i = 0; i < spaces; ++i) {
    const std::string name = TRY(in.text(64)), kind = TRY(in.text(64));
    if (!may_move() && kind != wanted_.name) return Status(Code::unsupported, "another index is wanted now");
    Space made{.kind = kind};
    std::vector<CubeId> ids;
    TRY(in.array(ids));
    made.index = TRY(index_of_kind(kind, name));
    TRY(made.index->load(in));
    made.owners.assign(ids.size(), kNobody);
    const auto [space, fresh] = spaces_.emplace(name, std::move(made));
    if (!fresh) return in.damaged();
    for (uint32_t slot = 0; slot < ids.size(); ++slot) {
      if (ids[slot] == CubeId{}) {
        space->second.free.push_back(slot);
      } else if (ids_.find(ids[slot]) == Ids::kNone) {
        space->second.owners[slot] = place(ids[slot], space, slot);
      } else {
        return in.damaged();
      }
    }
  }
  return {};
}

}  // namespace

// index=auto, or one of vector_indexes(); its own options follow.
Made dense(const Spec& spec) {
  Spec index = spec;
  const auto wanted = index.options.extract("index");
  index.name = wanted.empty() ? "auto" : wanted.mapped();
  if (index.name != "auto") {
    TRY(vector_indexes().make(index).with("dense:index=" + index.name));
  } else if (!index.options.empty()) {
    TRY(OptionReader(index).done());
  }
  return std::unique_ptr<Retriever>(new Dense(std::move(index)));
}

}  // namespace varve::retriever
