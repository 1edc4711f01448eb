#include "memory/recall/index/check.h"

namespace varve {
namespace {

constexpr std::string_view kFormat = "varve index 2";

struct Nobody : CubeObserver {
  void changed(const CubeHeader&, std::string_view) override {}
  void erased(const CubeHeader&) override {}
};

Status check_file(Env& env, const std::string& path, CubeStore& store) {
  TRY(check_snapshot(env, path));
  auto in = TRY(SnapshotReader::open(env, path));
  const IndexHead head = TRY(get_head(in));
  Nobody nobody;
  Status known = store.observe(&nobody, &head.mark);
  store.observe(nullptr).ignore("nobody listens");
  if (known.code() == Code::not_found)
    return Status(Code::corrupt, "it is of another store, or of a time that this one never had");
  return known;
}

}  // namespace

Status put_head(SnapshotWriter& out, const IndexHead& head) {
  TRY(out.text(kFormat));
  TRY(out.text(head.spec));
  TRY(out.text(head.embedder));
  TRY(out.number(head.mark.sequence));
  TRY(out.put(std::as_bytes(std::span(head.mark.hash.bytes))));
  TRY(out.number(uint8_t(head.complete)));
  TRY(out.put(std::as_bytes(std::span(head.filled_to.bytes))));
  return out.number(head.shown);
}

Result<IndexHead> get_head(SnapshotReader& in) {
  IndexHead head;
  if (TRY(in.text(64)) != kFormat) return in.damaged();
  head.spec = TRY(in.text(4096));
  head.embedder = TRY(in.text(4096));
  head.mark.sequence = TRY(in.number<int64_t>());
  TRY(in.get(std::as_writable_bytes(std::span(head.mark.hash.bytes))));
  head.complete = TRY(in.number<uint8_t>()) != 0;
  TRY(in.get(std::as_writable_bytes(std::span(head.filled_to.bytes))));
  head.shown = TRY(in.number<int64_t>());
  return head;
}

Result<std::vector<IndexProblem>> check_indexes(Env& env, const std::string& folder, CubeStore& store) {
  std::vector<IndexProblem> problems;
  if (!TRY(env.exists(folder))) return problems;
  for (const std::string& name : TRY(env.list(folder))) {
    if (!name.ends_with(kIndexEnd)) continue;
    const Status checked = check_file(env, folder + "/" + name, store);
    if (!checked.ok()) problems.push_back({name, std::string(checked.message())});
  }
  return problems;
}

Result<int64_t> drop_indexes(Env& env, const std::string& folder) {
  int64_t dropped = 0;
  if (!TRY(env.exists(folder))) return dropped;
  for (const std::string& name : TRY(env.list(folder))) {
    TRY(env.remove(folder + "/" + name));
    ++dropped;
  }
  return dropped;
}

}  // namespace varve
