// AdapterFile: what was learnt beside a model, as data: a kind, tensors named beside the weights that they
// belong to, and a note of where it came from. Every kind has this one form: in RAM, as a GGUF file with
// general.type "adapter", and, the same bytes, as the payload of a parametric cube.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/base/hash.h"
#include "core/budget/buffer.h"
#include "core/format/json.h"
#include "core/io/env.h"
#include "math/ops/matrix.h"

namespace varve {

struct AdapterTensor {         // f32, row-major, borrowed
  std::string role;            // of the weight: "blk.0.attn_q"
  std::string name;            // what its kind calls it: "lora_a"
  int32_t rows = 0, cols = 0;  // a vector is 1 x n
  std::span<const float> values;
  Matrix matrix() const;
};

struct AdapterNote {
  std::string kind = "lora";           // of adapter_kinds()
  float alpha = 1;                     // of kinds that have one: lora adds alpha / rank times its product
  std::string base, family;            // the model's name, for people; its architecture, "llama"
  std::optional<Hash256> fingerprint;  // of the base; files of other programs have none
  Json lesson;                         // how it was made; null: nothing is said
};

struct AdapterFile {
  AdapterNote note;
  std::vector<AdapterTensor> tensors;  // views of `values`, or of what outlives this
  Buffer values;
};

// unsupported or invalid: an adapter that says it is for another model than this one, in one sentence.
Status check_base(const AdapterNote& note, const std::string& adapter, const Hash256& fingerprint,
                  const std::string& model);

// `name` is for messages. Any number format decodes; what is written is f32, and comes back to the bit.
Result<AdapterFile> parse_adapter(std::span<const std::byte> gguf, const std::string& name, Ledger& ledger);
Result<std::vector<std::byte>> encode_adapter(const AdapterFile& file);  // the caller books them

// Where a model's queries and keys are permuted against PEFT's (families whose rotation pairs neighbours),
// the heads of each; else 0.
struct HeadCounts {
  int32_t heads = 0, kv_heads = 0;
};
HeadCounts permuted_heads(std::string_view family, int32_t heads, int32_t kv_heads);
// "base_model.model.model.layers.3.self_attn.q_proj" and back; empty when it is none of a decoder's.
std::string peft_name(std::string_view role);
std::string role_of_peft(std::string_view name);

// A GGUF file, or a folder of PEFT's, by what `path` is.
Result<AdapterFile> read_adapter(Env& env, const std::string& path, HeadCounts permuted, Ledger& ledger);
Status write_adapter_gguf(Env& env, const std::string& path, const AdapterFile& file);
// `path` is a folder, made when absent. unsupported: a kind, or a weight, that PEFT has no name for.
Status write_adapter_peft(Env& env, const std::string& path, const AdapterFile& file, HeadCounts permuted);

}  // namespace varve
