// Deriving again what went with one of its sources: the store keeps the list, this works it off.
#pragma once

#include "memory/reflect/reflect.h"

namespace varve {

// Reflects once more on each turn from which something of this reflector's was derived that went, and of
// which nothing of its is left. What was derived, or looked at by a writer that had nothing to say, is taken
// off the list; the rest stays for a reflector that can, or for a time when the writer answers. The ids of
// what was made.
Result<std::vector<CubeId>> derive_again(const Reflecting& with, const Reflector& reflector);

}  // namespace varve
