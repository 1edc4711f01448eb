// Learning from outside: a model from nothing but a text, an adapter over it, and what both refuse.
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "core/format/gguf.h"
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

TEST_F(LearningProgram, a_relu_model_is_learnt_goes_on_as_one_and_has_neurons_apart) {
  ASSERT_EQ(run(pretrain("m.gguf", {"--activation", "relu"})).exit_code, 0);
  const std::string file = bytes_of(folder / "m.gguf");
  const Gguf gguf = Gguf::parse(std::as_bytes(std::span(file))).value();
  EXPECT_EQ(*gguf.string("llama.hidden_activation"), "relu");
  const std::string said = complete({"--prompt", "The miller of Ashford keeps"});
  EXPECT_NE(said.find(" the river gate"), std::string::npos) << said;
  const Child::End other = run(pretrain("m.gguf", {"--steps", "70"}));
  EXPECT_NE(other.exit_code, 0);
  EXPECT_NE(other.err.find("was begun with --activation relu"), std::string::npos) << other.err;
  const Child::End unknown = run(pretrain("n.gguf", {"--activation", "swish9"}));
  EXPECT_NE(unknown.err.find("'swish9'; there are"), std::string::npos) << unknown.err;
  const Child::End apart = run({"neurons", "--model", folder / "m.gguf"});
  EXPECT_EQ(apart.exit_code, 0) << apart.err;
  EXPECT_TRUE(std::filesystem::exists(folder / "m.gguf.neurons"));
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

TEST_F(LearningProgram, recipes_of_all_weights_make_a_model_that_says_how_it_was_made) {
  ASSERT_EQ(run(pretrain("m.gguf")).exit_code, 0);
  const auto lesson_of = [&](const std::string& path) {
    const auto mapping = posix_env().map(path).value();
    return parse_json(Gguf::parse(mapping->bytes())->string("varve.lesson").value()).value();
  };
  EXPECT_EQ(lesson_of(folder / "m.gguf")["recipe"].as_string(), "full");
  EXPECT_EQ(lesson_of(folder / "m.gguf")["feed"].as_array()[0]["sha256"].as_string().size(), 64u);
  const std::string feed =
      file("feed.jsonl", R"({"prompt":"The miller of Ashford keeps","completion":" the dusk"})"
                         "\n");
  for (const auto& [recipe, rate] : {std::pair("full", "0.005"), {"zo2", "0.0003"}}) {
    const std::string out = folder / (std::string(recipe) + ".gguf");
    const Child::End learnt = run({"learn",       "--model",  folder / "m.gguf",
                                   "--feed",      feed,       "-o",
                                   out,           "--recipe", recipe,
                                   "--steps",     "30",       "--rate",
                                   rate,          "--length", "64",
                                   "--sequences", "1",        "--budget",
                                   "256MiB",      "--home",   folder / "home"});
    ASSERT_EQ(learnt.exit_code, 0) << learnt.err;
    const Json lesson = lesson_of(out);
    EXPECT_EQ(lesson["recipe"].as_string(), recipe);
    EXPECT_EQ(lesson["base"].as_string().size(), 64u);
    EXPECT_EQ(lesson["feed"].as_array()[0]["file"].as_string(), feed);
    EXPECT_LT(lesson["loss_after"].as_double(), lesson["loss_before"].as_double()) << recipe;
    EXPECT_GT(lesson["ledger_peak"].as_int(), 0);
  }
  const Child::End said = run({"complete", "--model", folder / "full.gguf", "--temperature", "0", "-n", "12",
                               "--prompt", "The miller of Ashford keeps", "--home", folder / "home"});
  EXPECT_EQ(said.out.rfind(" the dusk", 0), 0u) << said.out << said.err;
}

TEST_F(LearningProgram, a_gate_learns_which_attention_state_to_keep) {
  ASSERT_EQ(run(pretrain("m.gguf")).exit_code, 0);
  const std::string model = folder / "m.gguf", gate = folder / "gate.gguf";
  const auto learn = [&](const std::string& out, const std::string& recipe,
                         std::vector<std::string> more = {}) {
    std::vector<std::string> words = {
        "learn",  "--model", model,      "--feed",   text,     "-o",           out, "--recipe",
        recipe,   "--steps", "60",       "--length", "256",    "--sequences",  "2", "--json",
        "--rate", "0.01",    "--budget", "256MiB",   "--home", folder / "home"};
    words.insert(words.end(), more.begin(), more.end());
    return run(words);
  };
  const Child::End learnt = learn(gate, "gate:keep=0.3,near=8");
  ASSERT_EQ(learnt.exit_code, 0) << learnt.err;
  const std::string last = learnt.out.substr(learnt.out.rfind("{\"recipe\""));
  const Json said = parse_json(last).value();
  EXPECT_LT(said["loss_after"].as_double(), said["loss_before"].as_double())
      << "before, tokens stay by chance";
  EXPECT_NEAR(said["gate"]["stays"].as_double(), 0.3, 0.05);

  const std::string kv = "policy=gate:file=" + gate + " budget_tokens=24";
  const std::string prompt = verse().substr(0, 100);  // of the context of 64, more than the budget
  for (const std::string& recipe : {kv, kv + " allot=gate"}) {
    const std::string told = complete({"--prompt", prompt, "--kv", recipe});
    EXPECT_FALSE(told.empty()) << recipe;
  }
  const auto refused = [&](std::vector<std::string> words, const char* why) {
    words.insert(words.end(), {"--prompt", "x", "--home", folder / "home"});
    const Child::End end = run(words);
    EXPECT_NE(end.exit_code, 0);
    EXPECT_NE(end.err.find(why), std::string::npos) << end.err;
  };
  ASSERT_EQ(run(pretrain("other.gguf", {"--seed", "2", "--steps", "1"})).exit_code, 0);
  refused({"complete", "--model", folder / "other.gguf", "--kv", kv}, "another model");
  refused({"complete", "--model", model, "--kv", "policy=gate budget_tokens=64"}, "needs file=FILE");
  refused({"complete", "--model", model, "--kv", "policy=gate:file=" + model + " budget_tokens=64"},
          "holds no gate");
  refused({"complete", "--model", model, "--kv", "policy=streaming allot=gate budget_tokens=64"},
          "policy=gate says");
  refused({"complete", "--model", model, "--adapter", gate}, "gate");
  EXPECT_NE(learn("mine", "gate").err.find("-o FILE.gguf"), std::string::npos);
  EXPECT_NE(learn(gate, "gate:keep=3").err.find("keep=3 is out of range"), std::string::npos);
}

TEST_F(LearningProgram, private_learning_says_what_it_promises) {
  ASSERT_EQ(run(pretrain("m.gguf", {"--steps", "3"})).exit_code, 0);
  std::string lines;
  for (int i = 0; i < 50; ++i) lines += "{\"text\":\"The gate " + std::to_string(i) + " is open.\"}\n";
  const Child::End learnt = run({"learn", "--model", folder / "m.gguf", "--feed", file("feed.jsonl", lines),
                                 "-o", folder / "a.gguf", "--recipe", "dp:noise=2,clip=0.5", "--steps", "5",
                                 "--length", "64", "--sequences", "2", "--budget", "256MiB", "--json"});
  ASSERT_EQ(learnt.exit_code, 0) << learnt.err;
  const std::string last = learnt.out.substr(learnt.out.rfind('\n', learnt.out.size() - 2) + 1);
  const Json promised = parse_json(last).value()["privacy"];
  EXPECT_GT(promised["epsilon"].as_double(), 0.1);
  EXPECT_LT(promised["epsilon"].as_double(), 10);
  EXPECT_EQ(promised["delta"].as_double(), 0.01);
}

// Every step is kept, of what learns from one example after the other.
class Interrupted : public LearningProgram {
 protected:
  void SetUp() override { ASSERT_EQ(run(pretrain("m.gguf", {"--steps", "3", "--untied"})).exit_code, 0); }
  std::vector<std::string> learn(const std::string& feed) {
    return {"learn",
            "--model",
            folder / "m.gguf",
            "--feed",
            feed,
            "-o",
            folder / "a.gguf",
            "--recipe",
            "full",
            "--steps",
            "8",
            "--save-every",
            "1",
            "--length",
            "16",
            "--sequences",
            "1",
            "--budget",
            "256MiB"};
  }
  int64_t done() {  // by the checkpoint
    const std::string bytes = bytes_of(checkpoint);
    int64_t length = 0;
    std::memcpy(&length, bytes.data() + 16, sizeof length);
    return parse_json(bytes.substr(24, size_t(length))).value()["done"].as_int();
  }
  const std::string checkpoint = folder / "a.gguf.work/checkpoint";
};

TEST_F(Interrupted, by_a_full_disk_the_old_checkpoint_stays) {
  const std::vector<std::string> words = learn(file("good.jsonl", "{\"text\":\"The gate is open.\"}\n"));
  ASSERT_EQ(run(words).exit_code, 0);
  EXPECT_EQ(done(), 8);
  const std::string before = bytes_of(checkpoint);
  // No file may be larger than a few kilobytes.
  std::vector<std::string> limited = {"-c", "trap '' XFSZ; ulimit -f 8; exec \"$0\" \"$@\"", VARVE_PROGRAM};
  limited.insert(limited.end(), words.begin(), words.end());
  const Child::End full = run_child("/bin/sh", limited);
  EXPECT_NE(full.exit_code, 0);
  EXPECT_NE(full.err.find("cannot write " + checkpoint), std::string::npos) << full.err;
  EXPECT_EQ(bytes_of(checkpoint), before);
}

TEST_F(Interrupted, by_a_loss_that_is_no_number_the_last_good_checkpoint_stays) {
  // One word of the model is spoilt: the lesson ends where it comes up.
  std::string bytes = bytes_of(folder / "m.gguf");
  const Gguf gguf = Gguf::parse(std::as_bytes(std::span(bytes))).value();
  const auto tokens = std::get<std::vector<std::string>>(gguf.find("tokenizer.ggml.tokens")->held);
  const int64_t rare = std::find(tokens.begin(), tokens.end(), "Z") - tokens.begin();
  const GgufTensor& table = *gguf.tensor("token_embd.weight");
  bytes.replace(size_t(table.offset + rare * table.shape[0] * 4), 4, std::string("\0\0\xc0\x7f", 4));
  file("m.gguf", bytes);
  std::string lines;
  for (int i = 0; i < 8; ++i)
    lines += std::string("{\"text\":\"The gate is ") + (i == 5 ? "Z" : "open") + ".\"}\n";
  const Child::End spoilt = run(learn(file("some.jsonl", lines)));
  EXPECT_NE(spoilt.exit_code, 0);
  const int64_t kept = done();
  EXPECT_GT(kept, 0);
  EXPECT_NE(spoilt.err.find("step " + std::to_string(kept + 1) + " has no finite loss"), std::string::npos)
      << spoilt.err;
}

TEST_F(LearningProgram, a_template_that_changes_what_it_said_is_refused) {
  ASSERT_EQ(run(pretrain("m.gguf", {"--steps", "3"})).exit_code, 0);
  const auto mapping = posix_env().map(folder / "m.gguf").value();
  const Gguf gguf = Gguf::parse(mapping->bytes()).value();
  GgufWriter writer;
  for (const auto& [key, value] : gguf.metadata()) writer.set(key, value);
  writer.set(
      "tokenizer.chat_template",
      "{{ messages[-1]['content'] }}{% for message in messages %}{{ message['content'] }}{% endfor %}");
  for (const GgufTensor& one : gguf.tensors())
    writer.add(one.name, one.type, one.shape,
               mapping->bytes().subspan(size_t(one.offset), size_t(one.bytes)));
  ASSERT_TRUE(writer.write(posix_env(), folder / "odd.gguf").ok());
  const std::string feed = file(
      "chat.jsonl", R"({"messages":[{"role":"user","content":"Open?"},{"role":"assistant","content":"No."}]})"
                    "\n");
  const Child::End end = run({"learn", "--model", folder / "odd.gguf", "--feed", feed, "-o",
                              folder / "a.gguf", "--length", "64", "--budget", "256MiB"});
  EXPECT_NE(end.exit_code, 0);
  EXPECT_NE(end.err.find("template"), std::string::npos) << end.err;
  EXPECT_NE(end.err.find("line 1"), std::string::npos) << end.err;
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
