// The commands of this room, one function each; commands.cc lists them.
#pragma once

#include "core/format/json.h"
#include "serve/cli/command.h"

namespace varve {

Result<int> run_chat(Args& args, Console& console);
Result<int> run_complete(Args& args, Console& console);
Result<int> run_batch(Args& args, Console& console);
Result<int> run_mcp(Args& args, Console& console);
Result<int> run_serve(Args& args, Console& console);
Result<int> run_key(Args& args, Console& console);
Result<int> run_recall(Args& args, Console& console);
Result<int> run_remember(Args& args, Console& console);
Result<int> run_capture(Args& args, Console& console);
Result<int> run_profile(Args& args, Console& console);
Result<int> run_forget(Args& args, Console& console);
Result<int> run_cube(Args& args, Console& console);
Result<int> run_import(Args& args, Console& console);
Result<int> run_export(Args& args, Console& console);
Result<int> run_learn(Args& args, Console& console);
Result<int> run_merge(Args& args, Console& console);
Result<int> run_compress(Args& args, Console& console);
Result<int> run_pretrain(Args& args, Console& console);
Result<int> run_reflect(Args& args, Console& console);
Result<int> run_feedback(Args& args, Console& console);
Result<int> run_list(Args& args, Console& console);
Result<int> run_settings(Args& args, Console& console);
Result<int> run_space(Args& args, Console& console);
Result<int> run_conflicts(Args& args, Console& console);
Result<int> run_audit(Args& args, Console& console);
Result<int> run_backup(Args& args, Console& console);
Result<int> run_restore(Args& args, Console& console);
Result<int> run_fsck(Args& args, Console& console);
Result<int> run_explain(Args& args, Console& console);
Result<int> run_doctor(Args& args, Console& console);
Result<int> run_index(Args& args, Console& console);
Result<int> run_budget(Args& args, Console& console);
Result<int> run_neurons(Args& args, Console& console);

struct RecallState;
Json index_report(const RecallState& state);  // for doctor too
Result<int> run_world(Args& args, Console& console);

}  // namespace varve
