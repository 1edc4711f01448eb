// A real trained model tells the story that another engine had it tell.
#include <fstream>
#include <sstream>

#include <algorithm>

#include "tests/support/run_model.h"
#include "tests/support/shared.h"

namespace varve {
namespace {

TEST(Stories, GreedyTextIsTheKnownOne) {
  NEED_SHARED("data/models/tinyllamas/stories260K.gguf");
  ModelRun run(shared_path("data/models/tinyllamas/stories260K.gguf"));
  const Tokenizer* tokenizer = run.model().tokenizer();
  ASSERT_NE(tokenizer, nullptr);
  Tokens tokens = tokenize_prompt(*tokenizer, "Once upon a time");
  std::string story = " Once upon a time";
  for (int i = 0; i < 120; ++i) {
    const Logits logits = run.logits(tokens);
    const auto last = logits.end() - run.vocabulary();
    tokens.push_back(Token(std::max_element(last, logits.end()) - last));
    tokenizer->decode(tokens.back(), false, story);
  }
  std::ifstream file(shared_path("data/models/tinyllamas/greedy.txt"));
  std::stringstream known;
  known << file.rdbuf();
  EXPECT_NE(known.str().find("\n" + story + "\n"), std::string::npos) << story;
}

}  // namespace
}  // namespace varve
