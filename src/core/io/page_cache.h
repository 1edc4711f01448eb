// The system's page cache, from outside: what is there comes from memory, the rest from the disk.
#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace varve {

// Of a file's pages, the share that the page cache holds now: 0 to 1. 1 where the system does not say it, as
// of a file that is not ours.
double cached_share(const std::string& path);
// Pages of the mapping are from now on read one by one, where they are touched, without what stands around
// them.
void read_pages_singly(std::span<const std::byte> mapping);

}  // namespace varve
