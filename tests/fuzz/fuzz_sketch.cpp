// Any bytes decode to an error or to a sketch that encodes to the same bytes again.
// SPDX-License-Identifier: PostgreSQL
#include <cstdint>
#include <cstdlib>

#include "upkeep/workflow/sketch.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    const auto sketch = upkeep::workflow::Sketch::Decode(bytes);
    if (sketch.ok() && sketch.value().Encode() != bytes) {
        std::abort();
    }
    return 0;
}
