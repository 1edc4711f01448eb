// Scope: whom a memory is about, in mem0's words. Each user_id of a key has a space of its own among
// those of the key's principal; agent_id, app_id, run_id and metadata stay with the memory as labels.
#pragma once

#include <string>

#include "serve/http/http.h"

namespace varve {

struct Scope {
  std::string user, agent, app, run;
  std::string space;            // said outright, or that of the user; empty: every space that may be read
  Json metadata;                // of a new memory: null or an object
  Json filter = Json::array();  // of a list: all must pass
  bool spoken = false;          // the request speaks mem0, and is answered so
};

// From a body, or from a query as an object of strings. invalid names the field.
Result<Scope> read_scope(const Principal& who, const Json& fields);
Json query_json(const HttpRequest& request);

std::string space_of_user(const Principal& who, const std::string& user);
std::string labels_of(const Scope& scope);  // for a cube's header

// What is no id names nothing: not_found, as for an unknown one.
Result<CubeId> memory_id(std::string_view text);
// A whole number from 1, of a query string, where every number is text.
Status number_in(const Json& query, std::string_view key, int32_t& out, int32_t most);
// The memory as it is now; where a version was stale, 409 with what is there beside the error.
Result<HttpReply> revised_reply(Api& api, const Principal& who, CubeId id, Result<uint32_t> revised);

// A memory with its words, under its own names and mem0's: memory, user_id, metadata, created_at, ...
Json mem0_json(const CubeHeader& header, const std::string& text);
// That of a scope: by its filter, its session, and what it says of agents and apps.
bool passes(const Scope& scope, const Json& memory);

}  // namespace varve
