#include "tests/support/fault_vfs.h"

#include <sqlite3.h>

#include <cstring>

#include "core/base/check.h"

namespace varve {
namespace {

struct FaultFile {  // SQLite allocates szOsFile bytes; the real file lies behind this
  sqlite3_file base;
  FaultPlan* plan;
  sqlite3_file* real() { return reinterpret_cast<sqlite3_file*>(this + 1); }
};
FaultFile* fault(sqlite3_file* file) {
  return reinterpret_cast<FaultFile*>(file);
}
sqlite3_file* real(sqlite3_file* file) {
  return fault(file)->real();
}

// Counts one call; does it unless it fails outright, and returns `error` when it fails.
template <class Call>
int counted(FaultPlan& plan, int error, Call call) {
  switch (plan.next()) {
    case Fault::none: return call();
    case Fault::no_space:
    case Fault::short_write: return SQLITE_FULL;
    case Fault::short_read:
    case Fault::io_error: return error;
    case Fault::after: break;
  }
  const int code = call();
  return code == SQLITE_OK ? error : code;
}

int close_file(sqlite3_file* file) {
  return real(file)->pMethods ? real(file)->pMethods->xClose(real(file)) : 0;
}
int read_file(sqlite3_file* file, void* out, int bytes, sqlite3_int64 at) {
  return real(file)->pMethods->xRead(real(file), out, bytes, at);
}
int write_file(sqlite3_file* file, const void* from, int bytes, sqlite3_int64 at) {
  const auto write = [&](int count) { return real(file)->pMethods->xWrite(real(file), from, count, at); };
  switch (fault(file)->plan->next()) {
    case Fault::none: return write(bytes);
    case Fault::short_write: write(bytes / 2); return SQLITE_FULL;
    case Fault::no_space: return SQLITE_FULL;
    case Fault::short_read:
    case Fault::io_error: return SQLITE_IOERR_WRITE;
    case Fault::after: break;
  }
  write(bytes);
  return SQLITE_IOERR_WRITE;
}
int truncate_file(sqlite3_file* file, sqlite3_int64 size) {
  return counted(*fault(file)->plan, SQLITE_IOERR_TRUNCATE,
                 [&] { return real(file)->pMethods->xTruncate(real(file), size); });
}
int sync_file(sqlite3_file* file, int flags) {
  return counted(*fault(file)->plan, SQLITE_IOERR_FSYNC,
                 [&] { return real(file)->pMethods->xSync(real(file), flags); });
}
int file_size(sqlite3_file* file, sqlite3_int64* size) {
  return real(file)->pMethods->xFileSize(real(file), size);
}
int lock(sqlite3_file* file, int level) {
  return real(file)->pMethods->xLock(real(file), level);
}
int unlock(sqlite3_file* file, int level) {
  return real(file)->pMethods->xUnlock(real(file), level);
}
int check_lock(sqlite3_file* file, int* held) {
  return real(file)->pMethods->xCheckReservedLock(real(file), held);
}
int control(sqlite3_file* file, int code, void* argument) {
  return real(file)->pMethods->xFileControl(real(file), code, argument);
}
int sector_size(sqlite3_file* file) {
  return real(file)->pMethods->xSectorSize(real(file));
}
int device(sqlite3_file* file) {
  return real(file)->pMethods->xDeviceCharacteristics(real(file));
}

const sqlite3_io_methods kMethods = {
    1,    close_file, read_file,  write_file, truncate_file, sync_file, file_size,
    lock, unlock,     check_lock, control,    sector_size,   device,
};

}  // namespace

struct FaultVfs::Impl {
  sqlite3_vfs vfs{};
  sqlite3_vfs* under = nullptr;
  FaultPlan* plan = nullptr;

  static Impl& of(sqlite3_vfs* vfs) { return *static_cast<Impl*>(vfs->pAppData); }
  static int open(sqlite3_vfs* vfs, const char* name, sqlite3_file* file, int flags, int* out_flags) {
    Impl& self = of(vfs);
    std::memset(file, 0, size_t(vfs->szOsFile));
    fault(file)->plan = self.plan;
    const auto open_real = [&] {
      return self.under->xOpen(self.under, name, fault(file)->real(), flags, out_flags);
    };
    const int code =
        flags & SQLITE_OPEN_CREATE ? counted(*self.plan, SQLITE_CANTOPEN, open_real) : open_real();
    if (fault(file)->real()->pMethods) file->pMethods = &kMethods;  // so that it is closed
    return code;
  }
  static int remove(sqlite3_vfs* vfs, const char* name, int sync) {
    return counted(*of(vfs).plan, SQLITE_IOERR_DELETE,
                   [&] { return of(vfs).under->xDelete(of(vfs).under, name, sync); });
  }
};

FaultVfs::FaultVfs(FaultPlan& plan) : impl_(std::make_unique<Impl>()) {
  sqlite3_vfs* under = sqlite3_vfs_find(nullptr);
  impl_->under = under;
  impl_->plan = &plan;
  impl_->vfs = *under;
  impl_->vfs.zName = "fault";
  impl_->vfs.pAppData = impl_.get();
  impl_->vfs.szOsFile = int(sizeof(FaultFile)) + under->szOsFile;
  impl_->vfs.pNext = nullptr;
  impl_->vfs.xOpen = Impl::open;
  impl_->vfs.xDelete = Impl::remove;
  CHECK(sqlite3_vfs_register(&impl_->vfs, 1) == SQLITE_OK, "SQLite refuses the test's file system");
}

FaultVfs::~FaultVfs() {
  sqlite3_vfs_unregister(&impl_->vfs);
  sqlite3_vfs_register(impl_->under, 1);
}

}  // namespace varve
