// Faults go in front of the call, behind it (Fault::after) or, for writes, into its middle.
#include "core/io/fault_env.h"

namespace varve {
namespace {

Status refusal(Fault fault, const std::string& path) {
  const bool full = fault == Fault::no_space || fault == Fault::short_write;
  return Status(Code::io,
                path + ": " + (full ? "no space left" : "input/output error") + " (a planned fault)");
}

// Makes the call, or fails as the plan has it.
template <class Call>
auto planned(FaultPlan& plan, const std::string& path, Call call) -> decltype(call()) {
  const Fault fault = plan.next();
  if (fault == Fault::none) return call();
  if (fault == Fault::after) {
    auto result = call();
    if (!result.ok()) return result;
  }
  return refusal(fault, path);
}

template <class Call>
auto planned_if(bool counted, FaultPlan& plan, const std::string& path, Call call) -> decltype(call()) {
  return counted ? planned(plan, path, call) : call();
}

class FaultFile : public File {
 public:
  FaultFile(std::unique_ptr<File> under, std::string path, FaultPlan& plan, bool reads)
      : under_(std::move(under)), path_(std::move(path)), plan_(plan), reads_(reads) {}

  Result<int64_t> size() const override {
    return planned_if(reads_, plan_, path_, [&] { return under_->size(); });
  }
  Status read(int64_t offset, std::span<std::byte> out) const override {
    return planned_if(reads_, plan_, path_, [&] { return under_->read(offset, out); });
  }
  Result<int64_t> read_up_to(int64_t offset, std::span<std::byte> out) const override {
    const Fault fault = reads_ ? plan_.next() : Fault::none;
    if (fault != Fault::none && fault != Fault::short_read) return refusal(fault, path_);
    const int64_t got = TRY(under_->read_up_to(offset, out));
    return fault == Fault::none ? got : got / 2;
  }
  Status write(int64_t offset, std::span<const std::byte> bytes) override {
    const Fault fault = plan_.next();
    if (fault == Fault::none) return under_->write(offset, bytes);
    if (fault == Fault::short_write) TRY(under_->write(offset, bytes.first(bytes.size() / 2)));
    if (fault == Fault::after) TRY(under_->write(offset, bytes));
    return refusal(fault, path_);
  }
  Status truncate(int64_t size) override {
    return planned(plan_, path_, [&] { return under_->truncate(size); });
  }
  Status sync() override {
    return planned(plan_, path_, [&] { return under_->sync(); });
  }

 private:
  const std::unique_ptr<File> under_;
  const std::string path_;
  FaultPlan& plan_;
  const bool reads_;
};

Result<std::unique_ptr<File>> wrapped(Result<std::unique_ptr<File>> file, const std::string& path,
                                      FaultPlan& plan, bool reads) {
  auto under = TRY(std::move(file));
  return std::unique_ptr<File>(new FaultFile(std::move(under), path, plan, reads));
}

}  // namespace

void FaultPlan::fail_at(int64_t call, Fault fault, bool lasting) {
  calls_ = 0;
  fault_ = fault;
  lasting_ = lasting;
  at_ = call;
}

void FaultPlan::heal() {
  at_ = INT64_MAX;
}

Fault FaultPlan::next() {
  const int64_t call = calls_++, at = at_;
  return call == at || (lasting_ && call > at) ? fault_.load() : Fault::none;
}

Result<std::unique_ptr<File>> FaultEnv::open(const std::string& path, Open how) {
  const auto call = [&] { return under_.open(path, how); };
  return wrapped(planned_if(how == Open::create || reads_, plan_, path, call), path, plan_, reads_);
}

Result<std::unique_ptr<Mapping>> FaultEnv::map(const std::string& path) {
  return planned_if(reads_, plan_, path, [&] { return under_.map(path); });
}

Result<bool> FaultEnv::exists(const std::string& path) {
  return planned_if(reads_, plan_, path, [&] { return under_.exists(path); });
}

Result<std::vector<std::string>> FaultEnv::list(const std::string& folder) {
  return planned_if(reads_, plan_, folder, [&] { return under_.list(folder); });
}

Status FaultEnv::make_folder(const std::string& path) {
  return planned(plan_, path, [&] { return under_.make_folder(path); });
}

Status FaultEnv::rename(const std::string& from, const std::string& to) {
  return planned(plan_, from, [&] { return under_.rename(from, to); });
}

Status FaultEnv::remove(const std::string& path) {
  return planned(plan_, path, [&] { return under_.remove(path); });
}

Result<std::unique_ptr<File>> FaultEnv::lock(const std::string& path) {
  return wrapped(planned(plan_, path, [&] { return under_.lock(path); }), path, plan_, reads_);
}

}  // namespace varve
