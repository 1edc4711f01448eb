// Tasks: the tree of a conversation's tasks with what each needs, as numbers and lines, and its view for a
// prompt. "1.2" is the second step of task 1.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "memory/reflect/derive.h"

namespace varve {

struct Task {
  std::string number, words, status;  // open, active, done, failed; "recheck": something it needs has changed
  std::vector<std::string> needs;     // numbers
  CubeHeader header;                  // of a task that is stored; else its id is all zero
  std::string stored;                 // its text there

  std::string text() const;
  static Task of(const CubeHeader& header, std::string_view text);
  int depth() const;
  bool within(std::string_view ancestor) const;  // or the same
};

class Tasks {
 public:
  explicit Tasks(std::vector<Task> all) : all_(std::move(all)) { sort(); }
  const std::vector<Task>& all() const { return all_; }
  Task* find(std::string_view number);
  // A new step of `parent` (empty: a task of its own), the next number.
  Task& add(const std::string& parent, std::string words);
  // Refused, and nothing changes, when that would close a circle.
  bool need(const std::string& number, const std::string& needed);
  // What needs this one, directly or not, and is done, must be looked at again.
  void touch(const std::string& number);

  // The active path: from its root to the active task (the first open one if none is), with the steps of each
  // task on it; with `needs` also what the active task needs, directly or not.
  std::vector<const Task*> path(bool needs) const;
  static std::string view(const std::vector<const Task*>& path);

 private:
  void sort();
  std::vector<Task> all_;
};

}  // namespace varve
