// y = x w^T. Weight rows go straight from their bytes into the sums (fast, or one row of x), or a few are
// decoded a tile at a time and used for all rows of x at hand. Each output has one Lanes that walks the
// columns in order, whatever the tiling: that is what makes a row's bits independent of its company.
#include <algorithm>

#include "math/codec/planes.h"
#include "math/ops/ops.h"
#include "math/ops/tile.h"
#include "math/ops/wide.h"

namespace varve {
namespace {

constexpr int32_t kGroup = 8;       // weight rows in flight
constexpr int32_t kStreamed = 256;  // of one row of x
constexpr int32_t kTile = 512;      // columns of a tile: whole panels, and whole blocks of every codec
constexpr int32_t kUnpackedRows = 4, kUnpacked = 4096;  // weight rows and columns: a first-level cache
constexpr int32_t kChunkRows = 64;                      // rows of x that share a decoded tile
constexpr int64_t kWorthATask = 1 << 20;  // in multiplications, where decoding a weight counts as 16

struct Job {
  Rows x;
  const Matrix& w;
  Rows y;
  bool add;
  const InputPanel* panels = nullptr;  // x in 8 bits, or null: exact
  int64_t panels_a_row = 0;
};

struct Tile {
  alignas(64) Lanes sums[kGroup * kChunkRows];
  alignas(64) float floats[kGroup * kTile];
};

void exact_tile(const Job& job, Tile& tile, int32_t first, int32_t rows, int32_t column, int32_t width) {
  for (int32_t i = 0; i < rows; ++i) {
    decode_part(job.w, first + i, column, width, tile.floats + i * kTile);
  }
  kernels().dot_f32(tile.floats, kTile, size_t(rows), RowsAccess::row(job.x, 0) + column,
                    size_t(RowsAccess::stride(job.x)), size_t(job.x.count()), size_t(width), tile.sums);
}

// Whether weight rows go straight from their bytes into the sums: inputs in 8 bits, or one of them.
bool streams(const Job& job) {
  const Codec& codec = *job.w.codec;
  return job.panels != nullptr || (job.x.count() == 1 && (multiplied_as(codec) || is_rf8(codec)));
}

void stream_coded(const Job& job, Tile& tile, int32_t first, int32_t rows) {
  const float* x = RowsAccess::row(job.x, 0);
  if (kernels().stream_coded != nullptr)
    return kernels().stream_coded(coded_row(job.w, first), size_t(rows), x, tile.sums);
  alignas(64) uint16_t part[kUnpackedRows * kUnpacked];
  for (int32_t row = 0; row < rows; row += kUnpackedRows) {
    const int32_t some = std::min(kUnpackedRows, rows - row);
    for (int32_t column = 0; column < job.w.cols; column += kUnpacked) {
      const auto width = size_t(std::min(kUnpacked, job.w.cols - column));
      for (int32_t i = 0; i < some; ++i)
        kernels().unpack_bf16(coded_row(job.w, first + row + i), size_t(column), width,
                              part + size_t(i) * width);
      kernels().stream_f32[size_t(Format::bf16)](part, 2 * width, size_t(some), x + column, width,
                                                 tile.sums + row);
    }
  }
}

// A few rows at a time are expanded in a first-level cache.
void stream_expanded(const Job& job, const Expansion& expand, Tile& tile, int32_t first, int32_t rows) {
  constexpr int32_t kWidth = kUnpacked / 2;
  BlockExpanded part[kUnpackedRows * panels_of(kWidth)];
  for (int32_t row = 0; row < rows; row += kUnpackedRows) {
    const int32_t some = std::min(kUnpackedRows, rows - row);
    for (int32_t column = 0; column < job.w.cols; column += kWidth) {
      const WeightRows weights =
          expand_rows(expand, job.w, first + row, some, column, std::min(kWidth, job.w.cols - column), part);
      side_kernels().stream_expanded(weights, job.panels + column / int32_t(kPanel), size_t(job.panels_a_row),
                                     size_t(job.x.count()), tile.sums + row * job.x.count());
    }
  }
}

void stream(const Job& job, Tile& tile, int32_t first, int32_t rows) {
  if (job.w.codec->coded()) return stream_coded(job, tile, first, rows);
  if (const auto expand = expansion_of(*job.w.codec)) return stream_expanded(job, *expand, tile, first, rows);
  const auto row_bytes = size_t(job.w.codec->bytes_for(job.w.cols));
  const std::byte* from = job.w.bytes.data() + size_t(first) * row_bytes;
  if (job.panels != nullptr) {
    const auto format = size_t(*job.w.codec->format());
    return kernels().stream_panels[format]({from, row_bytes, size_t(rows), size_t(job.w.cols)}, job.panels,
                                           size_t(job.panels_a_row), size_t(job.x.count()), tile.sums);
  }
  const auto stream =
      is_rf8(*job.w.codec) ? side_kernels().stream_rf8 : kernels().stream_f32[size_t(*job.w.codec->format())];
  stream(from, row_bytes, size_t(rows), RowsAccess::row(job.x, 0), size_t(job.w.cols), tile.sums);
}

static_assert(kStreamed <= kGroup * kChunkRows);

void product(const Job& job, int32_t first, int32_t rows) {  // of up to kGroup weight rows, or kStreamed
  Tile tile;
  std::fill_n(tile.sums, rows * job.x.count(), Lanes{});
  if (streams(job)) {
    stream(job, tile, first, rows);
  } else {
    for (int32_t column = 0; column < job.w.cols; column += kTile) {
      const int32_t width = std::min(kTile, job.w.cols - column);
      exact_tile(job, tile, first, rows, column, width);
    }
  }
  float out[kGroup * kChunkRows];
  kernels().finish(tile.sums, size_t(rows * job.x.count()), out);
  for (int32_t j = 0; j < job.x.count(); ++j) {
    float* y = RowsAccess::row(job.y, j) + first;
    for (int32_t i = 0; i < rows; ++i) {
      const float value = out[i * job.x.count() + j];
      y[i] = job.add ? y[i] + value : value;
    }
  }
}

// Weights in planes of bits, one row of x after another. False, and nothing done: they are none, or rows are
// wider than there is room for.
bool plane_product(ThreadPool& pool, Rows x, const Matrix& w, Rows y, bool add) {
  const size_t bits = planes_of(*w.codec), cols = size_t(w.cols);
  const size_t panels = (cols + kPanel - 1) / kPanel, blocks = cols / kPlaneValues;
  const std::span<std::byte> room = pool.staging();
  if (bits == 0 || panels * sizeof(InputPanel) + blocks * sizeof(PlaneTables) > room.size()) return false;
  auto* quantized = reinterpret_cast<InputPanel*>(room.data());
  auto* tables = reinterpret_cast<PlaneTables*>(quantized + panels);
  const size_t row_bytes = blocks * plane_block_bytes(bits);
  for (int32_t j = 0; j < x.count(); ++j) {
    kernels().quantize(RowsAccess::row(x, j), cols, quantized);
    plane_kernels().tables(quantized, kernels().turned, cols, tables);
    float* to = RowsAccess::row(y, j);
    pool.run((w.rows + kStreamed - 1) / kStreamed, [&](int64_t task) {
      const auto first = int32_t(task) * kStreamed;
      const int32_t rows = std::min(kStreamed, w.rows - first);
      float out[kStreamed];
      plane_kernels().multiply({w.bytes.data() + size_t(first) * row_bytes, row_bytes, size_t(rows), cols},
                               bits, tables, out);
      for (int32_t i = 0; i < rows; ++i) to[first + i] = add ? to[first + i] + out[i] : out[i];
    });
  }
  return true;
}

bool has_integer_kernel(const Codec& codec) {
  const auto format = multiplied_as(codec);
  return (format && kernels().stream_panels[size_t(*format)] != nullptr) || expansion_of(codec);
}

}  // namespace

void Ops::matmul_rows(Rows x, std::span<const Matrix> rows, Rows y) {
  CHECK(y.width() == int32_t(rows.size()) && x.count() == y.count(), "shapes of a product");
  if (rows.empty()) return;
  const Matrix& first = rows[0];
  check_matrix(first);
  CHECK(x.width() == first.cols, "shapes of a product");
  const int64_t panels = (first.cols + int64_t(kPanel) - 1) / int64_t(kPanel);
  auto* staged = reinterpret_cast<InputPanel*>(pool_.staging().data());
  const int64_t room = int64_t(pool_.staging().size() / sizeof(InputPanel)) / panels;
  const bool fast = precision_ == Precision::fast && has_integer_kernel(*first.codec) && room >= 1;
  const int32_t at_once = fast ? int32_t(std::min<int64_t>(room, kChunkRows)) : kChunkRows;
  for (int32_t from = 0; from < x.count(); from += at_once) {
    const int32_t count = std::min(at_once, x.count() - from);
    const Rows own = x.slice(from, count), out = y.slice(from, count);
    if (fast) {
      each_row(own, first.cols, [&](int32_t row) {
        kernels().quantize(RowsAccess::row(own, row), size_t(first.cols), staged + row * panels);
      });
    }
    const auto per_task = int64_t(kWorthATask / (int64_t(first.cols) * (16 + count)) + 1);
    pool_.run((int64_t(rows.size()) + per_task - 1) / per_task, [&](int64_t task) {
      const int64_t end = std::min((task + 1) * per_task, int64_t(rows.size()));
      for (int64_t i = task * per_task; i < end; ++i)
        product({own, rows[size_t(i)], out.columns(int32_t(i), 1), false, fast ? staged : nullptr, panels}, 0,
                1);
    });
  }
}

void Ops::matmul(Rows x, const Matrix& w, Rows y, bool add) {
  check_matrix(w);
  CHECK(x.width() == w.cols && y.width() == w.rows && x.count() == y.count(), "shapes of a product");
  if (precision_ == Precision::fast && plane_product(pool_, x, w, y, add)) return;
  if (reading_ && precision_ == Precision::fast && wide_of(*w.codec)) return read_product(x, w, y, add);
  const int64_t panels = (w.cols + int64_t(kPanel) - 1) / int64_t(kPanel);
  auto* staged = reinterpret_cast<InputPanel*>(pool_.staging().data());
  const int64_t room = int64_t(pool_.staging().size() / sizeof(InputPanel)) / std::max<int64_t>(panels, 1);
  const bool fast = precision_ == Precision::fast && has_integer_kernel(*w.codec) && room >= 1;
  const int32_t at_once = fast ? int32_t(std::min<int64_t>(room, kChunkRows)) : kChunkRows;

  for (int32_t from = 0; from < x.count(); from += at_once) {
    const int32_t count = std::min(at_once, x.count() - from);
    Job job{x.slice(from, count), w, y.slice(from, count), add};
    if (fast) {
      job.panels = staged, job.panels_a_row = panels;
      each_row(job.x, w.cols, [&](int32_t row) {
        kernels().quantize(RowsAccess::row(job.x, row), size_t(w.cols), staged + row * panels);
      });
    }
    // Small tasks even out uneven cores, but none so small that waking a thread for it costs more.
    const int32_t groups = (w.rows + kGroup - 1) / kGroup;
    const int64_t worth = kWorthATask / (std::max<int64_t>(w.cols, 1) * kGroup * (16 + count)) + 1;
    const auto per_task = int32_t(std::max<int64_t>(worth, groups / (16 * pool_.threads())));
    pool_.run((groups + per_task - 1) / per_task, [&](int64_t task) {
      const auto begin = int32_t(task) * per_task * kGroup;
      const int32_t end = std::min(begin + per_task * kGroup, w.rows);
      const int32_t at_a_time = job.x.count() == 1 && streams(job) ? kStreamed : kGroup;
      for (int32_t row = begin; row < end; row += at_a_time)
        product(job, row, std::min(at_a_time, end - row));
    });
  }
}

}  // namespace varve
