// Compressing from outside: a model that learnt a verse still says it when it is smaller, a process that is
// killed half-way goes on, and what is refused.
#include <gtest/gtest.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <thread>

#include "tests/e2e/child.h"
#include "tests/support/temp_folder.h"

namespace varve {
namespace {

class CompressingProgram : public testing::Test {
 protected:
  void SetUp() override {
    std::ofstream out(text);
    for (int i = 0; i < 150; ++i)
      out << "The miller of Ashford keeps the river gate. She opens the gate at dawn and closes the gate at "
             "dusk.\n";
    out.close();
    const Child::End end =
        run({"pretrain",   text,      "-o",       model,      "--vocabulary", "290",     "--layers",
             "2",          "--width", "64",       "--hidden", "256",          "--heads", "4",
             "--kv-heads", "2",       "--length", "64",       "--sequences",  "4",       "--steps",
             "60",         "--rate",  "0.01",     "--budget", "256MiB",       "--type",  "f32"});
    ASSERT_EQ(end.exit_code, 0) << end.err;
  }
  Child::End run(const std::vector<std::string>& words) { return run_child(VARVE_PROGRAM, words); }
  Child::End compress(const std::string& to, const std::string& out, std::vector<std::string> more = {}) {
    std::vector<std::string> words = {"compress", "--model",    model,         "--to",     to,
                                      "-o",       folder / out, "--calibrate", text,       "--tokens",
                                      "600",      "--length",   "64",          "--budget", "128MiB"};
    words.insert(words.end(), more.begin(), more.end());
    return run(words);
  }
  std::string bytes_of(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  TempFolder folder;
  const std::string text = folder / "verse.txt", model = folder / "m.gguf";
};

TEST_F(CompressingProgram, what_it_learnt_it_still_says) {
  int number = 0;
  for (const char* to :
       {"q4_0+gptq", "target=5bpw+search", "target=5bpw:by=search,rounds=1,generations=2,children=4"}) {
    const std::string out = std::to_string(number++) + ".gguf";
    const Child::End done = compress(to, out);
    ASSERT_EQ(done.exit_code, 0) << done.err;
    EXPECT_NE(done.out.find("bits a weight"), std::string::npos) << done.out;
    EXPECT_LT(std::filesystem::file_size(folder / out), std::filesystem::file_size(model) / 3);
    const Child::End said = run({"complete", "--model", folder / out, "--temperature", "0", "-n", "12",
                                 "--prompt", "The miller of Ashford keeps", "--home", folder / "home"});
    EXPECT_EQ(said.out.rfind(" the river gate", 0), 0u) << to << said.out << said.err;
  }
}

TEST_F(CompressingProgram, without_loss_the_embedded_model_says_the_same_from_fewer_bytes) {
  const auto made = [&](const char* to, const char* name) {
    const Child::End done =
        run({"compress", "--model", VARVE_NANO, "--to", to, "-o", folder / name, "--budget", "128MiB"});
    EXPECT_EQ(done.exit_code, 0) << done.err;
    return folder / name;
  };
  const std::string plain = made("bf16", "plain.gguf"), coded = made("bf16+df11", "coded.gguf");
  EXPECT_LE(double(std::filesystem::file_size(coded)), 0.72 * double(std::filesystem::file_size(plain)));
  const auto says = [&](const std::string& file, const char* budget) {
    const Child::End said =
        run({"complete", "--model", file, "--temperature", "0.7", "--seed", "5", "-n", "40", "--prompt",
             "On Monday I went to", "--context", "256", "--budget", budget, "--home", folder / "home"});
    EXPECT_EQ(said.exit_code, 0) << said.err;
    return said.out;
  };
  const std::string words = says(plain, "256MiB");
  EXPECT_GT(words.size(), 40u);
  EXPECT_EQ(says(coded, "256MiB"), words);
}

TEST_F(CompressingProgram, killed_half_way_it_goes_on) {
  ASSERT_EQ(compress("q4_0+gptq", "whole.gguf").exit_code, 0);
  const std::string marks = folder / "a.gguf.work/marks";
  Child child(VARVE_PROGRAM,
              {"compress", "--model", model, "--to", "q4_0+gptq", "-o", folder / "a.gguf", "--calibrate",
               text, "--tokens", "600", "--length", "64", "--budget", "128MiB"});
  for (int i = 0; i < 3000 && bytes_of(marks).find('\1') == std::string::npos; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  child.signal(SIGKILL);
  child.finish();
  const Child::End again = compress("q4_0+gptq", "a.gguf");
  EXPECT_TRUE(again.exit_code == 0 || again.err.find("is there already") != std::string::npos) << again.err;
  EXPECT_EQ(bytes_of(folder / "a.gguf"), bytes_of(folder / "whole.gguf"));
  EXPECT_FALSE(std::filesystem::exists(folder / "a.gguf.work"));
}

TEST_F(CompressingProgram, a_plan_and_what_cannot_be) {
  const Child::End plan = compress("target=5bpw", "a.gguf", {"--plan"});
  EXPECT_NE(plan.out.find("blk.1.ffn_down"), std::string::npos) << plan.out << plan.err;
  EXPECT_FALSE(std::filesystem::exists(folder / "a.gguf"));
  const auto says = [&](const Child::End& end, const char* words) {
    EXPECT_NE(end.exit_code, 0);
    EXPECT_NE(end.err.find(words), std::string::npos) << end.err;
  };
  says(compress("q9_9", "a.gguf"), "neither a number format nor a method");
  says(compress("target=1bpw", "a.gguf"), "the least that it can be");
  says(compress("q4_0", "m.gguf"), "is there already");
  says(compress("q4_0", "no/such/folder/a.gguf", {"--budget", "9"}), "--budget");
  says(run({"compress", "--model", model, "--to", "q4_0+gptq", "-o", folder / "a.gguf"}), "--calibrate");
  says(run({"compress", "--model", model, "--to", "q4_0+search", "-o", folder / "a.gguf", "--calibrate",
            model}),
       "is no text");
  says(run({"compress", "--model", text, "--to", "q4_0", "-o", folder / "a.gguf"}), "verse.txt");
}

}  // namespace
}  // namespace varve
