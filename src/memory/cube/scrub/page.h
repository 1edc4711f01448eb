// What a page of SQLite's file holds besides its rows: gaps where rows lay before they moved or were deleted.
// https://www.sqlite.org/fileformat2.html, sections 1.6 and 2.1.
#pragma once

#include <cstdint>
#include <span>

namespace varve {

// Zeroes every byte of a b-tree page that belongs to no row. Other pages (free ones, and the rest of a long
// row) SQLite zeroes itself with secure_delete. False when the page is damaged: then it is left as it is.
// `first`: it is page 1, which begins with the file's head.
bool scrub_page(std::span<uint8_t> page, bool first);

}  // namespace varve
