// Entries on disk: by space the fingerprints of its terms and the names of its speakers and sessions, then
// each cube in numbers. What can be counted is counted again.
#include <algorithm>
#include <set>

#include "memory/recall/entries.h"
#include "memory/recall/index/posting_list.h"

namespace varve {
namespace {

constexpr size_t kLongestName = 1024;
constexpr uint8_t kAsks = 1, kTime = 2, kNumber = 4, kEvent = 8, kFrom = 16, kTo = 32, kClosed = 64;

std::vector<uint8_t> record_of(CubeId id, const Entries::Entry& entry, std::span<const int8_t> vector,
                               uint32_t session) {
  const Tells& tells = entry.tells;
  std::vector<uint8_t> record(id.bytes.begin(), id.bytes.end());
  record.push_back(uint8_t((tells.asks ? kAsks : 0) | (tells.time ? kTime : 0) |
                           (tells.number ? kNumber : 0) | (entry.event ? kEvent : 0) |
                           (entry.valid_from != INT64_MIN ? kFrom : 0) |
                           (entry.valid_to != INT64_MAX ? kTo : 0) | (entry.closed ? kClosed : 0)));
  put_varint(record, session);
  put_varint(record, uint32_t(entry.turn));
  put_varint(record, entry.speaker);
  put_varint(record, entry.length);
  put_varint(record, uint64_t(entry.recorded));
  if (entry.event) put_varint(record, uint64_t(*entry.event));
  if (entry.valid_from != INT64_MIN) put_varint(record, uint64_t(entry.valid_from));
  if (entry.valid_to != INT64_MAX) put_varint(record, uint64_t(entry.valid_to));
  put_varint(record, entry.kind);
  put_varint(record, entry.terms.size());
  uint32_t before = 0;
  for (const Entries::Count& one : entry.terms) {
    put_varint(record, one.term - before);
    put_varint(record, one.times);
    before = one.term;
  }
  record.insert(record.end(), vector.begin(), vector.end());
  return record;
}

}  // namespace

Status Entries::save(SnapshotWriter& out) const {
  std::map<const Space*, std::vector<uint32_t>> by_space;
  for (uint32_t slot = 0; slot < entries_.size(); ++slot) {
    if (entries_[slot].space != nullptr) by_space[entries_[slot].space].push_back(slot);
  }
  TRY(out.number(uint64_t(by_space.size())));
  for (const auto& [space, slots] : by_space) {
    TRY(out.text(homes_[slots.front()].first->first));
    std::vector<TermKey> keys(space->keys.slots());
    for (uint32_t i = 0; i < keys.size(); ++i) keys[i] = space->cubes_with[i] > 0 ? space->keys.at(i) : 0;
    TRY(out.array(keys));
    std::set<uint32_t> speaking;  // a name whose cubes are all gone is not written
    for (uint32_t slot : slots) speaking.insert(entries_[slot].speaker);
    std::vector<std::pair<std::string, uint32_t>> speakers(space->speakers.begin(), space->speakers.end());
    std::erase_if(speakers, [&](const auto& one) { return !speaking.contains(one.second); });
    TRY(out.number(uint64_t(speakers.size())));
    for (const auto& [name, number] : speakers) {
      TRY(out.number(number));
      TRY(out.text(name));
    }
    std::map<const Talk*, uint32_t> sessions;  // 0: none
    for (uint32_t slot : slots) {
      if (entries_[slot].talk != nullptr)
        sessions.emplace(entries_[slot].talk, uint32_t(sessions.size() + 1));
    }
    std::vector<std::string> names(sessions.size());
    for (uint32_t slot : slots) {
      if (entries_[slot].talk != nullptr)
        names[sessions[entries_[slot].talk] - 1] = homes_[slot].second->first.second;
    }
    TRY(out.number(uint64_t(names.size())));
    for (const std::string& name : names) TRY(out.text(name));
    TRY(out.number(uint64_t(slots.size())));
    std::vector<int8_t> room;
    for (uint32_t slot : slots) {
      const Entry& entry = entries_[slot];
      const uint32_t session = entry.talk == nullptr ? 0 : sessions[entry.talk];
      const auto record = record_of(ids_.at(slot), entry, rows_.read(slot, room), session);
      TRY(out.number(uint32_t(record.size())));
      TRY(out.put(std::as_bytes(std::span(record))));
    }
  }
  return {};
}

Status Entries::load(SnapshotReader& in, bool vectors) {
  const auto spaces = TRY(in.number<uint64_t>());
  for (uint64_t i = 0; i < spaces; ++i) {
    const std::string name = TRY(in.text(kLongestName));
    const auto [home, fresh] = spaces_.try_emplace(name);
    if (!fresh) return in.damaged();
    Space& space = home->second;
    std::vector<TermKey> keys;
    TRY(in.array(keys));
    std::vector<uint32_t> terms(keys.size(), kNone);
    for (size_t slot = 0; slot < keys.size(); ++slot) {
      if (keys[slot] == 0) continue;
      if (space.keys.find(keys[slot]) != kNone) return in.damaged();
      terms[slot] = space.keys.add(keys[slot]);
    }
    space.cubes_with.resize(space.keys.slots());
    std::vector<std::string> speakers(1);
    for (auto left = TRY(in.number<uint64_t>()); left > 0; --left) {
      const auto number = TRY(in.number<uint32_t>());
      if (number == 0 || number > (1u << 24)) return in.damaged();
      speakers.resize(std::max(speakers.size(), size_t(number) + 1));
      speakers[number] = TRY(in.text(kLongestName));
    }
    std::vector<Talks::iterator> sessions{talks_.end()};
    for (auto left = TRY(in.number<uint64_t>()); left > 0; --left) {
      const auto talk = talks_.try_emplace(TalkName(name, TRY(in.text(kLongestName))));
      if (!talk.second) return in.damaged();
      sessions.push_back(talk.first);
    }
    for (auto left = TRY(in.number<uint64_t>()); left > 0; --left) {
      TRY(load_entry(in, vectors, sessions, home, terms, speakers));
    }
  }
  return {};
}

Status Entries::load_entry(SnapshotReader& in, bool vectors, const std::vector<Talks::iterator>& sessions,
                           Spaces::iterator home, const std::vector<uint32_t>& terms,
                           const std::vector<std::string>& speakers) {
  const auto size = TRY(in.number<uint32_t>());
  if (size < 17 || size > in.left()) return in.damaged();
  std::vector<uint8_t> record(size);
  TRY(in.get(std::as_writable_bytes(std::span(record))));
  Space& space = home->second;
  CubeId id;
  std::copy_n(record.begin(), id.bytes.size(), id.bytes.begin());
  const uint8_t flags = record[16];
  const uint8_t *at = record.data() + 17, *end = record.data() + record.size();
  const uint64_t session = get_varint(at, end);
  Entry entry;
  entry.space = &space;
  entry.turn = int32_t(uint32_t(get_varint(at, end)));
  const uint64_t speaker = get_varint(at, end);
  entry.length = uint32_t(get_varint(at, end));
  entry.recorded = TimeMs(get_varint(at, end));
  if (flags & kEvent) entry.event = TimeMs(get_varint(at, end));
  if (flags & kFrom) entry.valid_from = TimeMs(get_varint(at, end));
  if (flags & kTo) entry.valid_to = TimeMs(get_varint(at, end));
  entry.kind = get_varint(at, end);
  entry.closed = (flags & kClosed) != 0;
  entry.tells = {(flags & kAsks) != 0, (flags & kTime) != 0, (flags & kNumber) != 0};
  if (session >= sessions.size() || speaker >= speakers.size() || ids_.find(id) != kNone) return in.damaged();
  const uint64_t count = get_varint(at, end);
  if (count > record.size()) return in.damaged();
  entry.terms.reserve(size_t(count));
  uint64_t term = 0;
  for (uint64_t i = 0; i < count; ++i) {
    term += get_varint(at, end);
    const auto times = uint32_t(get_varint(at, end));
    if (term >= terms.size() || terms[size_t(term)] == kNone) return in.damaged();
    entry.terms.push_back({terms[size_t(term)], times});
    ++space.cubes_with[terms[size_t(term)]];
  }
  const auto by_term = [](const Count& a, const Count& b) { return a.term < b.term; };
  if (!std::is_sorted(entry.terms.begin(), entry.terms.end(), by_term)) {
    std::sort(entry.terms.begin(), entry.terms.end(), by_term);
  }
  entry.sketch_terms();
  if (speaker > 0) count_speaker(space, entry, speakers[size_t(speaker)]);
  const uint32_t slot = place(id, std::move(entry), home, sessions[size_t(session)]);
  if (!vectors) return {};
  rows_.set(slot, std::span(reinterpret_cast<const int8_t*>(at), size_t(end - at)));
  add_vector(space, slot, 1);
  return {};
}

}  // namespace varve
