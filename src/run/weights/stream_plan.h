// What a store that streams plans: how much of a model stays in memory, how much is read for every pass, and
// how fast that can be.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "run/weights/rates.h"

namespace varve {

struct StreamCounts {  // since the store was opened
  int64_t read_bytes = 0, reads = 0;
  int64_t resident_bytes = 0;  // of matrices, now
  double waited_seconds = 0;   // of whoever computes, for the disk
  // Of parts of experts: how many were asked for, were in memory then, and were read because they were
  // expected.
  int64_t routed = 0, routed_there = 0, routed_foreseen = 0;
  // Of neurons: how many could have fired, did, were in memory then, and how they were read.
  int64_t neurons = 0, fired = 0, fired_there = 0;
  int64_t neuron_reads = 0, neuron_read_bytes = 0;
};

struct StreamPlan {
  struct Group {  // all matrices of a kind: "blk.*.ffn_up"
    std::string roles;
    int64_t bytes = 0, resident = 0;
  };
  std::vector<Group> groups;   // of a pass, in the order of their use
  int64_t pass_bytes = 0;      // of matrices that every pass uses
  int64_t resident_bytes = 0;  // of them, what stays
  int64_t by_row_bytes = 0;    // tables of which a few rows are read
  int64_t routed_bytes = 0;    // experts, read when they are chosen
  int64_t neuron_bytes = 0;    // of networks of which only what fires is read
  int64_t neuron_room = 0;     // for those that fired lately, beside what stays
  int64_t neuron_row = 0;      // bytes of one
  int64_t neuron_count = 0;
  std::string neuron_word;  // why a file of neurons is not used
  RowRate neuron_rate;
  int64_t ring_bytes = 0;    // of buffers that reads go to
  int64_t vector_bytes = 0;  // norms and biases, always there
  DiskRate disk;
  bool direct = true;       // past the page cache
  std::string word;         // why not, when not
  double product_rate = 0;  // bytes of weights a second that one row passes
  bool leaves_out = false;  // what does not stay is left out, not read: residual blocks (stacked.h)

  int64_t streamed_bytes() const { return leaves_out ? 0 : pass_bytes - resident_bytes; }
  double neuron_reads_per_second() const {
    return neuron_rate.seconds_a_read > 0 ? 1 / neuron_rate.seconds_a_read : 0;
  }
  // As measured so far; 0 before anything fired. A token passes every neuron once.
  int64_t neuron_bytes_a_token(const StreamCounts& counts) const {
    const double tokens =
        neuron_row > 0 ? double(counts.neurons) / double(std::max<int64_t>(neuron_count, 1)) : 0;
    return tokens > 0 ? int64_t(double(counts.neuron_read_bytes) / tokens) : 0;
  }
  // What a token has of neurons, as counted so far. Before any was: a tenth fires, any as likely as another,
  // and so much of it is there as there is room.
  struct Firing {
    double neurons = 0, reads = 0;
  };
  Firing firing_a_token(const StreamCounts& counts) const {
    constexpr double kFiring = .1;
    if (neuron_count == 0) return {};
    const double all = double(neuron_count), passes = double(counts.neurons) / all;
    if (passes > 0) return {double(counts.fired) / passes, double(counts.neuron_reads) / passes};
    const double there = std::min(1.0, double(neuron_room) / (all * double(neuron_row)));
    return {kFiring * all, kFiring * all * (1 - there)};
  }
  double read_seconds(const StreamCounts& counts = {}) const {
    const double streamed = streamed_bytes() > 0 ? double(streamed_bytes()) / disk.bytes_per_second : 0;
    return streamed + firing_a_token(counts).reads * neuron_rate.seconds_a_read;
  }
  double compute_seconds(const StreamCounts& counts = {}) const {
    const double bytes = double(pass_bytes) + firing_a_token(counts).neurons * double(neuron_row);
    return product_rate > 0 ? bytes / product_rate : 0;
  }
  // Of one sequence: reading and computing overlap.
  double tokens_per_second(const StreamCounts& counts = {}) const {
    const double longest = std::max(read_seconds(counts), compute_seconds(counts));
    return longest > 0 ? 1 / longest : 0;
  }
};

// Which parts of experts leave first: those that were not taken, nor expected, since all were last forgotten
// (marking), or those that were taken longest ago.
enum class Leaving : uint8_t { unmarked, oldest };

class Streaming {  // the side of a WeightStore that streams by a plan
 public:
  virtual ~Streaming() = default;
  virtual StreamPlan plan() const = 0;
  virtual StreamCounts counts() const = 0;
  // So many bytes of matrices stay from now on: those beyond leave at once, those that may come do so as they
  // are read next. Never a wrong byte, whatever runs meanwhile.
  virtual void keep(int64_t bytes) = 0;
  // For measurements: how experts stay from now on, and whether those that are expected are read ahead. As it
  // is, the first rule, and they are.
  virtual void route_by(Leaving, bool /*ahead*/) {}
};

}  // namespace varve
