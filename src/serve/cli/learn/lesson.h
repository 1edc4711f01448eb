// What the commands that learn share: the plan from the words, the table of bytes, and the run with its
// progress.
#pragma once

#include "learn/tune/recipe.h"
#include "serve/cli/command.h"

namespace varve {

struct LessonOptions {
  LessonPlan plan;
  Recipe recipe;
  int64_t budget_bytes = 0;  // 0: the machine's
  int32_t threads = 0;       // 0: one a core
  int64_t save_every = 100;  // steps
  int32_t length = 0, sequences = 0;
  bool plan_only = false, json = false, fresh = false;
  Json beside = Json::object();  // kept with the checkpoint
};
// Defaults are what `options` holds.
Status read_lesson_options(Args& args, LessonOptions& options);
// "weights 59.3 MiB, gradients ..." as a table.
void print_bytes(const LessonBytes& bytes, int64_t base, const LessonOptions& options, Console& console);
// What the other recipes of the same form would take.
Status print_recipes(const Network& network, const Parts& parts, const LessonOptions& options, int32_t rows,
                     int64_t base, Console& console);
// over_budget with the arithmetic, and which other plan would fit.
Status check_budget(const Network& network, const Parts& parts, const LessonOptions& options, int32_t rows,
                    int64_t room);

// Steps until the plan's end or Ctrl-C, with a line of progress now and then and a checkpoint in `path` now,
// then and at the end. cancelled: by Ctrl-C, after the checkpoint.
Status run_lesson(Lesson& lesson, const Batches& batches, const LessonOptions& options,
                  const std::string& path, Console& console);

}  // namespace varve
