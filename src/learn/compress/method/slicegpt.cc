// slicegpt (Ashkboos et al. 2024): the rows that layers pass on are turned into their principal directions,
// and the last of these are cut from every matrix. Norms stand before what reads them with their weights
// worked in, so that the turn changes no answer; the cut does. Theirs turns each block its own way, with a
// matrix between two; here one turn serves all, and what comes out is an ordinary model of smaller width.
// Needs a text, and one matrix in f32 at a time.
#include <algorithm>
#include <cmath>
#include <optional>

#include "core/format/gguf_head.h"
#include "learn/compress/draft.h"
#include "learn/compress/method/principal.h"

namespace varve::compress {
namespace {

// One model on its way into a narrower one.
class Cut {
 public:
  Cut(const Draft& draft, Buffer turn, int32_t kept)
      : draft_(draft), width_(draft.spec().width), kept_(kept), turn_(std::move(turn)) {}

  Status write(const std::string& path) {
    plan();
    auto metadata = draft_.metadata();
    const std::string& family = draft_.spec().family;
    const auto set = [&](const char* key, int64_t value) {
      GgufValue& to = metadata[family + key];
      to.type = GgufType::u32, to.held = value;
    };
    set(".embedding_length", kept_);
    set(".attention.key_length", draft_.spec().key_dim);
    set(".attention.value_length", draft_.spec().value_dim);
    const GgufHead head = TRY(gguf_head(draft_.version(), metadata, tensors_));
    out_.emplace(TRY(Replacement::begin(draft_.env(), path)));
    TRY(out_->append(head.bytes));
    for (size_t i = 0; i < tensors_.size(); ++i) {
      TRY(write_tensor(i).with("turning " + tensors_[i].name));
      const int64_t over = tensors_[i].bytes % head.alignment;
      if (over > 0) TRY(out_->append(std::vector<std::byte>(size_t(head.alignment - over))));
    }
    return out_->commit();
  }

 private:
  enum class Role { other, norm, reads, writes };
  struct Part {
    const Weight* weight;
    Role role;
    std::string norm;  // whose weights are worked in
  };

  Part part_of(const Weight& weight) const {
    const std::string& role = weight.role();
    const size_t dot = role.starts_with("blk.") ? role.find('.', 4) + 1 : 0;
    const std::string at = role.substr(0, dot), own = role.substr(dot);
    if (own == "attn_norm" || own == "ffn_norm" || own == "output_norm") return {&weight, Role::norm, ""};
    if (own == "token_embd") return {&weight, Role::reads, ""};
    if (own == "output") return {&weight, Role::reads, "output_norm"};
    if (own == "ffn_up" || own == "ffn_gate") return {&weight, Role::reads, at + "ffn_norm"};
    if (own == "attn_q" || own == "attn_k" || own == "attn_v" || own == "attn_qkv")
      return {&weight, Role::reads, at + "attn_norm"};
    const bool writes = own.starts_with("attn_output") || own.starts_with("ffn_down");
    return {&weight, writes ? Role::writes : Role::other, ""};
  }

  void add(const std::string& name, const Part& part) {
    const Weight& weight = *part.weight;
    const bool vector = weight.from.rows == 1, turned = part.role != Role::other;
    int64_t cols = weight.from.cols, rows = weight.from.rows;
    if (turned) (part.role == Role::writes && !vector ? rows : cols) = kept_;
    const Codec* codec = turned && !vector && weight.from.codec->name() != "f32" ? codec_named("f16").value()
                         : turned                                                ? codec_named("f32").value()
                                                                                 : weight.from.codec;
    GgufTensor one{name, *codec->gguf_type(), {cols}, 0, codec->bytes_for(rows * cols)};
    if (!vector) one.shape.push_back(rows);
    tensors_.push_back(std::move(one)), parts_.push_back(part), codecs_.push_back(codec);
  }
  void plan() {
    bool head = false;
    const Weight* table = nullptr;
    for (const Weight& weight : draft_.weights()) {
      head = head || weight.role() == "output";
      if (weight.role() == "token_embd") table = &weight;
      add(weight.name, part_of(weight));
    }
    // A table that is the head, too, cannot have the last norm's weights worked in.
    if (!head) add("output.weight", {table, Role::reads, "output_norm"});
  }

  Status put(size_t tensor, std::span<const float> values) {  // those behind what was put before
    const Codec& codec = *codecs_[tensor];
    std::vector<std::byte> bytes(size_t(codec.bytes_for(int64_t(values.size()))));
    codec.encode(values, bytes);
    return out_->append(bytes);
  }

  Status write_tensor(size_t i) {
    const Part& part = parts_[i];
    const Weight& weight = *part.weight;
    switch (part.role) {
      case Role::norm:  // a mean over fewer squares is as much larger
        return put(i, std::vector<float>(size_t(kept_), std::sqrt(float(width_) / float(kept_))));
      case Role::reads: return write_columns(i);
      case Role::writes: return weight.from.rows == 1 ? write_bias(i) : write_rows(i);
      case Role::other: break;
    }
    std::vector<std::byte> bytes(size_t(weight.from.bytes));
    const auto from = TRY(draft_.env().open(draft_.path(), Open::read));
    TRY(from->read(weight.from.offset, bytes));
    return out_->append(bytes);
  }
  Matrix turn() const { return {codec_named("f32").value(), turn_.bytes(), kept_, width_}; }

  Status write_columns(size_t i) {  // w -> w diag(norm) turn^T
    std::vector<float> by, out;
    if (!parts_[i].norm.empty()) by = TRY(draft_.vector(parts_[i].norm));
    return draft_.each(*parts_[i].weight, [&](int32_t, std::span<const float> rows) -> Status {
      std::vector<float> scaled(rows.begin(), rows.end());
      for (size_t j = 0; !by.empty() && j < scaled.size(); ++j) scaled[j] *= by[j % by.size()];
      const auto count = int32_t(rows.size() / size_t(width_));
      TRY(product(scaled, count, out));
      return put(i, out);
    });
  }
  Status product(std::span<const float> rows, int32_t count, std::vector<float>& out) {
    Scratch scratch = TRY(
        Scratch::make(draft_.ledger(), Scratch::bytes_for(count, width_) + Scratch::bytes_for(count, kept_)));
    const Rows x = scratch.take(count, width_), y = scratch.take(count, kept_);
    out.resize(size_t(count) * size_t(kept_));
    draft_.ops().load(rows, x);
    draft_.ops().matmul(x, turn(), y);
    draft_.ops().store(y, out);
    return {};
  }
  Status write_bias(size_t i) {
    std::vector<float> out;
    TRY(product(TRY(draft_.vector(parts_[i].weight->role())), 1, out));
    return put(i, out);
  }
  Status write_rows(size_t i) {  // w -> turn w
    const Weight& weight = *parts_[i].weight;
    const int32_t cols = weight.from.cols;
    Buffer whole = TRY(Buffer::make(draft_.ledger(), Tag::scratch, int64_t(width_) * cols * 4));
    TRY(draft_.each(weight, [&](int32_t first, std::span<const float> rows) -> Status {
      std::copy(rows.begin(), rows.end(), floats(whole) + int64_t(first) * cols);
      return {};
    }));
    Scratch scratch = TRY(
        Scratch::make(draft_.ledger(), Scratch::bytes_for(kept_, width_) + Scratch::bytes_for(kept_, cols)));
    const Rows by = scratch.take(kept_, width_), y = scratch.take(kept_, cols);
    std::vector<float> out(size_t(kept_) * size_t(cols));
    draft_.ops().load({floats(turn_), size_t(kept_) * size_t(width_)}, by);
    draft_.ops().matmul_back(by, {codec_named("f32").value(), whole.bytes(), width_, cols}, y);
    draft_.ops().store(y, out);
    return put(i, out);
  }

  const Draft& draft_;
  const int32_t width_, kept_;
  Buffer turn_;  // [kept][width]
  std::vector<GgufTensor> tensors_;
  std::vector<Part> parts_;
  std::vector<const Codec*> codecs_;
  std::optional<Replacement> out_;
};

bool can_turn(const DecoderSpec& spec) {
  const bool dense =
      std::none_of(spec.layers.begin(), spec.layers.end(), [](auto& one) { return one.experts; });
  return dense && spec.norm == NormKind::rms && spec.norm_before && spec.norm_weights && !spec.norm_after &&
         !spec.norm_sums && !spec.one_norm && !spec.learned_positions && !spec.embedding_norm &&
         spec.token_types == 0 && spec.embedding_scale == 1 && spec.attention_norm == "attn_norm" &&
         spec.ffn_norm == "ffn_norm";
}

class SliceGpt : public Compressor {
 public:
  explicit SliceGpt(float share) : share_(share) {}
  bool reshapes() const override { return true; }
  Status reshape(const Draft& draft, const Reading& reading, const std::string& to) const override {
    const DecoderSpec& spec = draft.spec();
    const bool coded = std::any_of(draft.weights().begin(), draft.weights().end(),
                                   [](const Weight& one) { return one.from.codec->coded(); });
    if (coded || !can_turn(spec))
      return Status(Code::unsupported,
                    "slicegpt turns dense models with a plain RMS norm before each part, and "
                    "no coded ones; " +
                        draft.path() + " is another");
    const int32_t unit = spec.width >= 2048 ? 256 : spec.width % 32 == 0 ? 32 : 1;  // blocks of formats
    const int32_t kept = std::max(1, int32_t(float(spec.width) * (1 - share_) / float(unit) + 0.5f)) * unit;
    Buffer turn = TRY(principal_directions(draft, reading, std::min(kept, spec.width)));
    return Cut(draft, std::move(turn), std::min(kept, spec.width)).write(to);
  }

 private:
  float share_;
};

}  // namespace

Made slicegpt(const Spec& spec) {
  float share = 0.25f;
  TRY(OptionReader(spec).read("share", share, 0.f, 0.9f).done());
  return std::unique_ptr<Compressor>(new SliceGpt(share));
}

}  // namespace varve::compress
