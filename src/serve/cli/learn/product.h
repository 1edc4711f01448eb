// Where what was learnt goes: a cube of the home, a GGUF file, or a folder in PEFT's format.
#pragma once

#include "learn/grad/parts.h"
#include "memory/parametric/adapter_file.h"
#include "run/model/model.h"
#include "serve/cli/learn/remembered.h"

namespace varve {

struct Product {
  std::string file;  // or the folder of PEFT's; empty: a cube
  std::string cube;  // its name
  bool peft = false;
  HomeWords home;
  std::vector<Source> from;  // cubes that were learnt from

  // Of the checkpoint, until the product is there.
  std::string work() const;
  std::string name() const { return file.empty() ? "cube '" + cube + "'" : file; }
};
// -o FILE.gguf, -o NAME, --cube NAME, --peft.
Result<Product> read_product(Args& args);

// Parts are named as the tensors of their kind: "blk.0.attn_q.lora_a".
AdapterFile adapter_of(const Parts& parts, const Model& model, std::string kind, float alpha, Json lesson);
// Sets what it became in `lesson`: "adapter", and of a cube its id and version.
Status put_product(const Product& product, const AdapterFile& file, const Model& model, Ledger& ledger,
                   Json& lesson);

}  // namespace varve
