#include "learn/compress/compressed_file.h"

#include <algorithm>

namespace varve {
namespace {

constexpr int64_t kMostPlan = int64_t(1) << 24;
constexpr int64_t kPiece = int64_t(4) << 20;  // bytes that are copied at a time
// Beside the model itself; without the first of them the others are of no use.
constexpr const char* kNotes[] = {"plan",       "seen",
                                  "choice",     "search",
                                  "versions.0", "versions.0.marks",
                                  "versions.1", "versions.1.marks",
                                  "marks",      "reshaped"};

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

// The tensors of the result: the draft's in their order, then vectors that are new, then companions.
Result<std::vector<GgufTensor>> tensors_of(const Draft& draft) {
  std::vector<GgufTensor> tensors;
  const Codec* f32 = TRY(codec_named("f32"));
  const auto add = [&](std::string name, const Codec& codec, std::vector<int64_t> shape) -> Status {
    if (!codec.gguf_type()) shape[0] = codec.bytes_for(shape[0]);  // rows of bytes
    GgufTensor one{std::move(name), codec.gguf_type().value_or(kGgufBytes), std::move(shape), 0, 0};
    one.bytes = TRY(gguf_bytes(one.type, one.shape).with("laying out " + one.name));
    tensors.push_back(std::move(one));
    return {};
  };
  auto vectors = draft.vectors();
  for (const Weight& weight : draft.weights()) {
    if (const auto found = vectors.find(weight.role()); found != vectors.end()) {
      TRY(add(weight.name, *f32, {int64_t(found->second.size())}));
      vectors.erase(found);
      continue;
    }
    std::vector<int64_t> shape{weight.cols()};
    const int64_t rows = weight.rows() / weight.from.stack;
    if (rows > 1 || weight.from.stack > 1) shape.push_back(rows);
    if (weight.from.stack > 1) shape.push_back(weight.from.stack);
    TRY(add(weight.name, *weight.codec, std::move(shape)));
  }
  for (const auto& [role, values] : vectors)
    TRY(add(role.ends_with(".bias") ? role : role + ".weight", *f32, {int64_t(values.size())}));
  for (const Companion& one : draft.companions()) TRY(add(one.name, *one.codec, {one.cols, one.rows}));
  return tensors;
}

}  // namespace

Result<std::unique_ptr<CompressedFile>> CompressedFile::open(Env& env, const std::string& out,
                                                             const std::string& plan) {
  std::unique_ptr<CompressedFile> product(new CompressedFile(env, out));
  TRY(env.make_folder(product->folder_));
  product->lock_ = TRY(env.lock(product->work("lock")).with("compressing to " + out));
  TRY(remove_leftovers(env, product->folder_));
  const std::string path = product->work("plan");
  if (TRY(env.exists(path))) {
    const auto before = TRY(read_file(env, path, kMostPlan));
    if (std::equal(before.begin(), before.end(), bytes_of(plan).begin(), bytes_of(plan).end()))
      return product;
  }
  TRY(product->remove_notes());
  if (TRY(env.exists(product->work("model")))) TRY(env.remove(product->work("model")));
  TRY(write_file(env, path, bytes_of(plan)));
  return product;
}

Status CompressedFile::remove_notes() {
  for (const char* name : kNotes) {
    if (TRY(env_.exists(work(name)))) TRY(env_.remove(work(name)));
  }
  return {};
}

// What stays as it is.
Status CompressedFile::copy_rest(const Draft& draft) {
  const auto from = TRY(env_.open(draft.path(), Open::read));
  std::vector<std::byte> piece;
  for (size_t i = 0; i < draft.weights().size(); ++i) {
    const Weight& weight = draft.weights()[i];
    if (weight.rounds || draft.vectors().contains(weight.role())) continue;
    for (int64_t at = 0; at < weight.from.bytes; at += kPiece) {
      piece.resize(size_t(std::min(kPiece, weight.from.bytes - at)));
      TRY(from->read(weight.from.offset + at, piece));
      TRY(write(i, at, piece));
    }
  }
  return {};
}

Status CompressedFile::begin(const Draft& draft) {
  const auto tensors = TRY(tensors_of(draft));
  const GgufHead head = TRY(gguf_head(draft.version(), draft.metadata(), tensors));
  int64_t at = int64_t(head.bytes.size());
  std::vector<int64_t> places;
  tensor_bytes_ = 0, done_.clear();
  for (const GgufTensor& tensor : tensors) {
    places.push_back(at);
    at += (tensor.bytes + head.alignment - 1) / head.alignment * head.alignment;
    tensor_bytes_ += tensor.bytes;
  }
  file_bytes_ = at;
  offsets_.assign(places.begin(), places.begin() + ptrdiff_t(draft.weights().size()));
  companion_offsets_.assign(places.end() - ptrdiff_t(draft.companions().size()), places.end());
  const bool again = TRY(env_.exists(work("model"))) && TRY(env_.exists(work("marks")));
  file_ = TRY(env_.open(work("model"), TRY(env_.exists(work("model"))) ? Open::write : Open::create));
  std::vector<std::byte> marks(draft.weights().size());
  if (again) {
    marks_ = TRY(env_.open(work("marks"), Open::write));
    std::vector<std::byte> before(head.bytes.size());
    const bool same = TRY(marks_->size()) == int64_t(marks.size()) && TRY(file_->size()) == file_bytes_ &&
                      file_->read(0, before).ok() && before == head.bytes;
    if (same) TRY(marks_->read(0, marks));
  }
  for (const std::byte mark : marks) done_.push_back(mark != std::byte(0));
  TRY(file_->truncate(file_bytes_).with("making room for " + out_));
  TRY(file_->write(0, head.bytes));
  for (size_t i = 0; i < tensors.size(); ++i) {
    const bool own = i < draft.weights().size();
    std::string role = own ? draft.weights()[i].role() : tensors[i].name;
    if (!own && role.ends_with(".weight")) role.resize(role.size() - 7);
    if (const auto found = draft.vectors().find(role); found != draft.vectors().end())
      TRY(file_->write(places[i], std::as_bytes(std::span(found->second))));
  }
  TRY(copy_rest(draft));
  TRY(file_->sync());
  if (marks_ == nullptr) {
    TRY(write_file(env_, work("marks"), marks));
    marks_ = TRY(env_.open(work("marks"), Open::write));
  } else {
    TRY(marks_->truncate(int64_t(marks.size())));
    TRY(marks_->write(0, marks));
  }
  return {};
}

Status CompressedFile::write(size_t weight, int64_t at, std::span<const std::byte> bytes) {
  return file_->write(offsets_[weight] + at, bytes);
}

Status CompressedFile::write_companion(size_t companion, int64_t at, std::span<const std::byte> bytes) {
  return file_->write(companion_offsets_[companion] + at, bytes);
}

Status CompressedFile::read(size_t weight, int64_t at, std::span<std::byte> bytes) const {
  return file_->read(offsets_[weight] + at, bytes);
}

Status CompressedFile::finish_weight(size_t weight) {
  TRY(file_->sync());
  const std::byte one{1};
  TRY(marks_->write(int64_t(weight), {&one, 1}));
  done_[weight] = true;
  return {};
}

Status CompressedFile::commit() {
  TRY(file_->sync());
  file_.reset(), marks_.reset();
  TRY(env_.rename(work("model"), out_));
  TRY(remove_notes());
  lock_.reset();
  TRY(env_.remove(work("lock")));
  return env_.remove(folder_);
}

}  // namespace varve
