#include "run/kv/kv_pool.h"

#include <algorithm>
#include <cstring>

namespace varve {

struct KvSlab {
  Buffer buffer;
  size_t pages = 0;
  std::vector<std::byte*> free;
};

namespace {
// All ones is not a number in every float format, and -1 is no position: who reads a page too early or too
// late, shows.
void poison([[maybe_unused]] std::byte* at, [[maybe_unused]] int64_t bytes) {
#ifdef VARVE_DCHECK
  std::memset(at, 0xFF, size_t(bytes));
#endif
}
}  // namespace

KvPage::~KvPage() {
  pool->release(*this);
}

KvPool::KvPool(Ledger& ledger, KvShape of, const Codec& by, KvMethods with)
    : shape(of),
      codec(by),
      methods(std::move(with)),
      layout(kv_page_layout(of, by, methods.needs)),
      packed(methods.pack == nullptr
                 ? nullptr
                 : std::shared_ptr<KvPool>(new KvPool(ledger, of, by, kv_packed_layout(of, *methods.pack)))),
      ledger_(ledger) {}

KvPool::KvPool(Ledger& ledger, KvShape of, const Codec& by, const KvPageLayout& lies)
    : shape(of), codec(by), layout(lies), ledger_(ledger) {}

KvPool::~KvPool() = default;

Result<std::vector<KvPagePtr>> KvPool::take(int64_t pages) {
  std::vector<KvPagePtr> taken;
  taken.reserve(size_t(pages));
  {
    std::lock_guard lock(mutex_);
    for (auto& slab : slabs_) claim(*slab, pages - int64_t(taken.size()), taken);
  }
  while (int64_t(taken.size()) < pages) {
    auto slab = std::make_unique<KvSlab>();
    slab->pages = size_t(shape.layers) * shape.kv_heads;
    slab->buffer = TRY(Buffer::make(ledger_, Tag::kv, int64_t(slab->pages) * layout.bytes()));
    std::byte* at = slab->buffer.bytes().data();
    poison(at, slab->buffer.size());
    for (size_t i = slab->pages; i-- > 0;) slab->free.push_back(at + int64_t(i) * layout.bytes());
    std::lock_guard lock(mutex_);
    slabs_.push_back(std::move(slab));
    claim(*slabs_.back(), pages - int64_t(taken.size()), taken);
  }
  return taken;
}

void KvPool::claim(KvSlab& slab, int64_t pages, std::vector<KvPagePtr>& out) {
  for (; pages > 0 && !slab.free.empty(); --pages) {
    std::byte* at = slab.free.back();
    slab.free.pop_back();
    if (layout.weighted)
      std::memset(at + layout.weights_at(), 0, size_t(layout.bytes() - layout.weights_at()));
    out.push_back(std::make_shared<KvPage>(shared_from_this(), &slab, at));
  }
}

void KvPool::release(KvPage& page) {
  poison(page.at, layout.bytes());
  std::unique_ptr<KvSlab> empty;  // gives its bytes back after the lock
  std::lock_guard lock(mutex_);
  page.slab->free.push_back(page.at);
  if (page.slab->free.size() < page.slab->pages) return;
  auto found =
      std::find_if(slabs_.begin(), slabs_.end(), [&](const auto& slab) { return slab.get() == page.slab; });
  empty = std::move(*found);
  slabs_.erase(found);
}

int64_t KvPool::booked_bytes() const {
  std::lock_guard lock(mutex_);
  int64_t bytes = 0;
  for (const auto& slab : slabs_) bytes += slab->buffer.size();
  return bytes;
}

std::unique_ptr<Selection> make_selection(const KvPool& pool, KvPageSource* source) {
  if (pool.methods.selector == nullptr) return nullptr;
  return std::make_unique<Selection>(pool.methods.selector, pool.ledger(), pool.shape, source);
}

Result<std::shared_ptr<KvPool>> make_kv_pool(Ledger& ledger, const KvShape& shape, const KvRecipe& recipe,
                                             const Hash256* model) {
  if (shape.layers < 1 || shape.kv_heads < 1 || shape.key_dim < 1 || shape.value_dim < 1) {
    return Status(Code::invalid, "a KV shape without extent");
  }
  const Codec* codec = &kv_row_codec(recipe);
  const int32_t block = int32_t(codec->block_values());
  if (shape.key_dim % block != 0 || shape.value_dim % block != 0) {
    return Status(Code::invalid, "pack=" + recipe.pack + " stores " + std::to_string(block) +
                                     " values at a time, but a head of this model has " +
                                     std::to_string(shape.key_dim) + " (keys) and " +
                                     std::to_string(shape.value_dim) + " (values); use pack=f16");
  }
  KvMethods methods = TRY(make_kv_methods(recipe));
  if (methods.policy != nullptr) TRY(methods.policy->fits(shape, model));
  if (methods.allotter != nullptr) TRY(methods.allotter->fits(shape.layers, shape.kv_heads));
  if (methods.pack != nullptr) TRY(methods.pack->fits(shape.key_dim, shape.value_dim));
  auto pool = std::make_shared<KvPool>(ledger, shape, *codec, std::move(methods));
  pool->ram_tokens = recipe.ram_tokens;
  return pool;
}

}  // namespace varve
