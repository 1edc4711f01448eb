// What the operating system says about this process and machine.
#pragma once

#include <cstdint>

namespace varve {

int64_t resident_bytes();       // now; 0 when the system does not say
int64_t peak_resident_bytes();  // since the process began
int64_t machine_bytes();        // RAM of the machine, or of the container when that is less

}  // namespace varve
