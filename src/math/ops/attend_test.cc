// Attention over pages against plain loops in double, and the same bits however a prompt is cut.
#include <cmath>

#include "math/ops/rig_test.h"

namespace varve {
namespace {

// Tokens 0..n-1 of each KV head in pages of 64, as a cache would hold them.
struct Cache {
  Cache(const Codec& codec, int32_t tokens, int32_t kv_heads, int32_t key_dim, int32_t value_dim) {
    for (int32_t i = 0; i < tokens; ++i) positions.push_back(i);
    for (int32_t head = 0; head < kv_heads; ++head) {
      add(codec, keys, key_bytes, tokens, key_dim, uint32_t(2 * head));
      add(codec, values, value_bytes, tokens, value_dim, uint32_t(2 * head + 1));
    }
    for (size_t head = 0; head < size_t(kv_heads); ++head) {
      pages.emplace_back();
      for (int32_t at = 0; at < tokens; at += 64) {
        const int32_t n = std::min(64, tokens - at);
        const auto part = [&](const std::vector<std::byte>& bytes, int32_t dim) {
          return std::span(bytes).subspan(size_t(codec.bytes_for(int64_t(at) * dim)),
                                          size_t(codec.bytes_for(int64_t(n) * dim)));
        };
        pages.back().push_back({part(key_bytes[head], key_dim), part(value_bytes[head], value_dim),
                                std::span(positions).subspan(size_t(at), size_t(n))});
      }
    }
    for (const auto& lane : pages) lanes.emplace_back(lane);
  }
  static void add(const Codec& codec, std::vector<std::vector<float>>& floats,
                  std::vector<std::vector<std::byte>>& bytes, int32_t tokens, int32_t dim, uint32_t seed) {
    floats.push_back(normal(size_t(tokens) * size_t(dim), seed));
    bytes.emplace_back(size_t(codec.bytes_for(int64_t(tokens) * dim)));
    codec.encode(floats.back(), bytes.back());
    codec.decode(bytes.back(), floats.back());
  }
  std::vector<int32_t> positions;
  std::vector<std::vector<float>> keys, values;  // a KV head
  std::vector<std::vector<std::byte>> key_bytes, value_bytes;
  std::vector<std::vector<KvPageView>> pages;
  std::vector<std::span<const KvPageView>> lanes;
};

std::vector<double> reference(const AttendSpec& spec, const Cache& cache, const std::vector<float>& queries,
                              int32_t first) {
  const auto heads = size_t(spec.heads), kd = size_t(spec.key_dim), vd = size_t(spec.value_dim);
  const size_t rows = queries.size() / heads / kd;
  std::vector<double> out(rows * heads * vd);
  for (size_t one = 0; one < rows * heads; ++one) {
    const auto position = first + int32_t(one / heads);
    const size_t lane = one % heads / (heads / size_t(spec.kv_heads));
    std::vector<std::pair<size_t, double>> seen;
    double sum = 0;
    for (size_t t = 0; t < cache.positions.size() && int32_t(t) <= position; ++t) {
      if (spec.window > 0 && int32_t(t) <= position - spec.window) continue;
      double score = 0;
      for (size_t i = 0; i < kd; ++i)
        score += double(queries[one * kd + i]) * double(cache.keys[lane][t * kd + i]);
      score *= double(spec.scale);
      if (spec.soft_cap > 0) score = double(spec.soft_cap) * std::tanh(score / double(spec.soft_cap));
      seen.emplace_back(t, std::exp(score));
      sum += seen.back().second;
    }
    for (const auto& [t, weight] : seen) {
      for (size_t i = 0; i < vd; ++i)
        out[one * vd + i] += weight / sum * double(cache.values[lane][t * vd + i]);
    }
  }
  return out;
}

class AttendOver : public testing::TestWithParam<std::string> {};

TEST_P(AttendOver, AgreesWithDoublesWholeCutAndInCompany) {
  for (int32_t variant = 0; variant < 4; ++variant) {
    const Codec& codec = **codec_named(GetParam());
    AttendSpec spec{.heads = 6,
                    .kv_heads = variant == 3 ? 6 : 2,
                    .key_dim = 64,
                    .value_dim = 32,
                    .scale = 0.125f,
                    .codec = &codec};
    if (variant == 1) spec.window = 70;
    if (variant == 2) spec.soft_cap = 2;
    const int32_t tokens = 150, rows = 40, first = tokens - rows;
    const Cache cache(codec, tokens, spec.kv_heads, 64, 32);
    const auto queries = normal(size_t(rows * 6 * 64), 77);
    const auto positions = std::span(cache.positions).subspan(size_t(first));
    Rig one(1), two(2);
    const Rows q = one.rows(queries, 6 * 64), whole = one.empty(rows, 6 * 32), cut = one.empty(rows, 6 * 32);
    const AttendSegment all{0, rows, positions, cache.lanes};
    one.ops.attend(spec, q, {&all, 1}, whole);
    EXPECT_LT(nmse(one.floats(whole), reference(spec, cache, queries, first)), 1e-12) << variant;
    // The same rows as three segments, and the first of them with a cache that ends at its last token.
    const Cache early(codec, first + 7, spec.kv_heads, 64, 32);
    const std::vector<AttendSegment> parts = {
        {0, 7, positions.first(7), variant == 0 ? early.lanes : cache.lanes},
        {7, 1, positions.subspan(7, 1), cache.lanes},
        {8, 32, positions.subspan(8), cache.lanes}};
    two.ops.attend(spec, q, parts, cut);
    EXPECT_EQ(one.floats(whole), one.floats(cut)) << variant;
  }
}

INSTANTIATE_TEST_SUITE_P(Pages, AttendOver, testing::Values("f32", "f16", "q8_0"),
                         [](const auto& one) { return one.param; });

// Longer than one span: a prompt reads them one after another, a token that is written all at once.
TEST(Attend, LongLanesHaveTheSameBitsInOnePieceAndInSpans) {
  const Codec& codec = **codec_named("f16");
  const int32_t rows = 20, tokens = 3 * 64 * 64 + 150, first = tokens - rows;
  for (const int32_t window : {0, 5000}) {
    const AttendSpec spec{.heads = 4,
                          .kv_heads = 2,
                          .key_dim = 8,
                          .value_dim = 8,
                          .scale = 0.4f,
                          .window = window,
                          .codec = &codec};
    const Cache cache(codec, tokens, 2, 8, 8);
    const auto queries = normal(size_t(rows) * 4 * 8, 5);
    const auto positions = std::span(cache.positions).subspan(size_t(first));
    Rig one(1), two(2);
    const Rows q = one.rows(queries, 4 * 8), whole = one.empty(rows, 4 * 8), cut = one.empty(rows, 4 * 8);
    const AttendSegment all{0, rows, positions, cache.lanes};
    one.ops.attend(spec, q, {&all, 1}, whole);
    EXPECT_LT(nmse(one.floats(whole), reference(spec, cache, queries, first)), 1e-11);
    for (int32_t row = 0; row < rows; ++row) {
      const AttendSegment part{row, 1, positions.subspan(size_t(row), 1), cache.lanes};
      (row % 2 == 0 ? one : two).ops.attend(spec, q, {&part, 1}, cut);
    }
    EXPECT_EQ(one.floats(whole), one.floats(cut));
  }
}

TEST(Attend, AQueryThatSeesNothingIsZero) {
  Rig rig;
  const Codec& codec = **codec_named("f32");
  const Cache cache(codec, 3, 1, 8, 8);
  const AttendSpec spec{.heads = 1, .kv_heads = 1, .key_dim = 8, .value_dim = 8, .codec = &codec};
  const std::vector<int32_t> before = {-1};
  const AttendSegment segment{0, 1, before, cache.lanes};
  const Rows out = rig.rows(std::vector<float>(8, 7.f), 8);
  rig.ops.attend(spec, rig.rows(normal(8, 1), 8), {&segment, 1}, out);
  EXPECT_EQ(rig.floats(out), std::vector<float>(8));
}

TEST(Attend, AWeightIsAsManyCopies) {
  Rig rig;
  const Codec& codec = **codec_named("f32");
  const AttendSpec spec{
      .heads = 4, .kv_heads = 1, .key_dim = 8, .value_dim = 8, .soft_cap = 3, .codec = &codec};
  Cache one(codec, 70, 1, 8, 8), many(codec, 70, 1, 8, 8);
  const std::vector<int32_t> positions = {100, 101};
  std::vector<float> weights(70);
  weights[66] = std::log(3.f);
  many.positions[67] = many.positions[68] = many.positions[66];
  for (const size_t copy : {67, 68}) {
    std::copy_n(&many.key_bytes[0][66 * 32], 32, &many.key_bytes[0][copy * 32]);
    std::copy_n(&many.value_bytes[0][66 * 32], 32, &many.value_bytes[0][copy * 32]);
  }
  // Without the two tokens whose places the copies took: they weigh nothing.
  weights[67] = weights[68] = -std::numeric_limits<float>::infinity();
  one.pages[0][0].weights = std::span(weights).first(64);
  one.pages[0][1].weights = std::span(weights).subspan(64);
  const Rows q = rig.rows(normal(2 * 4 * 8, 3), 4 * 8), a = rig.empty(2, 4 * 8), b = rig.empty(2, 4 * 8);
  const AttendSegment weighed{0, 2, positions, one.lanes}, copied{0, 2, positions, many.lanes};
  rig.ops.attend(spec, q, {&weighed, 1}, a);
  rig.ops.attend(spec, q, {&copied, 1}, b);
  const std::vector<float> expected = rig.floats(b);
  EXPECT_LT(nmse(rig.floats(a), std::vector<double>(expected.begin(), expected.end())), 1e-12);
}

// Values that name their token make attention's output the shares themselves.
TEST(Attend, ScoresAreTheSharesWhoeverWorksAndHoweverThePromptIsCut) {
  const Codec& codec = **codec_named("f32");
  const AttendSpec spec{
      .heads = 4, .kv_heads = 2, .key_dim = 8, .value_dim = 80, .scale = 0.5f, .window = 75, .codec = &codec};
  Cache cache(codec, 80, 2, 8, 80);
  for (auto& bytes : cache.value_bytes) {
    std::vector<float> one_hot(80 * 80);
    for (size_t t = 0; t < 80; ++t) one_hot[t * 81] = 1;
    codec.encode(one_hot, bytes);
  }
  const int32_t rows = 20;
  const auto positions = std::span(cache.positions).subspan(60);
  Rig one(1), two(2);
  const Rows q = one.rows(normal(size_t(rows) * 4 * 8, 9), 4 * 8), out = one.empty(rows, 4 * 80);
  std::vector<std::vector<float>> whole(2, std::vector<float>(80)), cut = whole, hits = whole;
  const auto lanes = [](std::vector<std::vector<float>>& sums) {
    return std::vector<std::span<float>>(sums.begin(), sums.end());
  };
  const auto of_whole = lanes(whole), of_cut = lanes(cut), of_hits = lanes(hits);
  AttendSegment segment{0, rows, positions, cache.lanes, {.lanes = of_whole, .first_row = 3, .fade = 0.5f}};
  one.ops.attend(spec, q, {&segment, 1}, out);
  std::vector<std::vector<double>> expected(2, std::vector<double>(80));
  const std::vector<float> shares = one.floats(out);
  for (int32_t row = 3; row < rows; ++row) {
    for (size_t head = 0; head < 2; ++head) {
      for (size_t t = 0; t < 80; ++t) {
        const size_t at = (size_t(row) * 4 + head * 2) * 80 + t;
        expected[head][t] = expected[head][t] / 2 + double(shares[at] + shares[at + 80]) / 2;
      }
    }
  }
  for (size_t head = 0; head < 2; ++head) EXPECT_LT(nmse(whole[head], expected[head]), 1e-10);
  const std::vector<AttendSegment> parts = {
      {0, 9, positions.first(9), cache.lanes, {.lanes = of_cut, .first_row = 3, .fade = 0.5f}},
      {9, 11, positions.subspan(9), cache.lanes, {.lanes = of_cut, .fade = 0.5f}}};
  for (const AttendSegment& part : parts) two.ops.attend(spec, q, {&part, 1}, out);
  EXPECT_EQ(cut, whole);
  segment.scores = {.lanes = of_hits, .first_row = rows - 1, .hits = true};
  one.ops.attend(spec, q, {&segment, 1}, out);
  for (size_t t = 0; t < 80; ++t) {
    const size_t at = size_t(rows - 1) * 4 * 80 + t;
    const float votes = float(shares[at] >= 1.f / 75) + float(shares[at + 80] >= 1.f / 75);
    EXPECT_EQ(hits[0][t], votes / 2) << t;
  }
}

}  // namespace
}  // namespace varve
