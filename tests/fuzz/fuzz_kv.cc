// Saved KV: whatever the bytes say, it is refused or it loads; also where the checksum of the head is right.
#include <cstring>

#include "run/kv/kv_file.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/memory_env.h"

using namespace varve;

namespace {

constexpr int64_t kMostPool = 4 << 20;

void load(MemoryEnv& env) {
  auto file = KvFile::open(std::move(*env.open("kv", Open::read)));
  if (!file.ok()) return;
  const KvHead& head = file->head();
  Ledger ledger(kMostPool);
  auto pool = make_kv_pool(ledger, head.made_by.shape, {.pack = head.made_by.pack});
  CHECK(pool.ok(), "a file of a shape that no pool has");
  KvBlocks blocks;
  const int32_t tokens = int32_t(head.tokens.size());
  if (!file->load(**pool, tokens, blocks).ok()) return;
  std::vector<std::byte> again;
  if (head.first != 0) return;
  const Status written = write_kv(head, join(blocks, tokens), [&](std::span<const std::byte> bytes) {
    again.insert(again.end(), bytes.begin(), bytes.end());
    return Status();
  });
  CHECK(written.code() == Code::over_budget || again == env.bytes("kv"), "what loads is not what was saved");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  MemoryEnv env;
  std::vector<std::byte>& file = env.bytes("kv");
  file.assign(reinterpret_cast<const std::byte*>(bytes), reinterpret_cast<const std::byte*>(bytes) + size);
  load(env);
  uint32_t head_bytes = 0;
  if (size < 16) return 0;
  std::memcpy(&head_bytes, file.data() + 12, 4);
  if (head_bytes < 20 || head_bytes > size) return 0;
  const uint32_t sum = crc32c(std::span(file).first(head_bytes - 4));
  std::memcpy(file.data() + head_bytes - 4, &sum, 4);
  load(env);
  return 0;
}
