// A model file and an engine that runs it, for tests of what is read out of engines.
#pragma once

#include <gtest/gtest.h>

#include "core/io/env.h"
#include "run/engine/engine.h"
#include "tests/support/temp_folder.h"
#include "tests/support/tiny_model.h"

namespace varve {

struct EngineRig {
  explicit EngineRig(std::string path = "", EngineOptions options = {.threads = 1}) {
    if (path.empty()) {
      path = folder / "tiny.gguf";
      CHECK(write_tiny_model(posix_env(), path).ok(), "a tiny model");
    }
    auto model = open_model(posix_env(), path, ledger);
    CHECK(model.ok(), "a model");
    options.precision = Ops::Precision::exact;
    auto started = start_engine(std::move(*model), ledger, options);
    CHECK(started.ok(), "an engine");
    engine = std::move(*started);
  }

  TempFolder folder;
  Ledger ledger{256 << 20};
  std::unique_ptr<Engine> engine;
};

}  // namespace varve
