// Import: an export of Varve, ChatGPT, Claude or mem0 into a space, record by record. What is there already
// (by its origin) is left alone, so an import that was cut off is gone on with by running it again.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "serve/home/home.h"
#include "serve/transfer/pieces.h"

namespace varve {

struct ImportReport {
  std::string format;                                       // "chatgpt", ...; empty: no record was recognised
  int64_t records = 0, added = 0, present = 0, failed = 0;  // of cubes; `records` of pieces of the file
  std::vector<std::string> troubles;  // the first ones: which record, and why it was left out
  int64_t bytes = 0;                  // read so far
  std::optional<std::string> cut;     // why it stopped before the end, and where
};

struct ImportOptions {
  std::string space;     // empty: the importer's own
  bool believe = false;  // take the file's word on who said what; else everything comes from outside
  std::function<bool(const ImportReport&)> progress;  // after every record; false stops; may be null
};

// An error only when nothing more can be stored (the disk, the rights, the budget): what was imported stays.
Result<ImportReport> import_records(Home& home, const Principal& who, ByteSource source,
                                    const ImportOptions& options);
Json to_json(const ImportReport& report);

// Every plaintext memory as a line of Varve's own JSONL, oldest first, with its earlier versions. Lines that
// were written are whole; `write` may end it with an error. Returns how many.
Result<int64_t> export_lines(Home& home, const Principal& who, CubeFilter filter,
                             const std::function<Status(std::string_view line)>& write);

}  // namespace varve
