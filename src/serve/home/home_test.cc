#include "serve/home/home.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "core/io/fault_env.h"
#include "memory/plaintext/evidence.h"
#include "tests/support/shared.h"
#include "tests/support/temp_folder.h"
#include "tests/support/tiny_model.h"

namespace varve {
namespace {

class HomeTest : public testing::Test {
 protected:
  HomeOptions options() const {
    HomeOptions made;
    made.folder = folder / "home";
    made.budget_bytes = 1 << 30;
    return made;
  }
  TempFolder folder;
  const Principal ann{"ann"};
};

TEST_F(HomeTest, is_private_and_counts_its_whole_budget) {
  auto home = Home::open(options());
  ASSERT_TRUE(home.ok()) << std::move(home).status().text();
  struct stat status = {};
  ASSERT_EQ(stat((*home)->folder().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0700u);
  EXPECT_EQ((*home)->ledger().limit() + (*home)->ledger().outside(), options().budget_bytes);
  EXPECT_EQ((*home)->engine(), nullptr);
}

TEST_F(HomeTest, a_budget_below_the_program_itself_is_refused_with_what_it_needs) {
  HomeOptions small = options();
  small.budget_bytes = 1 << 20;
  auto home = Home::open(small);
  EXPECT_EQ(home.code(), Code::over_budget);
  EXPECT_NE(std::move(home).status().message().find("at least --budget"), std::string_view::npos);
}

TEST_F(HomeTest, unknown_methods_name_the_setting) {
  HomeOptions wrong = options();
  wrong.recipe = "bm52";
  EXPECT_EQ(Home::open(wrong).code(), Code::not_found);
  wrong = options();
  wrong.reflector = "mirror";
  EXPECT_EQ(Home::open(wrong).code(), Code::not_found);
  wrong = options();
  wrong.embeddings = folder / "nowhere";
  auto home = Home::open(wrong);
  EXPECT_EQ(home.code(), Code::not_found);
  EXPECT_NE(std::move(home).status().message().find("embeddings"), std::string_view::npos);
}

TEST_F(HomeTest, embeddings_find_what_shares_no_word) {
  NEED_SHARED("data/models/static-embeddings");
  HomeOptions dense = options();
  dense.embeddings = shared_path("data/models/static-embeddings");
  auto home = Home::open(dense);
  ASSERT_TRUE(home.ok()) << std::move(home).status().text();
  ASSERT_NE((*home)->embedder(), nullptr);
  for (const char* text : {"My dog is ill.", "The train to Berlin was late.", "We repainted the kitchen."}) {
    ASSERT_TRUE((*home)->cubes().put(ann, note_draft(text, "ann")).ok());
  }
  const auto found = (*home)->recall().gather(ann, {.text = "a sick puppy", .limit = 1}).value();
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].text, "My dog is ill.");
}

TEST_F(HomeTest, the_running_model_or_an_embedding_model_may_turn_words_into_vectors) {
  const std::string file = folder / "tiny.gguf";
  ASSERT_TRUE(write_tiny_model(posix_env(), file).ok());
  HomeOptions asked = options();
  asked.embeddings = "model:pool=last";
  const Status alone = Home::open(asked).status();
  EXPECT_EQ(alone.code(), Code::invalid);
  EXPECT_NE(alone.message().find("--model"), std::string_view::npos) << alone.message();
  for (const std::string& what : {asked.embeddings, file}) {
    asked.model = file;
    asked.embeddings = what;
    asked.recipe = "dense";
    auto home = Home::open(asked);
    ASSERT_TRUE(home.ok()) << std::move(home).status().text();
    for (const char* text : {"the name of your assistant", "12345678", "what is it?"}) {
      ASSERT_TRUE((*home)->cubes().put(ann, note_draft(text, "ann")).ok());
    }
    const auto found = (*home)->recall().gather(ann, {.text = "12345678", .limit = 1}).value();
    ASSERT_FALSE(found.empty());
    EXPECT_EQ(found[0].text, "12345678") << what;
  }
}

TEST_F(HomeTest, the_running_model_ranks_by_what_it_expects) {
  HomeOptions asked = options();
  asked.recipe = "bm25+likelihood:weight=10";
  const Status refused = Home::open(asked).status();
  EXPECT_EQ(refused.code(), Code::unsupported);
  EXPECT_NE(refused.message().find("'likelihood' needs a model"), std::string_view::npos)
      << refused.message();
  NEED_SHARED("data/models/tinyllamas/stories260K.gguf");
  asked.model = shared_path("data/models/tinyllamas/stories260K.gguf");
  const RecallQuery query{.text = "She played with her ball.", .limit = 1};
  const auto first = [&](const HomeOptions& wanted) {
    auto home = Home::open(wanted).value();
    // By words alone the second wins.
    for (const char* text :
         {"Lily had a big red ball. She loved it.", "Tom played. Sam played. No ball.", "Tom went home."}) {
      EXPECT_TRUE(home->cubes().put(ann, note_draft(text, "ann")).ok());
    }
    return home->recall().gather(ann, query).value().at(0).text;
  };
  EXPECT_EQ(first(asked), "Lily had a big red ball. She loved it.");
  HomeOptions plain = options();
  plain.folder = folder / "plain";
  plain.recipe = "bm25";
  EXPECT_EQ(first(plain), "Tom played. Sam played. No ball.");
}

TEST_F(HomeTest, whoever_asks_for_the_same_conversation_shares_it) {
  auto home = Home::open(options());
  ASSERT_TRUE(home.ok());
  auto one = (*home)->session(ann, "s"), same = (*home)->session(ann, "s"),
       other = (*home)->session({"bob"}, "s");
  EXPECT_EQ(*one, *same);
  EXPECT_NE(*one, *other);
}

TEST_F(HomeTest, finds_cubes_by_words_in_any_case_and_of_any_life_but_not_those_of_others) {
  auto home = Home::open(options());
  ASSERT_TRUE(home.ok());
  CubeStore& cubes = (*home)->cubes();
  const CubeId fig = cubes.put(ann, note_draft("I like FIGS.", "ann")).value();
  ASSERT_TRUE(cubes.advance(ann, fig, Life::archived, "old").ok());
  ASSERT_TRUE(cubes.put({"bob"}, note_draft("figs", "bob")).ok());
  const auto found = cubes_with(cubes, ann, "figs").value();
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].id, fig);
  EXPECT_TRUE((*home)->forget(ann, fig, "asked").ok());
  EXPECT_TRUE(cubes_with(cubes, ann, "figs").value().empty());
}

TEST_F(HomeTest, keeps_the_numbers_of_the_newest_turn_of_each_principal) {
  auto home = Home::open(options());
  ASSERT_TRUE(home.ok());
  EXPECT_EQ(kept_report(**home, posix_env(), ann).code(), Code::not_found);
  TurnReport report;
  report.answer = "secret words";
  report.usage.reused_tokens = 7;
  ASSERT_TRUE(keep_report(**home, posix_env(), ann, "s", report).ok());
  const Json kept = kept_report(**home, posix_env(), ann).value();
  EXPECT_EQ(kept["reused_tokens"], Json(7));
  EXPECT_EQ(kept.dump().find("secret"), std::string::npos);
  EXPECT_EQ(kept_report(**home, posix_env(), {"bob"}).code(), Code::not_found);
}

TEST_F(HomeTest, a_turn_on_a_full_disk_is_refused_and_the_next_one_goes_on) {
  FaultPlan plan;
  FaultEnv env(posix_env(), plan);
  auto home = Home::open(options(), env);
  ASSERT_TRUE(home.ok());
  auto session = (*home)->session(ann, "s").value();
  ASSERT_TRUE(session->turn("first", {}, nullptr).ok());
  plan.fail_at(0, Fault::no_space, true);
  const std::string large(100000, 'x');  // a payload of its own file
  EXPECT_EQ(session->turn(large, {}, nullptr).code(), Code::io);
  plan.heal();
  ASSERT_TRUE(session->turn("second", {}, nullptr).ok());
  const auto said = session->transcript().value();
  ASSERT_EQ(said.size(), 2u);
  EXPECT_EQ(said[0].text, "first");
  EXPECT_EQ(said[1].text, "second");
}

}  // namespace
}  // namespace varve
