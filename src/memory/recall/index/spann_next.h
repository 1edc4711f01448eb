// What there will be when a merge of Spann is done, and how far it has come.
#pragma once

#include "memory/recall/index/spann.h"

namespace varve::vector_index {

// A vector moves when it is new or when its own list was cut.
struct Spann::Next {
  enum class Stage : uint8_t { coming, lists, moving, writing, done };
  struct Moved {
    uint32_t from, row;  // a list of before and a row there; kNone: a row of what waits
    Places places;
  };
  Stage stage = Stage::coming;
  uint32_t at = 0;  // how far the stage has come
  uint32_t upto;    // rows of what waits that are merged
  Reservation room, more;
  std::vector<std::vector<uint32_t>> coming;  // by list of before (at first one takes all): rows near to it
  std::vector<float> means;
  Centroids centroids;
  std::vector<uint32_t> now;              // of each list of before: its number, or kNone when it was cut
  std::vector<uint32_t> stayed;           // of each list: its number before, or kNone
  std::vector<Moved> moved;               // by from and row
  std::vector<uint32_t> starts, members;  // of each list: which of moved come to it
  std::unique_ptr<PostingFile> file;      // while writing
  std::vector<uint32_t> home;
  size_t kept = 0;
  uint32_t open = kNone;  // the list of before that `source` holds
  View source;
  std::vector<std::byte> source_room, stayed_room;

  void go_to(Stage next) { stage = next, at = 0; }
};

}  // namespace varve::vector_index
