#include "run/embed/hidden_embedder.h"

#include <cmath>
#include <numeric>
#include <set>

#include "run/embed/engine_rig_test.h"

namespace varve {
namespace {

double dot(const std::vector<float>& a, const std::vector<float>& b) {
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
}

TEST(HiddenEmbedder, EveryWayOfReadingGivesVectorsOfItsOwn) {
  EngineRig rig;
  std::set<std::string> names;
  std::set<std::vector<float>> vectors;
  const std::string text = "the name of your assistant";
  for (const char* spec :
       {"model", "model:pool=last", "model:pool=weighted", "model:layer=1", "model:layer=2",
        "model:prompt=echo", "model:prompt=word,pool=last", "model:tokens=3"}) {
    auto made = make_hidden_embedder(spec, *rig.engine);
    ASSERT_TRUE(made.ok()) << spec << std::move(made).status().text();
    const Embedder& embedder = **made;
    const auto vector = embedder.embed(text).value();
    EXPECT_EQ(int(vector.size()), embedder.width());
    EXPECT_NEAR(dot(vector, vector), 1, 1e-5);
    EXPECT_EQ(embedder.embed(text).value(), vector) << "the same again";
    EXPECT_EQ(dot(embedder.embed("").value(), vector), 0) << "no signal";
    EXPECT_TRUE(names.insert(std::string(embedder.name())).second) << spec;
    EXPECT_TRUE(vectors.insert(vector).second) << spec;
  }
}

TEST(HiddenEmbedder, ReadsTheTextAloneAndOnlyItsBeginning) {
  EngineRig rig;
  const auto last = make_hidden_embedder("model:pool=last,tokens=8", *rig.engine).value();
  EXPECT_EQ(last->embed("12345678").value(), last->embed("12345678, and so on").value());
  const auto whole = make_hidden_embedder("model:tokens=100000", *rig.engine).value();
  EXPECT_TRUE(whole->embed(std::string(200000, '7')).ok()) << "cut to the context";
  const auto twice = make_hidden_embedder("model:tokens=100000,prompt=echo", *rig.engine).value();
  EXPECT_TRUE(twice->embed(std::string(200000, '7')).ok());
  EXPECT_EQ(rig.engine->stats().prefix_bytes, 0) << "an embedding leaves nothing behind";
}

TEST(HiddenEmbedder, RefusesWhatItDoesNotKnow) {
  EngineRig rig;
  for (const char* spec :
       {"model:pool=max", "model:layer=3", "model:layer=-1", "model:prompt=x", "model:a=1"})
    EXPECT_EQ(make_hidden_embedder(spec, *rig.engine).code(), Code::invalid) << spec;
}

}  // namespace
}  // namespace varve
