// What an index file on disk begins with, and a look at all of them from outside: fsck's.
#pragma once

#include <string>
#include <vector>

#include "core/io/env.h"
#include "memory/cube/cube_store.h"
#include "memory/recall/index/snapshot.h"

namespace varve {

constexpr std::string_view kIndexEnd = ".index";

struct IndexHead {  // what the file is of, and up to which entry of the journal
  std::string spec, embedder;
  JournalMark mark;
  bool complete = true;
  CubeId filled_to{};
  int64_t shown = 0;
};
Status put_head(SnapshotWriter& out, const IndexHead& head);
Result<IndexHead> get_head(SnapshotReader& in);

Status check_snapshot(Env& env, const std::string& path);  // corrupt: not every piece is what was written

struct IndexProblem {
  std::string file, what;
};
// Reads every index file of a folder to its end: checksums, format, and whether this store ever was where the
// file says. Lists of vectors have a checksum each, which is looked at when they are read. Nothing is open
// meanwhile.
Result<std::vector<IndexProblem>> check_indexes(Env& env, const std::string& folder, CubeStore& store);
// All of it goes: the next home that opens builds it anew from the memories. How many files.
Result<int64_t> drop_indexes(Env& env, const std::string& folder);

}  // namespace varve
