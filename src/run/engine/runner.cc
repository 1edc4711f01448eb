#include "run/engine/runner.h"

#include <algorithm>
#include <thread>

namespace varve {

Runner::Runner(std::shared_ptr<const Model> model, Ledger& ledger, const EngineOptions& options)
    : model_(std::move(model)),
      ledger_(ledger),
      most_rows_(options.chunk_rows),
      most_outputs_(std::min(options.chunk_rows, options.max_sequences)),
      threads_(options.threads > 0 ? options.threads
                                   : int(std::max(1u, std::thread::hardware_concurrency()))),
      ops_(threads_, options.precision) {}

Result<std::unique_ptr<Runner>> Runner::make(std::shared_ptr<const Model> model, Ledger& ledger,
                                             const EngineOptions& options) {
  std::unique_ptr<Runner> runner(new Runner(std::move(model), ledger, options));
  const Model& of = *runner->model_;
  const int32_t rows = runner->most_rows_, outputs = runner->most_outputs_;
  const int32_t width = of.shape().width, vocabulary = of.shape().vocabulary;
  runner->model_bytes_ = std::max(Scratch::bytes_for(outputs, vocabulary) + of.scratch_bytes(rows, outputs),
                                  Scratch::bytes_for(rows, width) + of.scratch_bytes(rows, rows));
  runner->scratch_ = TRY(Scratch::make(ledger, runner->model_bytes_));
  runner->host_ = TRY(Buffer::make(ledger, Tag::scratch, 4 * int64_t(std::max(width, vocabulary))));
  return runner;
}

Status Runner::make_room_for(const Adapter& adapter) {
  int64_t most = 0;
  for (WeightId id = 0; id < model_->weights().entries().size(); ++id) {
    if (const Delta* delta = adapter.on(id)) most = std::max(most, delta->scratch_bytes(most_rows_));
  }
  if (model_bytes_ + most <= scratch_.size()) return {};
  scratch_ = TRY(Scratch::make(ledger_, model_bytes_ + most));
  return {};
}

void Runner::run(std::span<Piece> pieces, const OnLogits& on_logits) {
  std::vector<Piece*> writing, embedding;
  for (Piece& piece : pieces) (piece.sequence->request.embed ? embedding : writing).push_back(&piece);
  run_kind(writing, on_logits);
  run_kind(embedding, on_logits);
}

void Runner::run_kind(std::span<Piece* const> pieces, const OnLogits& on_logits) {
  if (pieces.empty()) return;
  Status status = pass(pieces, on_logits);
  if (status.ok()) return;
  if (pieces.size() == 1) {
    pieces.front()->status = std::move(status);
    return;
  }
  for (size_t i = 0; i < pieces.size(); ++i) run_kind(pieces.subspan(i, 1), on_logits);
}

Status Runner::pass(std::span<Piece* const> pieces, const OnLogits& on_logits) {
  const bool embed = pieces.front()->sequence->request.embed;
  lay_out(pieces, embed);
  const int64_t mark = scratch_.mark();
  const ModelShape& shape = model_->shape();
  const int32_t width = embed ? shape.width : shape.vocabulary;
  Rows out = scratch_.take(int32_t(outputs_.size()), width);
  Status status = compute(out, embed);
  if (status.ok()) {
    for (Piece* piece : pieces) {
      KvCache& kv = *piece->sequence->kv;
      if (kv.tokens() % kPageTokens == 0) piece->status = kv.fit();
    }
    const std::span<float> row(reinterpret_cast<float*>(host_.bytes().data()), size_t(width));
    for (size_t i = 0; i < outputs_.size(); ++i) {
      if (!output_of_[i]->status.ok()) continue;
      ops_.store(out.slice(int32_t(i), 1), row);
      Sequence& sequence = *output_of_[i]->sequence;
      if (embed) {  // row by row, so that the sum does not depend on how the prompt was cut
        for (size_t at = 0; at < row.size(); ++at) sequence.hidden_sum[at] += row[at];
      } else {
        on_logits(sequence, row);
      }
    }
  }
  scratch_.release(mark);
  return status;
}

Status Runner::compute(Rows out, bool embed) {
  const Batch batch{.tokens = tokens_, .positions = positions_, .segments = segments_, .outputs = outputs_};
  Status status =
      embed ? model_->hidden(batch, ops_, scratch_, out) : model_->forward(batch, ops_, scratch_, out);
  for (const Segment& segment : segments_) {
    const int32_t before = positions_[size_t(segment.first)];
    if (!status.ok()) {
      Status undone = segment.kv->truncate(before);
      CHECK(undone.ok(), "what a failed pass appended cannot be cut");
    }
    CHECK(!status.ok() || segment.kv->tokens() == before + segment.rows, "a pass left rows out of the KV");
  }
  return status;
}

void Runner::lay_out(std::span<Piece* const> pieces, bool embed) {
  tokens_.clear();
  positions_.clear();
  outputs_.clear();
  segments_.clear();
  output_of_.clear();
  for (Piece* piece : pieces) {
    Sequence& sequence = *piece->sequence;
    const int32_t first = int32_t(tokens_.size()), done = sequence.kv->tokens();
    segments_.push_back({first, piece->rows, sequence.kv.get(), sequence.request.adapter.get()});
    for (int32_t i = 0; i < piece->rows; ++i) {
      tokens_.push_back(sequence.tokens[size_t(done + i)]);
      positions_.push_back(done + i);
      const bool last = i + 1 == sequence.pending();
      if (embed || (last && sequence.wants_token())) {
        outputs_.push_back(first + i);
        output_of_.push_back(piece);
      }
    }
  }
}

}  // namespace varve
