// Backups: the database by SQLite's own copy, which follows what is written meanwhile, the blobs, and at last
// a manifest with the hash of every file.
#include <algorithm>

#include "core/format/json.h"
#include "memory/cube/store/sqlite_store.h"

namespace varve {
namespace {

constexpr std::string_view kManifest = "/manifest.json";
constexpr int kPagesAtOnce = 256;  // others wait for the connection no longer than these take
constexpr int64_t kMostManifest = 256 << 20, kPiece = 1 << 20;

struct Entry {
  std::string path;
  int64_t bytes = 0;
  Hash256 hash;
};

// Reads `from` once: its hash, and a copy at `to` unless that is empty.
Result<Entry> copy_file(Env& env, const std::string& from, const std::string& to) {
  const auto file = TRY(env.open(from, Open::read));
  std::optional<Replacement> copy;
  if (!to.empty()) copy.emplace(TRY(Replacement::begin(env, to)));
  Entry entry{.bytes = TRY(file->size())};
  Sha256 hash;
  std::vector<std::byte> piece;
  for (int64_t at = 0; at < entry.bytes; at += int64_t(piece.size())) {
    piece.resize(size_t(std::min(kPiece, entry.bytes - at)));
    TRY(file->read(at, piece));
    hash.add(piece);
    if (copy) TRY(copy->append(piece));
  }
  if (copy) TRY(copy->commit());
  entry.hash = hash.finish();
  return entry;
}

Status store_manifest(Env& env, const std::string& folder, std::vector<Entry> entries, TimeMs time) {
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) { return a.path < b.path; });
  Json files = Json::array();
  for (const Entry& one : entries) {
    files.push(Json::object().set("path", one.path).set("bytes", one.bytes).set("sha256", one.hash.hex()));
  }
  Json manifest = Json::object().set("format", "varve backup").set("version", 1);
  manifest.set("time", format_time(time)).set("files", std::move(files));
  manifest.set("sha256", sha256(manifest.dump()).hex());
  const std::string text = manifest.dump(1) + "\n";
  return write_file(env, folder + std::string(kManifest), std::as_bytes(std::span(text)));
}

Status not_whole(const std::string& backup, const std::string& why) {
  return Status(Code::corrupt, "the backup " + backup + " is not whole: " + why);
}

// A path that leads nowhere but into the backup.
bool is_inside(std::string_view path) {
  if (path == "cubes.db") return true;
  return path.size() == 6 + 65 && path.starts_with("blobs/") && path[8] == '/' &&
         Hash256::from_hex(std::string(path.substr(6, 2)) + std::string(path.substr(9))).ok();
}

Result<std::vector<Entry>> read_manifest(Env& env, const std::string& backup) {
  auto bytes = read_file(env, backup + std::string(kManifest), kMostManifest);
  if (bytes.code() == Code::not_found) return not_whole(backup, "it has no manifest");
  const std::vector<std::byte> text = TRY(std::move(bytes));
  auto parsed = parse_json({reinterpret_cast<const char*>(text.data()), text.size()},
                           {.max_bytes = kMostManifest, .max_items = 10'000'000});
  if (!parsed.ok() || !parsed->is_object()) return not_whole(backup, "its manifest is damaged");
  Json bare = Json::object();
  for (const auto& [key, value] : parsed->as_object()) {
    if (key != "sha256") bare.set(key, value);
  }
  const Json *stated = parsed->find("sha256"), *files = parsed->find("files"),
             *version = parsed->find("version");
  if (!stated || !stated->is_string() || stated->as_string() != sha256(bare.dump()).hex())
    return not_whole(backup, "its manifest is damaged");
  if (!version || *version != Json(1) || !files || !files->is_array())
    return Status(Code::unsupported, "the backup " + backup + " was made by a newer Varve");
  std::vector<Entry> entries;
  for (const Json& one : files->as_array()) {
    if (!one["path"].is_string() || !one["bytes"].is_int() || !one["sha256"].is_string())
      return not_whole(backup, "its manifest is damaged");
    Entry& entry = entries.emplace_back();
    entry.path = one["path"].as_string();
    entry.bytes = one["bytes"].as_int();
    entry.hash = TRY(Hash256::from_hex(one["sha256"].as_string()));
    if (!is_inside(entry.path)) return not_whole(backup, "it names a file that is none of its own");
  }
  return entries;
}

Status remove_all(Env& env, const std::string& folder) {
  if (!TRY(env.exists(folder))) return {};
  const std::vector<std::string> names = TRY(env.list(folder));
  for (const std::string& name : names) {
    const std::string path = folder + "/" + name;
    if (env.remove(path).ok()) continue;
    TRY(remove_all(env, path));
  }
  return env.remove(folder);
}

}  // namespace

// The connection is given back between steps; if the disk failed meanwhile it is another one, and the copy
// ends. Returns with the writing lock held by `order`, so that no blob comes or goes before it is copied.
Status SqliteStore::copy_database(const std::string& to, std::unique_lock<std::mutex>& order) {
  const auto room = TRY(ledger_.reserve(Tag::cubes, kSqliteBytes).with("the page cache of a copy"));
  TRY(TRY(env_.open(to, Open::create))->sync());
  std::optional<sql::Copy> copy;
  uint64_t connection = 0;
  for (bool last = false; !last;) {
    if (copy && copy->remaining() <= kPagesAtOnce) {
      last = true;
      order.lock();
    }
    std::lock_guard lock(connection_);
    TRY(ready());
    if (!copy) {
      copy.emplace(TRY(sql::Copy::begin(*db_, to)));
      connection = opened_;
      TRY(copy->step(0));  // only counts: the last page is never copied without the writing lock
      continue;
    }
    if (connection != opened_) return Status(Code::io, "the disk failed during the copy: try again");
    const bool more = TRY(copy->step(last ? -1 : kPagesAtOnce));
    if (last && more) return Status(Code::io, "the copy did not end");
    if (last) copy.reset();
  }
  return {};
}

Result<Backup> SqliteStore::backup(const Principal& by, const std::string& folder) {
  if (TRY(env_.exists(folder)))
    return Status(Code::exists, folder + " is there already; name another folder");
  TRY(write(by, [&](Change& change) { return change.note_backup(folder); }));
  TRY(env_.make_folder(folder));
  std::map<std::string, Entry> blobs;
  const auto copy_new = [&] {
    return blobs_.each([&](const std::string& path, const std::optional<Hash256>& name) -> Status {
      const std::string inner = path.substr(folder_.size() + 1);
      if (!name || blobs.contains(inner)) return {};
      TRY(env_.make_folder(folder + "/" + inner.substr(0, inner.rfind('/'))));
      auto copied = copy_file(env_, path, folder + "/" + inner);
      if (copied.code() == Code::not_found) return {};  // erased meanwhile
      blobs[inner] = TRY(std::move(copied));
      blobs[inner].path = inner;
      return {};
    });
  };
  TRY(copy_new());  // most of the work, while others write
  std::unique_lock order(writing_, std::defer_lock);
  TRY(copy_database(folder + "/cubes.db", order));
  TRY(copy_new());
  Entry database = TRY(copy_file(env_, folder + "/cubes.db", ""));
  database.path = "cubes.db";
  std::vector<Entry> entries{database};
  for (const auto& [path, entry] : blobs) {
    if (TRY(env_.exists(folder_ + "/" + path))) {
      entries.push_back(entry);
    } else {
      TRY(env_.remove(folder + "/" + path));
    }
  }
  Backup made{.files = int64_t(entries.size()), .time = clock_.now_ms()};
  for (const Entry& entry : entries) made.bytes += entry.bytes;
  TRY(store_manifest(env_, folder, std::move(entries), made.time));
  return made;
}

Result<Backup> restore_backup(Env& env, const std::string& backup, const std::string& folder,
                              Ledger& ledger) {
  if (TRY(env.exists(folder)))
    return Status(Code::exists, folder + " is there already: restore into a home without memories");
  const std::vector<Entry> entries = TRY(read_manifest(env, backup));
  const std::string making = folder + ".restoring";
  TRY(remove_all(env, making));
  TRY(env.make_folder(making));
  Backup done;
  for (const Entry& entry : entries) {
    const size_t slash = entry.path.rfind('/');
    if (slash != std::string::npos) TRY(env.make_folder(making + "/" + entry.path.substr(0, slash)));
    auto copied = copy_file(env, backup + "/" + entry.path, making + "/" + entry.path);
    const bool whole = copied.ok() && copied->bytes == entry.bytes && copied->hash == entry.hash;
    if (!copied.ok() && copied.code() != Code::not_found) return std::move(copied).status();
    if (!whole) {
      TRY(remove_all(env, making));
      return not_whole(backup, entry.path + (copied.ok() ? " is damaged" : " is missing"));
    }
    ++done.files;
    done.bytes += entry.bytes;
  }
  std::vector<std::string> problems;
  {
    const auto store = TRY(CubeStore::open(env, making, ledger).with("opening the restored store"));
    problems = TRY(store->check());
  }
  if (!problems.empty()) return not_whole(backup, problems.front());
  TRY(env.rename(making, folder));
  return done;
}

}  // namespace varve
