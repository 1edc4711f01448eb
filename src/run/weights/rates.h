// What streaming can give on this machine: a cost model of the disk and the speed of products, both measured
// in a moment, on the file that will be streamed.
#pragma once

#include <span>

#include "core/io/env.h"
#include "math/ops/matrix.h"

namespace varve {

// A read of so many bytes takes first_byte_seconds + bytes / bytes_per_second, when `readers` are at work.
struct DiskRate {
  double bytes_per_second = 0, first_byte_seconds = 0;
  int64_t read_bytes = 0;  // the smallest reads, and
  int32_t readers = 1;     // the fewest at a time, that come near the best rate
};

// Of many short reads here and there, `readers` at a time: one begins so many seconds after the other. What
// lies between two rows is read along where that takes less time than another read.
struct RowRate {
  double seconds_a_read = 0;
  int32_t readers = 1;
  int64_t gap_bytes = 0;
};
Result<RowRate> measure_rows(const File& file, int64_t row_bytes, std::span<std::byte> room);

// Reads here and there in the file for a few tenths of a second. `room` is aligned to kDirectBytes; no read
// is larger than a share of it.
Result<DiskRate> measure_disk(const File& file, std::span<std::byte> room);
// Bytes a second, read as `how` says.
Result<double> measure_reads(const File& file, const DiskRate& how, std::span<std::byte> room,
                             double seconds);

// Bytes of weights that a product of one row passes in a second, with all cores: the weights are `bytes`.
Result<double> measure_product(const Codec& codec, int32_t cols, std::span<const std::byte> bytes,
                               Ledger& ledger);

}  // namespace varve
