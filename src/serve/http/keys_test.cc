#include "serve/http/keys.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "tests/support/temp_folder.h"

namespace varve {
namespace {

TEST(Keys, AreFoundAgainAfterReopeningAndOnlyTheirHashesAreKept) {
  const std::string folder = testing::TempDir() + "varve-keys-" + std::to_string(getpid());
  std::filesystem::create_directories(folder);
  std::string secret;
  {
    auto keys = Keys::open(posix_env(), folder);
    ASSERT_TRUE(keys.ok());
    auto made = (*keys)->make({"alice"}, Access::write);
    ASSERT_TRUE(made.ok());
    secret = *made;
    EXPECT_EQ((*keys)->make({"No Such Name"}, Access::read).code(), Code::invalid);
  }
  auto keys = Keys::open(posix_env(), folder);
  ASSERT_TRUE(keys.ok());
  const auto found = (*keys)->find(secret);
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->who.name, "alice");
  EXPECT_FALSE((*keys)->find(secret + "x").has_value());
  EXPECT_FALSE((*keys)->find("").has_value());

  auto bytes = read_file(posix_env(), folder + "/keys.json", 1 << 20);
  ASSERT_TRUE(bytes.ok());
  const std::string text(reinterpret_cast<const char*>(bytes->data()), bytes->size());
  EXPECT_EQ(text.find(secret.substr(3)), std::string::npos);
  struct stat status;
  ASSERT_EQ(stat((folder + "/keys.json").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 077, 0u);

  ASSERT_TRUE((*keys)->revoke({"alice"}).ok());
  EXPECT_FALSE((*keys)->find(secret).has_value());
  std::filesystem::remove_all(folder);
}

TEST(Keys, MayBeAnAgentsOrOfOneSession) {
  const TempFolder folder;
  std::string agents, sessions;
  {
    auto keys = Keys::open(posix_env(), folder.path());
    ASSERT_TRUE(keys.ok());
    agents = *(*keys)->make({"alice", "helper"}, Access::write);
    sessions = *(*keys)->make({"alice", "", "s 1"}, Access::read);
    EXPECT_EQ((*keys)->make({"alice", "No Such"}, Access::read).code(), Code::invalid);
  }
  auto keys = Keys::open(posix_env(), folder.path());
  ASSERT_TRUE(keys.ok());
  EXPECT_EQ((*keys)->find(agents)->who.agent, "helper");
  EXPECT_EQ((*keys)->find(sessions)->who.session, "s 1");
  ASSERT_TRUE((*keys)->revoke({"alice", "helper"}).ok());
  EXPECT_FALSE((*keys)->find(agents).has_value());
  EXPECT_TRUE((*keys)->find(sessions).has_value());
}

TEST(Keys, OfWhichAnyPartIsWrongAreRefused) {
  const TempFolder folder;
  auto keys = Keys::open(posix_env(), folder.path());
  ASSERT_TRUE(keys.ok());
  const auto made = (*keys)->make({"alice"}, Access::write);
  ASSERT_TRUE(made.ok());
  const std::string& secret = *made;
  for (size_t length = 0; length < secret.size(); ++length) {
    EXPECT_FALSE((*keys)->find(secret.substr(0, length)).has_value()) << length;
    std::string wrong = secret;
    wrong[length] = char(wrong[length] ^ 0x20);
    EXPECT_FALSE((*keys)->find(wrong).has_value()) << length;
  }
  for (const std::string& near :
       {secret + "x", " " + secret, secret + std::string(1, '\0'), sha256(secret).hex()})
    EXPECT_FALSE((*keys)->find(near).has_value());
  EXPECT_TRUE((*keys)->find(secret).has_value());
}

}  // namespace
}  // namespace varve
