// The three products of a linear map. Both factors are packed: the right one a group of panels at a time, on
// all threads, into the work buffer; the left one by the task that multiplies it, on its stack. A task walks
// the depth in stretches while its rows of the result stay near.
#include <vector>

#include "math/ops/factor.h"
#include "math/ops/train.h"

namespace varve {
namespace {

constexpr int64_t kWork = 8 << 20;  // of packed right panels
constexpr int64_t kDepth = 512;     // of a stretch: two panels of it fit a first-level cache
constexpr int64_t kLeftRows = 256;  // of a task, at most
// A group of right panels begins at a whole block of every codec, also where its columns are a weight's.
constexpr int64_t kWholePanels = kDecoded / int64_t(kTileSize);
constexpr int64_t kStretchValues = kWholePanels * kDepth * int64_t(kTileSize);  // of the least group
constexpr int64_t kMostStretches = kWork / 2 / kStretchValues;
static_assert(kMostStretches >= 1 && kDepth % kDecoded == 0);

// Where the depth is many stretches, all packed panels pass by for each task: larger tasks.
int64_t rows_a_task(int64_t rows, int64_t depth, int threads) {
  const int64_t even = tiles(rows, size_t((depth > 2 * kDepth ? 2 : 4) * threads));
  return std::clamp<int64_t>(tiles(even, 32) * 32, 32, depth > 2 * kDepth ? kLeftRows : kLeftRows / 2);
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

// Right panels, stretch after stretch of their depth.
struct Group {
  int64_t panel, panels, deep, depths;
  int64_t stretches() const { return tiles(depths, kDepth); }
  PanelRange stretch(int64_t index) const {
    const int64_t some = std::min(kDepth, depths - index * kDepth);
    return {panel, panels, deep + index * kDepth, some, tiles(some, kTileDepth) * int64_t(kTileValues)};
  }
  uint16_t* at(uint16_t* packed, int64_t index) const {
    return packed + index * panels * kDepth * int64_t(kTileSize);
  }
  static int64_t most_panels(int64_t depths) {
    const int64_t values = (depths <= kDepth ? tiles(depths, kTileDepth) * int64_t(kTileDepth)
                                             : tiles(depths, kDepth) * kDepth) *
                           int64_t(kTileSize);
    return kWork / 2 / values / kWholePanels * kWholePanels;
  }
};

// Packs it on all threads: rows of the source that are neighbours go to one task.
void pack_group(ThreadPool& pool, const Factor& f, const Group& group, uint16_t* out) {
  const int64_t parts = tiles(2 * pool.threads(), size_t(group.stretches()));  // of a stretch
  pool.run(parts * group.stretches(), [&](int64_t task) {
    PanelRange part = group.stretch(task / parts);
    uint16_t* to = group.at(out, task / parts);
    const int64_t index = task % parts;
    if (f.deep_rows()) {
      const int64_t step = tiles(tiles(part.depths, size_t(parts)), kTileDepth) * int64_t(kTileDepth);
      to += index * step * int64_t(kTileSize);
      part.deep += index * step, part.depths = std::min(step, part.depths - index * step);
    } else {
      const int64_t step = tiles(part.panels, size_t(parts));
      to += index * step * part.apart;
      part.panel += index * step, part.panels = std::min(step, part.panels - index * step);
    }
    if (part.panels > 0 && part.depths > 0) pack_panels(f, part, to);
  });
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
  const int64_t all = tiles(right.size, kTileSize),
                per_task = rows_a_task(left.size, left.depth, pool_.threads());
  for (int64_t deep = 0; deep < left.depth; deep += kMostStretches * kDepth) {
    Group group{0, 0, deep, std::min(kMostStretches * kDepth, left.depth - deep)};
    for (; group.panel < all; group.panel += group.panels) {
      group.panels = std::min(Group::most_panels(group.depths), all - group.panel);
      const int64_t column = group.panel * int64_t(kTileSize);
      const int64_t columns = std::min(right.size - column, group.panels * int64_t(kTileSize));
      pack_group(pool_, right, group, packed);
      pool_.run(tiles(left.size, size_t(per_task)), [&](int64_t task) {
        alignas(64) uint16_t block[kLeftRows * kDepth];
        const int64_t row = task * per_task, rows = std::min(per_task, left.size - row);
        float* to = RowsAccess::row(out, int32_t(row)) + column;
        for (int64_t i = 0; i < group.stretches(); ++i) {
          PanelRange part = group.stretch(i);
          part.panel = row / int64_t(kTileSize), part.panels = tiles(rows, kTileSize);
          pack_panels(left, part, block);
          kernels().multiply(block, size_t(rows), group.at(packed, i), size_t(columns),
                             size_t(part.apart / int64_t(kTileValues)), to, size_t(RowsAccess::stride(out)),
                             add || deep + i > 0);
        }
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
