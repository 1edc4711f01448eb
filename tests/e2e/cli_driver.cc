#include <algorithm>

#include "tests/e2e/child.h"
#include "tests/e2e/driver.h"

namespace varve {
namespace {

class CliDriver : public Driver {
 public:
  explicit CliDriver(std::string program) : program_(std::move(program)) {}

  Status begin(const Stage& stage) override {
    chat_.reset();
    stage_ = stage;
    return {};
  }

  Result<Json> turn(const std::string& words) override {
    if (!chat_) chat_ = std::make_unique<Child>(program_, chat_words());
    std::string line;
    if (chat_->say(words) && chat_->hear(line, 60000)) {
      Json report = TRY(parse_json(line));
      if (report["error"].is_null()) return report;
      return Status(Code::invalid, report["error"]["message"].as_string());
    }
    const Child::End end = chat_->finish();
    chat_.reset();
    return failed(end);
  }
  Result<Json> recall(const std::string& words) override { return once({"recall", words}); }
  Status remember(const std::string& words) override { return once({"remember", words}).status(); }
  Status forget(const std::string& words) override { return once({"forget", words, "--yes"}).status(); }
  Result<std::string> words_of(const std::string& cube) override {
    return TRY(once({"cube", "show", cube}))["text"].as_string();
  }

 private:
  std::vector<std::string> with_settings(std::vector<std::string> words) const {
    words.insert(words.end(), {"--json", "--home", stage_.folder, "--as", stage_.principal});
    for (const auto& [name, value] : stage_.settings) {
      std::string flag = "--" + name;
      std::replace(flag.begin() + 2, flag.end(), '_', '-');
      words.insert(words.end(), {flag, value});
    }
    return words;
  }
  std::vector<std::string> chat_words() const {
    return with_settings(
        {"chat", "--model", "none", "--session", stage_.session, "--max-tokens", "24", "--temperature", "0"});
  }
  // One command and its JSON line. The chat that has the home ends first.
  Result<Json> once(std::vector<std::string> words) {
    if (chat_) chat_->finish();
    chat_.reset();
    const Child::End end = run_child(program_, with_settings(std::move(words)));
    if (end.exit_code != 0) return failed(end);
    return parse_json(end.out);
  }
  static Status failed(const Child::End& end) {
    return Status(Code::invalid, "exit " + std::to_string(end.exit_code) + ": " + end.err);
  }

  const std::string program_;
  Stage stage_;
  std::unique_ptr<Child> chat_;
};

}  // namespace

std::unique_ptr<Driver> make_cli_driver(const std::string& program) {
  return std::make_unique<CliDriver>(program);
}

}  // namespace varve
