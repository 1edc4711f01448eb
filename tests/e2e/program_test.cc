// The program from outside: bad input gives one clear sentence and loses nothing; the budget holds; a real
// model says what it must.
#include <gtest/gtest.h>

#include <sys/stat.h>
#include <csignal>

#include <filesystem>
#include <fstream>
#include <set>

#include "core/format/json.h"
#include "tests/e2e/child.h"
#include "tests/support/shared.h"
#include "tests/support/temp_folder.h"
#include "tests/support/tiny_model.h"

namespace varve {
namespace {

class Program : public testing::Test {
 protected:
  Child::End run(std::vector<std::string> words, const std::string& input = "") {
    words.insert(words.end(), {"--home", home});
    return run_child(VARVE_PROGRAM, words, input);
  }
  // Exactly one line on stderr, "varve: ...", which contains `clue`; and what was remembered is still there.
  void expect_refused(const Child::End& end, int exit_code, const std::string& clue) {
    EXPECT_EQ(end.exit_code, exit_code) << end.err;
    EXPECT_EQ(end.err.rfind("varve: ", 0), 0u) << end.err;
    EXPECT_EQ(std::count(end.err.begin(), end.err.end(), '\n'), 1) << end.err;
    EXPECT_NE(end.err.find(clue), std::string::npos) << end.err;
    const Child::End after = run({"recall", "lighthouse"});
    EXPECT_NE(after.out.find("lighthouse keeper"), std::string::npos) << after.out << after.err;
  }
  std::string tiny(const TinyModel& options = {}) {
    const std::string path = folder / "tiny.gguf";
    EXPECT_TRUE(write_tiny_model(posix_env(), path, options).ok());
    return path;
  }
  std::string file(const std::string& name, const std::string& bytes) {
    std::ofstream(folder / name, std::ios::binary) << bytes;
    return folder / name;
  }
  std::string bytes_of(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  void SetUp() override { ASSERT_EQ(run({"remember", "Tom is the lighthouse keeper"}).exit_code, 0); }

  TempFolder folder;
  const std::string home = folder / "home";
};

TEST_F(Program, refuses_a_truncated_model) {
  const std::string whole = bytes_of(tiny());
  for (const size_t size :
       {size_t(0), size_t(3), size_t(20), whole.size() / 50, whole.size() / 2, whole.size() - 1}) {
    const std::string path = file("cut.gguf", whole.substr(0, size));
    const Child::End end = run({"chat", "--model", path}, "hi");
    EXPECT_TRUE(end.exit_code == 2 || end.exit_code == 7) << size << ": " << end.exit_code;
    expect_refused(end, end.exit_code, "");
  }
}

TEST_F(Program, refuses_a_model_with_any_header_byte_broken_or_runs_it) {
  const std::string whole = bytes_of(tiny());
  for (size_t at = 0; at < 400; at += 7) {
    std::string broken = whole;
    broken[at] = char(broken[at] ^ 0xFF);
    const Child::End end =
        run({"complete", "-n", "1", "--prompt", "a", "--model", file("broken.gguf", broken)});
    EXPECT_TRUE(end.exit_code >= 0 && end.exit_code <= 11) << at << ": " << end.exit_code << " " << end.err;
    const long sentences = std::count(end.err.begin(), end.err.end(), '\n');
    EXPECT_EQ(sentences, end.exit_code == 0 ? 0 : 1) << end.err;
  }
}

TEST_F(Program, refuses_a_model_that_is_not_there) {
  expect_refused(run({"chat", "--model", "/nowhere/m.gguf"}, "hi"), 3, "/nowhere/m.gguf");
}

TEST_F(Program, refuses_a_model_without_a_tokenizer) {
  expect_refused(run({"chat", "--model", tiny({.tokenizer = false})}, "hi"), 2, "no tokenizer");
}

TEST_F(Program, refuses_an_unknown_family_and_lists_the_known) {
  std::string bytes = bytes_of(tiny());
  for (size_t at; (at = bytes.find("llama")) != std::string::npos;) bytes.replace(at, 5, "lemma");
  const Child::End end = run({"chat", "--model", file("family.gguf", bytes)}, "hi");
  expect_refused(end, end.exit_code, "qwen3");
  EXPECT_NE(end.exit_code, 0);
}

TEST_F(Program, refuses_a_prompt_longer_than_the_context) {
  std::string words;
  for (int i = 0; i < 400; ++i) words += "longer ";
  const std::string model = tiny();
  expect_refused(run({"chat", "--model", model, "--context", "64"}, words), 2, "64");
  expect_refused(run({"complete", "--model", model, "--context", "64", "--prompt", words}), 2, "64");
}

TEST_F(Program, refuses_unknown_methods_and_options_and_lists_the_known) {
  expect_refused(run({"chat", "--model", "none", "--recipe", "bm52"}, "hi"), 3, "bm25");
  expect_refused(run({"chat", "--model", "none", "--recipe", "bm25:kk=1"}, "hi"), 2, "kk");
  expect_refused(run({"chat", "--model", "none", "--reflector", "mirror"}, "hi"), 3, "verbatim");
  expect_refused(run({"chat", "--model", tiny(), "--kv", "policy=snapkw"}, "hi"), 2, "snapkv");
  expect_refused(run({"chat", "--model", "none", "--kw", "x"}, "hi"), 2, "--kw");
  expect_refused(run({"chta"}), 2, "chta");
}

TEST_F(Program, refuses_broken_settings) {
  file("home/settings.json", "{\"bugdet\": 1}");
  const Child::End end = run({"recall", "lighthouse"});
  EXPECT_EQ(end.exit_code, 2);
  EXPECT_NE(end.err.find("bugdet"), std::string::npos);
  std::filesystem::remove(home + "/settings.json");
  expect_refused(run({"chat", "--model", "none", "--budget", "much"}, "hi"), 2, "budget");
}

TEST_F(Program, refuses_a_second_process_on_the_same_home) {
  Child first(VARVE_PROGRAM, {"chat", "--model", "none", "--json", "--home", home});
  ASSERT_TRUE(first.say("The second keeper is Ann."));
  std::string line;
  ASSERT_TRUE(first.hear(line));
  const Child::End end = run({"recall", "keeper"});
  EXPECT_EQ(end.exit_code, 9);
  EXPECT_NE(end.err.find("another varve process"), std::string::npos) << end.err;
  EXPECT_EQ(first.finish().exit_code, 0);
  expect_refused(run({"chta"}), 2, "chta");
}

TEST_F(Program, refuses_a_damaged_cube_file) {
  const Child::End made = run({"recall", "lighthouse", "--json"});
  const std::string id = (*parse_json(made.out)).as_array().at(0)["id"].as_string();
  const std::string path = folder / "one.cube";
  ASSERT_EQ(run({"cube", "export", id, path}).exit_code, 0);
  std::string bytes = bytes_of(path);
  bytes[bytes.size() / 2] = char(bytes[bytes.size() / 2] ^ 1);
  expect_refused(run({"cube", "import", file("bad.cube", bytes)}), 7, "bad.cube");
  expect_refused(run({"cube", "export", id, path}), 4, "already");
  EXPECT_EQ(run({"cube", "import", path}).exit_code, 0);
}

TEST_F(Program, remembers_a_text_file_by_its_passages_and_forgets_it_whole) {
  const std::string path =
      file("manual.txt",
           "The boiler stands in the cellar.\n\nTo bleed it, open the brass valve by half a turn.\n");
  const Child::End made = run({"remember", "--file", path, "--json"});
  ASSERT_EQ(made.exit_code, 0) << made.err;
  EXPECT_NE(run({"recall", "brass valve"}).out.find("half a turn"), std::string::npos);
  const std::string id = (*parse_json(made.out))["id"].as_string();
  ASSERT_EQ(run({"forget", id, "--yes"}).exit_code, 0);
  EXPECT_EQ(run({"recall", "brass valve"}).out.find("half a turn"), std::string::npos);
  expect_refused(run({"remember", "--file", folder / "nowhere.txt"}), 3, "nowhere.txt");
  expect_refused(run({"remember", "--file", file("empty.txt", " \n")}), 2, "no words");
}

TEST_F(Program, an_empty_message_or_one_of_many_megabytes_is_refused) {
  expect_refused(run({"chat", "--model", "none"}, std::string(3 << 20, 'x')), 2, "1 MiB");
  EXPECT_EQ(run({"chat", "--model", "none"}, "\n   \n").exit_code, 0);
}

TEST_F(Program, a_forgotten_memory_needs_a_yes) {
  expect_refused(run({"forget", "lighthouse"}), 2, "--yes");
  EXPECT_EQ(run({"forget", "lighthouse", "--yes"}).exit_code, 0);
  EXPECT_EQ(run({"recall", "lighthouse"}).out.find("keeper"), std::string::npos);
}

TEST_F(Program, an_interrupt_ends_the_answer_and_not_the_program) {
  // Without a token that ends answers, this one would go on to the end of a large context.
  std::string bytes = bytes_of(tiny({.context = 32768}));
  for (const auto& [end, other] : {std::pair<std::string, std::string>{"eos_token_id", "xos_token_id"},
                                   {"<|im_end|>", "<|im_on_|>"},
                                   {"<|endoftext|>", "<|more_text|>"}}) {
    for (size_t at; (at = bytes.find(end)) != std::string::npos;) bytes.replace(at, end.size(), other);
  }
  Child chat(VARVE_PROGRAM,
             {"chat", "--home", home, "--model", file("endless.gguf", bytes), "--max-tokens", "30000"});
  ASSERT_TRUE(chat.say("Tell me everything."));
  ASSERT_TRUE(chat.hear_any());  // the answer has begun
  chat.signal(SIGINT);
  const Child::End end = chat.finish("/history");
  EXPECT_EQ(end.exit_code, 0) << end.err;
  const std::string mark = " [interrupted]\n";
  const size_t cut = end.out.find(mark), asked = end.out.find(" user: Tell me everything.\n", cut);
  const size_t stored = end.out.find(" assistant: ", asked);
  ASSERT_TRUE(cut != std::string::npos && asked != std::string::npos && stored != std::string::npos)
      << end.out;
  EXPECT_EQ(end.out.substr(stored + 12), end.out.substr(0, cut) + "\n") << "what was said is what is stored";
}

TEST_F(Program, a_line_can_be_edited_at_a_terminal) {
  Child chat(VARVE_PROGRAM, {"chat", "--model", "none", "--home", home}, true);
  ASSERT_TRUE(chat.hear_any());
  ASSERT_TRUE(chat.say("lighthous keper\x1b[D\x1b[D\x1b[De\x01the \x05\r/quit\r"));
  std::string line, all;
  while (chat.hear(line)) all += line + "\n";
  EXPECT_NE(all.find("> the lighthous keeper"), std::string::npos) << all;
  EXPECT_NE(all.find("you noted: Tom is the lighthouse keeper"), std::string::npos) << all;
  EXPECT_EQ(chat.finish().exit_code, 0);
}

TEST_F(Program, a_killed_chat_loses_nothing_that_was_acknowledged) {
  std::set<std::string> said;
  for (int round = 0; round < 10; ++round) {
    Child chat(VARVE_PROGRAM, {"chat", "--model", "none", "--json", "--home", home});
    std::string line;
    for (int i = 0; i <= round; ++i) {
      const std::string word = "codeword" + std::to_string(round * 100 + i);
      ASSERT_TRUE(chat.say(word));
      ASSERT_TRUE(chat.hear(line));
      said.insert(word);
    }
    chat.say("codeword that may be lost");
    chat.signal(SIGKILL);
  }
  const Child::End all = run({"cube", "list", "--kind", "turn", "--limit", "1000"});
  for (const std::string& word : said) EXPECT_NE(all.out.find(word), std::string::npos) << word;
  EXPECT_EQ(run({"doctor", "--json"}).exit_code, 0);
}

// Greedy words depend on the conversation alone: not on the process, nor on what was reused.
TEST_F(Program, answers_the_same_before_and_after_a_restart) {
  const std::string model = tiny();
  std::vector<std::string> answers[2];
  for (const bool restart : {false, true}) {
    const std::vector<std::string> words = {
        "chat",    "--json", "--home", home, "--as",          restart ? "ann" : "bob",
        "--model", model,    "-n",     "20", "--temperature", "0"};
    auto chat = std::make_unique<Child>(VARVE_PROGRAM, words);
    for (int turn = 0; turn < 6; ++turn) {
      std::string line;
      ASSERT_TRUE(chat->say("Turn " + std::to_string(turn) + " of our talk."));
      ASSERT_TRUE(chat->hear(line));
      const auto report = parse_json(line);
      ASSERT_TRUE(report.ok() && (*report)["answer"].is_string()) << line;
      answers[restart].push_back((*report)["answer"].as_string());
      if (!restart) continue;
      if (turn == 5) {
        EXPECT_GE((*report)["reused_tokens"].as_int(), 64);  // from the disk
      }
      chat->finish();
      chat = std::make_unique<Child>(VARVE_PROGRAM, words);
    }
    chat->finish();
  }
  EXPECT_EQ(answers[0], answers[1]);
}

// A limit on file sizes stands for the full disk: the system refuses to let the database grow.
TEST_F(Program, a_full_disk_is_one_clear_error_and_loses_nothing) {
  const std::string limited = "ulimit -f 400; trap '' XFSZ; exec " + std::string(VARVE_PROGRAM) +
                              " remember --home " + home + " -- \"$0\"";
  Child::End end;
  int kept = 0;
  for (; kept < 60; ++kept) {
    end = run_child("/bin/sh", {"-c", limited, "volume " + std::to_string(kept) + std::string(8000, 'v')});
    if (end.exit_code != 0) break;
  }
  ASSERT_LT(kept, 60);
  expect_refused(end, 10, "");
  const Child::End all = run({"cube", "list", "--kind", "note", "--limit", "1000"});
  EXPECT_EQ(std::count(all.out.begin(), all.out.end(), '\n'), kept + 1) << all.out;
  EXPECT_EQ(run({"doctor"}).exit_code, 0);
}

TEST_F(Program, a_model_that_does_not_fit_streams_and_below_the_least_is_told_what_would_do) {
  const std::string model = tiny({.layers = 4, .width = 512, .heads = 8, .kv_heads = 8, .hidden = 2048});
  const int64_t size = int64_t(std::filesystem::file_size(model));
  ASSERT_GT(size, 50ll << 20);
  const auto chat = [&](const std::string& budget) {
    return run({"chat", "--model", model, "--budget", budget, "-n", "4"}, "hi");
  };
  // The number behind the first `words` of an error.
  const auto asked = [](const Child::End& end, std::string_view words) {
    const size_t at = end.err.find(words);
    EXPECT_NE(at, std::string::npos) << end.err;
    return at == std::string::npos
               ? ""
               : end.err.substr(at + words.size(), end.err.find("MiB", at) + 3 - at - words.size());
  };
  const Child::End streamed = chat("64MiB");
  EXPECT_EQ(streamed.exit_code, 0) << streamed.err;
  EXPECT_NE(streamed.err.find("a token stream"), std::string::npos) << streamed.err;
  const Child::End nothing = chat("8MiB");
  EXPECT_NE(nothing.exit_code, 0);
  const std::string least = asked(nothing, "at least --budget ");
  const Child::End refused = chat(least);
  expect_refused(refused, 6, "the budget is " + least.substr(0, least.size() - 3) + ".00 MiB");
  const std::string enough = asked(refused, "raise --budget to at least ");
  const Child::End whole = chat(enough);
  EXPECT_EQ(whole.exit_code, 0) << enough << ": " << whole.err;
  EXPECT_EQ(whole.err.find("a token stream"), std::string::npos) << whole.err;
}

TEST_F(Program, holds_its_budget_over_a_chat_of_200_turns) {
  const int64_t budget = 64ll << 20;  // its KV alone would outgrow that
  Child chat(VARVE_PROGRAM, {"chat", "--json", "--home", home, "--model", tiny(), "--budget", "64MiB",
                             "--max-tokens", "16", "--temperature", "0"});
  std::string line;
  int64_t reused = 0;
  for (int turn = 0; turn < 200; ++turn) {
    ASSERT_TRUE(chat.say("This is message number " + std::to_string(turn) + " about the weather in town."));
    ASSERT_TRUE(chat.hear(line)) << turn;
    const auto report = parse_json(line);
    ASSERT_TRUE(report.ok()) << line;
    ASSERT_TRUE((*report)["error"].is_null()) << line;
    reused += (*report)["reused_tokens"].as_int();
    EXPECT_LE((*report)["peak_bytes"].as_int(), budget) << turn;
  }
  EXPECT_LE(chat.peak_resident_bytes(), budget);
  EXPECT_GT(reused, 0);
  EXPECT_EQ(chat.finish().exit_code, 0);
}

TEST_F(Program, completes_greedily_what_the_reference_says) {
  NEED_SHARED("data/models/tinyllamas/stories260K.gguf");
  const std::string model = shared_path("data/models/tinyllamas/stories260K.gguf");
  std::string expected = bytes_of(shared_path("data/models/tinyllamas/greedy.txt"));
  expected = expected.substr(expected.rfind("Once upon a time") + 16);
  while (!expected.empty() && expected.back() == '\n') expected.pop_back();
  for (const char* precision : {"exact", "fast"}) {
    const Child::End end = run({"complete", "--model", model, "--prompt", "Once upon a time", "-n", "120",
                                "--temperature", "0", "--precision", precision});
    EXPECT_EQ(end.exit_code, 0) << end.err;
    EXPECT_EQ(end.out, expected + "\n") << precision;
  }
}

TEST_F(Program, a_stream_of_dialogues_goes_on_anywhere) {
  const auto lines = [](const std::string& from, const std::string& count) {
    return run_child(VARVE_PROGRAM, {"world", "--seed", "5", "--from", from, "--count", count});
  };
  const Child::End all = lines("0", "6");
  EXPECT_EQ(all.exit_code, 0) << all.err;
  EXPECT_EQ(all.out, lines("0", "4").out + lines("4", "2").out);
  EXPECT_TRUE(parse_json(all.out.substr(0, all.out.find('\n'))).ok());
  expect_refused(run_child(VARVE_PROGRAM, {"world", "--kinds", "sonnets"}), 3, "sonnets");
}

TEST_F(Program, measures_what_a_model_answers_from_memories) {
  NEED_SHARED("data/models/tinyllamas/stories260K.gguf");
  const Child::End end =
      run_child(VARVE_PROGRAM, {"eval", "nano", "--json", "--model",
                                shared_path("data/models/tinyllamas/stories260K.gguf"), "n=2", "needles=1"});
  EXPECT_EQ(end.exit_code, 0) << end.err;
  for (const char* row : {"single fact in context", "30 distractor memories", "two-hop", "knowledge update",
                          "memory operations of valid form", "needle at", "recalled by the program"}) {
    EXPECT_NE(end.out.find(row), std::string::npos) << row;
  }
}

TEST_F(Program, every_command_explains_itself) {
  const Child::End help = run_child(VARVE_PROGRAM, {"help"});
  EXPECT_EQ(help.exit_code, 0);
  for (const char* name :
       {"chat", "recall", "remember", "forget", "cube", "list", "settings", "explain", "complete", "doctor",
        "world", "bench", "eval", "space", "conflicts", "audit", "backup", "restore", "fsck"}) {
    EXPECT_NE(help.out.find(std::string("\n  ") + name), std::string::npos) << name;
    EXPECT_NE(run_child(VARVE_PROGRAM, {name, "--help"}).out.find("usage: varve"), std::string::npos) << name;
  }
  EXPECT_EQ(run_child(VARVE_PROGRAM, {"--version"}).out.rfind("varve ", 0), 0u);
}

TEST_F(Program, lists_methods_and_settings_as_json) {
  for (const char* name : {"list", "settings"}) {
    auto parsed = parse_json(run_child(VARVE_PROGRAM, {name, "--json"}).out);
    ASSERT_TRUE(parsed.ok()) << name;
    EXPECT_GT(parsed->size(), 5u);
  }
}

TEST_F(Program, explains_the_newest_turn_without_keeping_its_words) {
  ASSERT_EQ(run({"chat", "--model", "none"}, "Who keeps the lighthouse").exit_code, 0);
  const Child::End end = run({"explain"});
  EXPECT_EQ(end.exit_code, 0) << end.err;
  EXPECT_NE(end.out.find("lighthouse keeper"), std::string::npos) << end.out;
  for (const auto& entry : std::filesystem::directory_iterator(home + "/reports")) {
    EXPECT_EQ(bytes_of(entry.path()).find("lighthouse"), std::string::npos);
  }
}

TEST_F(Program, the_home_is_private) {
  struct stat status = {};
  ASSERT_EQ(stat(home.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0700u);
}

}  // namespace
}  // namespace varve
