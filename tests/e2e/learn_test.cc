// Learning from outside: a model from nothing but a text, an adapter over it, and what both refuse.
#include <gtest/gtest.h>

#include <csignal>
#include <fstream>

#include "core/format/json.h"
#include "tests/e2e/child.h"
#include "tests/support/temp_folder.h"

namespace varve {
namespace {

class LearningProgram : public testing::Test {
 protected:
  static std::string verse() {
    std::string text;
    for (int i = 0; i < 150; ++i) {
      text +=
          "The miller of Ashford keeps the river gate. She opens the gate at dawn and closes the gate at "
          "dusk.\n";
    }
    return text;
  }
  std::string file(const std::string& name, const std::string& bytes) {
    std::ofstream(folder / name, std::ios::binary) << bytes;
    return folder / name;
  }
  std::string bytes_of(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  std::vector<std::string> pretrain(const std::string& out, std::vector<std::string> more = {}) {
    std::vector<std::string> words = {
        "pretrain",   text,      "-o",       folder / out, "--vocabulary", "290",     "--layers",
        "2",          "--width", "64",       "--hidden",   "128",          "--heads", "4",
        "--kv-heads", "2",       "--length", "64",         "--sequences",  "4",       "--steps",
        "60",         "--rate",  "0.01",     "--budget",   "256MiB",       "--type",  "f32"};
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }
  Child::End run(const std::vector<std::string>& words) { return run_child(VARVE_PROGRAM, words); }
  std::string complete(std::vector<std::string> more) {
    std::vector<std::string> words = {"complete",     "--model", folder / "m.gguf", "--temperature", "0",
                                      "-n",           "12",      "--precision",     "exact",         "--home",
                                      folder / "home"};
    words.insert(words.end(), more.begin(), more.end());
    const Child::End end = run(words);
    EXPECT_EQ(end.exit_code, 0) << end.err;
    return end.out;
  }
  TempFolder folder;
  const std::string text = file("verse.txt", verse());
};

TEST_F(LearningProgram, a_model_from_nothing_knows_its_text_and_an_adapter_changes_it) {
  const Child::End made = run(pretrain("m.gguf"));
  ASSERT_EQ(made.exit_code, 0) << made.err;
  const std::string before = complete({"--prompt", "The miller of Ashford keeps"});
  EXPECT_NE(before.find(" the river gate"), std::string::npos) << before;
  const std::string feed =
      file("feed.jsonl", R"({"prompt":"The miller of Ashford keeps","completion":" the dusk"})"
                         "\n");
  const std::string adapter = folder / "a.gguf";
  const std::vector<std::string> learn = {"learn",       "--model",  folder / "m.gguf",
                                          "--feed",      feed,       "-o",
                                          adapter,       "--recipe", "lora:rank=4",
                                          "--steps",     "40",       "--rate",
                                          "0.01",        "--length", "64",
                                          "--sequences", "1",        "--budget",
                                          "256MiB"};
  const Child::End learnt = run(learn);
  ASSERT_EQ(learnt.exit_code, 0) << learnt.err;
  const std::string after = complete({"--prompt", "The miller of Ashford keeps", "--adapter", adapter});
  EXPECT_EQ(after.rfind(" the dusk", 0), 0u) << after;
  EXPECT_EQ(complete({"--prompt", "The miller of Ashford keeps"}), before) << "the base is as it was";

  // Another model refuses it.
  ASSERT_EQ(run(pretrain("other.gguf", {"--seed", "2", "--steps", "1"})).exit_code, 0);
  const Child::End refused = run({"complete", "--model", folder / "other.gguf", "--adapter", adapter,
                                  "--prompt", "x", "--home", folder / "home"});
  EXPECT_NE(refused.exit_code, 0);
  EXPECT_NE(refused.err.find("another model"), std::string::npos) << refused.err;
}

TEST_F(LearningProgram, stopped_and_started_again_the_file_is_the_same_to_the_byte) {
  ASSERT_EQ(run(pretrain("whole.gguf")).exit_code, 0);
  {
    Child child(VARVE_PROGRAM, pretrain("m.gguf", {"--save-every", "1"}));
    std::string line;
    while (child.hear(line) && line.rfind("step ", 0) != 0) {
    }
    child.signal(SIGINT);
    const Child::End end = child.finish();
    EXPECT_TRUE(end.exit_code == 0 || end.err.find("goes on from there") != std::string::npos) << end.err;
  }
  ASSERT_EQ(run(pretrain("m.gguf", {"--save-every", "1"})).exit_code, 0);
  EXPECT_EQ(bytes_of(folder / "m.gguf"), bytes_of(folder / "whole.gguf"));
}

TEST_F(LearningProgram, the_plan_is_a_table_and_bad_input_a_sentence) {
  const Child::End plan = run(pretrain("m.gguf", {"--plan", "--json"}));
  ASSERT_EQ(plan.exit_code, 0) << plan.err;
  const Json table = parse_json(plan.out.substr(0, plan.out.find('\n'))).value();
  EXPECT_GT(table["optimizer state"].as_int(), 0);
  const Child::End small = run(pretrain("m.gguf", {"--budget", "26MiB"}));
  EXPECT_NE(small.exit_code, 0);
  EXPECT_NE(small.err.find("the lesson takes"), std::string::npos) << small.err;
  const Child::End rate = run(pretrain("m.gguf", {"--rate", "100", "--clip", "0", "--optimizer", "sgd"}));
  EXPECT_TRUE(rate.exit_code == 0 || rate.err.find("no finite loss") != std::string::npos) << rate.err;
  const Child::End unknown = run(pretrain("m.gguf", {"--optimizer", "magic"}));
  EXPECT_NE(unknown.err.find("adamw"), std::string::npos) << unknown.err;
}

}  // namespace
}  // namespace varve
