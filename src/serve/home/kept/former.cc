#include "serve/home/kept/former.h"

#include <algorithm>

namespace varve {
namespace {
constexpr size_t kMostFormer = 2;
constexpr int64_t kMostBytes = 64 << 10;
}  // namespace

FormerEmbedders::FormerEmbedders(Env& env, std::string folder, std::string present)
    : env_(env), folder_(std::move(folder)), present_(std::move(present)) {
  const auto bytes = read_file(env_, path(), kMostBytes);
  if (!bytes.ok()) return;
  std::string_view left(reinterpret_cast<const char*>(bytes->data()), bytes->size());
  while (!left.empty()) {  // a line each, the newest first
    const size_t end = std::min(left.find('\n'), left.size());
    const std::string_view line = left.substr(0, end);
    if (!line.empty() && line != present_ && settings_.size() < kMostFormer) settings_.emplace_back(line);
    left.remove_prefix(std::min(end + 1, left.size()));
  }
}

Status FormerEmbedders::keep(bool needed) const {
  std::string text = present_ + "\n";
  for (const std::string& one : settings_) text += needed ? one + "\n" : "";
  const auto before = read_file(env_, path(), kMostBytes);
  const auto bytes = std::as_bytes(std::span(text));
  if (before.ok() && std::equal(before->begin(), before->end(), bytes.begin(), bytes.end())) return {};
  return write_file(env_, path(), bytes);
}

}  // namespace varve
