// KV as bytes that outlive the process: who computed it, of which tokens, and the pages, each with a checksum
// that is verified whenever it is read. docs/formats/kv.md describes the bytes.
//
// What is read is refused, in one sentence, unless all of it is as it was written: corrupt (damaged, cut off,
// foreign), unsupported (of a newer version), invalid (whole, but of another model, pack, scope, ...).
#pragma once

#include <functional>

#include "core/base/hash.h"
#include "core/io/env.h"
#include "run/kv/kv_pool.h"

namespace varve {

// All that must be the same for KV to stand in for computing it.
struct KvIdentity {
  Hash256 model, tokenizer;
  Hash256 adapter;        // zeros: none
  Hash256 salt;           // of the scope, see kv_salt()
  std::string positions;  // ModelShape::positions
  std::string pack;
  KvShape shape;
  bool operator==(const KvIdentity&) const = default;
};
// Of one scope in one home: what was saved in another is never taken for it.
Hash256 kv_salt(const Hash256& secret, std::string_view scope);

// One hash a page of tokens, each over all before it: where two texts agree, so do these.
Hash256 kv_root(const KvIdentity& identity);
Hash256 kv_link(const Hash256& before, std::span<const int32_t> page);  // of one page, or the rest of one
std::vector<Hash256> kv_chain(const Hash256& before, std::span<const int32_t> tokens);

struct KvHead {
  KvIdentity made_by;
  Hash256 source;               // of the words that the tokens were made of; zeros: not said
  Hash256 before;               // the chain's hash before the first token: kv_root() when `first` is 0
  int32_t first = 0;            // place of the first token in its sequence: a multiple of kPageTokens
  std::vector<int32_t> tokens;  // at least one
};

using KvSink = std::function<Status(std::span<const std::byte>)>;
int64_t kv_file_bytes(const KvHead& head, const KvPageLayout& layout);
// `kv` holds the sequence from its beginning at least to the last of the head's tokens.
Status write_kv(const KvHead& head, const KvSnapshot& kv, const KvSink& sink);
// As a file that appears whole, or not at all: what stood there before stays until then.
Status save_kv(Env& env, const std::string& path, const KvHead& head, const KvSnapshot& kv);

// Pages in the order of their tokens, each with all its lanes.
using KvBlocks = std::vector<std::vector<KvPagePtr>>;
KvSnapshot join(const KvBlocks& blocks, int32_t tokens);

class KvFile {
 public:
  // Reads and checks the head; pages are checked when they are loaded. `chain`: kv_chain() of the tokens that
  // whoever asks believes to be in it. They are not hashed again then, and no page of others is loaded.
  static Result<KvFile> open(std::unique_ptr<File> file, std::vector<Hash256> chain = {});
  const KvHead& head() const { return head_; }
  const std::vector<Hash256>& chain() const { return chain_; }  // of its tokens
  int64_t bytes() const;                                        // of the whole file
  Status made_by(const KvIdentity& ours) const;                 // invalid: names the first difference
  // The pages of at least the first `tokens` of the head, appended to `into`. After made_by() of the pool's
  // own. over_budget: they do not fit.
  Status load(KvPool& pool, int32_t tokens, KvBlocks& into) const;

 private:
  KvFile(std::unique_ptr<File> file, KvHead head, int64_t head_bytes, std::vector<Hash256> chain)
      : file_(std::move(file)), head_(std::move(head)), head_bytes_(head_bytes), chain_(std::move(chain)) {}
  std::unique_ptr<File> file_;
  KvHead head_;
  int64_t head_bytes_;
  std::vector<Hash256> chain_;  // a page each
};

}  // namespace varve
