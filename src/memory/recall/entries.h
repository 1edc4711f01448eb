// Entries: what recall keeps of every cube beside its postings, so that what was found can be looked at once
// more: its words (as fingerprints), its vector, who said it, when, and what was said beside it. Rebuilt from
// the store, never saved. Externally synchronised.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "memory/cube/cube.h"
#include "memory/recall/index/key_table.h"
#include "memory/recall/index/lexical.h"
#include "memory/recall/index/snapshot.h"
#include "memory/recall/index/vector_rows.h"
#include "memory/recall/query/question.h"

namespace varve {

class Entries {
  struct Talk;

 public:
  // What holds for one space. Kept apart: what others store changes no score here.
  struct Space {
    KeyTable<TermKey> keys;
    std::vector<uint32_t> cubes_with;          // by slot of keys: the number of a term
    std::map<std::string, uint32_t> speakers;  // name -> number, from 1
    std::vector<uint32_t> said;                // by number: how many cubes
    std::multimap<TermKey, uint32_t> names;    // terms of speakers' names -> numbers
    std::vector<float> vector_sum;             // of all cubes, in 127ths
    uint64_t cubes = 0, total_length = 0;
    // Of a term by its number; of one that no cube has, kNone.
    double idf(uint32_t term) const;
    double average_length() const;
    bool is_name(TermKey key) const { return names.contains(key); }
    std::set<uint32_t> speakers_of(const Question& question) const;  // whom it names, or who asks it
  };
  struct Count {
    uint32_t term;
    uint32_t times;
  };
  struct Entry {
    const Space* space = nullptr;
    const Talk* talk = nullptr;  // the session it was said in, or null
    int32_t turn = 0;
    uint32_t speaker = 0;  // 0: nobody's
    uint32_t length = 0;   // in terms, repeats counted
    std::optional<TimeMs> event;
    TimeMs recorded = 0, valid_from = INT64_MIN, valid_to = INT64_MAX;
    TermKey kind = 0;     // a fingerprint
    bool closed = false;  // no longer true, or replaced: found only by who asks for an earlier time
    Tells tells;
    std::vector<Count> terms;  // by term
    uint64_t sketch = 0;       // a bit of each term by its number: most terms asked for are not there
    uint32_t times(uint32_t term) const { return (sketch >> (term % 64) & 1) != 0 ? count_of(term) : 0; }
    void sketch_terms();  // after the last

   private:
    uint32_t count_of(uint32_t term) const;
  };
  static constexpr uint32_t kNone = UINT32_MAX;

  // Vectors go to a file of the folder when they are many.
  explicit Entries(Env* env = nullptr, std::string folder = {}) : rows_(env, std::move(folder)) {}

  void add(const CubeHeader& header, std::string_view text, std::span<const float> vector);
  void remove(CubeId id);
  size_t size() const { return ids_.size(); }
  // By slot: small numbers, good until the next change.
  uint32_t find(CubeId id) const { return ids_.find(id); }
  CubeId id(uint32_t slot) const { return ids_.at(slot); }
  const Entry& operator[](uint32_t slot) const { return entries_[slot]; }
  // The cube `distance` turns before (negative) or after this one in its session, or kNone. Where several
  // share a turn, the one kept first.
  uint32_t beside(uint32_t slot, int32_t distance) const;
  const Space* space(const std::string& name) const;
  std::string speaker_name(uint32_t slot) const;  // empty: nobody's
  std::string session_name(uint32_t slot) const;
  // Its vector, of length 127; good until `room` or an entry changes. Empty: it has none.
  std::span<const int8_t> vector(uint32_t slot, std::vector<int8_t>& room) const {
    return rows_.read(slot, room);
  }
  int64_t bytes() const;
  int64_t vector_bytes() const { return rows_.bytes(); }
  // For a file beside the store: fingerprints and names, no words. `vectors`: read them too.
  Status save(SnapshotWriter& out) const;
  Status load(SnapshotReader& in, bool vectors);  // into an empty one, which is of no use when it fails

 private:
  using Said = std::pair<int32_t, uint32_t>;  // turn, slot
  struct Talk {
    std::vector<Said> turns;  // ascending
  };
  using TalkName = std::pair<std::string, std::string>;  // space, session
  using Talks = std::map<TalkName, Talk>;

  void count_terms(Space& space, Entry& entry, const std::string& text);
  void count_speaker(Space& space, Entry& entry, const std::string& name);
  void uncount(Space& space, uint32_t slot);
  void add_vector(Space& space, uint32_t slot, int sign);
  using Spaces = std::map<std::string, Space>;
  uint32_t place(CubeId id, Entry entry, Spaces::iterator home, Talks::iterator talk);  // end(): no session
  Status load_entry(SnapshotReader& in, bool vectors, const std::vector<Talks::iterator>& sessions,
                    Spaces::iterator home, const std::vector<uint32_t>& terms,
                    const std::vector<std::string>& speakers);

  KeyTable<CubeId> ids_;
  std::vector<Entry> entries_;  // by slot of ids_
  VectorRows rows_;
  Spaces spaces_;
  Talks talks_;
  std::vector<std::pair<Spaces::iterator, Talks::iterator>> homes_;
  int64_t bytes_ = 0;
};

}  // namespace varve
