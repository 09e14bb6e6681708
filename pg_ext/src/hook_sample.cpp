// The values of one execution: its text as it was sent, bound parameters as literals.
// SPDX-License-Identifier: PostgreSQL
#include "hook_sample.h"

#include "statement_facts.h"

extern "C" {
#include "utils/queryjumble.h"
}

namespace upkeep::pg {

void TakeSample(QueryDesc* query, const capture::StatementKey& key) {
    int location = query->plannedstmt->stmt_location;
    int length = query->plannedstmt->stmt_len;
    if (query->sourceText == nullptr) {
        return;
    }
    const char* text = CleanQuerytext(query->sourceText, &location, &length);
    if (length > static_cast<int>(capture::kMostSampleBytes)) {
        return;
    }
    const char** parameters = nullptr;
    int count = 0;
    if (!LiteralsOf(query, &parameters, &count)) {
        return;
    }
    KeepSample(key, {text, length, nullptr, 0, 0}, parameters, count);
}

}  // namespace upkeep::pg
