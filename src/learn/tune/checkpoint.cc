// A lesson's checkpoint: a magic word, the length of a JSON header, the header, the values, the optimizer's
// state, and the SHA-256 of all before it.
#include <algorithm>
#include <cstring>

#include "core/base/hash.h"
#include "learn/tune/lesson.h"

namespace varve {
namespace {

constexpr std::string_view kMagic = "varve-lesson-1\n\n";
constexpr int64_t kMostHeader = 1 << 20;
constexpr size_t kPiece = 1 << 20;

class Writing {
 public:
  explicit Writing(Replacement& file) : file_(file) {}
  Status add(std::span<const std::byte> bytes) {
    hash_.add(bytes);
    return file_.append(bytes);
  }
  Status finish() {
    const Hash256 hash = hash_.finish();
    TRY(file_.append(std::as_bytes(std::span(hash.bytes))));
    return file_.commit();
  }

 private:
  Replacement& file_;
  Sha256 hash_;
};

class Reading {
 public:
  explicit Reading(const File& file) : file_(file) {}
  Status take(std::span<std::byte> out) {
    for (size_t at = 0; at < out.size(); at += kPiece) {
      const auto piece = out.subspan(at, std::min(kPiece, out.size() - at));
      TRY(file_.read(at_, piece));
      hash_.add(piece);
      at_ += int64_t(piece.size());
    }
    return {};
  }
  Status skip(int64_t bytes) {
    std::vector<std::byte> piece(size_t(std::min<int64_t>(bytes, int64_t(kPiece))));
    for (int64_t left = bytes; left > 0; left -= int64_t(piece.size())) {
      TRY(take(std::span(piece).first(size_t(std::min<int64_t>(left, int64_t(kPiece))))));
    }
    return {};
  }
  Status finish() {
    Hash256 known;
    TRY(file_.read(at_, std::as_writable_bytes(std::span(known.bytes))));
    if (hash_.finish() != known) return Status(Code::corrupt, "the checkpoint is damaged");
    return {};
  }

 private:
  const File& file_;
  Sha256 hash_;
  int64_t at_ = 0;
};

}  // namespace

Json Lesson::header(const Json& beside) const {
  Json shapes = Json::array();
  for (size_t i = 0; i < parts_.size(); ++i) {
    Json part = Json::object();
    part.set("role", parts_[i].role)
        .set("rows", int64_t(parts_[i].rows))
        .set("cols", int64_t(parts_[i].cols));
    shapes.push(std::move(part));
  }
  Json json = Json::object();
  json.set("done", done_).set("plan", plan_.json()).set("parts", std::move(shapes)).set("beside", beside);
  return json;
}

Status Lesson::save(Env& env, const std::string& path, const Json& beside) const {
  if (spoilt_) return Status(Code::invalid, "a step broke off half-way: the last checkpoint stays");
  const std::string text = header(beside).dump();
  const auto length = int64_t(text.size());
  Replacement file = TRY(Replacement::begin(env, path));
  Writing writing(file);
  TRY(writing.add(std::as_bytes(std::span(kMagic))));
  TRY(writing.add(std::as_bytes(std::span(&length, 1))));
  TRY(writing.add(std::as_bytes(std::span(text))));
  std::vector<std::byte> piece(kPiece);
  for (int64_t at = 0; at < parts_.values() * 4; at += int64_t(kPiece)) {
    const auto some = std::span(piece).first(size_t(std::min(int64_t(kPiece), parts_.values() * 4 - at)));
    TRY(parts_.read(at, some));
    TRY(writing.add(some));
  }
  TRY(writing.add(state_.bytes()));
  return writing.finish().with("saving " + path);
}

Result<Json> Lesson::load(Env& env, const std::string& path) {
  return read(env, path, true);
}

Status Lesson::follow(Env& env, const std::string& path) {
  return read(env, path, false).status();
}

Result<Json> Lesson::read(Env& env, const std::string& path, bool same_plan) {
  const auto file = TRY(env.open(path, Open::read));
  Reading reading(*file);
  std::string magic(kMagic.size(), ' ');
  int64_t length = 0;
  TRY(reading.take(std::as_writable_bytes(std::span(magic))));
  if (magic != kMagic) return Status(Code::corrupt, path + " is no checkpoint of a lesson");
  TRY(reading.take(std::as_writable_bytes(std::span(&length, 1))));
  if (length < 0 || length > kMostHeader) return Status(Code::corrupt, path + " has a head that cannot be");
  std::string text(size_t(length), ' ');
  TRY(reading.take(std::as_writable_bytes(std::span(text))));
  const Json json = TRY(parse_json(text));
  const Json mine = header(Json());
  if ((same_plan && json["plan"] != mine["plan"]) || json["parts"] != mine["parts"]) {
    return Status(Code::conflict, path + " belongs to another lesson: its plan or its parts differ");
  }
  const int64_t size = TRY(file->size());
  const int64_t values = parts_.values() * 4;
  const int64_t state = size - (int64_t(kMagic.size()) + 8 + length + values + 32);
  bool same_rule = true;
  for (const char* key : {"optimizer", "selector", "gradient"})
    same_rule = same_rule && json["plan"][key] == mine["plan"][key];
  if (!json["done"].is_int() || (same_rule ? state != state_.size() : state < 0)) {
    return Status(Code::corrupt, path + " has not the bytes that its head names");
  }
  std::vector<std::byte> piece(kPiece);
  for (int64_t at = 0; at < values; at += int64_t(kPiece)) {
    const auto some = std::span(piece).first(size_t(std::min(int64_t(kPiece), values - at)));
    TRY(reading.take(some));
    TRY(parts_.write(at, some));
  }
  if (same_rule) {
    TRY(reading.take(state_.bytes()));
  } else {
    TRY(reading.skip(state));
  }
  TRY(reading.finish().with("reading " + path));
  done_ = json["done"].as_int(), spoilt_ = false;
  return json["beside"];
}

}  // namespace varve
