// Task Memory Engine, TME (Ye 2025): a conversation's tasks as a tree (a node is a step with its status), and
// the prompt shows the active path alone; with dag=1 each step also names what it needs, and a step that
// changes makes what was built on it to be looked at again. Differences: a node is a cube whose versions are
// its history, and circles are refused. One answer of the Writer a turn; without one, "- [ ] step" and "- [x]
// step" are read as what they say.
#include <algorithm>

#include "memory/reflect/ask.h"
#include "memory/reflect/shared/tasks.h"

namespace varve::reflector {
namespace {

constexpr std::string_view kTask = "tme.task", kView = "tme.view";
constexpr size_t kMostTasks = 64;  // of one conversation

struct Options {
  int dag = 0;
  int changes = 6;  // of one turn, at most
};

class Tme : public Reflector {
 public:
  explicit Tme(const Options& options) : options_(options) {}
  std::vector<std::string> kinds() const override { return {std::string(kTask), std::string(kView)}; }
  std::vector<std::string> pinned() const override { return {std::string(kView)}; }

  Result<std::vector<MemoryOp>> reflect(const Principal& who, const Turn& turn, const Known& known,
                                        Writer* writer) const override {
    std::vector<MemoryOp> ops;
    if (words_of(turn).empty() || evidence_of(turn).empty()) return ops;
    Tasks tasks = TRY(stored(who, turn, known));
    if (writer != nullptr) {
      TRY(ask_changes(turn, *writer, tasks));
    } else {
      read_boxes(strip_recalled(turn.user), tasks);
      read_boxes(strip_recalled(turn.assistant), tasks);
    }
    return plan(turn, TRY(newest_of(who, turn, known, kView, turn.session)), tasks);
  }

 private:
  Result<Tasks> stored(const Principal& who, const Turn& turn, const Known& known) const {
    std::vector<Task> all;
    for (const CubeHeader& header : TRY(all_of(who, turn, known, kTask, turn.session)))
      all.push_back(Task::of(header, TRY(known.cubes.payload(who, header.id))));
    return Tasks(std::move(all));
  }

  Status ask_changes(const Turn& turn, Writer& writer, Tasks& tasks) const {
    Json list = Json::array();
    std::vector<std::string> numbers;
    for (const Task& one : tasks.all()) {
      list.push(Json::object()
                    .set("place", int64_t(numbers.size()))
                    .set("number", one.number)
                    .set("task", one.words)
                    .set("status", one.status));
      numbers.push_back(one.number);
    }
    const auto place = answer::number(-1, int64_t(numbers.size()) - 1);
    const Json made = TRY(ask(
        writer,
        {.words =
             "'tasks' are the tasks of a conversation, 'new' its newest exchange. Which does it change? "
             "'place' is the task meant, or -1 for a new one; 'under' the task that it is a step of, or "
             "-1; 'task' what is to be done, in few words; 'status' how it stands now; 'needs' the tasks "
             "that must be done before it. List only changes; often none.",
         .material = Json::object().set("tasks", std::move(list)).set("new", exchange_of(turn)),
         .example =
             R"({"changes": [{"place": -1, "under": -1, "task": "..", "status": "active", "needs": []}]})",
         .shape = answer::record(
             {{"changes",
               answer::list(answer::record({{"place", place},
                                            {"under", place},
                                            {"task", answer::text(120)},
                                            {"status", answer::choice({"open", "active", "done", "failed"})},
                                            {"needs", answer::list(place, options_.dag ? 6 : 0)}}),
                            options_.changes)}}),
         .max_tokens = 64 * options_.changes}));
    for (const Json& one : made["changes"].as_array()) change(one, numbers, tasks);
    return {};
  }

  static void change(const Json& one, const std::vector<std::string>& numbers, Tasks& tasks) {
    const auto number = [&](const Json& at) { return at.as_int() < 0 ? "" : numbers[size_t(at.as_int())]; };
    const std::string& words = one["task"].as_string();
    std::string target = number(one["place"]);
    if (target.empty()) {
      if (words.empty() || tasks.all().size() >= kMostTasks) return;
      target = tasks.add(number(one["under"]), words).number;
    } else if (!words.empty() && tasks.find(target)->words != words) {
      tasks.find(target)->words = words;
      tasks.touch(target);
    }
    set_status(one["status"].as_string(), target, tasks);
    for (const Json& needed : one["needs"].as_array()) tasks.need(target, number(needed));
  }

  // One task is active at a time.
  static void set_status(const std::string& status, const std::string& target, Tasks& tasks) {
    if (status == "active") {
      for (const Task& one : tasks.all()) {
        if (one.status == "active") tasks.find(one.number)->status = "open";
      }
    }
    if (tasks.find(target)->status == "done" && status != "done") tasks.touch(target);
    tasks.find(target)->status = status;
  }

  static void read_boxes(const std::string& text, Tasks& tasks) {
    for (const std::string& line : sentences(text)) {
      const bool open = line.starts_with("- [ ] ");
      if (!open && !line.starts_with("- [x] ")) continue;
      const std::string words = clipped(line.substr(6), 400);
      const auto found = std::find_if(tasks.all().begin(), tasks.all().end(),
                                      [&](const Task& one) { return one.words == words; });
      if (found == tasks.all().end() && tasks.all().size() >= kMostTasks) continue;
      const std::string target = found != tasks.all().end() ? found->number : tasks.add("", words).number;
      set_status(open ? "open" : "done", target, tasks);
    }
  }

  std::vector<MemoryOp> plan(const Turn& turn, const std::optional<Unit>& view, const Tasks& tasks) const {
    std::vector<MemoryOp> ops;
    std::vector<int32_t> fresh;
    std::vector<Source> shown = evidence_of(turn);
    for (const Task& one : tasks.all()) {
      const bool is_new = one.header.id == CubeId{};
      if (!is_new) shown.push_back({one.header.id, one.header.version});
      if (one.text() == one.stored) continue;
      if (is_new) fresh.push_back(int32_t(ops.size()));
      ops.push_back(is_new ? derived(turn, kTask, one.text()) : revised(turn, one.header, one.text()));
      ops.back().draft.header.title = one.number;
    }
    std::string text = Tasks::view(tasks.path(options_.dag != 0));
    if (text.empty() && view) text = "All tasks are done.";
    if (ops.empty() || text.empty() || (view && view->text == text)) return ops;
    ops.push_back(view ? revised(turn, view->header, std::move(text))
                       : derived(turn, kView, std::move(text)));
    ops.back().draft.header.from = std::move(shown);
    ops.back().from_ops = std::move(fresh);
    return ops;
  }

  const Options options_;
};

}  // namespace

Made tme(const Spec& spec) {
  Options options;
  TRY(OptionReader(spec).read("dag", options.dag, 0, 1).read("changes", options.changes, 1, 16).done());
  return std::unique_ptr<Reflector>(new Tme(options));
}

}  // namespace varve::reflector
