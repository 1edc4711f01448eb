// PartPool: parts of a file on their way to whoever computes with them. A few threads read ahead of the pass
// into a ring of buffers; some parts stay where they are once they were read. Which part is read next follows
// from where the pass is alone: there is no queue that a jump could make wrong. Parts that no pass counts on
// (the experts of a mixture, as in EdgeMoE, Yi et al. 2023) stay as they are used, where the others leave
// room: one bit a part says whether it was taken, or is expected, since the bits were last cleared, and those
// without it leave first (marking; Fiat et al. 1991). Rows of another file, the neurons of feed-forward
// networks, come and stay likewise, each in a frame of its own (row_frames.h), through the same threads.
#pragma once

#include <array>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "core/budget/buffer.h"
#include "core/io/env.h"
#include "run/weights/row_frames.h"
#include "run/weights/stream_plan.h"

namespace varve {

struct FilePart {
  int64_t offset = 0, bytes = 0;
  bool passes = false;  // it never stays: what is used of it mostly, lies elsewhere
};

// Rows of one size in a file of their own.
struct RowFile {
  std::unique_ptr<File> file;
  std::string path;
  std::vector<int64_t> offsets;  // of tables, so many rows each; row numbers go on from table to table
  int32_t rows_a_table = 0;
  std::function<bool(int32_t row, std::span<const std::byte> bytes)> is_right;
  RowRate rate;
};

class PartPool : private Shrinker {
 public:
  struct Taken {
    std::span<const std::byte> bytes;
    std::shared_ptr<const void> hold;  // they are there while it lives, which is not longer than the pool
  };
  // `ring` is cut into slots for the largest part, of which there must be some. A part is read in pieces, as
  // `disk` likes them.
  PartPool(std::unique_ptr<File> file, std::string path, std::vector<FilePart> parts, Buffer ring,
           const DiskRate& disk, Ledger& ledger);
  ~PartPool() override;
  static int64_t slot_bytes(int64_t largest_part);

  // Of parts, in the order of a pass; the next pass follows. Parts that are not in it come when asked for.
  void follow(std::vector<int32_t> order);
  Result<Taken> take(int32_t part);  // waits for the disk if it must
  // Parts outside of the order that are likely to be taken after those of the last call, which still hold:
  // they are read while nobody waits, where they may stay.
  void expect(std::vector<int32_t> parts);
  // Bytes from within `part` on that no pass waits for: of the part if it stays, else read by the caller.
  Result<Taken> read_alone(int32_t part, FilePart what);
  // Rows of a file besides; once, before anything is taken. over_budget: not even what is needed at a time.
  Status lay_rows(RowFile file, int64_t row_bytes);
  static int64_t bytes_to_lay(int64_t rows, int64_t row_bytes, const RowRate& rate);
  static constexpr int32_t kMostRows = 256;  // at a time
  struct TakenRows {
    std::vector<const std::byte*> at;
    std::shared_ptr<const void> hold;
  };
  Result<TakenRows> take_rows(std::span<const int32_t> rows);  // ascending; waits for the disk if it must
  void expect_rows(std::span<const int32_t> rows);             // ascending; never waits
  void pass_rows(int64_t count);                               // of which some are taken: for the counts
  int64_t row_room() const;                                    // bytes of rows that may stay

  void keep(int64_t bytes);
  void route_by(Leaving leaving, bool ahead);
  int64_t keeps() const;  // bytes of those in the order that stay by now, or will when they are read
  bool keeps(int32_t part) const;
  StreamCounts counts() const;

 private:
  enum class Fill : uint8_t { free, reading, ready };
  struct Slot {
    std::span<std::byte> room;
    Fill fill = Fill::free;
    int32_t part = -1, pins = 0;
    int64_t shift = 0;  // where the part begins: reads begin at whole blocks of the disk
    int32_t pieces = 0, begun = 0, ended = 0;
    bool broken = false;
  };
  struct Place {  // of a part
    std::shared_ptr<const Buffer> stays;
    int32_t slot = -1, wanted = 0;
    int32_t turn = -1;  // in the order of a pass
    int32_t rank = 0;   // who stays: the lower ones
    bool failed = false;
    bool marked = false, expected = false;  // outside of the order
    Status problem;
  };
  struct Errand {
    int32_t part, slot, piece;
  };

  struct RowErrand {  // neighbours, in one read
    int64_t offset = 0, bytes = 0;
    std::vector<int32_t> rows, frames;
    std::vector<std::span<std::byte>> to;
  };

  void shrink(int64_t bytes) override;
  void work();
  static Status cut_short(const std::string& path, int64_t at);
  std::optional<Errand> next_errand();
  std::optional<Errand> errand_for(int32_t part, int32_t distance);
  void begin(int32_t part, int32_t slot);
  bool is_missing(int32_t part) const;
  int32_t distance(int32_t part) const;
  int32_t slot_within(int32_t most_distance);
  void end(Errand errand, Status read, std::unique_lock<std::mutex>& lock);
  Status read(FilePart what, std::span<std::byte> room) const;  // room: whole blocks around it
  Status read_piece(Errand errand, std::span<std::byte> room) const;
  std::shared_ptr<const Buffer> copy(std::span<const std::byte> bytes);
  Taken pin(int32_t part);
  void release(int32_t slot);
  void rank();
  std::vector<std::shared_ptr<const Buffer>> leave();
  bool may_stay(int32_t part, std::vector<std::shared_ptr<const Buffer>>& gone);
  std::shared_ptr<const Buffer> drop(int32_t part);

  void work_rows(std::span<std::byte> room);
  int64_t row_offset(int32_t row) const;
  void make_frames(std::span<const int32_t> rows);
  bool hold_rows(std::span<const int32_t> rows);
  void release_rows(std::span<const int32_t> frames);
  RowErrand next_rows();
  Status read_rows(const RowErrand& errand, std::span<std::byte> room) const;
  void end_rows(const RowErrand& errand, Status read);

  const std::unique_ptr<File> file_;
  const std::string path_;
  const std::vector<FilePart> parts_;
  const int64_t piece_bytes_;
  Buffer ring_;
  Ledger& ledger_;

  mutable std::mutex mutex_;
  std::condition_variable work_, ready_;
  bool stopping_ = false;
  std::vector<Slot> slots_;
  std::vector<Place> places_;
  std::vector<int32_t> order_, by_rank_;
  std::deque<int32_t> wanted_;
  std::array<std::vector<int32_t>, 2> expected_;  // of the last call but one, of the last
  std::vector<int32_t> routed_;                   // outside of the order, that stay; the oldest first
  int64_t routed_bytes_ = 0, routed_room_ = 0;
  Leaving leaving_ = Leaving::unmarked;
  bool ahead_ = true;
  int32_t at_ = 0;  // the turn that comes next
  int64_t keep_ = 0;
  int32_t keep_rank_ = 0;
  RowFile rows_;
  std::optional<RowFrames> frames_;
  Buffer row_rooms_;                  // of their readers, for neighbours in one read
  std::condition_variable row_work_;  // readers of rows are many, and wake for nothing else
  std::deque<int32_t> missing_rows_;  // that have frames and are to be read
  int32_t rows_awaited_ = 0, frames_awaited_ = 0;
  Status row_problem_;
  StreamCounts counts_;
  std::vector<std::thread> readers_;
};

}  // namespace varve
