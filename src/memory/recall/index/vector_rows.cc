#include "memory/recall/index/vector_rows.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "core/base/hash.h"

namespace varve {
namespace {

// A file that nothing names: its bytes go when it is closed, however the process ends.
Result<std::unique_ptr<File>> nameless(Env& env, const std::string& folder) {
  std::array<std::byte, 8> random;
  secure_random(random);
  std::string path = folder + "/rows.";
  for (std::byte one : random) path += "0123456789abcdef"[unsigned(one) % 16];
  auto file = TRY(env.open(path, Open::create));
  TRY(env.remove(path));
  return file;
}

}  // namespace

VectorRows::VectorRows(Env* env, std::string folder, int64_t most_in_ram)
    : env_(env), folder_(std::move(folder)), most_in_ram_(most_in_ram) {}

void VectorRows::set(uint32_t slot, std::span<const float> unit) {
  std::vector<int8_t> row(unit.size());
  for (size_t i = 0; i < unit.size(); ++i)
    row[i] = int8_t(std::lround(std::clamp(unit[i], -1.0f, 1.0f) * 127));
  set(slot, row);
}

void VectorRows::set(uint32_t slot, std::span<const int8_t> row) {
  remove(slot);
  if (row.empty() || (width_ != 0 && row.size() != width_)) return;
  width_ = row.size();
  if (slot >= there_.size()) there_.resize(slot + 1);
  if (!file_ && env_ != nullptr && int64_t((slot + 1) * width_) > most_in_ram_) move_out();
  there_[slot] = write(slot, row);
  count_ += there_[slot];
}

bool VectorRows::write(uint32_t slot, std::span<const int8_t> row) {
  const size_t at = size_t(slot) * width_;
  if (file_) return file_->write(int64_t(at), std::as_bytes(row)).ok();  // else the words still find it
  if (at + width_ > ram_.size()) ram_.resize(at + width_);
  std::copy(row.begin(), row.end(), ram_.begin() + int64_t(at));
  return true;
}

void VectorRows::move_out() {
  auto file = nameless(*env_, folder_);
  if (!file.ok() || !(*file)->write(0, std::as_bytes(std::span(ram_))).ok()) {
    env_ = nullptr;  // no room there: they stay in RAM, booked
    return;
  }
  file_ = std::move(file).value();
  ram_ = std::vector<int8_t>();
}

void VectorRows::remove(uint32_t slot) {
  if (!has(slot)) return;
  there_[slot] = false;
  if (--count_ > 0) {
    write(slot, std::vector<int8_t>(width_));
    return;
  }
  file_.reset();
  ram_ = std::vector<int8_t>();
  there_ = std::vector<bool>();
  width_ = 0;
}

std::span<const int8_t> VectorRows::read(uint32_t slot, std::vector<int8_t>& room) const {
  if (!has(slot)) return {};
  const size_t at = size_t(slot) * width_;
  if (!file_) return std::span(ram_).subspan(at, width_);
  room.resize(width_);
  return file_->read(int64_t(at), std::as_writable_bytes(std::span(room))).ok() ? room
                                                                                : std::span<const int8_t>();
}

float VectorRows::cosine(std::span<const int8_t> row, std::span<const float> unit) {
  if (row.size() != unit.size() || unit.empty()) return 0;
  std::array<float, 16> sums{};  // side by side: one sum would wait for itself
  size_t i = 0;
  for (; i + sums.size() <= unit.size(); i += sums.size()) {
    for (size_t j = 0; j < sums.size(); ++j) sums[j] += float(row[i + j]) * unit[i + j];
  }
  for (; i < unit.size(); ++i) sums[0] += float(row[i]) * unit[i];
  return std::accumulate(sums.begin(), sums.end(), 0.0f) / 127;
}

}  // namespace varve
