// Settings: what a user can choose about a home. One list of fields gives the command line flags, the keys of
// settings.json and the documentation.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/format/json.h"
#include "core/io/env.h"
#include "run/engine/engine.h"

namespace varve {

struct HomeOptions {
  std::string folder;  // a flag only: --home. Empty: $VARVE_HOME or ~/.varve
  std::string model, adapter;
  int64_t budget_bytes = 0;
  std::string pressure;
  int32_t pressure_every_ms = 2000;  // no setting: tests look more often
  std::string recipe = "default";
  std::string embeddings;
  std::string reflector = "verbatim";
  std::string memory;
  int32_t recall_tokens = 1000;
  int64_t auto_capture_bytes = int64_t(512) << 20;
  EngineOptions engine;
};

// A field, bound to the struct that holds it. Its name is the JSON key; the flag has '-' for '_'.
struct Setting {
  std::string_view name;
  std::variant<std::string*, int32_t*, int64_t*, Ops::Precision*> field;  // int64_t: bytes
  int64_t low = 0, high = 0;                                              // of numbers and bytes
  std::string_view sentence;

  Status set(std::string_view text);  // invalid names the field and what it may be
  std::string text() const;
  std::string range() const;  // "0 to 64", "exact or fast", "text"
};

// `options` must outlive the list.
std::vector<Setting> settings_of(HomeOptions& options);

// settings.json of a folder over the defaults; an absent file changes nothing. Unknown keys are invalid,
// except objects: a section belongs to another room (`section` names it; empty: the top level).
Status read_settings(Env& env, const std::string& folder, std::string_view section,
                     std::vector<Setting> settings);

Result<int64_t> parse_bytes(std::string_view text);  // "800MiB", "4GiB", "1.5GB", "123456"
std::string format_bytes(int64_t bytes);             // "1.50 GiB"

}  // namespace varve
