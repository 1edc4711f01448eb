// Spann: the class of the method, for its two halves. See spann.cc.
#pragma once

#include <algorithm>
#include <array>
#include <memory>
#include <utility>
#include <vector>

#include "math/kernel/format.h"
#include "math/kernel/kernel.h"
#include "memory/recall/index/posting_file.h"
#include "memory/recall/index/vector_index.h"

namespace varve::vector_index {

inline constexpr uint32_t kNone = UINT32_MAX;
inline constexpr size_t kCopies = 4;

struct SpannOptions {
  int wait = 4096;      // vectors that wait in RAM at least, before they are merged
  int probe = 48;       // lists that a search reads at most
  double reach = 0.35;  // of these: whose centroid is at most so much farther than the nearest
  double copy = 0.15;   // a vector's other lists: at most so much farther
};
using Records = PostingFile::Records;
using Places = std::array<uint32_t, kCopies>;  // the lists that a vector lies in
inline constexpr Places kNowhere{kNone, kNone, kNone, kNone};

class Spann : public VectorIndex {
 public:
  explicit Spann(const SpannOptions& options) : options_(options) {}
  ~Spann() override = default;

  Status settle(const IndexGround& ground) override {
    if (ground.env == nullptr) return Status(Code::unsupported, "spann needs a folder to be in");
    ground_ = ground;
    if (ground.ledger != nullptr) booked_ = TRY(ground.ledger->reserve(Tag::index, 0));
    return {};
  }

  Status add(uint32_t slot, std::span<const float> vector) override {
    const size_t most = std::max(size_t(options_.wait), size() / 8);
    if (fresh_.slots.size() >= most) TRY(merge());
    TRY(book(std::max(places_.size(), size_t(slot) + 1), fresh_.slots.size() + 1));
    if (slot >= places_.size()) places_.resize(slot + 1, kNowhere);
    if (slot >= row_.size()) row_.resize(slot + 1, kNone);
    row_[slot] = uint32_t(fresh_.slots.size());
    fresh_.slots.push_back(slot);
    fresh_.halves.resize(fresh_.halves.size() + vector.size());
    kernels().encode_f16(vector.data(), vector.size(),
                         fresh_.halves.data() + fresh_.halves.size() - vector.size());
    return {};
  }

  void remove(uint32_t slot) override {
    if (slot >= places_.size()) return;
    if (row_[slot] != kNone) {
      drop_row(fresh_, row_[slot]);
      if (row_[slot] < fresh_.slots.size()) row_[fresh_.slots[row_[slot]]] = row_[slot];
      row_[slot] = kNone;
    } else if (places_[slot][0] != kNone) {
      for (uint32_t list : places_[slot]) {
        if (list != kNone && !drop_from(list, slot).ok()) lost_ = true;
      }
      places_[slot] = kNowhere;
      --kept_;
    }
    if (size() == 0) clear();
  }

  Result<std::vector<Near>> search(std::span<const float> query, int32_t k) const override;
  Status each(const Visit& visit) const override;
  size_t size() const override { return kept_ + fresh_.slots.size(); }
  int64_t bytes() const override {
    return int64_t(centroids_.capacity() * 4 + norms_.capacity() * 4 + places_.capacity() * sizeof(Places)) +
           int64_t(row_.capacity() * 4 + fresh_.slots.capacity() * 4 + fresh_.halves.capacity() * 2) +
           (file_ ? file_->bytes() : 0);
  }
  Status save(SnapshotWriter& out) const override;
  Status load(SnapshotReader& in) override;

 private:
  size_t lists() const { return norms_.size(); }
  std::span<const uint16_t> row_of(const Records& records, size_t row) const {
    return std::span(records.halves).subspan(row * ground_.width, ground_.width);
  }
  std::vector<float> wide(std::span<const uint16_t> halves) const {
    std::vector<float> values(halves.size());
    kernels().decode[size_t(Format::f16)](halves.data(), halves.size(), values.data());
    return values;
  }
  void drop_row(Records& records, size_t row) const {  // the last one moves into the gap
    const size_t last = records.slots.size() - 1;
    records.slots[row] = records.slots[last];
    std::copy_n(row_of(records, last).begin(), ground_.width,
                records.halves.begin() + int64_t(row * ground_.width));
    records.slots.pop_back();
    records.halves.resize(last * ground_.width);
  }
  Status drop_from(uint32_t list, uint32_t slot) {
    Records records = TRY(file_->read(list));
    const auto found = std::find(records.slots.begin(), records.slots.end(), slot);
    if (found == records.slots.end()) return {};
    drop_row(records, size_t(found - records.slots.begin()));
    return file_->shrink(list, records);
  }
  void clear() {
    if (file_) file_->remove().ignore("its lists are empty");
    file_.reset();
    centroids_ = norms_ = {};
    centroids_.shrink_to_fit(), norms_.shrink_to_fit();
    places_ = std::vector<Places>();
    row_ = std::vector<uint32_t>();
    fresh_ = Records();
    if (ground_.ledger != nullptr) booked_.resize(0).ignore("it shrinks");
  }
  Status book(size_t slots, size_t rows) {
    if (ground_.ledger == nullptr || (slots <= room_slots_ && rows <= room_rows_ && booked_.bytes() > 0))
      return {};
    room_slots_ = slots + slots / 8 + 64;
    room_rows_ = rows + rows / 4 + 64;
    TRY(booked_.resize(int64_t(lists() * (ground_.width * 4 + 16) + room_slots_ * (sizeof(Places) + 4) +
                               room_rows_ * (ground_.width * 2 + 4))));
    places_.reserve(room_slots_);
    row_.reserve(room_slots_);
    fresh_.slots.reserve(room_rows_);
    fresh_.halves.reserve(room_rows_ * ground_.width);
    return {};
  }

  // The lists nearest to a vector, nearest first: list, squared distance less the vector's own square.
  std::vector<std::pair<float, uint32_t>> nearest(std::span<const float> vector, size_t most) const;
  Places places_for(std::span<const float> vector) const;
  void split(const Records& members, std::vector<uint32_t> rows, std::vector<float>& centroids) const;
  Status merge();
  struct Reference {
    uint32_t list, row;  // list: kNone for fresh_
  };
  using Members = std::vector<std::vector<Reference>>;
  Status rewrite(const std::vector<uint32_t>& now);
  Status gather(const std::vector<uint32_t>& now, Members& members, std::vector<Places>& places) const;
  Status write(const Members& members, PostingFile& file) const;

  SpannOptions options_;
  IndexGround ground_;
  Reservation booked_;
  size_t room_slots_ = 0, room_rows_ = 0;
  std::vector<float> centroids_, norms_;  // norms_: squares of their lengths
  std::unique_ptr<PostingFile> file_;     // null until the first merge
  std::vector<Places> places_;            // by slot
  std::vector<uint32_t> row_;             // by slot: in fresh_, or kNone
  Records fresh_;                         // not merged yet
  size_t kept_ = 0;
  bool lost_ = false;  // a list could not be rewritten: nothing here is to be believed
};

}  // namespace varve::vector_index
