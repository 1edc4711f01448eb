// The families: each maps a model file's metadata to a DecoderSpec. One file a family in arch/, one line in
// arch/all.def; the name is the architecture name of GGUF files with '-' written as '_'.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "run/model/arch/hyper.h"
#include "run/model/block/decoder_spec.h"

namespace varve {

struct Family {
  std::string_view name, summary;
  Result<DecoderSpec> (*read)(const HyperParameters& from);
};

std::span<const Family> families();
std::string known_families();  // "gemma2, gemma3, ..."
// The spec of a file, complete and checked. unsupported: an unknown family (lists the known); invalid: a
// hyper-parameter that is absent or out of range.
Result<DecoderSpec> read_decoder_spec(const Gguf& gguf);

namespace arch {  // what family files are made of

// The fields that all families share: sizes, context, norm epsilon (whichever kind of norm the family sets
// first in `spec`), rope base and scaling, attention scale, experts when the file has any.
Result<DecoderSpec> common(const HyperParameters& from, DecoderSpec spec);
// What encoders share before common() is asked, and after: how their rows become one vector.
DecoderSpec encoder();
Status encoder_tables(const HyperParameters& from, DecoderSpec& spec);
// A factor; 0 in a file means "not set".
Result<float> scale_or(const HyperParameters& from, std::string_view key, float absent);
// By the names that files have for it; unsupported: lists the known.
Result<Activation> activation_named(std::string_view name);
std::string_view name_of(Activation kind);
// "hidden_activation" of a file, where its family has more than one.
Result<Activation> activation_or(const HyperParameters& from, Activation absent);
// The first layers have one network, as many as the file says.
Status leading_dense(const HyperParameters& from, DecoderSpec& spec);
// Experts that every row passes, seen as one: its width, or how many of the others' width.
Status shared_experts(const HyperParameters& from, DecoderSpec& spec);
// How the router's logits become weights, where the file may say so; else as the family has set it.
Status router_gate(const HyperParameters& from, DecoderSpec& spec);
// Window layers by the file's own array, else `period - 1` layers of each `period` (0: all of them).
Status windows(const HyperParameters& from, int32_t period, int32_t absent_window, DecoderSpec& spec);

}  // namespace arch
}  // namespace varve
