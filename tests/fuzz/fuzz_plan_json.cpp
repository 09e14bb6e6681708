// Any bytes pass CompactPlan without a crash; without literals a second pass changes nothing that a
// third would change again; with literals only white space goes.
// SPDX-License-Identifier: PostgreSQL
#include "fuzz.h"
#include "upkeep/capture/plan_json.h"

using upkeep::capture::CompactPlan;
using upkeep::fuzz::Check;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string_view json = upkeep::fuzz::Text(data, size);
    Check(CompactPlan(json, true).size() <= size, "with literals nothing is added");
    const std::string once = CompactPlan(json, false);
    Check(once.size() <= 6 * size + 2, "the length is bounded");
    const std::string twice = CompactPlan(once, false);
    Check(CompactPlan(twice, false) == twice, "masking ends");
    return 0;
}
