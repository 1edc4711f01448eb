// Afterthought: what is learnt from turns after their answers, one turn at a time on one thread of a home. A
// turn never waits for it: the one that runs is given up when a turn begins and begun again later. The queue
// is bounded and holds nothing that the log does not: what was not reflected on when the process ended is
// found there again, and what was is recognised.
#pragma once

#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "core/base/clock.h"
#include "memory/reflect/reflect.h"
#include "serve/session/answer/generate.h"
#include "serve/session/prompt.h"

namespace varve {

// Up to which cube the log of a principal was reflected on, by these reflectors. Kept by the home.
class LogMarks {
 public:
  virtual ~LogMarks() = default;
  virtual std::optional<CubeId> reached(const Principal& who) = 0;
  virtual void reach(const Principal& who, CubeId mark) = 0;  // a mark lost is a turn looked at twice
};

struct AfterthoughtParts {  // all of it outlives the afterthought
  CubeStore& cubes;
  const Recall& recall;
  const std::vector<std::unique_ptr<Reflector>>& reflectors;
  LogMarks& progress;
  const Embedder* embedder = nullptr;
  Engine* engine = nullptr;
  const Clock& clock = system_clock();
};

class Afterthought {
 public:
  struct State {
    int64_t waiting = 0;  // turns that are known to be left
    int64_t done = 0, failed = 0, given_up = 0;
    bool busy = false;
    std::string trouble;  // the newest
  };
  struct Outcome {
    std::vector<CubeId> stored;
    std::string trouble;  // empty: none
    bool done = false;
  };

  explicit Afterthought(const AfterthoughtParts& parts);
  ~Afterthought();  // gives up what runs

  // A principal is here: what the log holds beyond the mark is looked at when nothing else is to do.
  void meet(const Principal& who);
  // Something derived of this principal's went with one of its sources: it is derived again when nothing else
  // is to do.
  void lost(const Principal& who);
  // A turn began whose evidence begins with this cube: the mark stays before it until it was reflected on.
  void begun(const Principal& who, CubeId first);
  std::shared_ptr<Outcome> submit(const Principal& who, Turn turn);
  // Until it is done, or given up by give_up().
  void wait(const std::shared_ptr<Outcome>& outcome);
  void give_up(const std::shared_ptr<Outcome>& outcome);  // null: nothing
  std::vector<CubeId> stored(const std::shared_ptr<Outcome>& outcome) const;
  std::string trouble(const std::shared_ptr<Outcome>& outcome) const;  // of one that is done

  // While one lives, a turn is being answered: nothing that needs the engine runs.
  class Hush {
   public:
    explicit Hush(Afterthought& owner) : owner_(owner) { owner_.hush(1); }
    ~Hush() { owner_.hush(-1); }
    Hush(const Hush&) = delete;

   private:
    Afterthought& owner_;
  };

  State state() const;
  std::vector<std::string> pinned() const;  // kinds

 private:
  struct Job {
    Principal who;
    Turn turn;
    std::shared_ptr<Outcome> outcome;
    int32_t tries = 0;
    bool from_log = false;
    bool again = false;  // no turn: what was lost
  };
  struct Log {              // a principal's past
    std::set<CubeId> open;  // turns begun and not yet reflected on
    std::optional<CubeId> last;
    std::unique_ptr<PastTurns> past;  // null: nothing is left there
  };

  void hush(int change);
  void tell();  // whoever waits, under the lock
  void run();
  bool next(Job& job, std::unique_lock<std::mutex>& lock);
  bool next_lost(Job& job);
  Outcome reflect_on(Job& job, bool& cancelled);
  void finish(Job job, Outcome outcome, bool cancelled);
  void mark(const Principal& who, Log& log, const Turn& turn);
  bool next_of_log(Job& job, std::unique_lock<std::mutex>& lock);
  void save_marks(std::unique_lock<std::mutex>& lock);

  const AfterthoughtParts parts_;
  std::unique_ptr<Prompter> prompter_;  // null without a model
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Job> waiting_;
  std::map<std::string, Log> logs_;        // by principal
  std::map<std::string, CubeId> unsaved_;  // marks
  std::set<std::string> lost_;             // principals
  std::shared_ptr<Outcome> current_;
  bool current_is_past_ = false;
  bool idle_ = false;  // nothing is ever derived
  Interrupt interrupt_;
  State state_;
  int hushed_ = 0;
  uint64_t events_ = 0;
  bool ending_ = false;
  std::thread thread_;
};

}  // namespace varve
