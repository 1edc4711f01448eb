// A file system for SQLite that writes no byte of a database which belongs to no row. Pages pass scrub_page()
// on their way to the disk, so that what is deleted in a transaction is in no file once that is committed.
#pragma once

#include <string>

#include "core/io/env.h"

namespace varve {

// Registers it with SQLite at the first call. Below it lies whatever is SQLite's default when a file is
// opened.
const char* scrub_vfs();

// For a file that was written without it: scrubs every page in place. Only bytes that belong to no row
// change, so a crash in between does no harm. Nobody may have the file open.
Status scrub_database(Env& env, const std::string& path);

}  // namespace varve
