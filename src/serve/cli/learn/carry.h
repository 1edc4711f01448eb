// Adapters in and out of a home: files of other programs as cubes, and cubes as files.
#pragma once

#include "serve/cli/command.h"

namespace varve {

// `varve export NAME --gguf FILE|--peft FOLDER`, when the words ask for that.
bool asks_for_adapter(Args& args);
Result<int> export_adapter(Args& args, Console& console);
// `varve import PATH --model FILE [--name NAME]`, when PATH is a GGUF file or a folder of PEFT's.
Result<bool> holds_adapter(Args& args);
Result<int> import_adapter(Args& args, Console& console);

}  // namespace varve
