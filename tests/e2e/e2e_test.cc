// Every .chat file through every driver.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "tests/e2e/runner.h"
#include "tests/support/shared.h"
#include "tests/support/temp_folder.h"
#include "tests/support/tiny_model.h"

namespace varve {
namespace {

std::vector<std::string> scenes() {
  std::vector<std::string> all;
  for (const auto& entry : std::filesystem::directory_iterator(VARVE_CHATS)) {
    if (entry.path().extension() == ".chat") all.push_back(entry.path().stem().string());
  }
  std::sort(all.begin(), all.end());
  return all;
}

std::unique_ptr<Driver> make_driver(const std::string& name) {
  if (name == "api") return make_api_driver();
  return name == "cli" ? make_cli_driver(VARVE_PROGRAM) : make_http_driver(VARVE_PROGRAM);
}

class Chats : public testing::TestWithParam<std::tuple<std::string, std::string>> {};

TEST_P(Chats, come_true) {
  const auto& [name, driver] = GetParam();
  auto scene = read_scene(std::string(VARVE_CHATS) + "/" + name + ".chat");
  ASSERT_TRUE(scene.ok()) << std::move(scene).status().text();
  TempFolder folder;
  const Minds minds = [&](const std::string& mind) -> Result<std::string> {
    if (mind != "tiny") return shared_path(mind);
    const std::string path = folder / "tiny.gguf";
    TRY(write_tiny_model(posix_env(), path));
    return path;
  };
  for (const SceneLine& line : scene->lines) {
    if (line.verb == "mind" && line.words != "tiny") NEED_SHARED(line.words);
  }
  auto failures = play(*scene, *make_driver(driver), folder / "home", minds);
  ASSERT_TRUE(failures.ok()) << std::move(failures).status().text();
  for (const std::string& failure : *failures) ADD_FAILURE() << failure;
}

INSTANTIATE_TEST_SUITE_P(e2e, Chats,
                         testing::Combine(testing::ValuesIn(scenes()), testing::Values("api", "cli", "http")),
                         [](const auto& one) {
                           return std::get<0>(one.param) + "_" + std::get<1>(one.param);
                         });

// The runner must be able to fail.
TEST(Runner, says_what_did_not_come_true) {
  TempFolder folder;
  Scene scene{.path = "x",
              .lines = {{1, "turn", "I like figs."},
                        {2, "expect", "stored ~ figs"},
                        {3, "expect", "stored ~ dates"},
                        {4, "expect", "turn >= 7"},
                        {5, "expect", "disk !~ figs"},
                        {6, "expect", "error ~ anything"}}};
  auto failures = play(scene, *make_api_driver(), folder / "home", nullptr);
  ASSERT_TRUE(failures.ok());
  EXPECT_EQ(failures->size(), 4u);
}

}  // namespace
}  // namespace varve
