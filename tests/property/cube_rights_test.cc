// Random grants and random calls against a short oracle of who may do what: nothing leaks through any call.
#include <gtest/gtest.h>

#include "memory/cube/governance.h"
#include "tests/property/cube_script.h"
#include "tests/support/temp_folder.h"

namespace varve {
namespace {

const std::vector<Principal> kPeople{{"ann"}, {"ben"}, {"cid"}, {"dee"}};
const std::vector<std::string> kSpaces{"ann", "ben", "cid", "dee", "ann:team", "ben:team"};

struct Oracle {
  std::map<std::pair<std::string, std::string>, uint8_t> grants;  // principal, space
  std::map<std::string, uint8_t> lent;                            // to the agent "bot", by user
  std::map<CubeId, std::string> space_of, session_of;
  std::map<CubeId, bool> erased;

  static uint8_t all(uint8_t bits) { return bits & 4 ? 7 : bits & 2 ? 3 : bits; }
  bool may(const Principal& who, const std::string& space, uint8_t right) const {
    const auto granted = grants.find({who.name, space});
    uint8_t bits = granted == grants.end() ? 0 : all(granted->second);
    if (space.substr(0, space.find(':')) == who.name) bits = 7;
    if (!who.agent.empty())
      bits &= who.agent == "bot" && lent.contains(who.name) ? all(lent.at(who.name)) : uint8_t(0);
    if (!who.session.empty()) bits &= 3;
    return (bits & right) != 0;
  }
  bool sees(const Principal& who, CubeId id) const {
    const auto found = space_of.find(id);
    return found != space_of.end() && may(who, found->second, 1) &&
           (who.session.empty() || who.session == session_of.at(id));
  }
  Code writing(const Principal& who, CubeId id) const {  // what a change of the cube answers
    if (!sees(who, id)) return Code::not_found;
    return !may(who, space_of.at(id), 2) ? Code::denied : erased.at(id) ? Code::not_found : Code::ok;
  }
};

struct CubeRights : testing::Test {
  void SetUp() override {
    auto opened = CubeStore::open(posix_env(), folder / "cubes", ledger, clock);
    ASSERT_TRUE(opened.ok());
    store = std::move(opened).value();
  }
  uint32_t roll(uint32_t limit) { return random_bits({.seed = 5, .step = step}, drawn++) % limit; }
  CubeId any_cube() {  // now and then one that never was
    if (oracle.space_of.empty() || roll(12) == 0) return CubeId::make(clock.time);
    return std::next(oracle.space_of.begin(), roll(uint32_t(oracle.space_of.size())))->first;
  }

  void put(const Principal& who, const std::string& space) {
    CubeDraft draft;
    draft.header.kind = "note";
    draft.header.space = space;
    draft.header.why = "SECRET of " + space;
    draft.payload = "SECRET of " + space;
    draft.header.session = roll(3) == 0 ? "" : roll(2) == 0 ? "s1" : "s2";
    const std::string session = draft.header.session.empty() ? who.session : draft.header.session;
    Code expected = oracle.may(who, space, 2)   ? Code::ok
                    : oracle.may(who, space, 1) ? Code::denied
                                                : Code::not_found;
    if (expected == Code::ok && !who.session.empty() && session != who.session) expected = Code::denied;
    if (roll(3) == 0) {
      const CubeId from = any_cube();
      draft.header.from = {{from, 0}};
      if (expected == Code::ok && (!oracle.sees(who, from) || oracle.erased.at(from)))
        expected = Code::not_found;
      if (expected == Code::ok) parents[from].push_back(CubeId{});
    }
    auto id = store->put(who, draft);
    ASSERT_EQ(id.code(), expected);
    if (!id.ok()) return;
    oracle.space_of[*id] = space;
    oracle.session_of[*id] = session;
    oracle.erased[*id] = false;
    if (!draft.header.from.empty()) parents[draft.header.from[0].cube].back() = *id;
  }
  void erase(CubeId id) {
    oracle.erased[id] = true;
    oracle.session_of[id].clear();
    for (const CubeId& child : parents[id]) erase(child);
  }

  void change(const Principal& who, CubeId id) {
    const Code expected = oracle.writing(who, id);
    CubeDraft draft;
    draft.payload = "SECRET of " + (expected == Code::ok ? oracle.space_of[id] : std::string("nobody"));
    switch (roll(4)) {
      case 0: EXPECT_EQ(store->revise(who, id, 0, draft, "").code(), expected); break;
      case 1: EXPECT_EQ(store->advance(who, id, Life(roll(4)), "").code(), expected); break;
      case 2: {
        MemoryOp op;
        op.kind = MemoryOp::Kind::strengthen;
        op.target = id;
        EXPECT_EQ(store->apply(who, {op}).code(), expected);
        break;
      }
      case 3: {
        if (roll(3) != 0) break;
        auto receipt = store->erase(who, id, "");
        ASSERT_EQ(receipt.code(), expected);
        if (!receipt.ok()) break;
        for (const auto& item : receipt->items) EXPECT_TRUE(oracle.sees(who, item.id));
        erase(id);
      }
    }
  }

  void look(const Principal& who, CubeId id) {
    const bool sees = oracle.sees(who, id), gone = sees && oracle.erased.at(id);
    const Code expected = sees ? Code::ok : Code::not_found;
    auto head = store->head(who, id);
    auto text = store->payload(who, id);
    auto history = store->history(who, id);
    auto derived = store->derived(who, id);
    auto journal = store->journal(who, id);
    EXPECT_EQ(head.code(), expected);
    EXPECT_EQ(text.code(), gone ? Code::not_found : expected);
    EXPECT_EQ(history.code(), expected);
    EXPECT_EQ(derived.code(), expected);
    EXPECT_EQ(journal.code(), expected);
    EXPECT_EQ(store->export_cube(who, id).code(), gone ? Code::not_found : expected);
    if (!sees) {  // word for word what is said of a cube that never was
      EXPECT_EQ(std::move(head).status().message(), "there is no cube " + id.text());
      return;
    }
    if (text.ok()) {
      EXPECT_EQ(*text, "SECRET of " + oracle.space_of[id]);
    }
    for (const Source& source : head->from) EXPECT_TRUE(oracle.sees(who, source.cube));
    for (const CubeHeader& child : *derived) EXPECT_TRUE(oracle.sees(who, child.id));
  }

  void look_around(const Principal& who) {
    size_t visible = 0;
    for (const auto& [id, space] : oracle.space_of) visible += oracle.sees(who, id);
    CubeFilter filter;
    filter.life.reset();
    filter.limit = 10000;
    auto listed = store->list(who, filter);
    ASSERT_TRUE(listed.ok());
    EXPECT_EQ(listed->size(), visible);
    for (const CubeHeader& header : *listed) EXPECT_TRUE(oracle.sees(who, header.id));
    filter.space = kSpaces[roll(6)];
    EXPECT_EQ((*store->list(who, filter)).empty() || oracle.may(who, filter.space, 1), true);
    const auto spaces = *store->readable_spaces(who);
    for (const std::string& space : spaces) EXPECT_TRUE(oracle.may(who, space, 1));
  }

  void grant(const Principal& who, const std::string& space, const Principal& whom) {
    const auto rights = uint8_t(roll(8));
    const Code expected = oracle.may(who, space, 4)   ? Code::ok
                          : oracle.may(who, space, 1) ? Code::denied
                                                      : Code::not_found;
    ASSERT_EQ(store->grant(who, space, whom.name, rights).code(), expected);
    if (expected == Code::ok) oracle.grants[{whom.name, space}] = rights;
  }

  void lend(const Principal& who) {
    const auto rights = uint8_t(roll(8));
    const bool itself = who.agent.empty() && who.session.empty();
    ASSERT_EQ(store->governance().lend(who, "bot", rights).code(), itself ? Code::ok : Code::denied);
    if (itself) oracle.lent[who.name] = rights;
  }

  Principal anybody() {  // a user, an agent that acts for it, and either of them confined to a session
    Principal who = kPeople[roll(4)];
    if (roll(3) == 0) who.agent = roll(5) == 0 ? "spy" : "bot";
    if (roll(4) == 0) who.session = roll(2) == 0 ? "s1" : "s2";
    return who;
  }

  TempFolder folder{TempFolder::in_ram()};
  FixedClock clock;
  Ledger ledger{64 << 20};
  std::unique_ptr<CubeStore> store;
  Oracle oracle;
  std::map<CubeId, std::vector<CubeId>> parents;
  uint64_t step = 0, drawn = 0;
};

TEST_F(CubeRights, NothingLeaksWhateverIsGranted) {
  for (step = 0; step < 6000 && !HasFatalFailure(); ++step) {
    drawn = 0;
    const Principal who = anybody();
    const std::string& space = kSpaces[roll(6)];
    const uint32_t kind = roll(21);
    if (kind < 4) {
      put(who, space);
    } else if (kind < 8) {
      change(who, any_cube());
    } else if (kind < 11) {
      grant(who, space, kPeople[roll(4)]);
    } else if (kind < 19) {
      look(who, any_cube());
    } else if (kind < 20) {
      lend(who);
    } else {
      look_around(who);
    }
  }
  EXPECT_GT(oracle.space_of.size(), 200u);
  EXPECT_EQ(*store->check(), std::vector<std::string>{});
}

}  // namespace
}  // namespace varve
