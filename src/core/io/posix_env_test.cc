#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <thread>

#include "core/io/env.h"
#include "tests/support/temp_folder.h"

namespace varve {
namespace {

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

std::string text_of(const std::string& path) {
  auto bytes = read_file(posix_env(), path, 1 << 20);
  if (!bytes.ok()) return std::move(bytes).status().text();
  return std::string(reinterpret_cast<const char*>(bytes->data()), bytes->size());
}

size_t open_descriptors() {
  size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) ++count;
  return count;
}

mode_t mode_of(const std::string& path) {
  struct stat found {};
  EXPECT_EQ(::stat(path.c_str(), &found), 0);
  return found.st_mode & 0777;
}

TEST(PosixEnv, WritesReadsAndTruncatesAtOffsets) {
  const TempFolder folder;
  auto file = posix_env().open(folder / "a", Open::create);
  ASSERT_TRUE(file.ok());
  EXPECT_EQ(mode_of(folder / "a"), 0600u);
  EXPECT_TRUE((*file)->write(3, bytes_of("def")).ok());
  EXPECT_TRUE((*file)->write(0, bytes_of("abc")).ok());
  EXPECT_TRUE((*file)->sync().ok());
  EXPECT_EQ(*(*file)->size(), 6);
  EXPECT_TRUE((*file)->truncate(4).ok());
  std::byte out[4];
  EXPECT_TRUE((*file)->read(0, out).ok());
  EXPECT_EQ(std::memcmp(out, "abcd", 4), 0);
  EXPECT_EQ((*file)->read(1, out).code(), Code::corrupt);
  EXPECT_EQ((*file)->read(-1, out).code(), Code::io);
  EXPECT_EQ((*file)->write(-1, out).code(), Code::io);
}

TEST(PosixEnv, ErrorsCarryCodePathAndReasonAndLeakNothing) {
  const TempFolder folder;
  Env& env = posix_env();
  ASSERT_TRUE(write_file(env, folder / "there", {}).ok());
  const size_t before = open_descriptors();
  auto absent = env.open(folder / "absent", Open::read);
  EXPECT_EQ(absent.code(), Code::not_found);
  const std::string text = std::move(absent).status().text();
  EXPECT_NE(text.find(folder / "absent"), std::string::npos);
  EXPECT_NE(text.find("No such file"), std::string::npos);
  EXPECT_EQ(env.open(folder / "absent", Open::write).code(), Code::not_found);
  EXPECT_EQ(env.map(folder / "absent").code(), Code::not_found);
  EXPECT_EQ(env.list(folder / "absent").code(), Code::not_found);
  EXPECT_EQ(env.remove(folder / "absent").code(), Code::not_found);
  EXPECT_EQ(env.rename(folder / "absent", folder / "x").code(), Code::not_found);
  EXPECT_EQ(env.open(folder / "there", Open::create).code(), Code::exists);
  EXPECT_EQ(env.open(folder.path(), Open::read).code(), Code::io);
  EXPECT_EQ(env.make_folder(folder / "there").code(), Code::io);
  const std::string cut = folder / std::string("there\0x", 7);
  EXPECT_EQ(env.open(cut, Open::read).code(), Code::invalid);
  EXPECT_EQ(env.exists(cut).code(), Code::invalid);
  EXPECT_EQ(env.remove(cut).code(), Code::invalid);
  EXPECT_EQ(env.rename(folder / "there", cut).code(), Code::invalid);
  EXPECT_EQ(open_descriptors(), before);
}

TEST(PosixEnv, OpensRegularFilesOnlyAndNeverWaits) {
  const TempFolder folder;
  ASSERT_EQ(::mkfifo((folder / "pipe").c_str(), 0600), 0);
  for (Open how : {Open::read, Open::write}) {
    EXPECT_EQ(posix_env().open(folder / "pipe", how).code(), Code::io);
    EXPECT_EQ(posix_env().open("/dev/zero", how).code(), Code::io);
  }
  EXPECT_EQ(posix_env().map("/dev/zero").code(), Code::io);
  EXPECT_EQ(posix_env().lock(folder / "pipe").code(), Code::io);
}

TEST(PosixEnv, WritingFollowsNoSymbolicLinkReadingDoes) {
  const TempFolder folder;
  ASSERT_TRUE(write_file(posix_env(), folder / "target", bytes_of("kept")).ok());
  std::filesystem::create_symlink(folder / "target", folder / "link");
  EXPECT_EQ(text_of(folder / "link"), "kept");
  EXPECT_EQ(posix_env().open(folder / "link", Open::write).code(), Code::io);
  EXPECT_EQ(posix_env().lock(folder / "link").code(), Code::io);
  EXPECT_TRUE(write_file(posix_env(), folder / "link", bytes_of("new")).ok());  // replaces the link itself
  EXPECT_EQ(text_of(folder / "target"), "kept");
}

TEST(PosixEnv, MapsFilesEvenEmptyOnes) {
  const TempFolder folder;
  ASSERT_TRUE(write_file(posix_env(), folder / "a", bytes_of("mapped")).ok());
  auto mapping = posix_env().map(folder / "a");
  ASSERT_TRUE(mapping.ok());
  EXPECT_TRUE(posix_env().remove(folder / "a").ok());
  EXPECT_EQ(std::memcmp((*mapping)->bytes().data(), "mapped", 6), 0);
  ASSERT_TRUE(write_file(posix_env(), folder / "b", {}).ok());
  auto empty = posix_env().map(folder / "b");
  ASSERT_TRUE(empty.ok());
  EXPECT_EQ((*empty)->bytes().size(), 0u);
}

TEST(PosixEnv, FoldersAreMadeWithTheirParentsAndListedSorted) {
  const TempFolder folder;
  EXPECT_TRUE(posix_env().make_folder(folder / "a/b/c").ok());
  EXPECT_TRUE(posix_env().make_folder(folder / "a/b/c").ok());
  EXPECT_TRUE(posix_env().make_folder(folder / "a/b/c/").ok());
  EXPECT_EQ(mode_of(folder / "a"), 0700u);
  EXPECT_EQ(mode_of(folder / "a/b/c"), 0700u);
  for (const char* name : {"z", "m", "a"}) {
    ASSERT_TRUE(write_file(posix_env(), folder / "a/b/c/" + name, {}).ok());
  }
  EXPECT_EQ(*posix_env().list(folder / "a/b/c"), (std::vector<std::string>{"a", "m", "z"}));
  EXPECT_TRUE(*posix_env().exists(folder / "a/b/c/z"));
  EXPECT_FALSE(*posix_env().exists(folder / "a/b/c/z/below a file"));
  EXPECT_TRUE(posix_env().remove(folder / "a/b/c/z").ok());
  EXPECT_FALSE(*posix_env().exists(folder / "a/b/c/z"));
  EXPECT_EQ(posix_env().remove(folder / "a/b/c").code(), Code::io);  // not empty
}

TEST(PosixEnv, ALockIsHeldOnceAndUntilItDies) {
  const TempFolder folder;
  const std::string path = folder / "lock";
  {
    auto held = posix_env().lock(path);
    ASSERT_TRUE(held.ok());
    EXPECT_EQ(posix_env().lock(path).code(), Code::conflict);
    const pid_t child = ::fork();
    if (child == 0) ::_exit(posix_env().lock(path).code() == Code::conflict ? 0 : 1);
    int status = -1;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
  }
  EXPECT_TRUE(posix_env().lock(path).ok());
}

TEST(WholeFile, ReadRefusesWhatIsTooLong) {
  const TempFolder folder;
  ASSERT_TRUE(write_file(posix_env(), folder / "a", bytes_of("12345")).ok());
  EXPECT_TRUE(read_file(posix_env(), folder / "a", 5).ok());
  EXPECT_EQ(read_file(posix_env(), folder / "a", 4).code(), Code::invalid);
}

TEST(WholeFile, AnAbandonedReplacementLeavesTheOldContentAndNoOtherFile) {
  const TempFolder folder;
  ASSERT_TRUE(write_file(posix_env(), folder / "a", bytes_of("old")).ok());
  {
    auto file = Replacement::begin(posix_env(), folder / "a");
    ASSERT_TRUE(file.ok());
    EXPECT_TRUE(file->append(bytes_of("half of the n")).ok());
  }
  EXPECT_EQ(text_of(folder / "a"), "old");
  EXPECT_EQ(posix_env().list(folder.path())->size(), 1u);
}

TEST(WholeFile, LeftoversOfADeadProcessAreSteppedOverAndRemoved) {
  const TempFolder folder;
  for (const char* name : {"a.new-0", "a.new-1", "a.new-", "a.new-x", "new-1"}) {
    ASSERT_TRUE(posix_env().open(folder / name, Open::create).ok());
  }
  ASSERT_TRUE(write_file(posix_env(), folder / "a", bytes_of("whole")).ok());
  EXPECT_EQ(text_of(folder / "a"), "whole");
  EXPECT_TRUE(remove_leftovers(posix_env(), folder.path()).ok());
  EXPECT_EQ(*posix_env().list(folder.path()), (std::vector<std::string>{"a", "a.new-", "a.new-x", "new-1"}));
}

TEST(WholeFile, TwoWritersOfOnePathNeverMixTheirBytes) {
  const TempFolder folder;
  const std::string contents[] = {std::string(30000, 'x'), std::string(50000, 'y')};
  {
    std::vector<std::jthread> writers;
    for (const std::string& content : contents) {
      writers.emplace_back([&] {
        for (int i = 0; i < 20; ++i)
          EXPECT_TRUE(write_file(posix_env(), folder / "a", bytes_of(content)).ok());
      });
    }
  }
  const std::string last = text_of(folder / "a");
  EXPECT_TRUE(last == contents[0] || last == contents[1]);
  EXPECT_EQ(posix_env().list(folder.path())->size(), 1u);
}

TEST(WholeFile, AFullDiskLeavesTheOldContent) {
  const TempFolder folder;
  ASSERT_TRUE(write_file(posix_env(), folder / "a", bytes_of("old")).ok());
  // A limit on file size makes the system write short first, and then refuse: as a full disk does.
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto old_action = ::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{1000, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  const Status status = write_file(posix_env(), folder / "a", bytes_of(std::string(5000, 'n')));
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  ::signal(SIGXFSZ, old_action);
  EXPECT_EQ(status.code(), Code::io);
  EXPECT_EQ(text_of(folder / "a"), "old");
  EXPECT_EQ(posix_env().list(folder.path())->size(), 1u);
}

TEST(PosixEnv, DirectReadsGiveWhatTheFileHoldsUpToItsEnd) {
  const TempFolder folder;
  std::string text(3 * kDirectBytes + 77, 'x');
  for (size_t i = 0; i < text.size(); ++i) text[i] = char('a' + i * 7 % 26);
  ASSERT_TRUE(write_file(posix_env(), folder / "f", std::as_bytes(std::span(text))).ok());
  auto file = posix_env().open(folder / "f", Open::direct);
  if (file.code() == Code::unsupported) GTEST_SKIP() << "this file system has no direct reads";
  ASSERT_TRUE(file.ok());
  std::vector<std::byte> held(6 * size_t(kDirectBytes));
  const size_t skipped = -reinterpret_cast<uintptr_t>(held.data()) % size_t(kDirectBytes);
  const auto room = std::span(held).subspan(skipped, 4 * size_t(kDirectBytes));
  EXPECT_EQ((*file)->read_up_to(kDirectBytes, room).value(), 2 * kDirectBytes + 77);
  EXPECT_EQ(std::memcmp(room.data(), text.data() + kDirectBytes, 2 * size_t(kDirectBytes) + 77), 0);
  EXPECT_EQ((*file)->read_up_to(4 * kDirectBytes, room).value(), 0);
  EXPECT_EQ((*file)->read(kDirectBytes, room).code(), Code::corrupt);
  EXPECT_TRUE((*file)->read(0, room.first(size_t(kDirectBytes))).ok());
}

}  // namespace
}  // namespace varve
