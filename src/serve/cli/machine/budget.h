// What commands say of a model that streams its weights from disk.
#pragma once

#include "serve/cli/command.h"
#include "serve/home/home.h"

namespace varve {

// --plan: what stays in memory, what streams, and how fast that can be.
void print_plan(Home& home, bool json, Console& console);
// After a run, the measured speed beside the plan's, on the error stream; nothing where nothing streams.
void print_speed(Home& home, const Usage& usage, Console& console);

}  // namespace varve
