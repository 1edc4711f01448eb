// KvSelector: which pages a query reads. It says what a full page is remembered by and how a query looks at
// that; Selection (run/kv/selection.h) keeps it, ranks the pages and estimates what is not read.
//
// Nothing is dropped: the next query may read other pages. A prompt reads all; a written token selects.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/base/registry.h"

namespace varve {

// How many pages a query reads of each lane. The newest page, which is not full, is read besides.
struct SelectPlan {
  int32_t pages = 64;    // the best of the rest
  int32_t sinks = 1;     // the first
  int32_t window = 4;    // the newest
  int32_t estimate = 0;  // tokens whose mean stands for them where they are not read; 0: they are left out
  int32_t near = 0;      // pages on either side that come with a chosen one
  int32_t coarse = 0;    // pages that are looked at together first; 0: every page is looked at
};

class KvSelector {
 public:
  virtual ~KvSelector() = default;
  SelectPlan plan;

  // A page is remembered by `rows` rows of `width` values; 0 rows: by nothing.
  struct Shape {
    int32_t rows = 0, width = 0;
  };
  virtual Shape shape(int32_t key_dim) const = 0;
  // keys [tokens][key_dim] of a page to out [rows][width].
  virtual void remember(std::span<const float> keys, int32_t key_dim, std::span<float> out) const = 0;
  // A query as the rows see it: its product with a row says how large a logit behind it is.
  virtual void look(std::span<const float> query, std::span<float> out) const = 0;
};

const Registry<KvSelector>& kv_selectors();

namespace kv_select {  // one file a method, one line in all.def
using Made = Registry<KvSelector>::Made;
// The options that all have: pages, sinks, window, estimate, near, coarse.
Result<SelectPlan> read_plan(const Spec& spec, SelectPlan plan = {});
}  // namespace kv_select

}  // namespace varve
