#include "memory/cube/scrub/page.h"

#include <array>
#include <cstring>

namespace varve {
namespace {

enum Kind : uint8_t { index_inner = 2, table_inner = 5, index_leaf = 10, table_leaf = 13 };
constexpr size_t kMaxPage = 65536, kFileHead = 100;

class Page {
 public:
  Page(std::span<uint8_t> bytes, size_t head) : bytes_(bytes), head_(head) {
    std::memset(kept_.data(), 0, bytes.size());
  }

  bool scrub() {
    const uint8_t kind = bytes_[head_];
    const bool inner = kind == index_inner || kind == table_inner;
    const size_t cells = two(head_ + 3), array = head_ + (inner ? 12 : 8), end = array + 2 * cells;
    if (end > bytes_.size()) return false;
    keep(0, end);
    for (size_t i = 0; i < cells; ++i) {
      const size_t at = two(array + 2 * i), size = cell_bytes(kind, at);
      if (at < end || size == 0 || size > bytes_.size() - at) return false;
      keep(at, size);
    }
    size_t before = 0;
    for (size_t at = two(head_ + 1); at != 0; before = at, at = two(at)) {  // blocks free for reuse
      if (at < end || at <= before || at + 4 > bytes_.size()) return false;
      keep(at, 4);
    }
    std::memcpy(bytes_.data(), kept_.data(), bytes_.size());
    return true;
  }

 private:
  size_t two(size_t at) const { return size_t(bytes_[at]) << 8 | bytes_[at + 1]; }

  void keep(size_t at, size_t size) { std::memcpy(kept_.data() + at, bytes_.data() + at, size); }

  // A number of 1 to 9 bytes at `at`, which moves behind it; beyond the page: at == size.
  uint64_t number(size_t& at) const {
    uint64_t value = 0;
    for (int i = 0; i < 9 && at < bytes_.size(); ++i) {
      const uint8_t byte = bytes_[at++];
      if (i == 8) return value << 8 | byte;
      value = value << 7 | (byte & 0x7F);
      if (byte < 0x80) return value;
    }
    at = bytes_.size();
    return value;
  }

  // How many bytes of a row's payload lie in the page itself.
  size_t local_bytes(uint64_t payload, bool table) const {
    const uint64_t usable = bytes_.size();
    const uint64_t most = table ? usable - 35 : (usable - 12) * 64 / 255 - 23;
    if (payload <= most) return size_t(payload);
    const uint64_t least = (usable - 12) * 32 / 255 - 23;
    const uint64_t part = least + (payload - least) % (usable - 4);
    return size_t(part <= most ? part : least) + 4;  // and where the rest is
  }

  size_t cell_bytes(uint8_t kind, size_t begin) const {  // 0: it cannot be
    size_t at = begin + (kind == index_inner || kind == table_inner ? 4 : 0);
    if (at >= bytes_.size()) return 0;
    const uint64_t value = number(at);
    if (kind == table_inner) return at - begin;
    if (kind == table_leaf) number(at);
    return at - begin + local_bytes(value, kind == table_leaf);
  }

  std::span<uint8_t> bytes_;
  const size_t head_;
  std::array<uint8_t, kMaxPage> kept_;
};

}  // namespace

bool scrub_page(std::span<uint8_t> page, bool first) {
  const size_t head = first ? kFileHead : 0;
  if (page.size() < 512 || page.size() > kMaxPage) return false;
  const uint8_t kind = page[head];
  if (kind != index_inner && kind != table_inner && kind != index_leaf && kind != table_leaf) return !first;
  return Page(page, head).scrub();
}

}  // namespace varve
