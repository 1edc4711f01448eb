#include "memory/reflect/shared/tasks.h"

#include <algorithm>
#include <charconv>
#include <set>

namespace varve {
namespace {

std::vector<int> places(std::string_view number) {
  std::vector<int> all;
  while (!number.empty()) {
    int value = 0;
    std::from_chars(number.data(), number.data() + number.size(), value);
    all.push_back(value);
    const size_t dot = number.find('.');
    number.remove_prefix(dot == number.npos ? number.size() : dot + 1);
  }
  return all;
}

std::string parent_of(std::string_view number) {
  const size_t dot = number.rfind('.');
  return std::string(number.substr(0, dot == number.npos ? 0 : dot));
}

}  // namespace

std::string Task::text() const {
  std::string text = "Task: " + words + "\nStatus: " + status;
  if (!needs.empty()) text += "\nNeeds: " + joined(needs, ", ");
  return text;
}

Task Task::of(const CubeHeader& header, std::string_view text) {
  Task task{header.title, line_after(text, "Task"), line_after(text, "Status"), words_after(text, "Needs")};
  task.header = header;
  task.stored = text;
  return task;
}

int Task::depth() const {
  return int(std::count(number.begin(), number.end(), '.'));
}

bool Task::within(std::string_view ancestor) const {
  return number == ancestor || number.substr(0, ancestor.size() + 1) == std::string(ancestor) + ".";
}

void Tasks::sort() {
  std::stable_sort(all_.begin(), all_.end(),
                   [](const Task& a, const Task& b) { return places(a.number) < places(b.number); });
}

Task* Tasks::find(std::string_view number) {
  for (Task& one : all_) {
    if (one.number == number) return &one;
  }
  return nullptr;
}

Task& Tasks::add(const std::string& parent, std::string words) {
  int last = 0;
  for (const Task& one : all_) {
    if (parent_of(one.number) == parent) last = std::max(last, places(one.number).back());
  }
  const std::string number = (parent.empty() ? "" : parent + ".") + std::to_string(last + 1);
  all_.push_back({number, std::move(words), "open", {}});
  sort();
  return *find(number);
}

bool Tasks::need(const std::string& number, const std::string& needed) {
  Task* task = find(number);
  if (task == nullptr || find(needed) == nullptr) return false;
  std::vector<std::string> left{needed};
  std::set<std::string> seen;
  while (!left.empty()) {
    const std::string one = left.back();
    left.pop_back();
    if (one == number) return false;
    if (!seen.insert(one).second) continue;
    if (const Task* next = find(one)) left.insert(left.end(), next->needs.begin(), next->needs.end());
  }
  if (std::find(task->needs.begin(), task->needs.end(), needed) == task->needs.end())
    task->needs.push_back(needed);
  return true;
}

void Tasks::touch(const std::string& number) {
  for (Task& one : all_) {
    if (one.number == number || one.status != "done") continue;
    if (std::find(one.needs.begin(), one.needs.end(), number) == one.needs.end()) continue;
    one.status = "recheck";  // before the walk goes on, so that a circle ends
    touch(one.number);
  }
}

std::vector<const Task*> Tasks::path(bool needs) const {
  const auto first = [&](std::string_view status) {
    const Task* found = nullptr;
    for (const Task& one : all_) {
      if (one.status == status && (found == nullptr || one.depth() > found->depth())) found = &one;
    }
    return found;
  };
  const Task* active = first("active");
  if (active == nullptr) active = first("recheck");
  if (active == nullptr) active = first("open");
  if (active == nullptr) return {};
  std::set<std::string> needed;
  std::vector<std::string> left = needs ? active->needs : std::vector<std::string>();
  while (!left.empty()) {
    const std::string one = left.back();
    left.pop_back();
    if (!needed.insert(one).second) continue;
    for (const Task& task : all_) {
      if (task.number == one) left.insert(left.end(), task.needs.begin(), task.needs.end());
    }
  }
  std::vector<const Task*> path;
  for (const Task& one : all_) {
    const std::string parent = parent_of(one.number);
    const bool on_path = active->within(one.number);
    const bool step_of_path = !parent.empty() && active->within(parent);
    if (on_path || step_of_path || needed.contains(one.number)) path.push_back(&one);
  }
  return path;
}

std::string Tasks::view(const std::vector<const Task*>& path) {
  std::string text;
  for (const Task* one : path) {
    text += (text.empty() ? "" : "\n") + std::string(size_t(one->depth()) * 2, ' ') + one->number + " " +
            one->words + " (" + one->status;
    if (!one->needs.empty()) text += "; needs " + joined(one->needs, ", ");
    text += ")";
  }
  return text;
}

}  // namespace varve
