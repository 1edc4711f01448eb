// A .cube file: one cube to carry elsewhere. docs/formats/cube.md describes the bytes.
#pragma once

#include <string>
#include <string_view>

#include "memory/cube/cube.h"

namespace varve {

std::string encode_cube_file(const CubeHeader& header, std::string_view payload);
// The header as the file states it, id and owner included: claims, to be believed by nobody. corrupt: not
// whole; unsupported: of a newer version; invalid: whole, but not a cube that could be.
Result<CubeDraft> parse_cube_file(std::string_view file);

}  // namespace varve
