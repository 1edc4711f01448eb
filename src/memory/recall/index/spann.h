// Spann: the class of the method, for its two halves. See spann.cc.
#pragma once

#include <algorithm>
#include <memory>
#include <vector>

#include "math/kernel/format.h"
#include "math/kernel/kernel.h"
#include "memory/recall/index/centroids.h"
#include "memory/recall/index/posting_file.h"
#include "memory/recall/index/vector_index.h"

namespace varve::vector_index {

inline constexpr uint32_t kNone = PostingFile::kNobody;
inline constexpr uint32_t kFresh = uint32_t(1) << 31;  // beside a row of what waits

struct SpannOptions {
  int wait = 4096;     // vectors that wait in RAM at least, before they are merged
  int probe = 0;       // lists that a search reads at most; 0: six times the root of their number
  double reach = 0.5;  // of these: whose centroid is at most so much farther than the nearest
  double copy = 0.15;  // a vector's other lists: at most so much farther
};
using Records = PostingFile::Records;
using View = PostingFile::View;
using Places = PostingFile::Places;
inline constexpr Places kNowhere{kNone, kNone, kNone, kNone};

class Spann : public VectorIndex {
 public:
  explicit Spann(const SpannOptions& options);
  ~Spann() override;

  Status settle(const IndexGround& ground) override;
  Status add(uint32_t slot, std::span<const float> vector) override;
  void remove(uint32_t slot) override;
  Result<std::vector<Near>> search(std::span<const float> query, int32_t k) const override;
  Status each(const Visit& visit) const override;
  size_t size() const override { return kept_ + fresh_.slots.size() - fresh_.blank; }
  int64_t bytes() const override;
  bool owns(std::string_view file) const override;
  Status save(SnapshotWriter& out) const override;
  Status load(SnapshotReader& in) override;

 private:
  size_t lists() const { return centroids_.count(); }
  size_t probed() const;
  std::span<const uint16_t> row_of(std::span<const uint16_t> halves, size_t row) const {
    return halves.subspan(row * ground_.width, ground_.width);
  }
  std::vector<float> wide(std::span<const uint16_t> halves) const {
    std::vector<float> values(halves.size());
    kernels().decode[size_t(Format::f16)](halves.data(), halves.size(), values.data());
    return values;
  }
  void drop_fresh(uint32_t row);
  Status drop_from_lists(uint32_t slot);
  void clear();
  Status book(size_t slots, size_t rows);
  // So many bytes more while the result lives; nothing where nothing is booked.
  Result<Reservation> meanwhile(size_t bytes) const;

  // spann_merge.cc, spann_write.cc: what waits comes to its lists, a slice of the work at each add.
  struct Next;
  Places places_for(const Centroids& centroids, std::span<const float> vector) const;
  Status merge_some();
  Status begin_merge();
  Status go_on(Next& next, int64_t& work) const;
  void abandon_merge();
  bool merging(uint32_t row) const;  // a row of what waits
  void cut(const std::vector<uint16_t>& halves, std::vector<uint32_t> rows, std::vector<float>& means) const;
  void sort_coming(Next& next, int64_t& work) const;
  Status choose_lists(Next& next, int64_t& work) const;
  Status choose_list(Next& next, uint32_t list, int64_t& work) const;
  void arrange(Next& next) const;
  Status choose_again(Next& next, int64_t& work) const;
  Status begin_writing(Next& next) const;
  Status write(Next& next, int64_t& work) const;
  Status write_stayed(Next& next, uint32_t former, Records& out) const;
  Status write_moved(Next& next, uint32_t list, Records& out) const;
  Places kept_places(const Next& next, const Places& before) const;
  Status drop_from_next(uint32_t slot);
  Result<Places> places_in_next(uint32_t slot) const;
  void take_over(Next& next);

  SpannOptions options_;
  IndexGround ground_;
  Reservation booked_;
  size_t room_slots_ = 0, room_rows_ = 0;
  Centroids centroids_;
  std::unique_ptr<PostingFile> file_;    // null until the first merge
  std::unique_ptr<PostingFile> former_;  // what the newest snapshot speaks of, where that is another
  std::vector<uint32_t> home_;           // by slot: its own list, or its row of fresh_ and kFresh, or kNone
  struct {
    std::vector<uint32_t> slots;
    std::vector<uint16_t> halves;
    size_t blank = 0;           // rows that went while they were merged: their slot is kNone
  } fresh_;                     // not merged yet
  std::unique_ptr<Next> next_;  // what there will be, while a merge is under way
  size_t kept_ = 0;
  bool lost_ = false;  // a vector could not be removed: nothing here is to be believed
};

}  // namespace varve::vector_index
