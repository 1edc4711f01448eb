#include "memory/recall/entries.h"

#include <algorithm>
#include <cmath>

#include "memory/recall/query/terms.h"

namespace varve {
namespace {

int64_t size_of(const Entries::Entry& entry) {
  return int64_t(entry.terms.capacity() * sizeof(Entries::Count));
}

}  // namespace

void Entries::Entry::sketch_terms() {
  for (const Count& one : terms) sketch |= uint64_t(1) << (one.term % 64);
}

uint32_t Entries::Entry::count_of(uint32_t term) const {
  const auto found = std::lower_bound(terms.begin(), terms.end(), term,
                                      [](const Count& one, uint32_t wanted) { return one.term < wanted; });
  return found != terms.end() && found->term == term ? found->times : 0;
}

double Entries::Space::idf(uint32_t term) const {
  const double having = term == kNone ? 0 : cubes_with[term];
  return std::log(1 + (double(cubes) - having + 0.5) / (having + 0.5));
}

double Entries::Space::average_length() const {
  return cubes > 0 ? std::max(1.0, double(total_length) / double(cubes)) : 1;
}

std::set<uint32_t> Entries::Space::speakers_of(const Question& question) const {
  std::set<uint32_t> named;
  for (const std::string& term : question.terms) {
    for (auto [at, end] = names.equal_range(term_key(term)); at != end; ++at) named.insert(at->second);
  }
  const auto user = speakers.find("user");
  if (named.empty() && question.first_person && user != speakers.end()) named.insert(user->second);
  return named;
}

void Entries::count_terms(Space& space, Entry& entry, const std::string& text) {
  std::vector<TermKey> keys;
  for (const std::string& term : terms_of(text)) keys.push_back(term_key(term));
  entry.length = uint32_t(keys.size());
  std::sort(keys.begin(), keys.end());
  for (size_t at = 0, end = 0; at < keys.size(); at = end) {
    while (end < keys.size() && keys[end] == keys[at]) ++end;
    uint32_t term = space.keys.find(keys[at]);
    if (term == kNone) term = space.keys.add(keys[at]);
    if (term >= space.cubes_with.size()) space.cubes_with.resize(term + 1);
    ++space.cubes_with[term];
    entry.terms.push_back({term, uint32_t(end - at)});
  }
  entry.terms.shrink_to_fit();
  std::sort(entry.terms.begin(), entry.terms.end(),
            [](const Count& a, const Count& b) { return a.term < b.term; });
  entry.sketch_terms();
}

void Entries::count_speaker(Space& space, Entry& entry, const std::string& name) {
  const auto [found, fresh] = space.speakers.try_emplace(name, uint32_t(space.speakers.size() + 1));
  entry.speaker = found->second;
  if (entry.speaker >= space.said.size()) space.said.resize(entry.speaker + 1);
  ++space.said[entry.speaker];
  if (!fresh || name == "user" || name == "assistant") return;  // those are parts, not names
  for (const std::string& term : terms_of(name)) space.names.emplace(term_key(term), entry.speaker);
}

void Entries::add(const CubeHeader& header, std::string_view text, std::span<const float> vector) {
  remove(header.id);
  Space& space = spaces_.try_emplace(header.space).first->second;
  Entry entry;
  entry.space = &space;
  entry.turn = header.turn;
  entry.event = header.event;
  entry.recorded = header.recorded;
  entry.valid_from = header.valid_from.value_or(INT64_MIN);
  entry.valid_to = header.valid_to.value_or(INT64_MAX);
  entry.closed = header.life != Life::active;
  entry.kind = term_key(header.kind);
  entry.tells = read_tells(text);
  if (!header.speaker.empty()) count_speaker(space, entry, header.speaker);
  count_terms(space, entry, header.title + " " + std::string(text));
  auto talk = talks_.end();
  if (!header.session.empty()) talk = talks_.try_emplace(TalkName(header.space, header.session)).first;
  const uint32_t slot = place(header.id, std::move(entry), spaces_.find(header.space), talk);
  rows_.set(slot, vector);
  add_vector(space, slot, 1);
}

uint32_t Entries::place(CubeId id, Entry entry, Spaces::iterator home, Talks::iterator talk) {
  const uint32_t slot = ids_.add(id);
  if (slot >= entries_.size()) entries_.resize(slot + 1), homes_.resize(slot + 1);
  Space& space = home->second;
  ++space.cubes;
  space.total_length += entry.length;
  if (talk != talks_.end()) {
    entry.talk = &talk->second;
    auto& turns = talk->second.turns;
    turns.insert(std::upper_bound(turns.begin(), turns.end(), Said(entry.turn, slot)),
                 Said(entry.turn, slot));
  }
  bytes_ += size_of(entry);
  homes_[slot] = {home, talk};
  entries_[slot] = std::move(entry);
  return slot;
}

void Entries::add_vector(Space& space, uint32_t slot, int sign) {
  std::vector<int8_t> room;
  const auto row = rows_.read(slot, room);
  space.vector_sum.resize(std::max(space.vector_sum.size(), row.size()));
  for (size_t i = 0; i < row.size(); ++i) space.vector_sum[i] += float(sign * row[i]);
}

void Entries::uncount(Space& space, uint32_t slot) {
  const Entry& entry = entries_[slot];
  for (const Count& one : entry.terms) {
    if (--space.cubes_with[one.term] == 0) space.keys.remove(space.keys.at(one.term));
  }
  add_vector(space, slot, -1);
  rows_.remove(slot);
  space.total_length -= entry.length;
  --space.cubes;
}

void Entries::remove(CubeId id) {
  const uint32_t slot = ids_.remove(id);
  if (slot == kNone) return;
  const auto [home, talk] = homes_[slot];
  Entry& entry = entries_[slot];
  bytes_ -= size_of(entry);
  if (entry.talk != nullptr) {
    auto& turns = talk->second.turns;
    turns.erase(std::lower_bound(turns.begin(), turns.end(), Said(entry.turn, slot)));
    if (turns.empty()) talks_.erase(talk);
  }
  uncount(home->second, slot);
  if (home->second.cubes == 0) spaces_.erase(home);  // its words and names are gone with it
  entry = {};
  if (ids_.size() == 0) entries_ = std::vector<Entry>(), homes_ = decltype(homes_)();
}

uint32_t Entries::beside(uint32_t slot, int32_t distance) const {
  const Entry& entry = entries_[slot];
  const int64_t turn = int64_t(entry.turn) + distance;
  if (entry.talk == nullptr || turn < INT32_MIN || turn > INT32_MAX) return kNone;
  const auto& turns = entry.talk->turns;
  // Where every turn was kept once, its number says where it is.
  const int64_t there = turn - turns.front().first;
  if (there < 0 || turn > turns.back().first) return kNone;
  if (size_t(there) < turns.size() && turns[size_t(there)].first == turn &&
      (there == 0 || turns[size_t(there) - 1].first != turn)) {
    return turns[size_t(there)].second;
  }
  const auto said = std::lower_bound(turns.begin(), turns.end(), Said(int32_t(turn), 0));
  return said != turns.end() && said->first == turn ? said->second : kNone;
}

const Entries::Space* Entries::space(const std::string& name) const {
  const auto found = spaces_.find(name);
  return found == spaces_.end() ? nullptr : &found->second;
}

std::string Entries::speaker_name(uint32_t slot) const {
  for (const auto& [name, number] : entries_[slot].space->speakers) {
    if (number == entries_[slot].speaker) return name;
  }
  return {};
}

std::string Entries::session_name(uint32_t slot) const {
  return entries_[slot].talk == nullptr ? std::string() : homes_[slot].second->first.second;
}

int64_t Entries::bytes() const {
  int64_t sum = bytes_ + ids_.bytes() + rows_.bytes();
  sum += int64_t(entries_.capacity() * sizeof(Entry) + homes_.capacity() * sizeof(homes_[0]));
  for (const auto& [name, space] : spaces_) {
    sum += 512 + space.keys.bytes() + int64_t(space.cubes_with.capacity() * 4 + space.names.size() * 128);
  }
  for (const auto& [name, talk] : talks_) sum += 192 + int64_t(talk.turns.capacity() * sizeof(Said));
  return sum;
}

}  // namespace varve
