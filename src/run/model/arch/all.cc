#include <algorithm>
#include <vector>

#include "run/model/arch/family.h"

namespace varve {
namespace arch {
#define METHOD(name, summary) Result<DecoderSpec> name(const HyperParameters& from);
#include "run/model/arch/all.def"
#undef METHOD
}  // namespace arch

namespace {

// Files of embedding models say how their rows become one vector; 0 means that they do not.
Status read_readout(const Gguf& gguf, const std::string& prefix, Readout& readout) {
  const HyperParameters from(gguf, prefix);
  const int32_t kind = TRY(from.count_or("pooling_type", 0, 0, 4));
  if (kind == 4) return Status(Code::unsupported, "a model that ranks pairs of texts gives no embeddings");
  constexpr Readout kReadouts[] = {Readout::mean, Readout::first, Readout::last};
  if (kind > 0) readout = kReadouts[kind - 1];
  return {};
}

}  // namespace

std::span<const Family> families() {
  static const std::vector<Family> all = {
#define METHOD(name, summary) {#name, summary, arch::name},
#include "run/model/arch/all.def"
#undef METHOD
  };
  return all;
}

std::string known_families() {
  std::string all;
  for (const Family& family : families()) all.append(all.empty() ? "" : ", ").append(family.name);
  return all;
}

Result<DecoderSpec> read_decoder_spec(const Gguf& gguf) {
  const std::string prefix = TRY(gguf.string("general.architecture"));
  std::string name = prefix;
  std::replace(name.begin(), name.end(), '-', '_');
  for (const Family& family : families()) {
    if (family.name != name) continue;
    DecoderSpec spec = TRY(family.read(HyperParameters(gguf, prefix)));
    spec.family = family.name;
    TRY(read_readout(gguf, prefix, spec.readout));
    return spec;
  }
  return Status(Code::unsupported,
                "unknown model family '" + prefix.substr(0, 64) + "'; there are " + known_families());
}

}  // namespace varve
