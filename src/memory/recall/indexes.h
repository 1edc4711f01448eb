// Indexes: everything recall holds, current with the store. It observes the store; what it holds is kept in
// one file beside the store, tied to a place in the store's journal, and goes on from there when it opens. A
// file that is damaged, foreign or cannot be is thrown away, and all is built from the store.
//
// A change of the embedder leaves the former vectors searchable, by queries that the former embedder reads,
// while a thread of its own embeds every memory anew; a restart goes on where it was.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <shared_mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "memory/cube/cube_store.h"
#include "memory/recall/entries.h"
#include "memory/recall/recall.h"
#include "memory/recall/recipe.h"

namespace varve {

class QueryVectors {  // one text by every embedder in use
 public:
  void add(const Embedder* by, std::vector<float> vector) { all_.emplace_back(by, std::move(vector)); }
  std::span<const float> of(const Embedder* by) const {  // null: by the present one
    for (const auto& [embedder, vector] : all_) {
      if (by == nullptr || embedder == by) return vector;
    }
    return {};
  }

 private:
  std::vector<std::pair<const Embedder*, std::vector<float>>> all_;
};

class Indexes : public CubeObserver {
 public:
  static Result<std::unique_ptr<Indexes>> open(std::vector<RecallPart> parts, CubeStore& store,
                                               const Embedder* embedder, Ledger& ledger,
                                               const RecallGround& ground);
  ~Indexes() override;

  // Parts and entries stay as they are while this lives.
  std::shared_lock<std::shared_mutex> reading() const { return std::shared_lock(mutex_); }
  const std::vector<RecallPart>& parts() const { return parts_; }
  const Entries& entries() const { return entries_; }
  Status fits() const;  // over_budget: the ledger did not grant what they hold

  QueryVectors embed(std::string_view text) const;
  int64_t bytes() const;
  RecallState state() const;
  Status rebuild();
  Status settle();

  void changed(const CubeHeader& header, std::string_view payload) override;
  void erased(const CubeHeader& header) override;
  void reached(const JournalMark& mark) override;
  void account(EraseReceipt& receipt) override;

 private:
  struct Memory {
    CubeHeader header;
    std::string text;
    std::vector<float> vector;
  };
  struct Page;

  Indexes(std::vector<RecallPart> parts, CubeStore& store, const Embedder* embedder,
          const RecallGround& ground);
  Status start(Ledger& ledger);
  Status settle_part(RecallPart& part);
  Status begin_empty();

  // To the parts that are wanted; what it is in already changes nothing.
  void add(const Memory& memory, const std::function<bool(const RecallPart&)>& wanted);
  void forget(CubeId id);
  void book();
  int64_t index_bytes() const;
  // words_only: without the parts that need an embedder.
  static bool lacks(const RecallPart& part, bool words_only);
  bool incomplete(bool words_only) const;
  Result<bool> fill_page(int32_t limit, bool words_only);  // false when nothing is left
  void finish_filling(bool words_only);

  void work();  // the thread's
  bool stopping();
  bool lost_a_part() const;
  bool saving_is_due(bool closing) const;

  // indexes_file.cc: a file for the entries and one for each part, each with its own place in the journal.
  static std::string file_name(const RecallPart& part);
  Status save();
  Status save_part(const RecallPart& part, const std::string& name) const;
  void load();  // opened_ says whether
  Result<JournalMark> load_entries();
  Result<JournalMark> load_part(RecallPart& part, const std::string& name);
  void load_former();
  bool keeps_files() const;
  void drop_files();
  void drop_strangers();  // files that belong to nothing here

  std::vector<RecallPart> parts_;
  CubeStore& store_;
  const Embedder* embedder_;
  RecallGround ground_;
  Ledger* ledger_ = nullptr;
  mutable std::shared_mutex mutex_;  // never held while the store is called
  Entries entries_;
  bool entries_complete_ = true;
  Reservation booked_;
  int64_t changes_ = 0;
  bool over_budget_ = false;

  JournalMark mark_;
  int64_t unsaved_ = 0, shown_ = 0;  // shown_: memories that the present embedder has read
  mutable std::mutex files_;         // taken after mutex_
  std::set<std::string> kept_files_;
  CubeId entries_filled_to_{};
  std::string opened_;
  std::set<CubeId> touched_;  // changed since the page under way was read
  std::chrono::steady_clock::time_point changed_at_;
  std::atomic<bool> finished_ = false;

  std::mutex saving_, filling_;  // one at a time; taken before mutex_
  std::mutex wake_;
  std::condition_variable woken_;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace varve
