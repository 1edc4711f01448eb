// Dense retrieval, exact: cosine of embeddings (unit vectors, so a dot product) over every cube of the space.
// The oracle that faster indexes are measured against, and fast enough for tens of thousands of cubes.
#include <algorithm>
#include <map>

#include "memory/recall/retriever.h"
#include "memory/recall/top.h"

namespace varve::retriever {
namespace {

struct SpaceVectors {
  std::vector<CubeId> ids;
  std::vector<float> values;  // ids.size() rows
};

class Dense : public Retriever {
 public:
  Status add(const CubeHeader& header, std::string_view, std::span<const float> vector) override {
    remove(header.id);
    if (vector.empty()) return {};
    if (width_ == 0) width_ = vector.size();
    if (vector.size() != width_) return Status(Code::invalid, "embeddings of two widths in one index");
    auto& space = spaces_[header.space];
    where_[header.id] = {header.space, space.ids.size()};
    space.ids.push_back(header.id);
    space.values.insert(space.values.end(), vector.begin(), vector.end());
    return {};
  }

  void remove(CubeId id) override {  // the last row moves into the gap
    const auto found = where_.find(id);
    if (found == where_.end()) return;
    const auto [name, row] = found->second;
    auto& space = spaces_[name];
    const size_t last = space.ids.size() - 1;
    std::copy_n(space.values.begin() + int64_t(last * width_), width_,
                space.values.begin() + int64_t(row * width_));
    space.ids[row] = space.ids[last];
    where_[space.ids[row]].second = row;
    space.ids.pop_back();
    space.values.resize(last * width_);
    where_.erase(id);
    if (space.ids.empty()) spaces_.erase(name);
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
      const float* row = space->second.values.data();
      for (size_t i = 0; i < space->second.ids.size(); ++i, row += width_) {
        float sum = 0;
        for (size_t at = 0; at < width_; ++at) sum += row[at] * query.vector[at];
        top.offer({space->second.ids[i], sum});
      }
    }
    return top.take();
  }

  int64_t bytes() const override {
    int64_t sum = int64_t(where_.size()) * 112;
    for (const auto& [name, space] : spaces_)
      sum += int64_t(space.values.capacity() * 4 + space.ids.capacity() * 16);
    return sum;
  }

 private:
  size_t width_ = 0;
  std::map<std::string, SpaceVectors, std::less<>> spaces_;
  std::map<CubeId, std::pair<std::string, size_t>> where_;
};

}  // namespace

Made dense(const Spec& spec) {
  TRY(OptionReader(spec).done());
  return std::unique_ptr<Retriever>(new Dense);
}

}  // namespace varve::retriever
