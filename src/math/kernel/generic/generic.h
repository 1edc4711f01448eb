// The parts of the generic table; each fills its rows.
#pragma once

#include "math/kernel/kernel.h"

namespace varve::generic {

void add_formats(Kernels& table);
void add_coded(Kernels& table);
WeightPanel panel_of(Format format, const void* bytes, size_t values);  // of blocks, up to kPanel
void add_panel(const WeightPanel& w, const InputPanel& x, Lanes& sum);
void add_products(Kernels& table);
void add_rows(Kernels& table);
void add_tiles(Kernels& table);
void add_back(Kernels& table);
void add_attend(Kernels& table);

}  // namespace varve::generic
