// Adapters as cubes of a home: who may attach them, together and alone; what erasing a source does to them.
#include "serve/home/adapters.h"

#include <gtest/gtest.h>

#include <condition_variable>

#include "core/base/rng.h"
#include "memory/plaintext/evidence.h"
#include "serve/home/home.h"
#include "serve/home/show.h"
#include "tests/support/temp_folder.h"
#include "tests/support/tiny_model.h"

namespace varve {
namespace {

class AdapterCubes : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(write_tiny_model(posix_env(), folder / "m.gguf", {.context = 256}).ok());
    HomeOptions options;
    options.folder = folder / "home";
    options.model = folder / "m.gguf";
    options.budget_bytes = 1 << 30;
    options.engine.precision = Ops::Precision::exact;
    home = Home::open(options).value();
  }
  AdapterFile adapter(uint64_t seed) {
    const Model& model = home->engine()->model();
    AdapterFile file;
    file.note = {.alpha = 8, .base = model.name(), .family = "llama", .fingerprint = model.fingerprint()};
    for (const char* role : {"blk.0.attn_q", "blk.1.ffn_down"}) {
      const WeightEntry& entry = model.weights().entries()[model.weights().find(role)];
      for (const bool a : {true, false}) {
        auto& values = kept.emplace_back(size_t(4 * (a ? entry.cols : entry.rows)));
        for (size_t i = 0; i < values.size(); ++i)
          values[i] = float(random_normal({seed, kept.size(), Site::test}, i));
        const int32_t rows = a ? 4 : entry.rows, cols = a ? entry.cols : 4;
        file.tensors.push_back({role, a ? "lora_a" : "lora_b", rows, cols, values});
      }
    }
    return file;
  }
  CubeHeader keep(const std::string& name, uint64_t seed, std::vector<Source> from = {}) {
    AdapterCube cube{.name = name, .why = "learnt", .from = std::move(from)};
    return keep_adapter(home->cubes(), ann, adapter(seed), std::move(cube), home->ledger()).value();
  }
  std::string say(const std::shared_ptr<const Adapter>& with) {
    Request request{.tokens = tokenize_prompt(*home->engine()->model().tokenizer(), "Once upon a time"),
                    .max_tokens = 12};
    request.sampling.temperature = 0, request.ignore_end = true, request.adapter = with;
    Interrupt interrupt;
    return generate(*home->engine(), std::move(request), {}, nullptr, interrupt).value().text;
  }
  std::shared_ptr<const Adapter> get(const Principal& who, std::vector<AdapterChoice> choices) {
    return home->adapter(who, std::move(choices)).value();
  }
  TempFolder folder;
  std::unique_ptr<Home> home;
  std::deque<std::vector<float>> kept;
  const Principal ann{"ann"}, bob{"bob"};
};

TEST_F(AdapterCubes, attach_by_name_several_at_once_and_detach_to_the_bit) {
  const std::string base = say(nullptr);
  keep("one", 1), keep("two", 2);
  const auto one = get(ann, {{"one", 1}});
  EXPECT_EQ(get(ann, {{"one", 1}}), one) << "the same object, so prefixes are reused";
  const auto both = get(ann, {{"one", 1}, {"two", 0.5f}});
  EXPECT_EQ(get(ann, {{"one", 1}, {"two", 0.5f}}), both);
  EXPECT_NE(say(one), base);
  EXPECT_NE(say(both), say(one));
  EXPECT_EQ(say(get(ann, {{"one", 0}})), base);
  EXPECT_EQ(get(ann, {}), nullptr);
  EXPECT_EQ(say(nullptr), base);
  EXPECT_EQ(home->adapter(ann, std::vector<AdapterChoice>{{"three", 1}}).code(), Code::not_found);
  const std::string path = folder / "a.gguf";
  ASSERT_TRUE(write_adapter_gguf(posix_env(), path, adapter(1)).ok());
  EXPECT_FALSE(home->adapter(ann, std::vector<AdapterChoice>{{path, 1}}).ok()) << "requests name no files";
}

TEST_F(AdapterCubes, a_new_version_takes_the_name_and_carries_the_lesson) {
  const CubeHeader first = keep("mine", 1);
  const auto before = get(ann, {{"mine", 1}});
  AdapterFile next = adapter(2);
  next.note.lesson = Json::object().set("recipe", "lora").set("loss_after", 0.5);
  const CubeHeader second =
      keep_adapter(home->cubes(), ann, next, {.name = "mine", .why = "learnt"}, home->ledger()).value();
  EXPECT_EQ(second.id, first.id);
  EXPECT_EQ(second.version, 2u);
  EXPECT_EQ(to_json(second)["labels"]["recipe"].as_string(), "lora");
  EXPECT_NE(get(ann, {{"mine", 1}}), before);
  const AdapterFile read = load_adapter(home->cubes(), ann, second, home->ledger()).value();
  EXPECT_EQ(encode_adapter(read).value(), encode_adapter(next).value()) << "to the bit";
}

TEST_F(AdapterCubes, nobody_attaches_what_they_may_not_read) {
  const CubeHeader mine = keep("mine", 1);
  for (const std::string& name : {std::string("mine"), mine.id.text()}) {
    EXPECT_EQ(home->adapter(bob, std::vector<AdapterChoice>{{name, 1}}).code(), Code::not_found);
  }
  EXPECT_TRUE(list_adapters(home->cubes(), bob).value().empty());
  ASSERT_NE(get(ann, {{"mine", 1}}), nullptr);
  EXPECT_EQ(home->adapter(bob, std::vector<AdapterChoice>{{"mine", 1}}).code(), Code::not_found)
      << "also when it is open for somebody else";
  ASSERT_TRUE(home->cubes().grant(ann, "ann", "bob", uint8_t(Right::read)).ok());
  EXPECT_EQ(get(bob, {{"mine", 1}}), get(ann, {{"mine", 1}}));
}

TEST_F(AdapterCubes, erasing_a_source_keeps_it_from_use_until_it_is_learnt_again) {
  const CubeId told = home->cubes().put(ann, note_draft("My code is 4711.", "ann")).value();
  const CubeHeader learnt = keep("mine", 1, {{told, 1}});
  ASSERT_NE(get(ann, {{"mine", 1}}), nullptr);
  const EraseReceipt receipt = home->forget(ann, told, "").value();
  ASSERT_EQ(receipt.items.size(), 2u);
  EXPECT_EQ(receipt.items[1].id, learnt.id);
  EXPECT_EQ(receipt.items[1].method, "flagged");
  ASSERT_FALSE(receipt.not_reached.empty());
  EXPECT_NE(receipt.not_reached[0].find(learnt.id.text()), std::string::npos);
  const Status refused = home->adapter(ann, std::vector<AdapterChoice>{{"mine", 1}}).status();
  EXPECT_EQ(refused.code(), Code::denied);
  EXPECT_NE(refused.message().find("learn it again"), std::string::npos);
  EXPECT_TRUE(list_adapters(home->cubes(), ann).value().empty());
  const Json receipts = Json::array().push(to_json(receipt));
  EXPECT_TRUE(verify_receipts(home->cubes(), ann, receipts).value().empty());
  const CubeHeader again = keep("mine", 2);
  EXPECT_NE(again.id, learnt.id);
  EXPECT_EQ(home->cubes().head(ann, learnt.id)->life, Life::erased) << "the weights that learnt it are gone";
  EXPECT_NE(get(ann, {{"mine", 1}}), nullptr);
  EXPECT_TRUE(verify_receipts(home->cubes(), ann, receipts).value().empty());
}

TEST_F(AdapterCubes, of_another_model_it_is_refused_by_its_fingerprint) {
  AdapterFile other = adapter(1);
  other.note.fingerprint->bytes[0] ^= 1;
  ASSERT_TRUE(keep_adapter(home->cubes(), ann, other, {.name = "other"}, home->ledger()).ok());
  const Status refused = home->adapter(ann, std::vector<AdapterChoice>{{"other", 1}}).status();
  EXPECT_EQ(refused.code(), Code::invalid);
  EXPECT_NE(refused.message().find("was made for another model"), std::string::npos);
}

TEST(ParseAdapters, names_and_strengths) {
  const auto some = parse_adapters("mine,other:0.5,a/b.gguf:-2").value();
  ASSERT_EQ(some.size(), 3u);
  EXPECT_EQ(some[1].name, "other");
  EXPECT_EQ(some[1].strength, 0.5f);
  EXPECT_EQ(some[2].name, "a/b.gguf");
  EXPECT_EQ(some[2].strength, -2);
  for (const char* bad : {"mine:", "mine:x", ":1", "a,,b", "mine:1e9"}) {
    EXPECT_EQ(parse_adapters(bad).code(), Code::invalid) << bad;
  }
}

}  // namespace
}  // namespace varve
