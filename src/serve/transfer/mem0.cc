// mem0's memories, as its get_all() and its exports list them.
#include "core/base/hash.h"
#include "serve/home/show.h"
#include "serve/transfer/record.h"

namespace varve {

bool is_mem0(const Json& piece) {
  return piece["memory"].is_string();
}

Result<std::vector<Record>> read_mem0(const Json& piece) {
  TRY(check_words(piece["memory"].as_string()));
  Record record;
  CubeHeader& header = record.draft.header;
  record.draft.payload = piece["memory"].as_string();
  header.kind = "fact";
  header.trust = Trust::model;
  header.event = time_at(piece, "created_at");
  const std::string id = text_at(piece, "id");
  header.origin = origin_of("mem0", id.empty() ? "sha256-" + sha256(piece.dump()).hex() : id);
  header.session = cut_text(text_at(piece, "run_id"), kMaxNameBytes);
  Json labels = Json::object();
  for (const char* key : {"user_id", "agent_id", "app_id", "run_id", "metadata", "categories"}) {
    if (!piece[key].is_null()) labels.set(key, piece[key]);
  }
  if (labels.size() > 0) header.labels = labels.dump();
  return std::vector{std::move(record)};
}

}  // namespace varve
