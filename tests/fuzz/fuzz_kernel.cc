// Every instruction set must make the same of any bytes: floats bit by bit, products within rounding.
// Input: a byte for the format, then blocks, which also serve as activations.
#include <cmath>
#include <cstring>
#include <vector>

#include "math/kernel/generic/generic.h"
#include "math/kernel/planes.h"
#include "tests/fuzz/fuzz.h"

using namespace varve;

namespace {

struct Input {
  size_t format, values, panels;
  const uint8_t* blocks;
  std::vector<float> x;
};

bool same(const float* a, const float* b, size_t n) {
  for (size_t i = 0; i < n; ++i) {
    const bool nan = std::isnan(a[i]) && std::isnan(b[i]);  // a NaN is any NaN
    if (!nan && std::memcmp(a + i, b + i, 4) != 0) return false;
  }
  return true;
}
// Where value i of a panel of inputs lies.
size_t place(const Kernels& table, size_t i) {
  return table.turned ? i % 16 / 4 * 64 + i / 16 * 4 + i % 4 : i;
}
bool same(const InputPanel& a, const InputPanel& truth, const Kernels& table) {
  for (size_t i = 0; i < kPanel; ++i) {
    if (a.q[place(table, i)] != truth.q[i]) return false;
  }
  return same(a.scale, truth.scale, 16) && same(a.sum, truth.sum, 16);
}

// All of the bytes as rows of bit planes: the same bits everywhere.
void check_planes(const uint8_t* bytes, size_t size) {
  const size_t bits = 1 + bytes[0] / 8 % 8, block = plane_block_bytes(bits);
  const size_t blocks = 1 + bytes[0] / 64, n = blocks * kPlaneValues, row_bytes = blocks * block;
  const size_t rows = std::min<size_t>((size - 1) / row_bytes, 20);
  if (rows == 0) return;
  std::vector<float> x(n), truth(rows), out(rows);
  for (size_t i = 0; i < n; ++i) x[i] = float(int8_t(bytes[1 + i % (size - 1)])) / 16;
  std::vector<InputPanel> panels((n + kPanel - 1) / kPanel);
  std::vector<PlaneTables> tables(blocks);
  for (const char* isa : kIsaNames) {
    const Kernels* table = kernels_for(isa);
    if (table == nullptr) continue;
    table->quantize(x.data(), n, panels.data());
    plane_kernels(isa).tables(panels.data(), table->turned, n, tables.data());
    plane_kernels(isa).multiply({bytes + 1, row_bytes, rows, n}, bits, tables.data(), out.data());
    if (table == kernels_for("generic")) truth = out;
    CHECK(same(out.data(), truth.data(), rows), "products of planes differ");
  }
}

struct Made {  // by one instruction set
  std::vector<float> decoded;
  std::vector<InputPanel> x;
  float fast = 0, exact = 0;
};

Made make(const Kernels& table, const Input& input) {
  Made made{std::vector<float>(input.values), std::vector<InputPanel>(input.panels)};
  table.decode[input.format](input.blocks, input.values, made.decoded.data());
  table.quantize(input.x.data(), input.values, made.x.data());
  Lanes fast{}, exact{};
  table.dot_f32(made.decoded.data(), 0, 1, input.x.data(), 0, 1, input.values, &exact);
  table.finish(&exact, 1, &made.exact);
  if (table.stream_panels[input.format] == nullptr) return made;
  table.stream_panels[input.format]({input.blocks, 0, 1, input.values}, made.x.data(), 0, 1, &fast);
  table.finish(&fast, 1, &made.fast);
  return made;
}

bool close(float a, float b, double size) {
  if (!(size < 1e37)) return true;  // where f32 overflows, the order of additions decides
  return std::abs(double(a) - double(b)) <= 4e-6 * size;
}

// All of the bytes as one row of bf16 in fewer bytes, where they can be one.
void check_coded(const uint8_t* bytes, size_t size) {
  const size_t n = kCodedValues * (1 + bytes[0] % 8), least = 1 + n / kCodedValues * sizeof(CodedGroup);
  if (size < 1 + least || size > 1 + least + n) return;
  const CodedRow row{bytes + 1, size - 1, n};
  std::vector<uint16_t> truth(n), values(n);
  kernels_generic().unpack_bf16(row, 0, n, truth.data());
  for (const char* isa : kIsaNames) {
    const Kernels* table = kernels_for(isa);
    if (table == nullptr) continue;
    table->unpack_bf16(row, 0, n, values.data());
    CHECK(values == truth, "values of a coded row differ");
    Lanes sum{};
    const std::vector<float> x(n, 1.f);
    if (table->stream_coded != nullptr) table->stream_coded(row, 1, x.data(), &sum);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  if (size < 1) return 0;
  check_coded(bytes, size);
  check_planes(bytes, size);
  Input input{.format = bytes[0] % kFormats, .values = 0, .panels = 0, .blocks = bytes + 1, .x = {}};
  const FormatShape& shape = kShapes[input.format];
  input.values = std::min<size_t>((size - 1) / shape.bytes, 64) * shape.values;
  input.panels = (input.values + kPanel - 1) / kPanel;
  input.x.resize(input.values);
  for (size_t i = 0; i < input.values; ++i) input.x[i] = float(int8_t(bytes[1 + i % (size - 1)])) / 16;

  const Made truth = make(kernels_generic(), input);
  double exact = 1e-30, fast = 1e-30;
  for (size_t i = 0; i < input.values; ++i) exact += std::abs(double(truth.decoded[i]) * double(input.x[i]));
  for (size_t at = 0; at < input.panels; ++at) {
    const size_t values = std::min(kPanel, input.values - at * kPanel);
    const auto* from = input.blocks + at * kPanel / shape.values * shape.bytes;
    const WeightPanel w = generic::panel_of(Format(input.format), from, values);
    const InputPanel& x = truth.x[at];
    for (size_t i = 0; i < 16; ++i) {
      fast += 16. * 255 * 127 * std::abs(double(w.scale[i]) * double(x.scale[i]));
      fast += std::abs(double(w.min[i]) * double(x.sum[i]));
    }
  }
  for (const char* isa : kIsaNames) {
    const Kernels* table = kernels_for(isa);
    if (table == nullptr) continue;
    const Made made = make(*table, input);
    CHECK(same(made.decoded.data(), truth.decoded.data(), input.values), "floats differ");
    for (size_t i = 0; i < input.panels; ++i) {
      CHECK(same(made.x[i], truth.x[i], *table), "input panels differ");
    }
    CHECK(close(made.exact, truth.exact, exact), "a product of floats differs");
    CHECK(close(made.fast, truth.fast, fast), "a product of panels differs");
  }
  return 0;
}
