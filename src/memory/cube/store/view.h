// View: the store as one principal may see it. Every read goes through here; what may not be seen is not
// there.
#pragma once

#include <string>
#include <vector>

#include "memory/cube/cube_store.h"
#include "memory/cube/govern/rights.h"
#include "memory/cube/store/rows.h"

namespace varve {

class View {
 public:
  static Result<View> open(sql::Database& database, Blobs& blobs, const Principal& who);

  const Rights& rights() const { return rights_; }
  CubeRows& rows() { return rows_; }
  // not_found when it may not be read, denied when it may be read but `need` is more.
  Result<CubeState> find(CubeId id, Right need = Right::read) const;
  bool sees(const CubeState& state) const;
  // Without the sources that may not be seen.
  Result<CubeHeader> header(const CubeState& state, uint32_t version = 0) const;
  Result<std::string> payload(CubeId id, uint32_t version) const;
  Result<std::vector<CubeHeader>> history(CubeId id) const;
  Result<CubeHeader> as_of(const CubeState& state, TimeMs recorded_at) const;  // not_found before its put
  Result<std::vector<CubeHeader>> list(const CubeFilter& filter) const;
  Result<std::vector<CubeHeader>> derived(CubeId id) const;
  Result<std::vector<JournalEntry>> journal(CubeId id) const;

 private:
  View(sql::Database& database, Blobs& blobs, Rights rights)
      : db_(&database), rows_(database, blobs), rights_(std::move(rights)) {}
  Result<bool> visible(CubeId id) const;
  Result<std::optional<CubeHeader>> chosen(const CubeState& state, const CubeFilter& filter) const;
  Result<std::vector<CubeId>> page(const CubeFilter& filter, CubeId after, int64_t limit) const;

  sql::Database* db_;
  CubeRows rows_;
  Rights rights_;
};

}  // namespace varve
