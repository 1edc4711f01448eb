// A page's checksum begins with its chain hash, so that no page can be taken for another. Only rows in use
// are written: what lay in the rest of a page is nobody's business.
#include "run/kv/kv_file.h"

#include <bit>
#include <cstring>

namespace varve {
namespace {

static_assert(std::endian::native == std::endian::little, "numbers in the file are little-endian");

constexpr std::string_view kMagic = "VARVEKV\n";
constexpr uint32_t kVersion = 1;
constexpr int64_t kMostHeadBytes = 64 << 20;
constexpr int32_t kMostTokens = 1 << 23, kMostExtent = 1 << 16;
constexpr size_t kMostText = 1024;
constexpr int64_t kFirstRead = 4096;  // a head of some 900 tokens

Status broken(const char* what) {
  return Status(Code::corrupt, std::string("saved attention state is damaged: ") + what);
}

class Writer {
 public:
  template <class Number>
  Writer& number(Number value) {
    return raw({reinterpret_cast<const char*>(&value), sizeof(value)});
  }
  Writer& hash(const Hash256& value) {
    return raw({reinterpret_cast<const char*>(value.bytes.data()), value.bytes.size()});
  }
  Writer& text(std::string_view value) { return number(uint32_t(value.size())).raw(value); }
  Writer& raw(std::string_view bytes) {
    out.append(bytes);
    return *this;
  }
  std::string out;
};

class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}
  template <class Number>
  Reader& number(Number& value) {
    if (const auto bytes = take(sizeof(value)); !bytes.empty())
      std::memcpy(&value, bytes.data(), sizeof(value));
    return *this;
  }
  Reader& hash(Hash256& value) {
    if (const auto bytes = take(value.bytes.size()); !bytes.empty())
      std::memcpy(value.bytes.data(), bytes.data(), bytes.size());
    return *this;
  }
  Reader& text(std::string& value) {
    uint32_t size = 0;
    number(size);
    if (size > kMostText) whole_ = false;
    value = take(size);
    return *this;
  }
  Reader& tokens(std::vector<int32_t>& value, int32_t count) {
    const auto bytes = take(size_t(count) * sizeof(int32_t));
    value.resize(bytes.size() / sizeof(int32_t));
    if (!bytes.empty()) std::memcpy(value.data(), bytes.data(), bytes.size());
    return *this;
  }
  bool finished() const { return whole_ && rest_.empty(); }

 private:
  std::string_view take(size_t size) {
    if (!whole_ || rest_.size() < size) {
      whole_ = false;
      return {};
    }
    const std::string_view bytes = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return bytes;
  }
  std::string_view rest_;
  bool whole_ = true;
};

void add(Writer& to, const KvIdentity& of) {
  to.hash(of.model).hash(of.tokenizer).hash(of.adapter).hash(of.salt).text(of.positions).text(of.pack);
  to.number(of.shape.layers).number(of.shape.kv_heads).number(of.shape.key_dim).number(of.shape.value_dim);
}

// Without its checksum, which is the last of its bytes.
std::string encode(const KvHead& head, const KvPageLayout& layout, const Hash256& end) {
  Writer body;
  add(body, head.made_by);
  body.hash(head.source).hash(head.before).number(kPageTokens);
  body.number(layout.key_row).number(layout.value_row).number(head.first);
  body.number(int32_t(head.tokens.size()));
  body.raw({reinterpret_cast<const char*>(head.tokens.data()), head.tokens.size() * sizeof(int32_t)});
  body.hash(end);
  Writer all;
  all.raw(kMagic).number(kVersion).number(uint32_t(kMagic.size() + 12 + body.out.size()));
  return std::move(all.raw(body.out).out);
}

struct Decoded {
  KvHead head;
  KvPageLayout layout;
  Hash256 end;
  int32_t page_tokens = 0, count = 0;
};

Result<Decoded> decode(std::string_view body) {
  Decoded it;
  KvIdentity& by = it.head.made_by;
  Reader from(body);
  from.hash(by.model).hash(by.tokenizer).hash(by.adapter).hash(by.salt).text(by.positions).text(by.pack);
  from.number(by.shape.layers).number(by.shape.kv_heads).number(by.shape.key_dim).number(by.shape.value_dim);
  from.hash(it.head.source).hash(it.head.before).number(it.page_tokens);
  from.number(it.layout.key_row).number(it.layout.value_row).number(it.head.first).number(it.count);
  if (it.count < 1 || it.count > kMostTokens) return broken("an impossible number of tokens");
  from.tokens(it.head.tokens, it.count).hash(it.end);
  if (!from.finished()) return broken("its head has another length than it says");
  return it;
}

Status check(const Decoded& it) {
  const KvShape& shape = it.head.made_by.shape;
  for (const int32_t extent : {shape.layers, shape.kv_heads, shape.key_dim, shape.value_dim}) {
    if (extent < 1 || extent > kMostExtent) return broken("an impossible shape");
  }
  if (int64_t(shape.layers) * shape.kv_heads > kMostExtent) return broken("an impossible shape");
  const Codec* codec = TRY(codec_named(it.head.made_by.pack));
  const int64_t block = codec->block_values();
  if (it.page_tokens != kPageTokens || shape.key_dim % block != 0 || shape.value_dim % block != 0 ||
      it.layout.key_row != codec->bytes_for(shape.key_dim) ||
      it.layout.value_row != codec->bytes_for(shape.value_dim)) {
    return Status(Code::unsupported, "saved attention state of another page layout; compute it again");
  }
  if (it.head.first < 0 || it.head.first > kMostTokens || it.head.first % kPageTokens != 0)
    return broken("it begins at no page");
  if (it.head.first == 0 && it.head.before != kv_root(it.head.made_by))
    return broken("its first page follows something else");
  return {};
}

int64_t lanes_of(const KvShape& shape) {
  return int64_t(shape.layers) * shape.kv_heads;
}
int64_t token_bytes(const KvShape& shape, const KvPageLayout& layout) {
  return lanes_of(shape) * (layout.key_row + layout.value_row);
}
int64_t pages_bytes(const KvHead& head, const KvPageLayout& layout) {
  const int64_t tokens = int64_t(head.tokens.size());
  return tokens * token_bytes(head.made_by.shape, layout) + kv_pages_for(tokens) * int64_t(sizeof(uint32_t));
}
KvPageLayout layout_of(const KvHead& head) {
  return kv_page_layout(head.made_by.shape, **codec_named(head.made_by.pack));  // known: it was checked
}

uint32_t sum_of(const Hash256& chain, std::span<const std::byte> rows) {
  return crc32c(rows, crc32c(std::as_bytes(std::span(chain.bytes))));
}

// Rows of a page between the page and a stretch of bytes, lane after lane.
void gather(std::span<const KvPagePtr* const> lanes, const KvPageLayout& layout, int64_t rows,
            std::byte* to) {
  for (const KvPagePtr* page : lanes) {
    std::memcpy(to, (*page)->at, size_t(rows * layout.key_row));
    to += rows * layout.key_row;
    std::memcpy(to, (*page)->at + layout.values_at(), size_t(rows * layout.value_row));
    to += rows * layout.value_row;
  }
}
void scatter(const std::byte* from, const KvPageLayout& layout, int32_t first, int64_t rows,
             std::span<const KvPagePtr> lanes) {
  for (const KvPagePtr& page : lanes) {
    std::memcpy(page->at, from, size_t(rows * layout.key_row));
    from += rows * layout.key_row;
    std::memcpy(page->at + layout.values_at(), from, size_t(rows * layout.value_row));
    from += rows * layout.value_row;
    auto* positions = reinterpret_cast<int32_t*>(page->at + layout.positions_at());
    for (int32_t row = 0; row < rows; ++row) positions[row] = first + row;
  }
}

bool in_order(const KvPage& page, int32_t first, int64_t rows) {
  const auto* positions = reinterpret_cast<const int32_t*>(page.at + page.pool->layout.positions_at());
  for (int32_t row = 0; row < rows; ++row) {
    if (positions[row] != first + row) return false;
  }
  return true;
}

}  // namespace

Hash256 kv_salt(const Hash256& secret, std::string_view scope) {
  return Sha256().add("varve kv scope").add(std::as_bytes(std::span(secret.bytes))).add(scope).finish();
}

Hash256 kv_root(const KvIdentity& identity) {
  Writer all;
  add(all.raw("varve kv root").number(kVersion).number(kPageTokens), identity);
  return sha256(all.out);
}

Hash256 kv_link(const Hash256& before, std::span<const int32_t> page) {
  return Sha256().add(std::as_bytes(std::span(before.bytes))).add(std::as_bytes(page)).finish();
}

std::vector<Hash256> kv_chain(const Hash256& before, std::span<const int32_t> tokens) {
  std::vector<Hash256> chain;
  while (!tokens.empty()) {
    const auto page = tokens.first(std::min<size_t>(tokens.size(), kPageTokens));
    chain.push_back(kv_link(chain.empty() ? before : chain.back(), page));
    tokens = tokens.subspan(page.size());
  }
  return chain;
}

int64_t kv_file_bytes(const KvHead& head, const KvPageLayout& layout) {
  return int64_t(encode(head, layout, {}).size() + sizeof(uint32_t)) + pages_bytes(head, layout);
}

Status write_kv(const KvHead& head, const KvSnapshot& kv, const KvSink& sink) {
  CHECK(!head.tokens.empty() && head.first % kPageTokens == 0,
        "KV to be saved begins in a page, or is empty");
  CHECK(int64_t(head.first) + int64_t(head.tokens.size()) <= kv.tokens, "KV to be saved is not computed");
  const KvPool& pool = *kv.pages.front()->pool;
  CHECK(pool.shape == head.made_by.shape, "KV to be saved is of another shape");
  if (!codec_named(head.made_by.pack).ok())
    return Status(Code::unsupported, "attention state in " + head.made_by.pack + " is not saved");
  const std::vector<Hash256> chain = kv_chain(head.before, head.tokens);
  std::string bytes = encode(head, pool.layout, chain.back());
  if (int64_t(bytes.size()) > kMostHeadBytes) return Status(Code::invalid, "too many tokens for one file");
  const uint32_t head_sum = crc32c(std::as_bytes(std::span(bytes)));
  bytes.append(reinterpret_cast<const char*>(&head_sum), sizeof(head_sum));
  TRY(sink(std::as_bytes(std::span(bytes))));

  const int64_t lanes = lanes_of(pool.shape), each = kv_pages_for(kv.tokens);
  const int64_t most = kPageTokens * token_bytes(pool.shape, pool.layout) + int64_t(sizeof(uint32_t));
  Buffer staged = TRY(Buffer::make(pool.ledger(), Tag::io, most).with("saving attention state"));
  std::vector<const KvPagePtr*> pages(static_cast<size_t>(lanes));
  for (size_t block = 0; block < chain.size(); ++block) {
    const int32_t done = int32_t(block) * kPageTokens;
    const int64_t rows = std::min<int64_t>(kPageTokens, int64_t(head.tokens.size()) - done);
    for (int64_t lane = 0; lane < lanes; ++lane) {
      pages[lane] = &kv.pages[size_t(lane * each + head.first / kPageTokens) + block];
      if (!in_order(**pages[lane], head.first + done, rows))
        return Status(Code::unsupported, "a KV policy has dropped tokens of this sequence");
    }
    gather(pages, pool.layout, rows, staged.bytes().data());
    const size_t size = size_t(rows * token_bytes(pool.shape, pool.layout));
    const uint32_t sum = sum_of(chain[block], staged.bytes().first(size));
    std::memcpy(staged.bytes().data() + size, &sum, sizeof(sum));
    TRY(sink(staged.bytes().first(size + sizeof(sum))));
  }
  return {};
}

Status save_kv(Env& env, const std::string& path, const KvHead& head, const KvSnapshot& kv) {
  Replacement file = TRY(Replacement::begin(env, path));
  TRY(write_kv(head, kv, [&](std::span<const std::byte> bytes) { return file.append(bytes); }));
  return file.commit();
}

KvSnapshot join(const KvBlocks& blocks, int32_t tokens) {
  CHECK(int64_t(blocks.size()) == kv_pages_for(tokens), "pages of another number of tokens");
  KvSnapshot all;
  all.tokens = tokens;
  for (size_t lane = 0; !blocks.empty() && lane < blocks.front().size(); ++lane) {
    for (const auto& block : blocks) all.pages.push_back(block[lane]);
  }
  return all;
}

namespace {

// All of the head but its checksum, which is right.
Result<std::string> read_head(const File& file, int64_t size) {
  constexpr size_t kStart = kMagic.size() + 8;
  if (size < int64_t(kStart)) return broken("it is too short");
  std::string head(size_t(std::min(size, kFirstRead)), '\0');
  TRY(file.read(0, std::as_writable_bytes(std::span(head))));
  if (!head.starts_with(kMagic)) return Status(Code::corrupt, "this is no saved attention state");
  uint32_t version = 0, head_bytes = 0, sum = 0;
  Reader(std::string_view(head).substr(kMagic.size(), 8)).number(version).number(head_bytes);
  if (version != kVersion) {
    return Status(Code::unsupported, "saved attention state of format " + std::to_string(version) +
                                         "; this program reads " + std::to_string(kVersion));
  }
  if (head_bytes < kStart + 4 || head_bytes > std::min(kMostHeadBytes, size))
    return broken("an impossible length of its head");
  const size_t known = std::min<size_t>(head.size(), head_bytes);
  head.resize(head_bytes);
  if (known < head.size())
    TRY(file.read(int64_t(known), std::as_writable_bytes(std::span(head)).subspan(known)));
  std::memcpy(&sum, head.data() + head.size() - 4, 4);
  head.resize(head.size() - 4);
  if (crc32c(std::as_bytes(std::span(head))) != sum) return broken("its head has another checksum");
  return head;
}

}  // namespace

Result<KvFile> KvFile::open(std::unique_ptr<File> file, std::vector<Hash256> chain) {
  const int64_t size = TRY(file->size());
  const std::string head = TRY(read_head(*file, size));
  const int64_t head_bytes = int64_t(head.size()) + 4;
  Decoded decoded = TRY(decode(std::string_view(head).substr(kMagic.size() + 8)));
  TRY(check(decoded));
  if (chain.empty()) chain = kv_chain(decoded.head.before, decoded.head.tokens);
  if (int64_t(chain.size()) != kv_pages_for(decoded.count) || chain.back() != decoded.end)
    return broken("its tokens are not those that its pages were made of");
  if (size != head_bytes + pages_bytes(decoded.head, decoded.layout))
    return broken("its pages are cut off, or something follows them");
  return KvFile(std::move(file), std::move(decoded.head), head_bytes, std::move(chain));
}

int64_t KvFile::bytes() const {
  return head_bytes_ + pages_bytes(head_, layout_of(head_));
}

Status KvFile::made_by(const KvIdentity& ours) const {
  const KvIdentity& its = head_.made_by;
  const auto other = [](std::string what) {
    return Status(Code::invalid, "the attention state was saved " + what + "; compute it again");
  };
  if (its.model != ours.model) return other("by another model");
  if (its.adapter != ours.adapter) return other("with another adapter");
  if (its.tokenizer != ours.tokenizer) return other("with another tokenizer");
  if (its.pack != ours.pack) return other("in " + its.pack + ", and KV is kept in " + ours.pack + " now");
  if (its.positions != ours.positions)
    return other("with positions as " + its.positions + ", and now they are " + ours.positions);
  if (its.shape != ours.shape) return other("in another shape");
  if (its.salt != ours.salt) return other("for another space, or in another home");
  return {};
}

Status KvFile::load(KvPool& pool, int32_t tokens, KvBlocks& into) const {
  CHECK(tokens >= 0 && size_t(tokens) <= head_.tokens.size(), "tokens that were not saved");
  CHECK(pool.shape == head_.made_by.shape, "a KV pool of another shape");
  const KvPageLayout layout = layout_of(head_);
  const int64_t lanes = lanes_of(pool.shape), each = token_bytes(pool.shape, layout);
  Buffer staged =
      TRY(Buffer::make(pool.ledger(), Tag::io, kPageTokens * each + 4).with("loading attention state"));
  int64_t at = head_bytes_;
  for (int32_t block = 0; block < int32_t(kv_pages_for(tokens)); ++block) {
    const int32_t done = block * kPageTokens;
    const int64_t rows = std::min<int64_t>(kPageTokens, int64_t(head_.tokens.size()) - done);
    const auto bytes = staged.bytes().first(size_t(rows * each + 4));
    TRY(file_->read(at, bytes));
    at += int64_t(bytes.size());
    uint32_t sum = 0;
    std::memcpy(&sum, bytes.data() + bytes.size() - 4, 4);
    if (sum_of(chain_[size_t(block)], bytes.first(bytes.size() - 4)) != sum)
      return broken("a page has another checksum");
    std::vector<KvPagePtr> pages = TRY(pool.take(lanes));
    scatter(bytes.data(), layout, head_.first + done, rows, pages);
    into.push_back(std::move(pages));
  }
  return {};
}

}  // namespace varve
