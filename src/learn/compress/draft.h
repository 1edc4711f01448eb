// Draft: a model while it is compressed: what its file holds, and what has been decided about it. Weights are
// read from the file a few rows at a time.
#pragma once

#include <functional>
#include <utility>

#include "core/base/hash.h"
#include "learn/compress/compressor.h"
#include "run/model/block/decoder_spec.h"

namespace varve {

// A matrix that the result has beside a weight: what is given back of its error (run/model/block).
struct Companion {
  std::string name;  // of the tensor
  const Codec* codec = nullptr;
  int32_t rows = 0, cols = 0;
  int64_t bytes() const { return codec->bytes_for(int64_t(rows) * cols); }
};

class Draft {
 public:
  // invalid or unsupported: no model, or one of a family that is unknown here.
  static Result<std::unique_ptr<Draft>> open(Env& env, const std::string& path, Ops& ops, Ledger& ledger);

  const DecoderSpec& spec() const { return spec_; }
  const std::string& path() const { return path_; }
  const Hash256& fingerprint() const { return fingerprint_; }
  uint32_t version() const { return version_; }
  Env& env() const { return env_; }
  Ops& ops() const { return ops_; }
  Ledger& ledger() const { return ledger_; }

  std::vector<Weight>& weights() { return weights_; }  // in the order of the file
  const std::vector<Weight>& weights() const { return weights_; }
  const Weight* find(std::string_view role) const;
  Weight* find(std::string_view role) { return const_cast<Weight*>(std::as_const(*this).find(role)); }
  std::map<std::string, GgufValue, std::less<>>& metadata() { return metadata_; }
  const std::map<std::string, GgufValue, std::less<>>& metadata() const { return metadata_; }
  // A vector of the model as it is now, "blk.0.attn_norm", and one in its place or a new one.
  Result<std::vector<float>> vector(std::string_view role) const;
  void set_vector(std::string role, std::vector<float> values) {
    vectors_[std::move(role)] = std::move(values);
  }
  const std::map<std::string, std::vector<float>, std::less<>>& vectors() const { return vectors_; }

  // Written by who added them, in Compressor::finish().
  std::vector<Companion>& companions() { return companions_; }
  const std::vector<Companion>& companions() const { return companions_; }

  // What calibration saw of the input of a weight, as the methods so far changed it. The gram is copied too
  // where `counted` has one. changed: `counted` saw the inputs as the methods change them.
  Result<Seen> seen(const Weight& weight, int32_t of_stack = 0) const {
    return seen(weight, calibration_, of_stack);
  }
  Result<Seen> seen(const Weight& weight, const SeenByInput& counted, int32_t of_stack = 0,
                    bool changed = false) const;
  void calibrate(SeenByInput seen) { calibration_ = std::move(seen); }
  bool calibrated() const { return !calibration_.empty(); }
  // Under which its input is counted; empty: it is not. Each matrix of a stack has its own.
  std::string input(const Weight& weight, int32_t of_stack = 0) const;
  // How often an expert that was cut from its stack was chosen, beside the mean of its layer; 1 of others.
  double use(const Weight& weight) const;
  // Rows [first, ...) as the methods so far changed them.
  Status read(const Weight& weight, int32_t first, std::span<float> rows) const;
  // All of them, or those of one matrix of a stack, a piece at a time: `take` gets the first row's number and
  // whole rows.
  using TakeRows = std::function<Status(int32_t first, std::span<const float> rows)>;
  Status each(const Weight& weight, const TakeRows& take) const;
  Status each_of(const Weight& weight, int32_t of_stack, const TakeRows& take) const;

  // Plans a method and puts it behind those so far.
  Status add(std::shared_ptr<Compressor> method);
  const std::vector<std::shared_ptr<Compressor>>& methods() const { return methods_; }

 private:
  Draft(Env& env, std::string path, Ops& ops, Ledger& ledger)
      : env_(env), path_(std::move(path)), ops_(ops), ledger_(ledger) {}
  Env& env_;
  std::string path_;
  Ops& ops_;
  Ledger& ledger_;
  DecoderSpec spec_;
  Hash256 fingerprint_;
  uint32_t version_ = 3;
  std::unique_ptr<File> file_;
  std::vector<Weight> weights_;
  std::map<std::string, GgufValue, std::less<>> metadata_;
  std::map<std::string, std::vector<float>, std::less<>> vectors_;
  SeenByInput calibration_;
  std::vector<std::shared_ptr<Compressor>> methods_;
  std::vector<Companion> companions_;
};

// The role under which the input of this weight is counted: queries, keys and values read the same rows. Of a
// stack of matrices: each has its own input, numbered.
std::string input_of(std::string_view role);
inline std::string input_of(std::string_view role, int32_t of_stack) {
  return input_of(role) + "#" + std::to_string(of_stack);
}
// The layer of "blk.7.ffn_up"; -1: of none.
int32_t layer_of(std::string_view role);

// A format for rows of so many values: `wanted`, or the next larger where these are no whole blocks of it, or
// where it keeps a part of them and all are of use: in the table and the head.
const Codec& fitting(const Codec& wanted, int32_t cols, bool may_be_sparse = true);
// Those that a compressed weight may have, by growing size.
std::span<const Codec* const> rounding_formats();

}  // namespace varve
