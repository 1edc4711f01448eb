// An engine over the model whose text is known.
#pragma once

#include <thread>

#include "run/engine/heard_test.h"

namespace varve {

struct Rig {
  explicit Rig(EngineOptions options = {}, std::shared_ptr<FakeModel> with = std::make_shared<FakeModel>(),
               int64_t limit = 8 << 20)
      : ledger(limit), model(std::move(with)) {
    if (options.kv == EngineOptions().kv) options.kv = "pack=f32";
    options.threads = 1;
    auto started = start_engine(model, ledger, options);
    CHECK(started.ok(), "engine");
    engine = std::move(*started);
  }
  SequenceId submit(const Request& request, Heard& heard) {
    while (true) {
      auto id = engine->submit(request, heard.listener());
      if (id.ok()) return *id;
      CHECK(id.code() == Code::over_budget, "submit");
      std::this_thread::yield();  // not even its tokens fit beside what runs
    }
  }
  std::vector<Token> say(Request request, Usage* usage = nullptr) {
    Heard heard;
    submit(request, heard);
    heard.wait();
    CHECK(heard.status().ok(), "failed");
    if (usage != nullptr) *usage = heard.usage();
    return heard.tokens();
  }
  Status refusal(Request request) { return engine->submit(std::move(request), {}).status(); }

  Ledger ledger;
  std::shared_ptr<FakeModel> model;
  std::unique_ptr<Engine> engine;
};

}  // namespace varve
