// Memories are read once: every later conversation, in another process too, begins with the state of then;
// and nothing of it is left when one of them is forgotten.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "memory/cube/cube_file.h"
#include "memory/plaintext/evidence.h"
#include "serve/home/home.h"
#include "tests/support/temp_folder.h"
#include "tests/support/tiny_model.h"

namespace varve {
namespace {

const std::string kWords =
    "The lighthouse of Brigg stands on the northern rock. Its keeper, Ansel Voigt, winds the clock at six, "
    "and paints the railing every spring in the colour of old copper. Nobody else has the key.";

std::string all_bytes(const std::string& folder) {
  std::string all;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (!entry.is_regular_file()) continue;
    std::ifstream file(entry.path(), std::ios::binary);
    all.append(std::istreambuf_iterator<char>(file), {});
  }
  return all;
}

class Activation : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(write_tiny_model(posix_env(), folder / "tiny.gguf").ok()); }
  std::unique_ptr<Home> open(const std::string& model = "tiny.gguf") {
    HomeOptions made;
    made.folder = folder / "home";
    made.budget_bytes = 1 << 30;
    made.model = model.empty() ? "" : folder / model;
    made.engine.threads = 1;
    auto home = Home::open(made);
    EXPECT_TRUE(home.ok());
    return std::move(home).value();
  }
  CubeId remember(Home& home, const std::string& text) {
    return home.cubes().put(ann, note_draft(text)).value();
  }
  CaptureMade captured(Home& home, std::vector<CubeId> memories) {
    auto made = capture(home.cubes(), ann, *home.engine(), Prompter(home.engine()->model()),
                        {.memories = std::move(memories)}, home.clock().now_ms());
    EXPECT_TRUE(made.ok()) << (made.ok() ? "" : std::move(made).status().text());
    return *made;
  }
  TurnReport say(Home& home, const std::string& session, const std::string& words, TurnOptions options = {}) {
    options.sampling.temperature = 0;
    options.max_tokens = 8;
    auto said = home.session(ann, session).value()->turn(words, options, nullptr);
    EXPECT_TRUE(said.ok()) << (said.ok() ? "" : std::move(said).status().text());
    return *said;
  }
  TurnOptions with(const CubeId& id, bool remembered = true) {
    TurnOptions options;
    options.activation = id;
    options.remember = remembered;
    options.recall = false;
    return options;
  }

  TempFolder folder;
  const Principal ann{"ann"};
};

TEST_F(Activation, AnotherProcessBeginsWithItAndAnswersAsIfItHadRead) {
  CaptureMade made;
  std::string answer;
  {
    auto home = open();
    made = captured(*home, {remember(*home, kWords)});
    ASSERT_GT(made.tokens, 50);
  }
  {
    auto home = open();
    const TurnReport report = say(*home, "one", "Who has the key?", with(made.cube));
    ASSERT_TRUE(report.captured);
    EXPECT_EQ(report.captured->trouble, "");
    EXPECT_EQ(report.captured->reused, made.tokens);
    EXPECT_LT(report.usage.prompt_tokens - report.usage.reused_tokens, 60);
    answer = report.answer;
    const TurnReport next = say(*home, "one", "And who paints?", with(made.cube));
    EXPECT_GE(next.usage.reused_tokens, report.usage.prompt_tokens) << "the whole conversation";
    EXPECT_EQ(to_json(report, true)["activation"]["fidelity"], Json("exact"));
  }
  std::filesystem::remove_all(folder / "home/prefixes");
  auto home = open();
  const CubeId cube = made.cube;
  ASSERT_TRUE(home->cubes().advance(ann, cube, Life::archived, "read the words").ok());
  EXPECT_EQ(home->session(ann, "two").value()->turn("Who has the key?", with(cube), nullptr).code(),
            Code::invalid);
  ASSERT_TRUE(home->cubes().advance(ann, cube, Life::active, "again").ok());
  home->engine()->forget_prefixes().ignore("checked by what follows");
  const TurnReport again = say(*home, "two", "Who has the key?", with(cube));
  EXPECT_EQ(again.answer, answer);
}

TEST_F(Activation, RecallFindsWhatWasCaptured) {
  CaptureMade made;
  {
    auto home = open();
    made = captured(*home, {remember(*home, kWords)});
  }
  auto home = open();
  const TurnReport report = say(*home, "one", "Who is the keeper of the lighthouse of Brigg?");
  ASSERT_TRUE(report.captured);
  EXPECT_EQ(report.captured->header.id, made.cube);
  EXPECT_EQ(report.captured->reused, made.tokens);
  for (const Recalled& one : report.recalled) EXPECT_NE(one.text, kWords) << "its words stand there once";
  EXPECT_FALSE(say(*home, "two", "What is seven times eight?").captured);
}

TEST_F(Activation, AnotherModelReadsTheWordsAndSaysSo) {
  auto made = [&] {
    auto home = open();
    return captured(*home, {remember(*home, kWords)});
  }();
  ASSERT_TRUE(write_tiny_model(posix_env(), folder / "other.gguf", {.seed = 2}).ok());
  auto home = open("other.gguf");
  const TurnReport report = say(*home, "one", "Who has the key?", with(made.cube));
  ASSERT_TRUE(report.captured);
  EXPECT_NE(report.captured->trouble.find("another model"), std::string::npos);
  EXPECT_EQ(report.captured->reused, 0);
  EXPECT_EQ(to_json(report, false)["activation"]["fidelity"], Json("words"));
  EXPECT_GT(report.usage.prompt_tokens, made.tokens) << "the words are in the prompt";
}

TEST_F(Activation, ChangedWordsAreReadAgain) {
  auto home = open();
  const CubeId memory = remember(*home, kWords);
  const CaptureMade made = captured(*home, {memory});
  CubeDraft changed = note_draft(kWords + " The key is blue.");
  ASSERT_TRUE(home->cubes().revise(ann, memory, 0, changed, "more").ok());
  const TurnReport report = say(*home, "one", "Who has the key?", with(made.cube));
  EXPECT_NE(report.captured->trouble.find("changed since"), std::string::npos);
}

TEST_F(Activation, OthersMayNotUseIt) {
  auto home = open();
  const CaptureMade made = captured(*home, {remember(*home, kWords)});
  auto turn = home->session({"bob"}, "one").value()->turn("Who?", with(made.cube), nullptr);
  EXPECT_EQ(turn.code(), Code::not_found);
}

TEST_F(Activation, FromAnotherHomeItIsNotBelieved) {
  std::string file;
  {
    auto home = open();
    const CaptureMade made = captured(*home, {remember(*home, kWords)});
    file = home->cubes().export_cube(ann, made.cube).value();
    ASSERT_TRUE(std::filesystem::remove(folder / "home/secret"));
  }
  auto home = open();
  const auto imported = home->cubes().import_cube(ann, file, "ann");
  ASSERT_TRUE(imported.ok());
  const auto turn = home->session(ann, "one").value()->turn("Who?", with(*imported), nullptr);
  EXPECT_EQ(turn.code(), Code::invalid) << "it names no memory of this home";
  CubeDraft forged = parse_cube_file(file).value();  // with provenance made up
  const std::string payload = forged.payload;
  CubeDraft draft;
  draft.header.form = Form::activation;
  draft.header.kind = "capture";
  draft.header.model = forged.header.model;
  draft.header.from = {{remember(*home, kWords), 1}};
  draft.payload = payload;
  const CubeId cube = home->cubes().put(ann, std::move(draft)).value();
  const TurnReport report = say(*home, "two", "Who?", with(cube));
  EXPECT_NE(report.captured->trouble.find("another home"), std::string::npos);
  EXPECT_EQ(report.captured->reused, 0);
}

TEST_F(Activation, ForgettingASourceLeavesNoByteOfIt) {
  std::string pages;
  CubeId memory;
  {
    auto home = open();
    memory = remember(*home, kWords);
    const CaptureMade made = captured(*home, {memory});
    const std::string payload = home->cubes().payload(ann, made.cube).value();
    pages = payload.substr(payload.size() / 2, 64);
    say(*home, "one", "Who has the key?", with(made.cube));
  }
  ASSERT_NE(all_bytes(folder / "home").find(pages), std::string::npos);
  ASSERT_NE(all_bytes(folder / "home/prefixes").find("VARVEKV"), std::string::npos)
      << "the conversation, too";
  {
    auto home = open("");  // without a model
    const auto receipt = home->forget(ann, memory, "please");
    ASSERT_TRUE(receipt.ok());
    EXPECT_EQ(receipt->items.size(), 2u);
  }
  const std::string left = all_bytes(folder / "home");
  EXPECT_EQ(left.find(pages), std::string::npos);
  EXPECT_EQ(left.find("VARVEKV"), std::string::npos);
  EXPECT_EQ(left.find("Ansel Voigt"), std::string::npos);
}

TEST_F(Activation, WhatIsNotRememberedLeavesNothingOnTheDisk) {
  {
    auto home = open();
    TurnOptions options;
    options.remember = options.recall = false;
    say(*home, "one", "Something that nobody is to keep, at some length: " + kWords, options);
  }
  EXPECT_EQ(all_bytes(folder / "home").find("VARVEKV"), std::string::npos);
}

TEST_F(Activation, AConversationGoesOnAfterARestartWithoutReadingItAgain) {
  int32_t before = 0;
  {
    auto home = open();
    before = say(*home, "one", kWords).usage.prompt_tokens;
  }
  auto home = open();
  TurnOptions options;
  options.recall = false;
  const TurnReport report = say(*home, "one", "Who has the key?", options);
  EXPECT_GE(report.usage.restored_tokens, before / 64 * 64 - 64);
  EXPECT_GT(report.usage.restored_tokens, 0);
}

// Under another system prompt its words stand elsewhere: an exact capture is not used, a rerotated one is.
TEST_F(Activation, StandsElsewhereWhenItsCaptureAllowsIt) {
  for (const Fidelity fidelity : {Fidelity::exact, Fidelity::rerotated, Fidelity::patched}) {
    std::filesystem::remove_all(folder / "home");
    CaptureMade made;
    {
      auto home = open();
      CaptureOrder order{.memories = {remember(*home, kWords)}, .fidelity = fidelity};
      auto captured = capture(home->cubes(), ann, *home->engine(), Prompter(home->engine()->model()), order,
                              home->clock().now_ms());
      ASSERT_TRUE(captured.ok());
      made = *captured;
    }
    std::filesystem::remove_all(folder / "home/prefixes");
    auto home = open();
    TurnOptions options = with(made.cube, false);
    options.system = "You keep the log of the harbour and answer in one word.";
    const TurnReport report = say(*home, "one", "Who has the key?", options);
    ASSERT_TRUE(report.captured);
    EXPECT_NE(report.captured->trouble, "") << "its exact beginning is another";
    if (fidelity == Fidelity::exact) {
      EXPECT_TRUE(report.spliced.empty());
      EXPECT_EQ(report.usage.spliced_tokens, 0);
      continue;
    }
    ASSERT_EQ(report.spliced.size(), 1u);
    EXPECT_EQ(report.spliced[0].cube, made.cube);
    EXPECT_EQ(report.spliced[0].fidelity, fidelity);
    EXPECT_GT(report.usage.spliced_tokens, made.tokens / 2);
    EXPECT_EQ(report.usage.patched_tokens > 0, fidelity == Fidelity::patched);
    EXPECT_EQ(to_json(report, false)["spliced"].size(), 1u);
    const TurnReport again = say(*home, "two", "Who has the key?", options);
    EXPECT_LT(again.usage.reused_tokens, again.usage.prompt_tokens / 2)
        << "what is inexact is nobody's prefix";
  }
}

TEST_F(Activation, WhatConversationsKeepBeginningWithIsCapturedByItself) {
  ASSERT_TRUE(write_tiny_model(posix_env(), folder / "long.gguf", {.context = 8192}).ok());
  auto home = open("long.gguf");
  std::string words;
  while (words.size() < 2500) words += kWords + " ";
  remember(*home, words);
  const auto cubes = [&] {
    CubeFilter filter;
    filter.form = Form::activation;
    return home->cubes().list(ann, filter).value();
  };
  TurnOptions options;
  options.recall_tokens = 4000;
  options.remember = false;
  for (int i = 0; i < 2; ++i)
    say(*home, "c" + std::to_string(i), "Who is the keeper of the lighthouse?", options);
  EXPECT_TRUE(cubes().empty());
  options.remember = true;
  for (int i = 2; i < 5; ++i)
    say(*home, "c" + std::to_string(i), "Who is the keeper of the lighthouse?", options);
  ASSERT_EQ(cubes().size(), 1u);
  EXPECT_TRUE(cubes()[0].why.starts_with(kAutomatic)) << cubes()[0].why;
  const TurnReport next = say(*home, "last", "Who is the keeper of the lighthouse?", options);
  ASSERT_TRUE(next.captured);
  EXPECT_EQ(next.captured->header.id, cubes()[0].id);
}

}  // namespace
}  // namespace varve
