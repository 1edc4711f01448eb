// PEFT's folder: adapter_config.json and adapter_model.safetensors.
#pragma once

#include "memory/parametric/adapter_file.h"

namespace varve {

Result<AdapterFile> read_peft(Env& env, const std::string& path, HeadCounts permuted, Ledger& ledger);

}  // namespace varve
