// Selectors on the keys and queries of a trained model, the embedded one, as it reads prose.
#include <fstream>
#include <iterator>

#include "run/kv/forwarded_kv.h"
#include "run/kv/select/recall_test.h"
#include "tests/support/run_model.h"

namespace varve {
namespace {

constexpr int32_t kTokens = 1536, kAsked = 16, kBest = 64;

// A cache that keeps the queries which ask it: [layer][token][heads * dim].
class Overheard : public ForwardedKv {
 public:
  Overheard(std::unique_ptr<KvCache> of, int32_t layers)
      : ForwardedKv(std::move(of)), queries(size_t(layers)) {}
  std::vector<std::vector<float>> queries;

  Result<KvLanes> reads(Ops& ops, int32_t layer, Rows asked, const AttendSpec& how) override {
    std::vector<float>& all = queries[size_t(layer)];
    const size_t at = all.size();
    all.resize(at + size_t(asked.count()) * size_t(asked.width()));
    ops.store(asked, std::span(all).subspan(at));
    return of_->reads(ops, layer, asked, how);
  }
};

struct Read {
  RecallLane lane;
  std::vector<float> asked;  // by the newest tokens
};

// Every lane of a text.
std::vector<Read> read(const std::string& path) {
  Ledger ledger{int64_t(1) << 30};
  ThreadPool threads(1);
  Ops ops(threads);
  const auto model = open_model(posix_env(), VARVE_NANO, ledger).value();
  std::ifstream file(path);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  Tokens tokens;
  model->tokenizer()->encode(text, false, tokens);
  CHECK(tokens.size() >= size_t(kTokens), "a longer text");
  const ModelShape& shape = model->shape();
  CHECK(shape.heads == shape.kv.kv_heads, "a lane a head");
  Overheard kv(make_kv_cache(make_kv_pool(ledger, shape.kv, {}).value()).value(), shape.kv.layers);
  CHECK(kv.reserve(kTokens).ok(), "room");
  Scratch scratch =
      Scratch::make(ledger, model->scratch_bytes(256, 256) + Scratch::bytes_for(1, shape.vocabulary)).value();
  for (int32_t at = 0; at < kTokens; at += 256) {
    std::vector<int32_t> positions(256), outputs{255};
    std::iota(positions.begin(), positions.end(), at);
    const Segment segment{0, 256, &kv, nullptr};
    const int64_t mark = scratch.mark();
    Rows logits = scratch.take(1, shape.vocabulary);
    const auto step = std::span(tokens).subspan(size_t(at), 256);
    CHECK(model->forward({step, positions, {&segment, 1}, outputs}, ops, scratch, logits).ok(), "read");
    scratch.release(mark);
  }
  std::vector<Read> all;
  const auto dim = size_t(shape.kv.key_dim), width = size_t(shape.heads) * dim;
  for (int32_t layer = 0; layer < shape.kv.layers; ++layer) {
    const auto& queries = kv.queries[size_t(layer)];
    const KvLanes lanes = kv.lanes(layer);
    for (size_t head = 0; head < lanes.size(); ++head) {
      Read one{.lane = {.dim = dim, .keys = {}, .watched = {}}, .asked = {}};
      std::vector<float> keys(kAttendTile * dim);
      for (const KvPageView& page : lanes[head]) {
        kv.codec().decode(page.keys, keys);
        one.lane.keys.insert(one.lane.keys.end(), keys.begin(), keys.end());
      }
      for (size_t token = 0; token < size_t(kTokens); ++token) {
        const auto from = queries.begin() + std::ptrdiff_t(token * width + head * dim);
        auto& to = token + size_t(kAsked) < size_t(kTokens) ? one.lane.watched : one.asked;
        to.insert(to.end(), from, from + std::ptrdiff_t(dim));
      }
      one.lane.watched.resize(size_t(kTokens) * dim);  // those that ask were not watched
      all.push_back(std::move(one));
    }
  }
  return all;
}

// Of 1,216 tokens two pages are read, or as many tokens; .77 of the largest logits are among those of ann.
TEST(Selectors, FindTheLargestLogitsOfATrainedModel) {
  const std::vector<Read> lanes = read(VARVE_PROSE);
  const auto found = [&](const std::string& select) {
    double sum = 0;
    for (const Read& one : lanes) sum += recall(select + ":pages=2", one.lane, one.asked, kBest);
    return sum / double(lanes.size());
  };
  const double ann = found("ann");
  EXPECT_GT(ann, 5 * recall_by_chance(lanes[0].lane, 2));
  for (const char* other : {"centroid", "landmark", "box"}) EXPECT_GT(ann, found(other) + 0.25) << other;
}

}  // namespace
}  // namespace varve
