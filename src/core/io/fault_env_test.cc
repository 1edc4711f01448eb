#include "core/io/fault_env.h"

#include <gtest/gtest.h>

#include "tests/support/temp_folder.h"

namespace varve {
namespace {

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

std::string content(const std::string& path) {
  auto bytes = read_file(posix_env(), path, 1 << 20);
  if (bytes.code() == Code::not_found) return "absent";
  if (!bytes.ok()) return std::move(bytes).status().text();
  return std::string(reinterpret_cast<const char*>(bytes->data()), bytes->size());
}

TEST(FaultPlan, FailsOneCallOrEveryOneFromThere) {
  FaultPlan plan;
  const auto draw = [&] {
    std::string calls;
    for (int i = 0; i < 4; ++i) calls += plan.next() == Fault::none ? '.' : 'x';
    return calls;
  };
  EXPECT_EQ(draw(), "....");
  plan.fail_at(1, Fault::io_error);
  EXPECT_EQ(draw(), ".x..");
  plan.fail_at(2, Fault::no_space, true);
  EXPECT_EQ(draw(), "..xx");
  EXPECT_EQ(draw(), "xxxx");
  plan.heal();
  EXPECT_EQ(draw(), "....");
  EXPECT_EQ(plan.calls(), 12);
}

TEST(FaultEnv, FaultsDoWhatTheyAreNamedFor) {
  const TempFolder folder;
  FaultPlan plan;
  FaultEnv env(posix_env(), plan);
  auto file = env.open(folder / "a", Open::create);
  ASSERT_TRUE(file.ok());
  plan.fail_at(0, Fault::no_space);
  EXPECT_EQ((*file)->write(0, bytes_of("12345678")).code(), Code::io);
  EXPECT_EQ(content(folder / "a"), "");
  plan.fail_at(0, Fault::short_write);
  EXPECT_EQ((*file)->write(0, bytes_of("12345678")).code(), Code::io);
  EXPECT_EQ(content(folder / "a"), "1234");
  plan.fail_at(0, Fault::after);
  EXPECT_EQ(env.rename(folder / "a", folder / "b").code(), Code::io);
  EXPECT_EQ(content(folder / "b"), "1234");
  plan.fail_at(0, Fault::io_error);
  EXPECT_EQ(env.remove(folder / "b").code(), Code::io);
  EXPECT_EQ(content(folder / "b"), "1234");
}

TEST(FaultEnv, ReadsFailOnRequestOnly) {
  const TempFolder folder;
  ASSERT_TRUE(write_file(posix_env(), folder / "a", bytes_of("x")).ok());
  FaultPlan plan;
  FaultEnv writes(posix_env(), plan), all(posix_env(), plan, true);
  plan.fail_at(0, Fault::io_error, true);
  EXPECT_TRUE(read_file(writes, folder / "a", 9).ok());
  EXPECT_TRUE(writes.map(folder / "a").ok());
  EXPECT_EQ(plan.calls(), 0);
  for (int64_t call = 0; call < 3; ++call) {  // open, size, read
    plan.fail_at(call, Fault::io_error);
    EXPECT_EQ(read_file(all, folder / "a", 9).code(), Code::io);
  }
  plan.fail_at(3, Fault::io_error);
  EXPECT_TRUE(read_file(all, folder / "a", 9).ok());
  EXPECT_EQ(all.map(folder / "a").code(), Code::io);
}

Status write_in_pieces(Env& env, const std::string& path, std::string_view text) {
  Replacement file = TRY(Replacement::begin(env, path));
  for (size_t at = 0; at < text.size(); at += 5) TRY(file.append(bytes_of(text.substr(at, 5))));
  return file.commit();
}

// Every call of a write fails once, in every way, for a while or for good, over an old content and over none.
void expect_old_or_new(Status (*write)(Env&, const std::string&, std::string_view)) {
  const std::string next = "the new content";
  for (const std::string old : {"absent", "the old content, longer than the new"}) {
    for (Fault fault : {Fault::no_space, Fault::io_error, Fault::short_write, Fault::after}) {
      for (bool lasting : {false, true}) {
        bool finished = false;
        for (int64_t call = 0; !finished; ++call) {
          ASSERT_LT(call, 50);
          const TempFolder folder;
          const std::string path = folder / "a";
          if (old != "absent") {
            ASSERT_TRUE(write_file(posix_env(), path, bytes_of(old)).ok());
          }
          FaultPlan plan;
          FaultEnv env(posix_env(), plan);
          plan.fail_at(call, fault, lasting);
          const Status status = write(env, path, next);
          finished = plan.calls() <= call;
          plan.heal();
          const std::string found = content(path);
          EXPECT_TRUE(found == next || (!status.ok() && found == old)) << call << ": " << found;
          EXPECT_EQ(status.ok(), finished) << status.text();
          // What a fault left lying is known for what it is, and the next write works.
          ASSERT_TRUE(write(env, path, next).ok());
          ASSERT_TRUE(remove_leftovers(env, folder.path()).ok());
          EXPECT_EQ(*env.list(folder.path()), std::vector<std::string>{"a"});
          EXPECT_EQ(content(path), next);
        }
      }
    }
  }
}

TEST(WholeFileFaults, WriteFileLeavesTheOldContentOrTheNew) {
  expect_old_or_new([](Env& env, const std::string& path, std::string_view text) {
    return write_file(env, path, bytes_of(text));
  });
}

TEST(WholeFileFaults, WritingInPiecesLeavesTheOldContentOrTheNew) {
  expect_old_or_new(write_in_pieces);
}

}  // namespace
}  // namespace varve
