#include "learn/compress/rounding.h"

#include <algorithm>
#include <numeric>

#include "run/model/open_streamed.h"

namespace varve {
namespace {

constexpr int64_t kRowsAtOnce = 8;  // of one thread

}  // namespace

Result<std::shared_ptr<const Model>> open_to_read(Env& env, const std::string& path, Ledger& ledger) {
  const int64_t left = ledger.limit() - ledger.used(), size = TRY(TRY(env.open(path, Open::read))->size());
  return size < left / 3 ? open_model(env, path, ledger) : open_streamed_model(env, path, ledger, left / 4);
}

Status Rounding::run(std::span<const RoundTask> tasks, const Take& take, const Done& done) const {
  std::vector<size_t> left(tasks.size());
  std::iota(left.begin(), left.end(), size_t(0));
  while (!left.empty()) {
    std::vector<size_t> now = std::move(left);
    left.clear();
    SeenByInput counted;
    if (sight == Sight::gram) {
      counted = TRY(count_products(tasks, now, left));
    } else if (sight == Sight::moments && changed) {
      counted = TRY(observe(reader->model, reader->ops, reader->text, {}, draft.ledger(), {}));
    }
    for (const size_t i : now) {
      for (int32_t of = 0; of < draft.weights()[tasks[i].weight].from.stack; ++of) {
        const auto its = [&](int64_t at, std::span<const std::byte> bytes) { return take(i, at, bytes); };
        TRY(write(tasks[i], of, counted, its).with("rounding " + draft.weights()[tasks[i].weight].role()));
      }
      TRY(done(i));
    }
  }
  return {};
}

int32_t Rounding::layer(const RoundTask& task) const {  // the head comes last
  const std::string& role = draft.weights()[task.weight].role();
  return role.starts_with("blk.") ? layer_of(role) : int32_t(draft.spec().layers.size());
}

// The second moments of inputs, of as many tasks as there is room for: `now` keeps those, the others go to
// `later`. A pass over the text ends with the last layer that is asked about.
Result<SeenByInput> Rounding::count_products(std::span<const RoundTask> tasks, std::vector<size_t>& now,
                                             std::vector<size_t>& later) const {
  std::stable_sort(now.begin(), now.end(),
                   [&](size_t a, size_t b) { return layer(tasks[a]) < layer(tasks[b]); });
  Look look{.inputs = {}, .gram = true, .layers = 1};
  Ledger& ledger = draft.ledger();
  const int64_t room = (ledger.limit() - ledger.used()) / 5;  // then a copy, a factor and what they take
  int64_t bytes = 0;
  std::vector<size_t> taken;
  bool full = false;
  for (const size_t i : now) {
    const Weight& weight = draft.weights()[tasks[i].weight];
    const std::string input = draft.input(weight);
    const int64_t squares = int64_t(weight.from.cols) * weight.from.cols * 4 * weight.from.stack;
    if (weight.from.stack > 1 && squares > room) {  // too many experts: their moments must do
      taken.push_back(i);
      continue;
    }
    if (!input.empty() && !look.inputs.contains(input)) {
      full = full || (bytes > 0 && bytes + squares > room);
      for (int32_t of = 0; !full && of < weight.from.stack; ++of) look.inputs.insert(draft.input(weight, of));
      if (!full) bytes += squares, look.layers = std::max(look.layers, layer(tasks[i]) + 1);
    }
    (full && !look.inputs.contains(input) && !input.empty() ? later : taken).push_back(i);
  }
  now = std::move(taken);
  if (look.inputs.empty()) return SeenByInput();
  if (look.layers > int32_t(draft.spec().layers.size())) look.layers = 0;
  return observe(reader->model, reader->ops, reader->text, look, ledger,
                 [&](int64_t done, int64_t of) { progress("counting products", done, of); });
}

Status Rounding::write(const RoundTask& task, int32_t of_stack, const SeenByInput& counted,
                       const std::function<Status(int64_t, std::span<const std::byte>)>& take) const {
  Weight weight = draft.weights()[task.weight];
  weight.codec = task.codec;
  const bool own = counted.contains(draft.input(weight, of_stack));
  Seen seen = TRY(own ? draft.seen(weight, counted, of_stack, changed) : draft.seen(weight, of_stack));
  std::unique_ptr<Rounder> rounder;
  Ops& ops = draft.ops();
  Ledger& ledger = draft.ledger();
  const auto& methods = draft.methods();
  for (auto method = methods.rbegin(); rounder == nullptr && method != methods.rend(); ++method)
    rounder = TRY((*method)->rounder(weight, seen, ops, ledger));
  seen = {};
  if (rounder == nullptr) rounder = TRY(TRY(compressors().make("rtn"))->rounder(weight, seen, ops, ledger));
  const int64_t row_bytes = weight.codec->bytes_for(weight.cols());
  Buffer encoded;
  return draft.each_of(weight, of_stack, [&](int32_t first, std::span<const float> rows) -> Status {
    const int64_t count = int64_t(rows.size()) / weight.cols();
    if (encoded.size() < count * row_bytes) encoded = TRY(Buffer::make(ledger, Tag::io, count * row_bytes));
    ops.parallel((count + kRowsAtOnce - 1) / kRowsAtOnce, [&](int64_t part) {
      const int64_t row = part * kRowsAtOnce, some = std::min(kRowsAtOnce, count - row);
      rounder->round(rows.subspan(size_t(row * weight.cols()), size_t(some * weight.cols())),
                     encoded.bytes().subspan(size_t(row * row_bytes), size_t(some * row_bytes)));
    });
    return take(first * row_bytes, encoded.bytes().first(size_t(count * row_bytes)));
  });
}

}  // namespace varve
