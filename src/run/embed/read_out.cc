#include "run/embed/read_out.h"

#include <chrono>
#include <condition_variable>
#include <mutex>

namespace varve {
namespace {

struct Answers {
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<std::vector<float>> results;
  size_t left = 0;
  Status failed;
  bool engine_ends = false;  // nobody else cancels: it must not be called any more

  void take(size_t at, Finish how, Status status, std::vector<float> result) {
    std::lock_guard lock(mutex);
    engine_ends = engine_ends || (how == Finish::cancelled && failed.ok());
    if (how == Finish::cancelled && status.ok())
      status = Status(Code::cancelled, "the model was interrupted");
    if (failed.ok()) failed = std::move(status);
    results[at] = std::move(result);
    --left;
    changed.notify_all();
  }
};

// Waits until all are there, one has failed, or time is up.
void wait(Answers& answers, int64_t most_ms) {
  std::unique_lock lock(answers.mutex);
  const auto over = [&] { return answers.left == 0 || !answers.failed.ok(); };
  if (most_ms == 0) {
    answers.changed.wait(lock, over);
  } else if (!answers.changed.wait_for(lock, std::chrono::milliseconds(most_ms), over)) {
    answers.failed = Status(Code::cancelled, "the model took longer than " + std::to_string(most_ms) + " ms");
  }
}

}  // namespace

Result<std::vector<std::vector<float>>> read_out(Engine& engine, std::vector<Request> requests,
                                                 int64_t most_ms) {
  Answers answers;
  answers.results.resize(requests.size());
  answers.left = requests.size();
  std::vector<SequenceId> ids;
  for (size_t at = 0; at < requests.size(); ++at) {
    Listener listener;
    listener.on_finish = [&answers, at](Finish how, Status status, const Usage&, std::vector<float> result) {
      answers.take(at, how, std::move(status), std::move(result));
    };
    auto id = engine.submit(std::move(requests[at]), std::move(listener));
    if (id.ok()) {
      ids.push_back(*id);
      continue;
    }
    std::lock_guard lock(answers.mutex);
    if (answers.failed.ok()) answers.failed = std::move(id).status();
    answers.left -= requests.size() - at;  // this one and those after it
    break;
  }
  wait(answers, most_ms);
  bool failed = false;
  {
    std::lock_guard lock(answers.mutex);
    failed = !answers.failed.ok() && !answers.engine_ends;
  }
  if (failed) {
    for (SequenceId id : ids) engine.cancel(id);
  }
  std::unique_lock lock(answers.mutex);  // every listener must have spoken: they look at `answers`
  answers.changed.wait(lock, [&] { return answers.left == 0; });
  TRY(std::move(answers.failed));
  return std::move(answers.results);
}

}  // namespace varve
