// What the selectors do that choose less than a page: sentences, episodes, stripes, and lists by query.
#include "run/kv/desk_test.h"
#include "run/kv/selection.h"

namespace varve {
namespace {

// Positions that a query reads of a lane.
std::vector<int32_t> read_by(Desk& desk, KvCache& kv, const std::vector<float>& query) {
  const auto rows = int32_t(query.size()) / kQuery;
  const int64_t mark = desk.scratch.mark();
  const Rows q = desk.scratch.take(rows, kQuery);
  desk.ops.load(query, q);
  AttendSpec how = kHow;
  how.codec = &kv.codec();
  std::vector<int32_t> positions;
  for (const KvPageView& page : (*kv.reads(desk.ops, 1, q, how))[0])
    positions.insert(positions.end(), page.positions.begin(), page.positions.end());
  desk.scratch.release(mark);
  std::sort(positions.begin(), positions.end());
  return positions;
}

// A query of every head, `rows` times, that is the key of the planted token.
std::vector<float> about_planted(int32_t rows = 1) {
  const auto row = normal(2 * kWidth, 1000 * kPlanted + 1);
  std::vector<float> query;
  for (int32_t i = 0; i < rows * kQuery; ++i) query.push_back(2 * row[size_t(i % kQuery / 64 * 32 + i % 32)]);
  return query;
}

// The desk ends a sentence at every 20th token, and surprises at every 33rd.
TEST(Units, ASentenceIsReadAsAWhole) {
  Desk desk("select=sentence:pages=1,window=1,sinks=1");
  auto kv = desk.cache();
  ASSERT_TRUE(kv->reserve(2000).ok());
  desk.grow(*kv, 2000, 128);
  const auto read = read_by(desk, *kv, about_planted());
  for (int32_t position = kPlanted / 20 * 20; position < kPlanted / 20 * 20 + 20; ++position)
    EXPECT_TRUE(std::binary_search(read.begin(), read.end(), position)) << position;
  int32_t old = 0;
  for (const int32_t position : read) old += position >= 64 && position < 1800;
  EXPECT_EQ(old, 60);  // three sentences are what fits into a page
}

TEST(Units, AnEpisodeBeginsWhereTheTextSurprises) {
  Desk desk("select=episode:pages=1,near=0,window=1,sinks=1");
  auto kv = desk.cache();
  ASSERT_TRUE(kv->reserve(2000).ok());
  desk.grow(*kv, 2000, 128);
  const auto read = read_by(desk, *kv, about_planted());
  const int32_t first = kPlanted / 33 * 33;
  for (int32_t position = first; position < first + 33; ++position)
    EXPECT_TRUE(std::binary_search(read.begin(), read.end(), position)) << position;
  EXPECT_FALSE(std::binary_search(read.begin(), read.end(), first - 1));
}

TEST(Units, AnAnchorLetsAPromptReadWhatComesNearItAlone) {
  Desk near("select=anchor:apart=1,window=1,sinks=1"), far("select=anchor:apart=1000,window=1,sinks=1");
  auto a = near.cache(), b = far.cache();
  ASSERT_TRUE(a->reserve(2000).ok() && b->reserve(2000).ok());
  near.grow(*a, 2000, 128), far.grow(*b, 2000, 128);
  const auto read = read_by(near, *a, about_planted(32));
  EXPECT_TRUE(std::binary_search(read.begin(), read.end(), kPlanted));
  EXPECT_LT(read.size(), 400u);
  EXPECT_EQ(read_by(far, *b, about_planted(32)).size(), 2000u);
  EXPECT_EQ(read_by(near, *a, about_planted(1)).size(), 2000u);  // who writes reads all
}

TEST(Units, NotesOfTokensThatAreCutAreForgotten) {
  Desk desk("select=sentence:pages=1,window=1,sinks=1");
  auto kv = desk.cache();
  ASSERT_TRUE(kv->needs().sentences && kv->reserve(500).ok());
  desk.grow(*kv, 400, 128);
  ASSERT_TRUE(kv->truncate(130).ok());
  EXPECT_EQ(kv->notes().sentences.size(), 130u);
  EXPECT_EQ(kv->notes().surprise.size(), 130u);
}

}  // namespace
}  // namespace varve
