#include "memory/plaintext/evidence.h"
#include "serve/home/home.h"
#include "tests/e2e/driver.h"

namespace varve {
namespace {

class ApiDriver : public Driver {
 public:
  Status begin(const Stage& stage) override {
    session_.reset();
    home_.reset();
    HomeOptions options;
    options.folder = stage.folder;
    for (Setting& one : settings_of(options)) {
      const auto found = stage.settings.find(std::string(one.name));
      if (found != stage.settings.end()) TRY(one.set(found->second));
    }
    home_ = TRY(Home::open(options));
    who_ = {stage.principal};
    session_ = TRY(home_->session(who_, stage.session));
    return {};
  }

  Result<Json> turn(const std::string& words) override {
    TurnOptions options;
    options.max_tokens = 24;
    options.sampling.temperature = 0;
    return to_json(TRY(session_->turn(words, options, nullptr)), true);
  }
  Result<Json> recall(const std::string& words) override {
    TurnReport report;
    report.recalled = TRY(home_->recall().gather(who_, {.text = words}));
    return to_json(report, true)["recalled"];
  }
  Status remember(const std::string& words) override {
    return home_->cubes().put(who_, note_draft(words, who_.name)).status();
  }
  Status forget(const std::string& words) override {
    for (const CubeHeader& one : TRY(cubes_with(home_->cubes(), who_, words))) {
      Status erased = home_->forget(who_, one.id, "the scene says so").status();
      if (!erased.ok() && erased.code() != Code::not_found) return erased;
    }
    return {};
  }
  Result<std::string> words_of(const std::string& cube) override {
    return home_->cubes().payload(who_, TRY(CubeId::parse(cube)));
  }

 private:
  std::unique_ptr<Home> home_;
  Principal who_;
  std::shared_ptr<Session> session_;
};

}  // namespace

std::unique_ptr<Driver> make_api_driver() {
  return std::make_unique<ApiDriver>();
}

}  // namespace varve
