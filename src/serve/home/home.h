// Home: the composition root. A directory with everything (settings, cubes), the ledger, the model and its
// engine: the only place that wires. CLI, HTTP and tests all begin here.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "core/base/ports.h"
#include "core/budget/ledger.h"
#include "core/io/env.h"
#include "memory/cube/cube_store.h"
#include "memory/recall/recall.h"
#include "run/engine/engine.h"
#include "serve/session/session.h"

namespace varve {

struct HomeOptions {
  std::string folder;              // empty: $VARVE_HOME or ~/.varve
  std::string model;               // GGUF path; empty: memory on its own
  int64_t budget_bytes = 0;        // 0: three quarters of the machine's memory
  std::string recipe = "default";  // of recall
  std::string embeddings;          // folder of a model2vec-format model, or empty
  EngineOptions engine;
};

class Home {
 public:
  static Result<std::unique_ptr<Home>> open(const HomeOptions& options, Env& env = posix_env(),
                                            const Clock& clock = system_clock());
  virtual ~Home() = default;
  virtual Ledger& ledger() = 0;
  virtual CubeStore& cubes() = 0;
  virtual Recall& recall() = 0;
  virtual Engine* engine() = 0;            // null without a model
  virtual const Embedder* embedder() = 0;  // null when there is none
  virtual const Clock& clock() const = 0;
  virtual Result<std::unique_ptr<Session>> session(const Principal& who,
                                                   const std::string& id) = 0;  // opens or begins
};

// One table: what each Code means outside.
struct OutsideCode {
  int http;
  int exit;
  const char* type;
};
OutsideCode outside(Code code);

Result<int64_t> parse_bytes(std::string_view text);  // "800MiB", "4GiB", "1.5GB", "123456"
std::string format_bytes(int64_t bytes);

}  // namespace varve
