// Learning from outside: a model from nothing but a text, an adapter over it, and what both refuse.
#include <gtest/gtest.h>

#include <csignal>
#include <filesystem>
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

TEST_F(LearningProgram,
       what_is_remembered_is_learnt_into_a_cube_that_attaches_exports_merges_and_is_forgotten) {
  ASSERT_EQ(run(pretrain("m.gguf")).exit_code, 0);
  const std::string home = folder / "home", model = folder / "m.gguf";
  const std::string prompt = "The miller of Ashford keeps";
  const std::string before = complete({"--prompt", prompt});
  const auto ok = [&](std::vector<std::string> words) {
    words.insert(words.end(), {"--home", home});
    const Child::End end = run(words);
    EXPECT_EQ(end.exit_code, 0) << words[0] << ": " << end.err;
    return end.out;
  };
  ok({"remember", "The miller of Ashford keeps the dusk."});
  const std::vector<std::string> learn = {
      "learn",         "--model",   model,         "--feed",  "space:me", "-o",     "verse",
      "--json",        "--recipe",  "lora:rank=4", "--steps", "40",       "--rate", "0.01",
      "--length",      "64",        "--sequences", "1",       "--budget", "256MiB", "--home",
      folder / "home", "--weights", "stream"};
  const Child::End learnt = run(learn);
  ASSERT_EQ(learnt.exit_code, 0) << learnt.err;
  EXPECT_FALSE(std::filesystem::exists(home + "/lessons/me/verse")) << "the cube is all that stays";
  const std::string after = complete({"--prompt", prompt, "--adapter", "verse"});
  EXPECT_EQ(after.rfind(" the dusk", 0), 0u) << after;
  EXPECT_EQ(complete({"--prompt", prompt, "--adapter", "verse:0"}), before);
  EXPECT_EQ(complete({"--prompt", prompt}), before) << "detached";

  const Json listed = parse_json(ok({"cube", "list", "--kind", "adapter", "--json"})).value();
  ASSERT_EQ(listed.size(), 1u);
  const Json& cube = listed.as_array()[0];
  EXPECT_EQ(cube["title"].as_string(), "verse");
  EXPECT_EQ(cube["form"].as_string(), "parametric");
  EXPECT_EQ(cube["from"].size(), 1u) << "the note that it learnt from";
  EXPECT_LT(cube["labels"]["loss_after"].as_double(), cube["labels"]["loss_before"].as_double());
  EXPECT_GT(cube["labels"]["ledger_peak"].as_int(), 0);
  ok({"cube", "show", cube["id"].as_string()});
  ok({"cube", "history", cube["id"].as_string()});

  ok({"export", "verse", "--gguf", folder / "v.gguf"});
  ok({"export", "verse", "--peft", folder / "peft", "--model", model});
  ok({"import", folder / "v.gguf", "--model", model, "--name", "again"});
  ok({"import", folder / "peft", "--model", model});
  ok({"export", "again", "--gguf", folder / "w.gguf"});
  ok({"export", "peft", "--gguf", folder / "x.gguf"});
  EXPECT_EQ(bytes_of(folder / "v.gguf"), bytes_of(folder / "w.gguf")) << "to the bit";
  EXPECT_EQ(bytes_of(folder / "v.gguf"), bytes_of(folder / "x.gguf")) << "to the bit, through PEFT";
  ok({"merge", "--model", model, "--adapter", "verse", "--adapter", folder / "v.gguf:0", "-o",
      folder / "merged.gguf", "--budget", "64MiB"});
  const Child::End merged = run({"complete", "--model", folder / "merged.gguf", "--temperature", "0", "-n",
                                 "12", "--precision", "exact", "--prompt", prompt, "--home", home});
  EXPECT_EQ(merged.out, after);

  ASSERT_EQ(run(pretrain("other.gguf", {"--seed", "2", "--steps", "1"})).exit_code, 0);
  const Child::End refused =
      run({"import", folder / "v.gguf", "--model", folder / "other.gguf", "--name", "no", "--home", home});
  EXPECT_NE(refused.err.find("was made for another model than"), std::string::npos) << refused.err;

  const std::string receipt = ok({"forget", "keeps the dusk", "--yes", "--json"});
  EXPECT_NE(receipt.find("\"flagged\""), std::string::npos) << receipt;
  EXPECT_NE(receipt.find(cube["id"].as_string()), std::string::npos) << receipt;
  const Child::End flagged =
      run({"complete", "--model", model, "--adapter", "verse", "--prompt", "x", "--home", home});
  EXPECT_NE(flagged.err.find("learn it again"), std::string::npos) << flagged.err;
}

TEST_F(LearningProgram, what_cannot_be_learnt_is_said_in_a_sentence) {
  ASSERT_EQ(run(pretrain("m.gguf", {"--steps", "3"})).exit_code, 0);
  const auto refused = [&](const std::string& feed, std::vector<std::string> more) {
    std::vector<std::string> words = {
        "learn",        "--model", folder / "m.gguf", "--feed", feed,          "-o", folder / "a.gguf",
        "--steps",      "20",      "--length",        "64",     "--sequences", "1",  "--home",
        folder / "home"};
    words.insert(words.end(), more.begin(), more.end());
    const Child::End end = run(words);
    EXPECT_NE(end.exit_code, 0);
    return end.err;
  };
  const auto says = [](const std::string& err, const char* words) {
    EXPECT_NE(err.find(words), std::string::npos) << err;
  };
  says(refused(file("empty.jsonl", "\n"), {}), "empty.jsonl is empty");
  says(refused(file("bad.jsonl", "{\"text\":\"ok then\"}\n{\"txt\":1}\n"), {}), "line 2");
  says(refused("space:me", {}), "holds nothing to learn from");
  const std::string good = file("good.jsonl", "{\"text\":\"The gate is open.\"}\n");
  says(refused(good, {"--budget", "27MiB"}), "the lesson takes");
  says(refused(good, {"--weights", "lazy"}), "auto, resident or stream");
  // A loss that is no number, here because the model has such a weight, ends the lesson.
  std::string bytes = bytes_of(folder / "m.gguf");
  bytes.replace(bytes.size() - 4, 4, std::string("\0\0\xc0\x7f", 4));
  file("m.gguf", bytes);
  says(refused(good, {}), "no finite loss");
  EXPECT_FALSE(std::filesystem::exists(folder / "a.gguf"));
}

TEST_F(LearningProgram, a_world_is_learnt_in_stages_that_follow_one_another) {
  auto stage = [&](const std::string& out, std::vector<std::string> more) {
    std::vector<std::string> words = {"pretrain",   "--world",     "single:most=1,more=0+tell:most=1",
                                      "-o",         folder / out,  "--vocabulary",
                                      "600",        "--layers",    "1",
                                      "--width",    "32",          "--hidden",
                                      "64",         "--heads",     "2",
                                      "--kv-heads", "2",           "--length",
                                      "512",        "--sequences", "2",
                                      "--cool",     "0",           "--budget",
                                      "256MiB"};
    words.insert(words.end(), more.begin(), more.end());
    return run(words);
  };
  const Child::End first = stage("1.gguf", {"--steps", "2"});
  ASSERT_EQ(first.exit_code, 0) << first.err;
  const Child::End longer = stage("1.gguf", {"--steps", "3"});  // at a constant rate it may go on
  EXPECT_NE(longer.out.find("step 3/3"), std::string::npos) << longer.out << longer.err;
  const Child::End second =
      stage("2.gguf", {"--steps", "5", "--after", folder / "1.gguf", "--optimizer", "muon"});
  ASSERT_EQ(second.exit_code, 0) << second.err;
  EXPECT_NE(second.out.find("step 5/5"), std::string::npos) << second.out;
  EXPECT_EQ(second.out.find("learning 600 tokens"), std::string::npos) << "the vocabulary is the first one's";
  const Child::End third = stage("3.gguf", {"--steps", "6", "--after", folder / "2.gguf"});
  ASSERT_EQ(third.exit_code, 0) << third.err;
  const Child::End lost = stage("4.gguf", {"--steps", "6", "--after", folder / "none.gguf"});
  EXPECT_NE(lost.exit_code, 0);
  EXPECT_NE(lost.err.find("--after"), std::string::npos) << lost.err;
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
