#include "core/io/page_cache.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <vector>

namespace varve {
namespace {

TEST(PageCache, HoldsWhatWasJustWrittenAndNotWhatNobodyTouched) {
  const auto path =
      (std::filesystem::temp_directory_path() / ("varve-pages-" + std::to_string(getpid()))).string();
  std::ofstream(path) << std::string(1 << 20, 'x');
  EXPECT_EQ(cached_share(path), 1);
  std::filesystem::resize_file(path, 2 << 20);  // a hole behind it
  EXPECT_EQ(cached_share(path), 0.5);
  std::filesystem::remove(path);
}

TEST(PageCache, OfWhatIsNoFileNothingIsKnown) {
  EXPECT_EQ(cached_share("/no such file"), 1);
  EXPECT_EQ(cached_share("/tmp"), 1);
}

TEST(PageCache, AdviceChangesNothingThatIsRead) {
  std::vector<std::byte> bytes(3 * 4096 + 5, std::byte{7});
  for (const size_t from : {size_t(0), size_t(1), bytes.size()})
    read_pages_singly(std::span(bytes).subspan(from));
  EXPECT_EQ(bytes, std::vector<std::byte>(bytes.size(), std::byte{7}));
}

}  // namespace
}  // namespace varve
