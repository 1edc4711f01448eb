// Home: the composition root. A directory with everything (settings, cubes), the ledger, the model and its
// engine: the only place that wires. CLI, HTTP and tests all begin here.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "core/base/ports.h"
#include "core/budget/ledger.h"
#include "core/io/env.h"
#include "memory/cube/cube_store.h"
#include "memory/recall/recall.h"
#include "run/engine/engine.h"
#include "serve/home/adapters.h"
#include "serve/home/settings.h"
#include "serve/session/session.h"

namespace varve {

class Home {
 public:
  // conflict: another process has this home. over_budget: the budget is below what is needed, with the
  // arithmetic.
  static Result<std::unique_ptr<Home>> open(const HomeOptions& options, Env& env = posix_env(),
                                            const Clock& clock = system_clock());
  virtual ~Home() = default;
  virtual const std::string& folder() const = 0;
  virtual const HomeOptions& options() const = 0;
  virtual Ledger& ledger() = 0;
  virtual CubeStore& cubes() = 0;
  virtual Recall& recall() = 0;
  virtual Engine* engine() = 0;            // null without a model
  virtual const Embedder* embedder() = 0;  // null when there is none
  virtual const Clock& clock() const = 0;
  // What a request attaches to the model, for its `adapter`; null for nothing. nullopt: what the setting
  // 'adapter' says; else cubes that `who` may read, by name or id.
  virtual Result<std::shared_ptr<const Adapter>> adapter(
      const Principal& who, const std::optional<std::vector<AdapterChoice>>& choices) = 0;
  // Opens or begins a conversation. Whoever asks for the same one shares it.
  virtual Result<std::shared_ptr<Session>> session(const Principal& who, const std::string& id) = 0;
  // Erases a cube and what is derived from it, in the store and in every KV prefix. Always forget through
  // here.
  virtual Result<EraseReceipt> forget(const Principal& who, CubeId id, std::string why) = 0;
  // What the reflector derives from a turn whose evidence is stored, by the model when there is one.
  // `since`: what was derived before does not count (of a rebuilding, when it began).
  virtual Result<std::vector<CubeId>> learn(const Principal& who, const Turn& turn, TimeMs since = 0) = 0;
  // The same for what was derived and went with one of its sources: what could be derived again.
  virtual Result<std::vector<CubeId>> learn_again(const Principal& who) = 0;
  virtual const std::vector<std::unique_ptr<Reflector>>& reflectors() const = 0;
  virtual Afterthought::State thoughts() = 0;  // what is still to be learnt from turns
  // What the whole process may take, from now on. A model that streams gives or takes weights; answers that
  // are being written go on, to the same words. over_budget: what is in use cannot be given back, and how
  // much that is; then nothing changed.
  virtual Status set_budget(int64_t bytes) = 0;
  // What the user set; less is in force while the machine is short of memory.
  virtual int64_t asked_budget() const = 0;
};

// Budget, use by tag, and how a model that does not fit streams.
Json budget_report(Home& home);

// $VARVE_HOME, or ~/.varve.
Result<std::string> default_folder();

// Every cube that `who` may read and whose words contain `words` (upper or lower case alike), whatever its
// life.
Result<std::vector<CubeHeader>> cubes_with(const CubeStore& cubes, const Principal& who,
                                           std::string_view words);

// The numbers of the newest turn of a principal, for `varve explain`. No words are kept, only ids.
Status keep_report(Home& home, Env& env, const Principal& who, const std::string& session,
                   const TurnReport& report);
Result<Json> kept_report(Home& home, Env& env, const Principal& who);  // not_found: no turn yet

// One table: what each Code means outside.
struct OutsideCode {
  int http;
  int exit;
  const char* type;
};
OutsideCode outside(Code code);

}  // namespace varve
