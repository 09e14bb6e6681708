// Lines of EXPLAIN QUERY PLAN, of the recorder's plans and of /proc/locks: any bytes are read
// without a crash. The readers are private to their files, so the files are part of this target.
// SPDX-License-Identifier: PostgreSQL
#include "../../sqlite_ext/src/foreign_locks.cpp"  // NOLINT
#include "../../sqlite_ext/src/plan.cpp"           // NOLINT
#include "fuzz.h"

using upkeep::fuzz::Check;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string text(upkeep::fuzz::Text(data, size));
    static const std::vector<std::string> names = {"i", "t_a", "an index (x)", "t_a_b"};
    upkeep::sqlite::PlanNode node;
    node.detail = text;
    upkeep::sqlite::ParseDetail(names, &node);
    Check(node.table.size() <= size && node.index.size() <= size, "names are of the line");
    const std::vector<upkeep::sqlite::PlanNode> plan = {node};
    Check(upkeep::IsUtf8(upkeep::sqlite::PlanJson(plan)), "JSON text is UTF-8");
    static_cast<void>(upkeep::sqlite::Parse(text.c_str()));
    return 0;
}
