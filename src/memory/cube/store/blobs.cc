#include "memory/cube/store/blobs.h"

#include <optional>
#include <span>

namespace varve {

std::string Blobs::path(const Hash256& name) const {
  const std::string hex = name.hex();
  return folder_ + "/" + hex.substr(0, 2) + "/" + hex.substr(2);
}

Status Blobs::write(const Hash256& name, std::string_view bytes) {
  TRY(env_.make_folder(folder_ + "/" + name.hex().substr(0, 2)));
  // Written even when it is there: that costs little, and heals one that has rotted.
  return write_file(env_, path(name), std::as_bytes(std::span(bytes)));
}

Result<std::unique_ptr<File>> Blobs::open(const Hash256& name, int64_t bytes) const {
  auto file = env_.open(path(name), Open::read);
  if (file.code() == Code::not_found) return Status(Code::corrupt, "the blob " + name.hex() + " is missing");
  auto opened = TRY(std::move(file));
  if (TRY(opened->size()) != bytes)
    return Status(Code::corrupt, "the blob " + name.hex() + " has another size");
  return opened;
}

Result<std::string> Blobs::read(const Hash256& name, int64_t bytes) const {
  const auto opened = TRY(open(name, bytes));
  std::string text(size_t(bytes), '\0');
  TRY(opened->read(0, std::as_writable_bytes(std::span(text))));
  if (sha256(text) != name) return Status(Code::corrupt, "the blob " + name.hex() + " has other content");
  return text;
}

Status Blobs::remove(const Hash256& name) {
  Status removed = env_.remove(path(name));
  return removed.code() == Code::not_found ? Status() : std::move(removed);
}

Status Blobs::each(const Visit& visit) const {
  if (!TRY(env_.exists(folder_))) return {};
  for (const std::string& prefix : TRY(env_.list(folder_))) {
    const std::string inner = folder_ + "/" + prefix;
    for (const std::string& rest : TRY(env_.list(inner))) {
      auto name = Hash256::from_hex(prefix + rest);
      TRY(visit(inner + "/" + rest, name.ok() ? std::optional(*name) : std::nullopt));
    }
  }
  return {};
}

}  // namespace varve
