// Log: one line to stderr, written by serve/ only. Prompts, memories, tokens and keys are never logged.
#pragma once

#include <string_view>

namespace varve {

enum class LogLevel : unsigned char { error, warning, note, debug };
void set_log_level(LogLevel level);
void log(LogLevel level, std::string_view line);

}  // namespace varve
