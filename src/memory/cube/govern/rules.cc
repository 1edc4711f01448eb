#include "memory/cube/govern/rules.h"

#include "memory/cube/store/row_bytes.h"

namespace varve {
namespace {

constexpr std::string_view kScreens[] = {"allow", "redact", "refuse"};
constexpr std::string_view kVerdicts[] = {"newer", "older", "both"};

int64_t crc_of(std::string_view space, const SpaceRules& r) {
  RowBytes bytes;
  bytes.add(space).add(r.cap_bytes).add(int64_t(r.drop)).add(int64_t(r.evidence)).add(r.half_life_ms);
  return bytes.add(int64_t(r.secrets)).add(int64_t(r.personal)).crc();
}

Screen screen(int64_t value) {
  return value < 0 || value > 2 ? Screen::refuse : Screen(value);
}

SpaceRules rules_of(const sql::Statement& row) {  // columns 1 to 6
  return {.cap_bytes = row.integer(1),
          .drop = row.integer(2) != 0,
          .evidence = row.integer(3) != 0,
          .half_life_ms = row.integer(4),
          .secrets = screen(row.integer(5)),
          .personal = screen(row.integer(6))};
}

constexpr std::string_view kColumns =
    "space, cap_bytes, evicted, evidence, half_life, secrets, personal, crc";

}  // namespace

std::string_view to_string(Screen screen) {
  return kScreens[size_t(screen)];
}

Result<Screen> parse_screen(std::string_view text) {
  for (size_t i = 0; i < std::size(kScreens); ++i) {
    if (text == kScreens[i]) return Screen(i);
  }
  return Status(Code::invalid, "what is screened is allowed, or else: allow, redact or refuse");
}

Result<Verdict> parse_verdict(std::string_view text) {
  for (size_t i = 0; i < std::size(kVerdicts); ++i) {
    if (text == kVerdicts[i]) return Verdict(i);
  }
  return Status(Code::invalid, "what holds is the newer, the older, or both: newer, older or both");
}

Status check_rules(const SpaceRules& rules) {
  if (rules.cap_bytes < 0) return Status(Code::invalid, "a cap is a number of bytes; 0 takes it away");
  if (rules.half_life_ms < 0) return Status(Code::invalid, "a half life is a time; 0 lets nothing decay");
  return {};
}

Result<SpaceRules> read_rules(sql::Database& database, std::string_view space) {
  static const std::string sql = "SELECT " + std::string(kColumns) + " FROM spaces WHERE space = ?";
  auto row = TRY(database.query(sql, space));
  if (!TRY(row.step())) return SpaceRules();
  const SpaceRules rules = rules_of(row);
  if (row.integer(7) == crc_of(space, rules)) return rules;
  return Status(Code::corrupt, "the rules of space " + std::string(space) + " are damaged: set them again");
}

Status save_rules(sql::Database& database, std::string_view space, const SpaceRules& r) {
  return database.run("INSERT OR REPLACE INTO spaces VALUES(?, ?, ?, ?, ?, ?, ?, ?)", space, r.cap_bytes,
                      r.drop, r.evidence, r.half_life_ms, int64_t(r.secrets), int64_t(r.personal),
                      crc_of(space, r));
}

Status check_rule_rows(sql::Database& database, std::vector<std::string>& problems) {
  static const std::string sql = "SELECT " + std::string(kColumns) + " FROM spaces";
  auto row = TRY(database.query(sql));
  while (TRY(row.step())) {
    if (row.integer(7) == crc_of(row.view(0), rules_of(row))) continue;
    problems.push_back("the rules of space " + row.text(0) + " are damaged: set them again");
  }
  return {};
}

}  // namespace varve
