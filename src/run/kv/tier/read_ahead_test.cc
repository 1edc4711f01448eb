// What is read ahead on another thread while the oldest pages go to the disk. With three layers the first is
// read ahead when the last was read, which is when they go.
#include <atomic>
#include <condition_variable>
#include <thread>

#include "run/kv/desk_test.h"
#include "run/kv/kv_swap.h"
#include "tests/support/temp_folder.h"

namespace varve {
namespace {

// Holds readings on other threads than that of whoever made it, while it is shut.
class Gate {
 public:
  void shut(bool is) {
    std::lock_guard lock(mutex_);
    shut_ = is;
    changed_.notify_all();
  }
  void wrote() { ++writes_; }
  int writes() const { return writes_; }
  void pass() {
    if (std::this_thread::get_id() == owner_) return;
    std::unique_lock lock(mutex_);
    if (shut_) ++held_, changed_.notify_all();
    changed_.wait(lock, [&] { return !shut_; });
  }
  void wait_for_reader() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return held_ > 0; });
  }

 private:
  const std::thread::id owner_ = std::this_thread::get_id();
  std::mutex mutex_;
  std::condition_variable changed_;
  bool shut_ = false;
  int held_ = 0;
  std::atomic<int> writes_ = 0;
};

class GatedFile : public File {
 public:
  GatedFile(std::unique_ptr<File> of, Gate& gate) : of_(std::move(of)), gate_(gate) {}
  Result<int64_t> size() const override { return of_->size(); }
  Status read(int64_t offset, std::span<std::byte> out) const override {
    gate_.pass();
    return of_->read(offset, out);
  }
  Status write(int64_t offset, std::span<const std::byte> bytes) override {
    gate_.wrote();
    return of_->write(offset, bytes);
  }
  Status truncate(int64_t size) override { return of_->truncate(size); }
  Status sync() override { return of_->sync(); }

 private:
  const std::unique_ptr<File> of_;
  Gate& gate_;
};

class GatedEnv : public Env {
 public:
  explicit GatedEnv(Gate& gate) : gate_(gate) {}
  Result<std::unique_ptr<File>> open(const std::string& path, Open how) override {
    auto file = TRY(posix_env().open(path, how));
    return std::unique_ptr<File>(std::make_unique<GatedFile>(std::move(file), gate_));
  }
  Result<std::unique_ptr<Mapping>> map(const std::string& path) override { return posix_env().map(path); }
  Result<bool> exists(const std::string& path) override { return posix_env().exists(path); }
  Result<std::vector<std::string>> list(const std::string& path) override { return posix_env().list(path); }
  Status make_folder(const std::string& path) override { return posix_env().make_folder(path); }
  Status rename(const std::string& from, const std::string& to) override {
    return posix_env().rename(from, to);
  }
  Status remove(const std::string& path) override { return posix_env().remove(path); }
  Result<std::unique_ptr<File>> lock(const std::string& path) override { return posix_env().lock(path); }

 private:
  Gate& gate_;
};

constexpr KvShape kThree{.layers = 3, .kv_heads = 2, .key_dim = 32, .value_dim = 32};

struct Rig : Desk {
  Rig() : Desk("ram_tokens=64", 1, 64 << 20, kThree) {
    kv_pool->disk = KvSwap::open(env, folder.path() + "/paused", 64 << 20).value();
  }
  Gate gate;
  GatedEnv env{gate};
  TempFolder folder{TempFolder::in_ram()};
};

TEST(ReadAhead, PagesGoToTheDiskWhenNothingIsBeingRead) {
  Rig rig;
  Desk in_ram("", 1, 64 << 20, kThree);
  auto kv = rig.cache(), whole = in_ram.cache();
  ASSERT_TRUE(kv->reserve(2000).ok() && whole->reserve(2000).ok());
  for (int block = 0; block < 4; ++block) {
    rig.grow(*kv, kPageTokens, kPageTokens), in_ram.grow(*whole, kPageTokens, kPageTokens);
    ASSERT_TRUE(kv->fit().ok());
  }
  ASSERT_EQ(kv->counts().on_disk, 3 * 2 * 3) << "pages of three layers and two heads";
  for (uint32_t round = 0; round < 3; ++round) {
    rig.grow(*kv, kPageTokens, kPageTokens), in_ram.grow(*whole, kPageTokens, kPageTokens);
    for (int32_t layer = 0; layer < kThree.layers; ++layer)
      EXPECT_EQ(rig.attend(*kv, normal(kQuery, round), layer),
                in_ram.attend(*whole, normal(kQuery, round), layer));
    ASSERT_TRUE(kv->fit().ok());  // while layer 0 is read ahead, for a thread checker
  }
  // Now held: what layer 0 reads ahead stands still, and so must what would change under it.
  rig.grow(*kv, kPageTokens, kPageTokens);
  rig.attend(*kv, normal(kQuery, 9), 0), rig.attend(*kv, normal(kQuery, 9), 1);
  ASSERT_TRUE(kv->reserve(64).ok()) << "layer 2 is read ahead by now";
  rig.gate.shut(true);
  rig.attend(*kv, normal(kQuery, 9), 2);
  rig.gate.wait_for_reader();
  const int before = rig.gate.writes();
  std::atomic<bool> fitted = false;
  std::thread goes([&] {
    EXPECT_TRUE(kv->fit().ok());
    fitted = true;
  });
  for (int i = 0; i < 50 && !fitted; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  EXPECT_FALSE(fitted);
  EXPECT_EQ(rig.gate.writes(), before) << "a page went while another thread read the list of pages";
  rig.gate.shut(false);
  goes.join();
  EXPECT_GT(rig.gate.writes(), before);
}

}  // namespace
}  // namespace varve
