// The three products of a linear map. Both factors are packed: the right one a group of panels at a time, on
// all threads, into the work buffer; the left one by the task that multiplies it, on its stack.
#include <vector>

#include "math/ops/factor.h"
#include "math/ops/train.h"

namespace varve {
namespace {

constexpr int64_t kWork = 1 << 20;  // of packed right panels: with a left block they fit a second-level cache
constexpr int64_t kDepth = 1024;    // of a panel at once
constexpr int64_t kLeftRows = 128;  // of a task
// A group of right panels begins at a whole block of every codec, also where its columns are a weight's.
constexpr int64_t kWholePanels = kDecoded / int64_t(kTileSize);
static_assert(kWholePanels * kDepth * int64_t(kTileSize) * 2 <= kWork);

int64_t rows_a_task(int64_t rows, int threads) {
  const int64_t even = tiles(rows, size_t(4 * threads));
  return std::clamp<int64_t>(tiles(even, 32) * 32, 32, kLeftRows);
}

Factor of_rows(Pack how, Rows rows) {
  const bool turned = how == Pack::left_turned || how == Pack::right;
  return {how,
          turned ? rows.width() : rows.count(),
          turned ? rows.count() : rows.width(),
          RowsAccess::row(rows, 0),
          RowsAccess::stride(rows),
          nullptr};
}
Factor of_weight(Pack how, const Matrix& w) {
  check_matrix(w);
  const bool turned = how == Pack::right;
  Factor factor{how, turned ? w.cols : w.rows, turned ? w.rows : w.cols, nullptr, w.cols, &w};
  if (w.codec->format() == Format::f32) factor.from = reinterpret_cast<const float*>(w.bytes.data());
  return factor;
}

// Packs a range on all threads: rows of the source that are neighbours go to one task.
void pack_all(ThreadPool& pool, const Factor& f, const PanelRange& range, uint16_t* out) {
  const int64_t parts = 2 * pool.threads();
  if (f.deep_rows()) {
    const int64_t step = tiles(tiles(range.depths, size_t(parts)), kTileDepth) * int64_t(kTileDepth);
    pool.run(tiles(range.depths, size_t(step)), [&](int64_t task) {
      PanelRange part = range;
      part.deep += task * step, part.depths = std::min(step, range.depths - task * step);
      pack_panels(f, part, out + task * step * int64_t(kTileSize));
    });
  } else {
    const int64_t step = tiles(range.panels, size_t(parts));
    pool.run(tiles(range.panels, size_t(step)), [&](int64_t task) {
      PanelRange part = range;
      part.panel += task * step, part.panels = std::min(step, range.panels - task * step);
      pack_panels(f, part, out + task * step * range.apart);
    });
  }
}

}  // namespace

int64_t TrainOps::work_bytes() {
  return kWork;
}

Result<TrainOps> TrainOps::make(ThreadPool& pool, Ledger& ledger, Precision precision) {
  Buffer work = TRY(Buffer::make(ledger, Tag::scratch, kWork));
  return TrainOps(pool, precision, std::move(work));
}

void TrainOps::packed_product(const Factor& left, const Factor& right, Rows out, bool add) {
  auto* packed = reinterpret_cast<uint16_t*>(work_.bytes().data());
  const int64_t all = tiles(right.size, kTileSize), per_task = rows_a_task(left.size, pool_.threads());
  for (int64_t deep = 0; deep < left.depth; deep += kDepth) {
    const int64_t depths = std::min(kDepth, left.depth - deep), depth = tiles(depths, kTileDepth);
    const int64_t apart = depth * int64_t(kTileValues),
                  group = kWork / 2 / apart / kWholePanels * kWholePanels;
    for (int64_t panel = 0; panel < all; panel += group) {
      const int64_t panels = std::min(group, all - panel), column = panel * int64_t(kTileSize);
      const int64_t columns = std::min(right.size - column, panels * int64_t(kTileSize));
      pack_all(pool_, right, {panel, panels, deep, depths, apart}, packed);
      pool_.run(tiles(left.size, size_t(per_task)), [&](int64_t task) {
        alignas(64) uint16_t block[kLeftRows * kDepth];
        const int64_t row = task * per_task, rows = std::min(per_task, left.size - row);
        pack_panels(left, {row / int64_t(kTileSize), tiles(rows, kTileSize), deep, depths, apart}, block);
        kernels().multiply(block, size_t(rows), packed, size_t(columns), size_t(depth),
                           RowsAccess::row(out, int32_t(row)) + column, size_t(RowsAccess::stride(out)),
                           add || deep > 0);
      });
    }
  }
}

void TrainOps::product(Rows x, const Matrix& w, Rows y, bool add) {
  if (precision_ == Precision::exact) return ops_.matmul(x, w, y, add);
  CHECK(x.width() == w.cols && y.width() == w.rows && x.count() == y.count(), "shapes of a product");
  packed_product(of_rows(Pack::left, x), of_weight(Pack::right_turned, w), y, add);
}

void TrainOps::product_back(Rows d, const Matrix& w, Rows dx, bool add) {
  if (precision_ == Precision::exact) return ops_.matmul_back(d, w, dx, add);
  CHECK(d.width() == w.rows && dx.width() == w.cols && d.count() == dx.count(), "shapes of a product");
  packed_product(of_rows(Pack::left, d), of_weight(Pack::right, w), dx, add);
}

void TrainOps::outer_add(Rows d, Rows x, std::span<float> dw) {
  CHECK(d.count() == x.count() && int64_t(dw.size()) == int64_t(d.width()) * x.width(),
        "shapes of a product");
  if (precision_ == Precision::bf16) {
    const Rows out = RowsAccess::make(dw.data(), d.width(), x.width(), x.width());
    return packed_product(of_rows(Pack::left_turned, d), of_rows(Pack::right, x), out, true);
  }
  pool_.run(d.width(), [&](int64_t row) {
    std::vector<float> factors(size_t(d.count()));
    for (int32_t i = 0; i < d.count(); ++i) factors[size_t(i)] = RowsAccess::row(d, i)[row];
    kernels().mix(factors.data(), factors.size(), RowsAccess::row(x, 0), size_t(RowsAccess::stride(x)),
                  size_t(x.width()), dw.data() + row * x.width());
  });
}

}  // namespace varve
