// Rights and rules of spaces, and old versions: the writes of Governance.
#include "memory/cube/store/change.h"

namespace varve {
namespace {

Status check_rights(uint8_t rights) {
  return rights <= 7 ? Status() : Status(Code::invalid, "rights are read 1, write 2, admin 4, or their sum");
}

}  // namespace

Status Change::grant(const std::string& space, const std::string& principal, uint8_t rights) {
  TRY(check_space(space));
  TRY(check_name("a principal", principal));
  TRY(check_rights(rights));
  TRY(view_.rights().need(Right::admin, space));
  if (!view_.rights().knows(space)) TRY(save_rules(*db_, space, {}));
  TRY(Rights::save(*db_, principal, space, rights));
  return note_space("grant", space, principal + " " + std::string(role(rights)));
}

Status Change::lend(const std::string& agent, uint8_t rights) {
  TRY(check_name("an agent", agent));
  TRY(check_rights(rights));
  if (!who_.agent.empty() || !who_.session.empty())
    return Status(Code::denied, "only " + who_.name + " itself lends its rights");
  TRY(Rights::lend(*db_, who_.name, agent, rights));
  return note_space("lend", who_.name, agent + " " + std::string(role(rights)));
}

Status Change::set_rules(const std::string& space, const SpaceRules& rules) {
  TRY(check_space(space));
  TRY(check_rules(rules));
  TRY(view_.rights().need(Right::admin, space));
  TRY(save_rules(*db_, space, rules));
  return note_space("rules", space,
                    "cap " + std::to_string(rules.cap_bytes) + (rules.drop ? " drop" : " archive") +
                        (rules.evidence ? " evidence too" : "") + ", half life " +
                        std::to_string(rules.half_life_ms) + ", secrets " +
                        std::string(to_string(rules.secrets)) + ", personal " +
                        std::string(to_string(rules.personal)));
}

Status Change::note_backup(const std::string& folder) {
  return note_space("backup", who_.name, folder.substr(folder.rfind('/') + 1));
}

Status Change::rebuilt(CubeId lost) {
  const CubeState state = TRY(view_.find(lost, Right::write));
  TRY(db_->run("DELETE FROM rebuilds WHERE lost = ?", lost.bytes));
  return note("rebuilt", state, "");
}

Result<uint32_t> Change::restore(CubeId id, uint32_t version, uint32_t base_version, std::string why) {
  CubeState state = TRY(living(id));
  if (version == 0 || version > state.version) return no_version(id, version);
  CubeDraft draft;
  state.ended.reset();  // the cube's own; a version has what it said itself
  draft.header = TRY(view_.rows().header(state, version));
  draft.payload = TRY(view_.rows().payload(draft.header));
  draft.header.supersedes.clear();
  draft.header.contradicts.clear();
  draft.header.why = why.empty() ? "version " + std::to_string(version) + " again" : std::move(why);
  std::erase_if(draft.header.from, [&](const Source& source) { return !view_.find(source.cube).ok(); });
  return revise(id, base_version, std::move(draft));
}

}  // namespace varve
