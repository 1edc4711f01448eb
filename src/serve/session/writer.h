// EngineWriter: the engine behind the Writer port, at the priority of a reflection, so that a turn always
// goes first.
#pragma once

#include "core/base/clock.h"
#include "core/base/ports.h"
#include "run/engine/engine.h"
#include "serve/session/answer/generate.h"
#include "serve/session/prompt.h"

namespace varve {

class EngineWriter : public Writer {
 public:
  // `scope`: the principal's, so that no KV crosses between tenants. All of it outlives the writer.
  EngineWriter(Engine& engine, const Prompter& prompter, std::string scope, const Clock& clock,
               Interrupt& interrupt)
      : engine_(engine),
        prompter_(prompter),
        scope_(std::move(scope)),
        clock_(clock),
        interrupt_(interrupt) {}
  // cancelled: interrupted.
  Result<std::string> write(std::string_view prompt, std::string_view schema, int max_tokens) override;

 private:
  Engine& engine_;
  const Prompter& prompter_;
  std::string scope_;
  const Clock& clock_;
  Interrupt& interrupt_;
};

}  // namespace varve
