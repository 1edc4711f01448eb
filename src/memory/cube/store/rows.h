// CubeRows: rows to cubes and back, with their checksums. No rights here: the caller has settled them.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "memory/cube/cube.h"
#include "memory/cube/store/blobs.h"
#include "memory/cube/store/sqlite.h"

namespace varve {

constexpr size_t kInlineBytes = 16 << 10;  // a larger payload becomes a blob

struct CubeState {  // what a cube is now, over all its versions
  CubeId id;
  uint32_t version = 0;  // newest
  Form form = Form::plaintext;
  Life life = Life::active;
  std::string kind, owner, space, session, origin;
  std::optional<TimeMs> ended;      // when it was expired
  std::optional<Life> life_before;  // set while another cube supersedes it
  double strength = 1;
  std::optional<TimeMs> used;  // when it was last strengthened
  bool relearn = false;
  bool sound = true;  // its checksum holds
};

class CubeRows {
 public:
  CubeRows(sql::Database& database, Blobs& blobs) : db_(database), blobs_(blobs) {}

  Result<std::optional<CubeState>> state(CubeId id) const;
  Status save(const CubeState& state);
  // Of one version; 0 takes the newest. not_found when there is none, corrupt when its checksum fails.
  Result<CubeHeader> header(const CubeState& state, uint32_t version = 0) const;
  Result<std::string> payload(const CubeHeader& header) const;
  Result<std::vector<Source>> sources(CubeId id, uint32_t version) const;
  Result<std::vector<CubeId>> ids(std::string_view sql, CubeId id) const;  // one column of ids

  // The version's edges come with it. A large payload must be a blob already.
  Status add_version(const CubeHeader& header, std::string_view payload);
  // Leaves one version without words and without edges: the tombstone.
  Status bury(CubeHeader header);

 private:
  Status add_edges(const CubeHeader& header);

  sql::Database& db_;
  Blobs& blobs_;
};

Result<bool> named(sql::Database& database, const Hash256& blob);  // does any version have this blob?
Status damaged(CubeId id, std::string_view what);                  // Code::corrupt, with what to do
Status no_version(CubeId id, uint32_t version);

}  // namespace varve
