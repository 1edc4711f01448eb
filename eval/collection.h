// Collection: documents and questions with the documents that answer them, stored and asked in one space.
// What evaluations of plain retrieval share.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "bench/bench.h"
#include "memory/cube/cube_store.h"

namespace varve::eval {

struct Collection {
  struct Document {
    std::string title, text;
  };
  struct Question {
    std::string text;
    std::map<size_t, int> gold;  // document -> grade; without any the question is skipped
  };
  std::vector<Document> documents;
  std::vector<Question> questions;
};

// R@1, R@10, nDCG@10 and MRR of plain BM25, of the default without and with static embeddings, or of BM25 and
// recipe=... alone; embeddings=FOLDER names others.
Result<std::vector<Measure>> measure(const Collection& collection, const Spec& options);

// The option `key`, or the file where the shared data lies; not_found says where it looked.
Result<std::string> read_data(const Spec& options, std::string_view key, std::string_view shared);
std::string option(const Spec& options, std::string_view key, std::string_view fallback);

// A store in a temporary folder that goes with it.
class TemporaryStore {
 public:
  static Result<TemporaryStore> open(std::string_view name, Ledger& ledger);
  TemporaryStore(TemporaryStore&&) = default;
  ~TemporaryStore();
  CubeStore& operator*() const { return *store_; }

 private:
  TemporaryStore() = default;
  std::string folder_;
  std::unique_ptr<CubeStore> store_;
};

}  // namespace varve::eval
