// Moving rows about, the border to the host, and where rows come from.
#include <algorithm>

#include "math/ops/ops.h"
#include "math/ops/tile.h"

namespace varve {
namespace {

constexpr int64_t kWorthAThread = 1 << 15;  // values; below, waking a worker costs more than it saves
float* row(Rows rows, int32_t index) {
  return RowsAccess::row(rows, index);
}

void check_same(Rows x, Rows y) {
  CHECK(x.count() == y.count() && x.width() == y.width(), "rows of unequal shape");
}
void check_columns(Rows wide, std::span<const int32_t> columns, Rows narrow) {
  CHECK(wide.count() == narrow.count() && int32_t(columns.size()) == narrow.width(), "shapes of columns");
  for (int32_t column : columns) CHECK(column >= 0 && column < wide.width(), "no such column");
}
void check_row(int32_t index, Rows rows) {
  CHECK(index >= 0 && index < rows.count(), "no such row");
}

}  // namespace

// cost: of one row, in about the time of touching a value.
void Ops::each_row(Rows x, int64_t cost, const std::function<void(int32_t)>& task) {
  const int64_t per_task = std::max<int64_t>(1, kWorthAThread / std::max<int64_t>(cost, 1));
  pool_.run((x.count() + per_task - 1) / per_task, [&](int64_t one) {
    const int64_t end = std::min<int64_t>((one + 1) * per_task, x.count());
    for (int64_t i = one * per_task; i < end; ++i) task(int32_t(i));
  });
}

void Ops::gather(const Matrix& table, std::span<const int32_t> rows, Rows out) {
  check_matrix(table);
  CHECK(int32_t(rows.size()) == out.count() && table.cols == out.width(), "shapes of a gather");
  each_row(out, 2 * out.width(), [&](int32_t i) {
    CHECK(rows[size_t(i)] >= 0 && rows[size_t(i)] < table.rows, "no such row");
    decode_part(table, rows[size_t(i)], 0, table.cols, row(out, i));
  });
}

void Ops::gather_rows(Rows in, std::span<const int32_t> rows, Rows out) {
  CHECK(int32_t(rows.size()) == out.count() && in.width() == out.width(), "shapes of a gather");
  for (int32_t i = 0; i < out.count(); ++i) {
    check_row(rows[size_t(i)], in);
    std::copy_n(row(in, rows[size_t(i)]), in.width(), row(out, i));
  }
}

void Ops::scatter_add(Rows in, std::span<const int32_t> rows, std::span<const float> weights, Rows out) {
  CHECK(int32_t(rows.size()) == in.count() && rows.size() == weights.size() && in.width() == out.width(),
        "shapes of a scatter");
  for (int32_t i = 0; i < in.count(); ++i) {
    check_row(rows[size_t(i)], out);
    kernels().mix(&weights[size_t(i)], 1, row(in, i), 0, size_t(in.width()), row(out, rows[size_t(i)]));
  }
}

void Ops::add(Rows x, Rows y) {
  check_same(x, y);
  each_row(x, x.width(), [&](int32_t i) {
    float *to = row(y, i), *from = row(x, i);
    for (int32_t j = 0; j < x.width(); ++j) to[j] += from[j];
  });
}

void Ops::times(Rows x, Rows y) {
  check_same(x, y);
  each_row(x, x.width(), [&](int32_t i) {
    float *to = row(y, i), *by = row(x, i);
    for (int32_t j = 0; j < x.width(); ++j) to[j] *= by[j];
  });
}

void Ops::scale_columns(Rows x, std::span<const float> by) {
  CHECK(int32_t(by.size()) == x.width(), "a factor for each column");
  each_row(x, x.width(), [&](int32_t i) {
    float* to = row(x, i);
    for (int32_t j = 0; j < x.width(); ++j) to[j] *= by[size_t(j)];
  });
}

void Ops::gather_columns(Rows in, std::span<const int32_t> columns, Rows out) {
  check_columns(in, columns, out);
  each_row(out, 2 * out.width(), [&](int32_t i) {
    const float* from = row(in, i);
    float* to = row(out, i);
    for (size_t j = 0; j < columns.size(); ++j) to[j] = from[columns[j]];
  });
}

void Ops::add_to_columns(Rows in, std::span<const int32_t> columns, Rows out) {
  check_columns(out, columns, in);
  each_row(in, 2 * in.width(), [&](int32_t i) {
    const float* from = row(in, i);
    float* to = row(out, i);
    for (size_t j = 0; j < columns.size(); ++j) to[columns[j]] += from[j];
  });
}

void Ops::copy(Rows x, Rows y) {
  check_same(x, y);
  each_row(x, x.width(), [&](int32_t i) { std::copy_n(row(x, i), x.width(), row(y, i)); });
}

void Ops::scale(Rows x, float factor) {
  each_row(x, x.width(), [&](int32_t i) { kernels().scale(row(x, i), factor, size_t(x.width())); });
}

void Ops::clamp(Rows x, float low, float high) {
  for (int32_t i = 0; i < x.count(); ++i) {
    float* values = row(x, i);
    for (int32_t j = 0; j < x.width(); ++j) values[j] = std::clamp(values[j], low, high);
  }
}

void Ops::fill(Rows x, float value) {
  each_row(x, x.width(), [&](int32_t i) { std::fill_n(row(x, i), x.width(), value); });
}

void Ops::mean(Rows x, std::span<float> out) {
  CHECK(int32_t(out.size()) == x.width() && x.count() > 0, "shapes of a mean");
  for (int32_t j = 0; j < x.width(); ++j) {
    double sum = 0;
    for (int32_t i = 0; i < x.count(); ++i) sum += double(row(x, i)[j]);
    out[size_t(j)] = float(sum / x.count());
  }
}

void Ops::load(std::span<const float> values, Rows out) {
  CHECK(int64_t(values.size()) == int64_t(out.count()) * out.width(), "shapes of a load");
  for (int32_t i = 0; i < out.count(); ++i) {
    std::copy_n(values.data() + int64_t(i) * out.width(), out.width(), row(out, i));
  }
}

void Ops::store(Rows x, std::span<float> out) {
  CHECK(int64_t(out.size()) == int64_t(x.count()) * x.width(), "shapes of a store");
  for (int32_t i = 0; i < x.count(); ++i) {
    std::copy_n(row(x, i), x.width(), out.data() + int64_t(i) * x.width());
  }
}

void Ops::encode(Rows x, const Codec& codec, std::span<std::byte> out) {
  CHECK(x.width() % int32_t(codec.block_values()) == 0, "a row is whole blocks");
  const int64_t bytes = codec.bytes_for(x.width());
  CHECK(int64_t(out.size()) == bytes * x.count(), "shapes of an encode");
  for (int32_t i = 0; i < x.count(); ++i) {
    codec.encode({row(x, i), size_t(x.width())}, out.subspan(size_t(i * bytes), size_t(bytes)));
  }
}

Result<Scratch> Scratch::make(Ledger& ledger, int64_t bytes) {
  Scratch scratch;
  scratch.buffer_ = TRY(Buffer::make(ledger, Tag::scratch, bytes));
  return scratch;
}

Rows Scratch::take(int32_t count, int32_t width) {
  CHECK(count >= 0 && width >= 0, "rows of a negative size");
  const int64_t bytes = bytes_for(count, width);
  CHECK(bytes <= buffer_.size() - used_, "a scratch was planned too small");
  auto* floats = reinterpret_cast<float*>(buffer_.bytes().data() + used_);
  used_ += bytes;
  return RowsAccess::make(floats, count, width, width);
}

}  // namespace varve
