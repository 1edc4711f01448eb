// The gate against sums in double and finite differences.
#include "learn/grad/kv_gate.h"

#include <gtest/gtest.h>

#include <cmath>

#include "core/base/rng.h"

namespace varve {
namespace {

constexpr int32_t kHeads = 2, kRows = 40;

std::vector<float> drawn(uint64_t seed) {
  std::vector<float> values(size_t(kHeads) * kRows);
  for (size_t i = 0; i < values.size(); ++i) values[i] = float(random_normal({seed, 0, Site::test}, i));
  return values;
}

std::vector<int32_t> two_documents() {
  std::vector<int32_t> positions;
  for (int32_t i = 0; i < kRows; ++i) positions.push_back(i < 25 ? i : i - 25);
  return positions;
}

// Of layer 3 of 4; the others keep what they keep.
double loss(const KvGates& gates, const std::vector<float>& logits, const std::vector<float>& slopes) {
  const KvGateSpec& spec = gates.spec;
  const auto positions = two_documents();
  double sum = 0, stay = 0, count = 0;
  for (size_t i = 0; i < logits.size(); ++i) {
    if (positions[i / kHeads] < spec.sinks) continue;
    // Everybody can make the coins again: they are a function of their place.
    const double u = std::max(1e-9, random_unit({spec.seed, 3, Site::dropout}, i));
    const double z = (double(logits[i]) + std::log(u / (1 - u))) / double(spec.sharp);
    sum -= double(slopes[i]) * std::log(1 + std::exp(-z));
    stay += 1 / (1 + std::exp(-double(logits[i]))), ++count;
  }
  const double share = (gates.shares[0] + gates.shares[1] + gates.shares[2] + stay / count) / 4;
  return sum + double(spec.pressure) * std::pow(share - double(spec.keep), 2);
}

TEST(KvGate, SlopesAreDifferencesOfWhatStaysAndOfTheShare) {
  KvGates all{{.pressure = 300, .sinks = 2}, {0.5, 0.3, 0.9}};
  const KvGate gate(all, 3);
  auto logits = drawn(1);
  const auto above = drawn(2);
  const auto positions = two_documents();
  const auto logs = gate.logs(logits, positions, kHeads);
  auto slopes = above;
  gate.back(logits, positions, kHeads, slopes);
  for (size_t i = 0; i < logits.size(); ++i) {
    EXPECT_LE(logs[i], 0);
    const float keep = logits[i];
    logits[i] = keep + 1e-3f;
    const double high = double(logits[i]), more = loss(all, logits, above);
    logits[i] = keep - 1e-3f;
    const double slope = (more - loss(all, logits, above)) / (high - double(logits[i]));
    logits[i] = keep;
    EXPECT_NEAR(double(slopes[i]), slope, 1e-5) << i;
    const bool sink = positions[i / kHeads] < 2;
    EXPECT_EQ(sink, logs[i] == 0 && slopes[i] == 0) << i;
  }
}

TEST(KvGate, TokensStayAsOftenAsTheirLogitsSay) {
  KvGates all{{.sinks = 0}};
  const KvGate gate(all, 0);
  const std::vector<float> logits(20000, std::log(0.2f / 0.8f));
  const std::vector<int32_t> positions(logits.size(), 7);
  size_t stay = 0;
  for (float log : gate.logs(logits, positions, 1)) stay += log > std::log(0.5f);
  EXPECT_NEAR(double(stay) / double(logits.size()), 0.2, 0.01);
  EXPECT_NEAR(all.shares[0], 0.2, 1e-6);
}

TEST(KvGate, OptionsAreReadAndOthersRefused) {
  const auto spec = read_kv_gate(*parse_spec("gate:keep=0.5,near=32,sinks=0"));
  ASSERT_TRUE(spec.ok());
  EXPECT_EQ(spec->keep, 0.5f);
  EXPECT_EQ(spec->near, 32);
  EXPECT_EQ(read_kv_gate(*parse_spec("gate:keep=2")).code(), Code::invalid);
  EXPECT_EQ(read_kv_gate(*parse_spec("gate:rank=2")).code(), Code::invalid);
}

}  // namespace
}  // namespace varve
