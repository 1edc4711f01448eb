#include "memory/cube/scrub/vfs.h"

#include <sqlite3.h>

#include <cstring>

#include "core/base/check.h"
#include "memory/cube/scrub/page.h"

namespace varve {
namespace {

constexpr int kMaxPage = 65536, kRoomBelow = 2048;

struct ScrubFile {  // SQLite allocates szOsFile bytes; the file below lies behind this
  sqlite3_file base;
  sqlite3_file* below() { return reinterpret_cast<sqlite3_file*>(this + 1); }
};
sqlite3_file* below(sqlite3_file* file) {
  return reinterpret_cast<ScrubFile*>(file)->below();
}
const sqlite3_io_methods& methods(sqlite3_file* file) {
  return *below(file)->pMethods;
}
sqlite3_vfs* under() {
  return sqlite3_vfs_find(nullptr);
}

int close_file(sqlite3_file* file) {
  return below(file)->pMethods ? methods(file).xClose(below(file)) : SQLITE_OK;
}
int read_file(sqlite3_file* file, void* out, int bytes, sqlite3_int64 at) {
  return methods(file).xRead(below(file), out, bytes, at);
}
int write_file(sqlite3_file* file, const void* from, int bytes, sqlite3_int64 at) {
  if (bytes < 512 || bytes > kMaxPage || at % bytes != 0)  // no whole page: SQLite writes none such
    return methods(file).xWrite(below(file), from, bytes, at);
  uint8_t page[kMaxPage];
  std::memcpy(page, from, size_t(bytes));
  // A damaged page is written as it is: what to do about it is said by whoever reads it.
  scrub_page(std::span(page, size_t(bytes)), at == 0);
  return methods(file).xWrite(below(file), page, bytes, at);
}
int truncate_file(sqlite3_file* file, sqlite3_int64 size) {
  return methods(file).xTruncate(below(file), size);
}
int sync_file(sqlite3_file* file, int flags) {
  return methods(file).xSync(below(file), flags);
}
int file_size(sqlite3_file* file, sqlite3_int64* size) {
  return methods(file).xFileSize(below(file), size);
}
int lock(sqlite3_file* file, int level) {
  return methods(file).xLock(below(file), level);
}
int unlock(sqlite3_file* file, int level) {
  return methods(file).xUnlock(below(file), level);
}
int check_lock(sqlite3_file* file, int* held) {
  return methods(file).xCheckReservedLock(below(file), held);
}
int control(sqlite3_file* file, int code, void* argument) {
  return methods(file).xFileControl(below(file), code, argument);
}
int sector_size(sqlite3_file* file) {
  return methods(file).xSectorSize(below(file));
}
int device(sqlite3_file* file) {
  return methods(file).xDeviceCharacteristics(below(file));
}

const sqlite3_io_methods kMethods = {
    1,    close_file, read_file,  write_file, truncate_file, sync_file, file_size,
    lock, unlock,     check_lock, control,    sector_size,   device,
};

int open_file(sqlite3_vfs*, const char* name, sqlite3_file* file, int flags, int* out_flags) {
  if (!(flags & SQLITE_OPEN_MAIN_DB)) return under()->xOpen(under(), name, file, flags, out_flags);
  std::memset(file, 0, sizeof(ScrubFile));
  const int code = under()->xOpen(under(), name, below(file), flags, out_flags);
  if (below(file)->pMethods) file->pMethods = &kMethods;  // so that it is closed
  return code;
}
int remove_file(sqlite3_vfs*, const char* name, int sync) {
  return under()->xDelete(under(), name, sync);
}
int access_file(sqlite3_vfs*, const char* name, int flags, int* found) {
  return under()->xAccess(under(), name, flags, found);
}
int full_path(sqlite3_vfs*, const char* name, int bytes, char* out) {
  return under()->xFullPathname(under(), name, bytes, out);
}

}  // namespace

const char* scrub_vfs() {
  static sqlite3_vfs vfs = [] {
    CHECK(under() != nullptr && under()->szOsFile <= kRoomBelow, "SQLite's files are larger than expected");
    sqlite3_vfs made = *under();
    made.zName = "varve";
    made.szOsFile = int(sizeof(ScrubFile)) + kRoomBelow;
    made.pNext = nullptr;
    made.pAppData = nullptr;
    made.xOpen = open_file;
    made.xDelete = remove_file;
    made.xAccess = access_file;
    made.xFullPathname = full_path;
    return made;
  }();
  static const int registered = sqlite3_vfs_register(&vfs, 0);
  CHECK(registered == SQLITE_OK, "SQLite refuses the store's file system");
  return vfs.zName;
}

Status scrub_database(Env& env, const std::string& path) {
  const auto file = TRY(env.open(path, Open::write));
  const int64_t bytes = TRY(file->size());
  uint8_t head[100];
  if (bytes < int64_t(sizeof(head))) return {};
  TRY(file->read(0, std::as_writable_bytes(std::span(head))));
  const int64_t stated = head[16] << 8 | head[17], size = stated == 1 ? kMaxPage : stated;
  if (size < 512) return Status(Code::corrupt, path + " has pages of " + std::to_string(size) + " bytes");
  std::vector<uint8_t> page(static_cast<size_t>(size)), scrubbed;
  for (int64_t at = 0; at + size <= bytes; at += size) {
    TRY(file->read(at, std::as_writable_bytes(std::span(page))));
    scrubbed = page;
    if (scrub_page(scrubbed, at == 0) && scrubbed != page)
      TRY(file->write(at, std::as_bytes(std::span(scrubbed))));
  }
  return file->sync();
}

}  // namespace varve
