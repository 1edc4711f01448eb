#include <memory>
#include <vector>

#include "core/base/check.h"
#include "math/codec/codec.h"

namespace varve {
namespace codec {
#define METHOD(name, summary) Made name(const Spec& spec);
#include "math/codec/all.def"
#undef METHOD
}  // namespace codec

const Registry<Codec>& codecs() {
  static const Registry<Codec> all = [] {
    Registry<Codec> registry;
#define METHOD(name, summary) registry.add(#name, summary, codec::name);
#include "math/codec/all.def"
#undef METHOD
    return registry;
  }();
  return all;
}

namespace {
// The instances that everybody shares; made once, in the order of the registry.
const std::vector<std::unique_ptr<Codec>>& shared() {
  static const auto all = [] {
    std::vector<std::unique_ptr<Codec>> made;
    for (const auto& entry : codecs().entries()) {
      auto one = entry.make(Spec{std::string(entry.name), {}});
      CHECK(one.ok(), "a codec needs options");
      made.push_back(std::move(one).value());
    }
    return made;
  }();
  return all;
}
}  // namespace

Result<const Codec*> codec_named(std::string_view name) {
  for (const auto& codec : shared()) {
    if (codec->name() == name) return codec.get();
  }
  return Status(Code::not_found,
                "no number format '" + std::string(name) + "'; there are " + codecs().known());
}

Result<const Codec*> codec_of_gguf(uint32_t type) {
  for (const auto& codec : shared()) {
    if (codec->gguf_type() == type) return codec.get();
  }
  return Status(Code::not_found,
                "no number format for GGUF type " + std::to_string(type) + "; there are " + codecs().known());
}

}  // namespace varve
