#include "serve/cli/learn/product.h"

#include "memory/parametric/adapter_cube.h"

namespace varve {

std::string Product::work() const {
  return file.empty() ? home.options.folder + "/lessons/" + home.who.name + "/" + cube : file + ".work";
}

Result<Product> read_product(Args& args) {
  Product product;
  product.home = TRY(home_words(args));
  product.peft = args.flag("--peft");
  product.cube = TRY(args.value("--cube")).value_or("");
  product.file = TRY(args.value("-o")).value_or("");
  if (!product.peft && !product.file.empty() && check_name("", product.file).ok() &&
      !product.file.ends_with(".gguf")) {
    product.cube = std::exchange(product.file, "");
  }
  if (product.file.empty() == product.cube.empty()) {
    return Status(Code::invalid,
                  "say where the adapter goes: -o NAME, a cube of your memory, or -o FILE.gguf");
  }
  if (!product.cube.empty()) TRY(check_name("the adapter's name", product.cube));
  return product;
}

AdapterFile adapter_of(const Parts& parts, const Model& model, std::string kind, float alpha, Json lesson) {
  AdapterFile file;
  file.note = {.kind = std::move(kind),
               .alpha = alpha,
               .base = model.name(),
               .family = model.shape().family,
               .fingerprint = model.fingerprint(),
               .lesson = std::move(lesson)};
  for (size_t i = 0; i < parts.size(); ++i) {
    const Part& part = parts[i];
    const size_t dot = part.role.rfind('.');
    file.tensors.push_back(
        {part.role.substr(0, dot), part.role.substr(dot + 1), part.rows, part.cols, part.value});
  }
  return file;
}

Status put_product(const Product& product, const AdapterFile& file, const Model& model, Ledger& ledger,
                   Json& lesson) {
  if (product.cube.empty()) {
    lesson.set("adapter", product.file);
    if (!product.peft) return write_adapter_gguf(posix_env(), product.file, file);
    const ModelShape& shape = model.shape();
    return write_adapter_peft(posix_env(), product.file, file,
                              permuted_heads(shape.family, shape.heads, shape.kv.kv_heads));
  }
  const auto home = TRY(
      product.home.open().with("storing what was learnt; the same command does it when the home is free"));
  AdapterCube cube{.name = product.cube, .why = "learnt", .from = product.from};
  const CubeHeader header = TRY(keep_adapter(home->cubes(), product.home.who, file, std::move(cube), ledger)
                                    .with("storing what was learnt"));
  lesson.set("adapter", product.cube).set("id", header.id.text()).set("version", int64_t(header.version));
  return {};
}

}  // namespace varve
