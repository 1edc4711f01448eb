#include "run/engine/runner.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <thread>

#include "run/engine/splice.h"

namespace varve {

namespace {

double log_probability(std::span<const float> logits, Token token) {
  const float top = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (float logit : logits) sum += std::exp(double(logit) - top);
  return double(logits[size_t(token)]) - top - std::log(sum);
}

}  // namespace

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
  const int64_t logits = Scratch::bytes_for(outputs, vocabulary);
  runner->model_bytes_ =
      std::max(logits + of.scratch_bytes(rows, outputs),
               Scratch::bytes_for(rows, width) +
                   std::max(of.scratch_bytes(rows, rows), logits + of.scratch_bytes(outputs, outputs)));
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

Result<int32_t> Runner::splice(Sequence& sequence, const std::shared_ptr<KvPool>& pool, const Splice& from) {
  ops_.reading(true);
  return varve::splice({*model_, pool, ops_, scratch_, most_rows_}, from, sequence.tokens,
                       sequence.request.adapter.get(), *sequence.kv);
}

// A pass gives one kind of result: logits, hidden states of one layer, or scores. What is read and what is
// written go apart: their products differ in bits, and a written token must not depend on who reads beside.
void Runner::run(std::span<StepPiece> pieces, const OnLogits& on_logits) {
  std::map<std::pair<bool, int32_t>, std::vector<StepPiece*>> kinds;
  for (StepPiece& piece : pieces) {
    const Sequence& sequence = *piece.sequence;
    const bool reads = sequence.kv->tokens() < sequence.usage.prompt_tokens;
    const Request& request = sequence.request;
    kinds[{reads, request.embed ? request.layer : request.score_from > 0 ? -1 : -2}].push_back(&piece);
  }
  for (const auto& [kind, alike] : kinds) {
    ops_.reading(kind.first);
    run_kind(alike, on_logits);
  }
}

void Runner::run_kind(std::span<StepPiece* const> pieces, const OnLogits& on_logits) {
  if (pieces.empty()) return;
  Status status = pass(pieces, on_logits);
  if (status.ok()) return;
  if (pieces.size() == 1) {
    pieces.front()->status = std::move(status);
    return;
  }
  for (size_t i = 0; i < pieces.size(); ++i) run_kind(pieces.subspan(i, 1), on_logits);
}

Status Runner::pass(std::span<StepPiece* const> pieces, const OnLogits& on_logits) {
  const Request& request = pieces.front()->sequence->request;
  const bool writes = pieces.front()->sequence->writes();
  const bool surprised = writes && pieces.front()->sequence->kv->needs().surprise;
  lay_out(pieces);
  const int64_t mark = scratch_.mark();
  const ModelShape& shape = model_->shape();
  Rows out = scratch_.take(int32_t(outputs_.size()), writes && !surprised ? shape.vocabulary : shape.width);
  Status status = compute(out, writes && !surprised, surprised ? 0 : request.layer);
  if (status.ok() && surprised) status = write_surprised(out, on_logits);
  if (status.ok()) {
    for (StepPiece* piece : pieces) {
      KvCache* kv = piece->sequence->kv.get();
      if (kv != nullptr && kv->tokens() % kPageTokens == 0) piece->status = kv->fit();
    }
    if (surprised) {
      // Its logits are delivered already.
    } else if (request.score_from > 0) {
      const Status scored = score(out);
      for (StepPiece* piece : pieces) {
        if (!scored.ok()) piece->status = Status(scored.code(), std::string(scored.message()));
      }
    } else {
      deliver(out, [&](Sequence& sequence, int32_t at, std::span<float> row) {
        writes ? on_logits(sequence, row) : sequence.pool(at, row);
      });
    }
  }
  scratch_.release(mark);
  return status;
}

// Row by row to the sequences that still live. `at`: the place of the row's token in its sequence.
template <class Take>
void Runner::deliver(Rows out, const Take& take, size_t first) {
  const std::span<float> row(reinterpret_cast<float*>(host_.bytes().data()), size_t(out.width()));
  for (int32_t i = 0; i < out.count(); ++i) {
    const size_t output = first + size_t(i);
    if (!output_of_[output]->status.ok()) continue;
    ops_.store(out.slice(i, 1), row);
    take(*output_of_[output]->sequence, positions_[size_t(outputs_[output])], row);
  }
}

// Hidden states to scores, in slices: logits of all rows at once would take too much.
Status Runner::score(Rows hidden) {
  for (int32_t first = 0; first < hidden.count(); first += most_outputs_) {
    const int32_t count = std::min(most_outputs_, hidden.count() - first);
    std::vector<Segment> segments;
    for (int32_t i = 0; i < count; ++i)
      segments.push_back({i, 1, nullptr, output_of_[size_t(first + i)]->sequence->request.adapter.get()});
    const int64_t mark = scratch_.mark();
    Rows logits = scratch_.take(count, model_->shape().vocabulary);
    Status status = model_->head(segments, ops_, scratch_, hidden.slice(first, count), logits);
    if (status.ok()) {
      deliver(
          logits,
          [](Sequence& sequence, int32_t at, std::span<float> row) {
            sequence.scores.push_back(float(log_probability(row, sequence.tokens[size_t(at) + 1])));
          },
          size_t(first));
    }
    scratch_.release(mark);
    TRY(std::move(status));
  }
  return {};
}

// Where a policy asks how unexpected tokens are, every row's logits say it of the next one.
Status Runner::write_surprised(Rows hidden, const OnLogits& on_logits) {
  const std::span<float> row(reinterpret_cast<float*>(host_.bytes().data()),
                             size_t(model_->shape().vocabulary));
  for (int32_t first = 0; first < hidden.count(); first += most_outputs_) {
    const int32_t count = std::min(most_outputs_, hidden.count() - first);
    std::vector<Segment> segments;
    for (int32_t i = 0; i < count; ++i)
      segments.push_back({i, 1, nullptr, output_of_[size_t(first + i)]->sequence->request.adapter.get()});
    const int64_t mark = scratch_.mark();
    Rows logits = scratch_.take(count, model_->shape().vocabulary);
    Status status = model_->head(segments, ops_, scratch_, hidden.slice(first, count), logits);
    for (int32_t i = 0; status.ok() && i < count; ++i) {
      Sequence& sequence = *output_of_[size_t(first + i)]->sequence;
      const size_t next = size_t(positions_[size_t(outputs_[size_t(first + i)])]) + 1;
      ops_.store(logits.slice(i, 1), row);
      if (next == sequence.tokens.size()) {
        if (!sequence.wants_token()) continue;
        on_logits(sequence, row);  // may change the row, and end the sequence
        if (sequence.kv == nullptr || next >= sequence.tokens.size()) continue;
        ops_.store(logits.slice(i, 1), row);
      }
      const float nats = -float(log_probability(row, sequence.tokens[next]));
      sequence.kv->notes().surprised(int32_t(next), nats);
    }
    scratch_.release(mark);
    TRY(std::move(status));
  }
  return {};
}

Status Runner::compute(Rows out, bool writes, int32_t layer) {
  const Batch batch{.tokens = tokens_,
                    .positions = positions_,
                    .segments = segments_,
                    .outputs = outputs_,
                    .layer = writes ? 0 : layer};
  Status status =
      writes ? model_->forward(batch, ops_, scratch_, out) : model_->hidden(batch, ops_, scratch_, out);
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

// Of all tokens so far: those that a prefix brought are told as well.
void Runner::tell_sentences(Sequence& sequence, int32_t tokens) const {
  auto& sentences = sequence.kv->notes().sentences;
  const Tokenizer* tokenizer = model_->tokenizer();
  for (auto i = sentences.size(); i < size_t(tokens); ++i)
    sentences.push_back(tokenizer != nullptr && ends_sentence(*tokenizer, sequence.tokens[i]));
}

void Runner::lay_out(std::span<StepPiece* const> pieces) {
  tokens_.clear();
  positions_.clear();
  outputs_.clear();
  segments_.clear();
  output_of_.clear();
  for (StepPiece* piece : pieces) {
    Sequence& sequence = *piece->sequence;
    const int32_t first = int32_t(tokens_.size()), done = sequence.kv->tokens();
    if (sequence.kv->needs().sentences) tell_sentences(sequence, done + piece->rows);
    segments_.push_back(
        {first, piece->rows, sequence.kv.get(), sequence.request.adapter.get(), sequence.neurons.get()});
    for (int32_t i = 0; i < piece->rows; ++i) {
      tokens_.push_back(sequence.tokens[size_t(done + i)]);
      positions_.push_back(done + i);
      if (sequence.wants_row(done + i) || (sequence.writes() && sequence.kv->needs().surprise)) {
        outputs_.push_back(first + i);
        output_of_.push_back(piece);
      }
    }
  }
}

}  // namespace varve
