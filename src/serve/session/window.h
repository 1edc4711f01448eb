// Window: how much of a long conversation stands in the prompt. Oldest turns leave first, whole, and in large
// steps, so that the prompt's beginning - whose KV is reused - moves rarely.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace varve {

// `costs`: tokens of each turn, oldest first. Returns the first turn that stays. When the turns outgrow
// `room`, they are cut to half of it. A function of the costs alone: a restart finds the same window.
size_t window_start(std::span<const int32_t> costs, int32_t room);

}  // namespace varve
