// Weights by a plan: roles and matrices over a PartPool. A matrix is cut into parts of whole rows.
#include <algorithm>
#include <cstring>
#include <map>
#include <set>

#include "core/base/check.h"
#include "core/base/checksum.h"
#include "run/weights/neurons.h"
#include "run/weights/part_pool.h"
#include "run/weights/vectors.h"

namespace varve {
namespace {

constexpr int64_t kLeastRing = 8ll << 20, kMostRing = 48ll << 20;
constexpr int64_t kRingShare = 16;        // of what the budget leaves
constexpr int32_t kSlots = 6;             // at least: one in use, the others on their way
constexpr int64_t kMostPart = 8ll << 20;  // long enough that to begin a product costs nothing beside it
constexpr int32_t kEvenRows = 64;  // kernels take rows in groups; where a part is large enough, whole ones

std::string mebibytes(int64_t bytes) {
  return std::to_string((bytes + (1 << 20) - 1) >> 20) + " MiB";
}

struct Ground {
  std::unique_ptr<File> file;
  bool direct = true;
  std::string word;
};

// Some file systems refuse when the file is opened, others when it is read.
Result<Ground> open_direct(Env& env, const std::string& path, std::span<std::byte> room) {
  auto file = env.open(path, Open::direct);
  Status refused;
  if (file.ok()) {
    auto tried = (*file)->read_up_to(0, room.first(size_t(kDirectBytes)));
    if (tried.ok()) return Ground{std::move(*file), true, ""};
    refused = std::move(tried).status();
  } else {
    refused = std::move(file).status();
  }
  return Ground{TRY(env.open(path, Open::read)), false, std::string(refused.message())};
}

bool is_table(const WeightEntry& entry, bool has_output) {
  return entry.role == "position_embd" || entry.role == "token_types" ||
         (entry.role == "token_embd" && has_output);
}

// Experts, as a stack ("blk.0.ffn_up_exps") or each apart ("blk.0.ffn_up.3"): no pass uses all of them.
bool is_routed(const WeightEntry& entry) {
  const std::string_view role = entry.role;
  const std::string_view number = role.substr(role.rfind('.') + 1);
  return entry.stack > 1 || (role_matches("blk.*.*.*", role) && !number.empty() &&
                             number.find_first_not_of("0123456789") == number.npos);
}

class PlannedWeights : public WeightStore, public Streaming, public Neurons {
 public:
  PlannedWeights(std::vector<WeightEntry> entries, Vectors vectors, StreamPlan measured,
                 std::optional<NeuronFile> neurons, NeuronUse use)
      : entries_(std::move(entries)),
        vectors_(std::move(vectors)),
        measured_(std::move(measured)),
        neuron_file_(std::move(neurons)),
        whole_(neuron_file_ && use != NeuronUse::firing && neuron_file_->tables[0].first != kNoWeight) {
    for (WeightId id = 0; id < entries_.size(); ++id) ids_[entries_[id].role] = id;
    if (!neuron_file_) return;
    for (const NeuronTable& one : neuron_file_->tables) {
      by_neuron_.insert(one.down);
      if (one.up != kNoWeight) by_neuron_.insert(one.up);
      if (whole_) by_neuron_.insert(one.first);
    }
  }

  std::vector<FilePart> cut(int64_t part_bytes);
  void begin(std::unique_ptr<PartPool> pool);
  Status lay(std::unique_ptr<File> neurons);

  std::span<const WeightEntry> entries() const override { return entries_; }
  WeightId find(std::string_view role) const override {
    const auto found = ids_.find(role);
    return found == ids_.end() ? kNoWeight : found->second;
  }
  Result<WeightPin> pin(WeightId id, int32_t of_stack) const override;
  Result<WeightPin> pin_rows(WeightId id, int32_t first, int32_t count) const override;
  Result<WeightPin> pin_from(WeightId id, int32_t first, int32_t of_stack) const override;
  bool streams() const override { return true; }
  void hint(std::span<const WeightId> pass) const override;
  void expect(std::span<const Likely> likely) const override;
  int64_t resident_bytes() const override {
    return vectors_.bytes() + measured_.ring_bytes + pool_->counts().resident_bytes;
  }
  const Neurons* neurons() const override { return neuron_file_ ? this : nullptr; }
  int32_t table(WeightId down) const override;
  int32_t most() const override { return PartPool::kMostRows; }
  int64_t first_bytes(int32_t table) const override {
    return neuron_file_->tables[size_t(table)].first_bytes;
  }
  bool whole() const override { return whole_; }
  std::optional<Neurons::Sketch> sketch(int32_t table) const override;
  Result<Neurons::Taken> take(int32_t table, std::span<const int32_t> neurons) const override;
  void expect(int32_t table, std::span<const int32_t> neurons) const override;
  void pass(int32_t) const override { pool_->pass_rows(neuron_file_->neurons); }
  Streaming* streaming() const override { return const_cast<PlannedWeights*>(this); }

  StreamPlan plan() const override;
  StreamCounts counts() const override { return pool_->counts(); }
  void keep(int64_t bytes) override { pool_->keep(bytes); }
  void route_by(Leaving leaving, bool ahead) override { pool_->route_by(leaving, ahead); }

 private:
  struct Cut {                                    // of an entry
    int32_t first_part = 0, rows = 0, parts = 0;  // rows of each part but the last; parts of one matrix
  };
  int32_t part_of(WeightId id, int32_t row, int32_t of_stack) const {
    const Cut& cut = cuts_[id];
    return cut.first_part + of_stack * cut.parts + row / cut.rows;
  }

  const std::vector<WeightEntry> entries_;
  const Vectors vectors_;
  const StreamPlan measured_;  // what does not change
  const std::optional<NeuronFile> neuron_file_;
  const bool whole_;
  std::set<WeightId> by_neuron_;  // weights that lie there
  std::map<std::string, WeightId, std::less<>> ids_;
  std::vector<Cut> cuts_;
  std::unique_ptr<PartPool> pool_;
};

std::vector<FilePart> PlannedWeights::cut(int64_t part_bytes) {
  std::vector<FilePart> parts;
  for (WeightId id = 0; id < entries_.size(); ++id) {
    const WeightEntry& entry = entries_[id];
    Cut& cut = cuts_.emplace_back();
    if (is_vector(entry)) continue;
    const int64_t row = entry.codec->bytes_for(entry.cols);
    int64_t rows = std::clamp<int64_t>(part_bytes / row, 1, entry.rows);
    if (rows < entry.rows && rows > kEvenRows) rows -= rows % kEvenRows;
    cut = {int32_t(parts.size()), int32_t(rows), int32_t((entry.rows + rows - 1) / rows)};
    for (int32_t matrix = 0; matrix < entry.stack; ++matrix) {
      const int64_t begin = entry.offset + matrix * (entry.bytes / entry.stack);
      for (int64_t first = 0; first < entry.rows; first += rows)
        parts.push_back(
            {begin + first * row, std::min(rows, entry.rows - first) * row, by_neuron_.contains(id)});
    }
  }
  return parts;
}

void PlannedWeights::begin(std::unique_ptr<PartPool> pool) {
  pool_ = std::move(pool);
  std::vector<WeightId> all;  // until the model says better: as they lie in the file
  for (WeightId id = 0; id < entries_.size(); ++id)
    if (!is_table(entries_[id], ids_.contains("output"))) all.push_back(id);
  hint(all);
}

Status PlannedWeights::lay(std::unique_ptr<File> neurons) {
  RowFile rows{.file = std::move(neurons),
               .path = neuron_file_->path,
               .rows_a_table = neuron_file_->neurons,
               .is_right =
                   [this](int32_t row, std::span<const std::byte> bytes) {
                     return crc32c_of_quarters(bytes) == neuron_file_->sum(row);
                   },
               .rate = measured_.neuron_rate};
  for (const NeuronTable& one : neuron_file_->tables) rows.offsets.push_back(one.offset);
  return pool_->lay_rows(std::move(rows), neuron_file_->row_bytes);
}

int32_t PlannedWeights::table(WeightId down) const {
  if (!neuron_file_) return -1;
  const auto& tables = neuron_file_->tables;
  const auto found = std::find_if(tables.begin(), tables.end(), [&](auto& one) { return one.down == down; });
  return found == tables.end() ? -1 : int32_t(found - tables.begin());
}

std::optional<Neurons::Sketch> PlannedWeights::sketch(int32_t table) const {
  const NeuronFile& file = *neuron_file_;
  if (file.sketch_codec == nullptr) return std::nullopt;
  const NeuronTable& one = file.tables[size_t(table)];
  const int32_t width = entries_[one.down].rows;
  const auto bytes = file.sketch.bytes().subspan(size_t(one.sketch_at),
                                                 size_t(file.sketch_codec->bytes_for(width) * file.neurons));
  const auto* errors = reinterpret_cast<const float*>(file.sketch.bytes().data() + one.errors_at);
  return Neurons::Sketch{{file.sketch_codec, bytes, file.neurons, width}, {errors, size_t(file.neurons)}};
}

std::vector<int32_t> rows_of(const NeuronFile& file, int32_t table, std::span<const int32_t> neurons) {
  std::vector<int32_t> rows(neurons.begin(), neurons.end());
  for (int32_t& row : rows) {
    CHECK(row >= 0 && row < file.neurons, "no such neuron");
    row += table * file.neurons;
  }
  return rows;
}

Result<Neurons::Taken> PlannedWeights::take(int32_t table, std::span<const int32_t> neurons) const {
  auto taken = TRY(pool_->take_rows(rows_of(*neuron_file_, table, neurons)));
  return Neurons::Taken{std::move(taken.at), std::move(taken.hold)};
}

void PlannedWeights::expect(int32_t table, std::span<const int32_t> neurons) const {
  pool_->expect_rows(rows_of(*neuron_file_, table, neurons));
}

void PlannedWeights::hint(std::span<const WeightId> pass) const {
  std::vector<int32_t> order;
  for (const WeightId id : pass) {
    if (is_vector(entries_[id]) || is_routed(entries_[id])) continue;
    for (int32_t i = 0; i < cuts_[id].parts; ++i) order.push_back(cuts_[id].first_part + i);
  }
  pool_->follow(std::move(order));
}

void PlannedWeights::expect(std::span<const Likely> likely) const {
  std::vector<int32_t> parts;
  for (const Likely& one : likely)
    for (int32_t i = 0; i < cuts_[one.id].parts; ++i)
      parts.push_back(part_of(one.id, i * cuts_[one.id].rows, one.of_stack));
  pool_->expect(std::move(parts));
}

Result<WeightPin> PlannedWeights::pin_from(WeightId id, int32_t first, int32_t of_stack) const {
  CHECK(id < entries_.size() && of_stack >= 0 && of_stack < entries_[id].stack, "no such weight");
  const WeightEntry& entry = entries_[id];
  CHECK(first >= 0 && first < entry.rows, "no such row");
  if (auto vector = vectors_.find(id, entry)) return *std::move(vector);
  auto taken = TRY(pool_->take(part_of(id, first, of_stack)).with("reading " + entry.role));
  const int64_t row = entry.codec->bytes_for(entry.cols);
  const auto bytes = taken.bytes.subspan(size_t(first % cuts_[id].rows * row));
  const Matrix matrix{entry.codec, bytes, int32_t(int64_t(bytes.size()) / row), entry.cols};
  return WeightPin(matrix, std::move(taken.hold));
}

Result<WeightPin> PlannedWeights::pin(WeightId id, int32_t of_stack) const {
  CHECK(id < entries_.size() && of_stack >= 0 && of_stack < entries_[id].stack, "no such weight");
  const WeightEntry& entry = entries_[id];
  if (is_vector(entry) || cuts_[id].parts == 1) return pin_from(id, 0, of_stack);
  const int64_t bytes = entry.bytes / entry.stack;
  auto taken = TRY(pool_->read_alone(part_of(id, 0, of_stack), {entry.offset + of_stack * bytes, bytes})
                       .with("reading " + entry.role));
  return WeightPin({entry.codec, taken.bytes, entry.rows, entry.cols}, std::move(taken.hold));
}

Result<WeightPin> PlannedWeights::pin_rows(WeightId id, int32_t first, int32_t count) const {
  CHECK(id < entries_.size() && entries_[id].stack == 1, "rows of one matrix");
  const WeightEntry& entry = entries_[id];
  CHECK(first >= 0 && count > 0 && first + count <= entry.rows, "no such rows");
  if (auto vector = vectors_.find(id, entry)) return *std::move(vector);
  const int64_t row = entry.codec->bytes_for(entry.cols);
  const FilePart what{entry.offset + first * row, count * row};
  auto taken = TRY(pool_->read_alone(part_of(id, first, 0), what).with("reading " + entry.role));
  return WeightPin({entry.codec, taken.bytes, count, entry.cols}, std::move(taken.hold));
}

// "blk.3.ffn_up" and its like are one group.
std::string group_of(const std::string& role) {
  if (!role.starts_with("blk.")) return role;
  const size_t dot = role.find('.', 4);
  return dot == role.npos ? role : "blk.*" + role.substr(dot);
}

StreamPlan PlannedWeights::plan() const {
  StreamPlan plan = measured_;
  const bool has_output = ids_.contains("output");
  for (WeightId id = 0; id < entries_.size(); ++id) {
    const WeightEntry& entry = entries_[id];
    if (is_vector(entry)) continue;
    if (is_table(entry, has_output)) plan.by_row_bytes += entry.bytes;
    if (is_routed(entry)) plan.routed_bytes += entry.bytes;
    if (by_neuron_.contains(id)) plan.neuron_bytes += entry.bytes;
    if (is_table(entry, has_output) || is_routed(entry) || by_neuron_.contains(id)) continue;
    const std::string roles = group_of(entry.role);
    auto group = std::find_if(plan.groups.begin(), plan.groups.end(),
                              [&](const StreamPlan::Group& one) { return one.roles == roles; });
    if (group == plan.groups.end()) group = plan.groups.insert(group, {.roles = roles});
    group->bytes += entry.bytes;
    plan.pass_bytes += entry.bytes;
    const int64_t row = entry.codec->bytes_for(entry.cols);
    for (int32_t first = 0; first < entry.rows; first += cuts_[id].rows) {
      if (pool_->keeps(part_of(id, first, 0)))
        group->resident += std::min(cuts_[id].rows, entry.rows - first) * row;
    }
  }
  plan.resident_bytes = pool_->keeps();
  plan.neuron_room = pool_->row_room();
  return plan;
}

int64_t longest_row(std::span<const WeightEntry> entries) {
  int64_t longest = 0;
  for (const WeightEntry& entry : entries)
    if (!is_vector(entry)) longest = std::max(longest, entry.codec->bytes_for(entry.cols));
  return longest;
}

Result<Buffer> make_ring(std::span<const WeightEntry> entries, Ledger& ledger) {
  const int64_t left = ledger.limit() - ledger.used();
  const int64_t least = std::max(kLeastRing, kSlots * PartPool::slot_bytes(longest_row(entries)));
  auto ring =
      Buffer::make(ledger, Tag::weights, std::clamp(left / kRingShare, least, std::max(least, kMostRing)));
  if (ring.ok()) return ring;
  return Status(Code::over_budget,
                "streaming weights from disk takes " + mebibytes(least) +
                    " of buffers at least, and the budget leaves " + mebibytes(std::max<int64_t>(left, 0)) +
                    " beside " + mebibytes(ledger.outside()) + " for the program itself; raise --budget to " +
                    mebibytes(ledger.used() + ledger.outside() + least) + " or more");
}

// The weights that most of a pass consists of stand for all.
Result<double> product_rate(std::span<const WeightEntry> entries, const File& file, std::span<std::byte> ring,
                            Ledger& ledger) {
  std::map<const Codec*, int64_t> bytes;
  for (const WeightEntry& entry : entries) bytes[entry.codec] += entry.bytes;
  const auto most = std::max_element(bytes.begin(), bytes.end(),
                                     [](const auto& a, const auto& b) { return a.second < b.second; });
  const WeightEntry* sample = nullptr;
  for (const WeightEntry& entry : entries) {
    if (entry.codec == most->first && (sample == nullptr || entry.bytes > sample->bytes)) sample = &entry;
  }
  const int64_t shift = sample->offset % kDirectBytes;
  const int64_t count = std::min<int64_t>(sample->bytes, int64_t(ring.size()) - 2 * kDirectBytes);
  const int64_t span = (shift + count + kDirectBytes - 1) / kDirectBytes * kDirectBytes;
  const int64_t got = TRY(file.read_up_to(sample->offset - shift, ring.first(size_t(span))));
  if (got < shift + count) return Status(Code::corrupt, "the file ends too early");
  return measure_product(*sample->codec, sample->cols, ring.subspan(size_t(shift), size_t(count)), ledger);
}

// What is wrong with the file of neurons is said in the plan; the model runs without it.
Result<std::optional<NeuronFile>> find_neurons(Env& env, const std::string& path, const Hash256* fingerprint,
                                               std::span<const WeightEntry> entries, Ledger& ledger,
                                               NeuronUse use, StreamPlan& plan) {
  if (fingerprint == nullptr) return std::optional<NeuronFile>();
  auto file = open_neuron_file(env, path, *fingerprint, entries, ledger, use == NeuronUse::foreseen);
  if (file.ok() && use == NeuronUse::firing && !file->idle) return std::optional<NeuronFile>();
  if (file.ok()) return std::optional<NeuronFile>(std::move(*file));
  if (file.code() != Code::not_found) plan.neuron_word = std::move(file).status().message();
  return std::optional<NeuronFile>();
}

}  // namespace

Result<std::unique_ptr<WeightStore>> open_planned_weights(Env& env, const std::string& path, const Gguf& gguf,
                                                          Ledger& ledger, const Hash256* fingerprint,
                                                          NeuronUse use) {
  auto entries = TRY(list_weights(gguf).with("listing the weights of " + path));
  auto plain = TRY(env.open(path, Open::read));
  const int64_t size = TRY(plain->size());
  for (const WeightEntry& entry : entries) {
    if (entry.offset + entry.bytes > size) return Status(Code::corrupt, path + " is cut short");
  }
  Vectors vectors = TRY(Vectors::read(entries, *plain, ledger).with("loading " + path));
  Buffer ring = TRY(make_ring(entries, ledger));
  Ground ground = TRY(open_direct(env, path, ring.bytes()));
  StreamPlan plan{.ring_bytes = ring.size(),
                  .vector_bytes = vectors.bytes(),
                  .direct = ground.direct,
                  .word = std::move(ground.word)};
  plan.disk = TRY(measure_disk(*ground.file, ring.bytes()).with("measuring the disk of " + path));
  plan.product_rate = TRY(product_rate(entries, *ground.file, ring.bytes(), ledger).with("reading " + path));
  auto neurons = TRY(find_neurons(env, path, fingerprint, entries, ledger, use, plan));
  Ground beside;
  if (neurons) {
    plan.neuron_row = neurons->row_bytes;
    plan.neuron_count = int64_t(neurons->tables.size()) * neurons->neurons;
    beside = TRY(open_direct(env, neurons->path, ring.bytes()));
    plan.neuron_rate = TRY(measure_rows(*beside.file, neurons->row_bytes, ring.bytes())
                               .with("measuring the disk of " + neurons->path));
    const int64_t least = PartPool::bytes_to_lay(plan.neuron_count, plan.neuron_row, plan.neuron_rate);
    const int64_t left = ledger.limit() - ledger.used();
    if (least > left / 2) {  // the rest of what a pass needs comes after
      plan.neuron_word =
          "they take " + mebibytes(least) + " at least, and the budget leaves " + mebibytes(left);
      neurons.reset(), beside.file.reset();
    }
  }
  const int64_t most = ring.size() / kSlots - 2 * kDirectBytes;
  auto store =
      std::make_unique<PlannedWeights>(std::move(entries), std::move(vectors), plan, std::move(neurons), use);
  std::vector<FilePart> parts = store->cut(std::min(kMostPart, most));
  store->begin(std::make_unique<PartPool>(std::move(ground.file), path, std::move(parts), std::move(ring),
                                          plan.disk, ledger));
  if (beside.file != nullptr) TRY(store->lay(std::move(beside.file)).with("reading neurons one by one"));
  return std::unique_ptr<WeightStore>(std::move(store));
}

}  // namespace varve
