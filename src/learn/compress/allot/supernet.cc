#include "learn/compress/allot/supernet.h"

#include <algorithm>

namespace varve {
namespace {

constexpr int64_t kPiece = int64_t(4) << 20;  // bytes on their way from file to file

Result<std::unique_ptr<File>> open_or_create(Env& env, const std::string& path) {
  return env.open(path, TRY(env.exists(path)) ? Open::write : Open::create);
}

}  // namespace

Result<Supernet> Supernet::open(Draft& draft, std::vector<Unit> units, const std::string& path,
                                int32_t round) {
  Supernet net(draft);
  net.units_ = std::move(units), net.round_ = std::byte(round + 1);
  int64_t at = 0;
  size_t mark = 0;
  for (size_t i = 0; i < net.units_.size(); ++i) {
    net.places_.emplace_back(), net.marks_at_.emplace_back();
    for (size_t v = 0; v < net.units_[i].versions.size(); ++v) {
      net.places_.back().push_back(at), net.marks_at_.back().push_back(mark++);
      at += net.bytes(i, v);
    }
  }
  net.file_ = TRY(open_or_create(draft.env(), path));
  net.marks_ = TRY(open_or_create(draft.env(), path + ".marks"));
  TRY(net.file_->truncate(at).with("making room for versions"));
  TRY(net.marks_->truncate(int64_t(mark)));
  std::vector<std::byte> marks(mark);
  TRY(net.marks_->read(0, marks));
  for (const std::byte one : marks) net.done_.push_back(one == net.round_);
  return net;
}

int64_t Supernet::bytes(size_t unit, size_t version) const {
  const Weight& weight = draft_->weights()[units_[unit].weight];
  return units_[unit].versions[version]->bytes_for(int64_t(weight.rows()) * weight.cols());
}

Status Supernet::fill(const Rounding& rounding) {
  std::vector<RoundTask> tasks;
  std::vector<std::pair<size_t, size_t>> of;  // unit and version of a task
  for (size_t i = 0; i < units_.size(); ++i) {
    for (size_t v = 0; v < units_[i].versions.size(); ++v) {
      if (done_[marks_at_[i][v]]) continue;
      tasks.push_back({units_[i].weight, units_[i].versions[v]}), of.emplace_back(i, v);
    }
  }
  int64_t done = int64_t(done_.size()) - int64_t(tasks.size());
  return rounding.run(
      tasks,
      [&](size_t task, int64_t at, std::span<const std::byte> bytes) {
        return file_->write(places_[of[task].first][of[task].second] + at, bytes);
      },
      [&](size_t task) -> Status {
        const size_t mark = marks_at_[of[task].first][of[task].second];
        TRY(file_->sync());
        TRY(marks_->write(int64_t(mark), {&round_, 1}));
        done_[mark] = true;
        rounding.progress("rounding versions", ++done, int64_t(done_.size()));
        return {};
      });
}

void Supernet::choose(std::span<const size_t> chosen) {
  for (size_t i = 0; i < units_.size(); ++i)
    draft_->weights()[units_[i].weight].codec = units_[i].versions[chosen[i]];
}

Status Supernet::copy(size_t unit, size_t version, CompressedFile& into) {
  const int64_t size = bytes(unit, version);
  std::vector<std::byte> piece;
  for (int64_t at = 0; at < size; at += kPiece) {
    piece.resize(size_t(std::min(kPiece, size - at)));
    TRY(file_->read(places_[unit][version] + at, piece));
    TRY(into.write(units_[unit].weight, at, piece));
  }
  return {};
}

Status Supernet::compose(std::span<const size_t> chosen, CompressedFile& into) {
  choose(chosen);
  TRY(into.begin(*draft_));
  for (size_t i = 0; i < units_.size(); ++i) TRY(copy(i, chosen[i], into));
  return {};
}

Status Supernet::finish(std::span<const size_t> chosen, CompressedFile& into,
                        const CompressProgress& progress) {
  for (size_t i = 0; i < units_.size(); ++i) {
    if (!into.done(units_[i].weight)) {
      TRY(copy(i, chosen[i], into));
      TRY(into.finish_weight(units_[i].weight));
    }
    progress("writing", int64_t(i) + 1, int64_t(units_.size()));
  }
  return {};
}

}  // namespace varve
