// varve complete: the model goes on with a text. No conversation, no memory.
#include <unistd.h>

#include <ostream>

#include "serve/cli/builtin.h"
#include "serve/cli/machine/budget.h"
#include "serve/cli/options.h"
#include "serve/cli/terminal/terminal.h"
#include "serve/home/control.h"

namespace varve {

Result<int> run_complete(Args& args, Console& console) {
  const Principal who = TRY(principal(args));
  const HomeOptions settings = TRY(home_options(args, UseModel::named));
  const TurnOptions options = TRY(turn_options(args));
  const std::string prompt = TRY(args.value("--prompt")).value_or("");
  const bool json = args.flag("--json"), plan = args.flag("--plan");
  TRY(args.rest(0, 0, "no words; the text to go on with is given as --prompt TEXT"));
  if (settings.model.empty()) return Status(Code::invalid, "name the model that writes: --model FILE");
  const std::unique_ptr<Home> home = TRY(Home::open(settings));
  if (plan) {
    print_plan(*home, json, console);
    return 0;
  }
  const auto control = open_control(*home);
  Engine& engine = *home->engine();
  Request request;
  request.tokens = tokenize_prompt(*engine.model().tokenizer(), prompt);
  request.max_tokens = options.max_tokens;
  request.subtasks = options.subtasks;
  request.sampling = options.sampling;
  request.adapter = TRY(home->adapter(who, std::nullopt));
  request.scope = "complete";
  Interrupt interrupt;
  console.terminal.catch_interrupts();
  InterruptWatch watch(
      console.terminal, [&] { interrupt.raise(); }, [] { _exit(130); });
  const OnPiece show = [&](const Piece& piece) {
    if (!json) console.out << piece.text << std::flush;
    return bool(console.out);
  };
  const Generation made = TRY(generate(engine, std::move(request), options.stop, show, interrupt));
  if (json) {
    Json out = Json::object();
    out.set("text", made.text).set("prompt_tokens", made.usage.prompt_tokens);
    out.set("generated_tokens", made.usage.generated_tokens).set("prefill_ms", made.usage.prefill_ms);
    out.set("decode_ms", made.usage.decode_ms);
    if (made.usage.subtasks > 0) out.set("subtasks", subtasks_json(made.usage));
    console.out << out.dump();
  }
  console.out << std::endl;
  print_speed(*home, made.usage, console);
  return 0;
}

}  // namespace varve
