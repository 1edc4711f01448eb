#include "learn/tune/rewrite.h"

#include <algorithm>
#include <map>

#include "core/format/gguf_head.h"
#include "run/weights/weight_store.h"

namespace varve {
namespace {

constexpr int64_t kPiece = 1 << 20;  // bytes on their way

Status copy(const File& from, Replacement& to, int64_t at, int64_t until, std::span<std::byte> room) {
  for (; at < until; at += kPiece) {
    const auto piece = room.first(size_t(std::min(kPiece, until - at)));
    TRY(from.read(at, piece));
    TRY(to.append(piece));
  }
  return {};
}

Status encode(const Parts& parts, const Part& part, const WeightEntry& entry, Replacement& to) {
  const int64_t row_bytes = entry.codec->bytes_for(entry.cols),
                at_once = std::max<int64_t>(1, kPiece / row_bytes);
  std::vector<float> values(size_t(std::min<int64_t>(at_once, entry.rows) * entry.cols));
  std::vector<std::byte> encoded(size_t(std::min<int64_t>(at_once, entry.rows) * row_bytes));
  for (int64_t row = 0; row < entry.rows; row += at_once) {
    const int64_t rows = std::min(at_once, entry.rows - row);
    const auto some = std::span(values).first(size_t(rows * entry.cols));
    const auto bytes = std::span(encoded).first(size_t(rows * row_bytes));
    TRY(parts.read((parts.offset(part) + row * entry.cols) * 4, std::as_writable_bytes(some)));
    entry.codec->encode(some, bytes);
    TRY(to.append(bytes));
  }
  return {};
}

}  // namespace

Status rewrite_model(Env& env, const std::string& base, const Parts& parts, const Json& lesson,
                     const std::string& out, Ledger& ledger) {
  const auto mapping = TRY(env.map(base));
  const Gguf gguf = TRY(Gguf::parse(mapping->bytes()));
  const std::vector<WeightEntry> entries = TRY(list_weights(gguf));
  std::map<int64_t, std::pair<const WeightEntry*, const Part*>> changes;  // by offset in the base
  for (size_t i = 0; i < parts.size(); ++i) {
    const auto found = std::find_if(entries.begin(), entries.end(),
                                    [&](const WeightEntry& one) { return one.role == parts[i].role; });
    if (found == entries.end()) return Status(Code::invalid, base + " has no " + parts[i].role);
    if (found->own != nullptr)
      return Status(Code::unsupported, base +
                                           " is coded without loss, which a change would undo: begin with " +
                                           "the file that it was made from");
    changes[found->offset] = {&*found, &parts[i]};
  }
  auto metadata = gguf.metadata();
  if (!lesson.is_null()) metadata["varve.lesson"] = GgufValue{GgufType::string, false, lesson.dump()};
  const GgufHead head = TRY(gguf_head(gguf.version(), metadata, gguf.tensors()));
  Buffer room = TRY(Buffer::make(ledger, Tag::io, kPiece));
  const auto from = TRY(env.open(base, Open::read));
  Replacement to = TRY(Replacement::begin(env, out));
  TRY(to.append(head.bytes));
  for (const GgufTensor& tensor : gguf.tensors()) {
    if (const auto found = changes.find(tensor.offset); found != changes.end()) {
      TRY(encode(parts, *found->second.second, *found->second.first, to));
    } else {
      TRY(copy(*from, to, tensor.offset, tensor.offset + tensor.bytes, room.bytes()));
    }
    TRY(to.append(std::vector<std::byte>(size_t(-tensor.bytes & (head.alignment - 1)))));
  }
  return to.commit();
}

}  // namespace varve
