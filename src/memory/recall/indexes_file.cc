// What Indexes keeps on disk. Each file says what it is of and up to which entry of the journal; one that is
// damaged, or of what is not wanted now, is removed.
#include <algorithm>
#include <cstdio>

#include "memory/recall/index/check.h"
#include "memory/recall/indexes.h"

namespace varve {
namespace {

constexpr std::string_view kEntries = "entries", kEnd = kIndexEnd;

std::string name_of(const Embedder* embedder) {
  return embedder == nullptr ? std::string() : std::string(embedder->name());
}

}  // namespace

// Another spec or another embedder is another file.
std::string Indexes::file_name(const RecallPart& part) {
  const std::string of = part.spec + "\n" + name_of(part.embedder);
  char digits[16];
  std::snprintf(digits, sizeof(digits), "%08x", crc32c(std::as_bytes(std::span(of))));
  return part.name + "-" + digits;
}

Status Indexes::save_part(const RecallPart& part, const std::string& name) const {
  auto out = TRY(SnapshotWriter::begin(*ground_.env, ground_.folder + "/" + name));
  TRY(put_head(out, {part.spec, name_of(part.embedder), mark_, part.complete, part.filled_to, shown_}));
  TRY(part.retriever->save(out));
  return out.commit();
}

Status Indexes::save() {
  std::lock_guard one(saving_);
  int64_t covered = 0;
  // Known while erasing still has to wait: what is erased next goes from these files too.
  const auto keep = [this](const std::string& name) {
    std::lock_guard lock(files_);
    kept_files_.insert(name);
  };
  {
    const auto lock = reading();
    covered = unsaved_;
    if (entries_complete_) {
      const std::string name = std::string(kEntries) + std::string(kEnd);
      auto out = TRY(SnapshotWriter::begin(*ground_.env, ground_.folder + "/" + name));
      TRY(put_head(out, {std::string(kEntries), name_of(embedder_), mark_}));
      TRY(entries_.save(out));
      TRY(out.commit());
      keep(name);
    }
    for (const RecallPart& part : parts_) {
      if (part.retriever == nullptr) continue;
      const std::string name = file_name(part) + std::string(kEnd);
      Status saved = save_part(part, name);
      if (saved.code() == Code::unsupported) continue;  // built from the store each time
      TRY(std::move(saved));
      keep(name);
    }
  }
  std::lock_guard lock(mutex_);
  unsaved_ -= covered;
  return {};
}

Result<JournalMark> Indexes::load_entries() {
  auto in = TRY(
      SnapshotReader::open(*ground_.env, ground_.folder + "/" + std::string(kEntries) + std::string(kEnd)));
  const IndexHead head = TRY(get_head(in));
  TRY(entries_.load(in, head.embedder == name_of(embedder_)));
  return head.mark;
}

Result<JournalMark> Indexes::load_part(RecallPart& part, const std::string& name) {
  auto in = TRY(SnapshotReader::open(*ground_.env, ground_.folder + "/" + name));
  const IndexHead head = TRY(get_head(in));
  if (head.spec != part.spec || head.embedder != name_of(part.embedder)) return in.damaged();
  TRY(part.retriever->load(in));
  part.complete = head.complete;
  part.filled_to = head.filled_to;
  if (part.embedder == embedder_ && embedder_ != nullptr) shown_ = head.shown;
  return head.mark;
}

// The oldest place of all that was loaded is where reading goes on: a change that is read again changes
// nothing.
void Indexes::load() {
  const auto names = ground_.env->list(ground_.folder);
  if (!names.ok()) return;
  for (const std::string& name : *names) {
    if (name.ends_with(kEnd)) kept_files_.insert(name);
  }
  const auto entries = load_entries();
  if (!entries.ok()) {
    entries_ = Entries(ground_.env, ground_.folder);
    return;
  }
  entries_complete_ = true;
  mark_ = *entries;
  opened_ = "loaded";
  for (RecallPart& part : parts_) {
    if (part.retriever == nullptr) continue;
    const auto mark = load_part(part, file_name(part) + std::string(kEnd));
    if (mark.ok()) {
      if (mark->sequence < mark_.sequence) mark_ = *mark;
      continue;
    }
    auto fresh = retrievers().make(part.spec);
    if (!fresh.ok()) continue;
    part.retriever = std::move(fresh).value();
    part.complete = false;
    part.filled_to = {};
    settle_part(part).ignore("it was settled so before");
    opened_ += ", without " + part.name;
  }
  load_former();
}

// Vectors of an embedder that is used no more are good for searching until the present one has read all.
void Indexes::load_former() {
  std::vector<RecallPart> former;
  for (const RecallPart& present : parts_) {
    if (present.retriever == nullptr || present.embedder == nullptr || present.complete) continue;
    for (const Embedder* embedder : ground_.former) {
      if (embedder->name() == present.embedder->name()) continue;
      auto made = retrievers().make(present.spec);
      if (!made.ok()) continue;
      RecallPart part{.name = present.name, .weight = present.weight, .retriever = std::move(made).value()};
      part.spec = present.spec;
      part.embedder = embedder;
      part.former = true;
      if (!settle_part(part).ok()) continue;
      const auto mark = load_part(part, file_name(part) + std::string(kEnd));
      if (!mark.ok()) continue;
      if (mark->sequence < mark_.sequence) mark_ = *mark;
      part.complete = true;  // nothing is added to it
      former.push_back(std::move(part));
    }
  }
  for (RecallPart& part : former) {
    const auto present = std::find_if(parts_.begin(), parts_.end(),
                                      [&](const RecallPart& one) { return one.spec == part.spec; });
    parts_.insert(present + 1, std::move(part));
  }
}

bool Indexes::keeps_files() const {
  std::lock_guard lock(files_);
  return !kept_files_.empty();
}

void Indexes::drop_files() {
  std::lock_guard lock(files_);
  std::erase_if(kept_files_, [&](const std::string& name) {
    return ground_.env->remove(ground_.folder + "/" + name).ok();
  });
}

void Indexes::drop_strangers() {
  if (ground_.env == nullptr) return;
  std::lock_guard one(saving_);
  std::lock_guard lock(mutex_);
  const auto names = ground_.env->list(ground_.folder);
  if (!names.ok()) return;
  std::lock_guard known(files_);
  for (const std::string& name : *names) {
    bool ours = name == std::string(kEntries) + std::string(kEnd);
    for (const RecallPart& part : parts_) {
      if (part.retriever == nullptr) continue;
      ours = ours || name == file_name(part) + std::string(kEnd) || part.retriever->owns(name);
    }
    if (!ours && ground_.env->remove(ground_.folder + "/" + name).ok()) kept_files_.erase(name);
  }
}

}  // namespace varve
