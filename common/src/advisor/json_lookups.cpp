// SPDX-License-Identifier: PostgreSQL
#include "upkeep/advisor/json_lookups.h"

#include <algorithm>
#include <cctype>
#include <map>
#include <optional>
#include <tuple>
#include <utility>

#include "../health/format.h"
#include "ddl.h"
#include "workload.h"

namespace upkeep::advisor {

namespace {

// As json_text.cpp: a smaller table is parsed faster than anything is looked up.
constexpr double kMinRows = 1000;
// Below this share of the statements' cost an index is not worth its writes.
constexpr double kMinSaved = 0.1;
constexpr size_t kMostFindings = 20;
// Who asks for findings waits for them: statements are read and look-ups priced for so long.
constexpr int64_t kMostMs = 1000;

bool IsPathPart(char c) {
    return c == '_' || c == '.' || c == '[' || c == ']' || c == '$' || c == '-' || c == '"' ||
           std::isalnum(static_cast<unsigned char>(c)) != 0;
}

/// The strings of an expression are shown in the finding and stand in the index: what looks like a
/// path of names may, a value that somebody compares with may not.
bool HasPathsOnly(std::string_view expression) {
    bool has_path = false;
    while (true) {
        const size_t begin = expression.find('\'');
        if (begin == std::string_view::npos) {
            return has_path;
        }
        const size_t end = expression.find('\'', begin + 1);
        if (end == std::string_view::npos) {
            return false;
        }
        const std::string_view text = expression.substr(begin + 1, end - begin - 1);
        const bool is_path = !text.empty() && std::all_of(text.begin(), text.end(), IsPathPart) &&
                             std::isdigit(static_cast<unsigned char>(text.front())) == 0;
        if (!is_path) {
            return false;
        }
        has_path = true;
        expression.remove_prefix(end + 1);
    }
}

bool IsLookup(const KindCondition& condition) {
    return condition.kind == IndexKind::kExpression && condition.columns.size() == 1 &&
           MayLookIntoJson(condition.sql) && HasPathsOnly(condition.sql);
}

struct Lookup {
    RelationId relation = -1;
    std::string expression;
    int column = -1;
    friend bool operator<(const Lookup& one, const Lookup& other) {
        return std::tie(one.relation, one.expression) < std::tie(other.relation, other.expression);
    }
    friend bool operator==(const Lookup& one, const Lookup& other) {
        return std::tie(one.relation, one.expression) == std::tie(other.relation, other.expression);
    }
};

/// A statement that has the look-up, in one of its texts.
struct Reader {
    StatementId statement = -1;
    double weight = 1;
};

void ThrowIfInterrupted(const Error& error) {
    if (error.code() == Code::kInterrupted) {
        throw Error(error);
    }
}

std::vector<Lookup> LookupsOf(const WhatIf& port, const Statement& statement) {
    std::vector<Lookup> found;
    for (const RelationUse& use : statement.uses) {
        const Relation& relation = port.relation(use.relation);
        if (relation.rows < kMinRows || !relation.no_index_because.empty()) {
            continue;
        }
        for (const KindCondition& condition : use.conditions) {
            if (IsLookup(condition)) {
                found.push_back({use.relation, condition.sql, condition.columns[0]});
            }
        }
    }
    return found;
}

class Search {
  public:
    explicit Search(WhatIf& port)
        : port_(port), writer_(port), until_ms_(port.ElapsedMs() + kMostMs) {}

    bool IsLate() const { return port_.ElapsedMs() >= until_ms_; }

    void Read(const SentTexts& given) {
        std::optional<std::vector<Lookup>> shared;
        Reader reader{-1, given.weight};
        for (const std::string& text : given.texts) {
            CheckStop(port_);
            const Result<Statement> statement = port_.Analyse(text);
            if (!statement.ok()) {
                ThrowIfInterrupted(statement.error());
                return;
            }
            const std::vector<Lookup> found = LookupsOf(port_, statement.value());
            if (!shared) {
                shared = found;
                reader.statement = statement.value().id;
            }
            std::erase_if(*shared, [&](const Lookup& one) {
                return std::find(found.begin(), found.end(), one) == found.end();
            });
        }
        for (const Lookup& one : shared.value_or(std::vector<Lookup>())) {
            std::vector<Reader>& readers = readers_[one];
            if (readers.empty() || readers.back().statement != reader.statement) {
                readers.push_back(reader);
            }
        }
    }

    std::vector<health::IndexFinding> Findings() {
        std::vector<health::IndexFinding> findings;
        for (const auto& [lookup, readers] : readers_) {
            if (findings.size() >= kMostFindings || (IsLate() && !findings.empty())) {
                break;
            }
            IndexSpec spec;
            spec.relation = lookup.relation;
            spec.kind = IndexKind::kExpression;
            IndexKey key;
            key.expression = lookup.expression;
            spec.keys.push_back(std::move(key));
            const std::optional<double> saved = SavedBy(spec, readers);
            if (saved && *saved >= kMinSaved) {
                findings.push_back(FindingOf(lookup, spec, readers.size(), *saved));
            }
        }
        return findings;
    }

  private:
    std::optional<Price> PriceOf(StatementId statement, std::span<const IndexId> indexes) {
        CheckStop(port_);
        Result<Price> price = port_.PriceWith(statement, indexes);
        if (!price.ok()) {
            ThrowIfInterrupted(price.error());
            return std::nullopt;
        }
        return std::move(price).value();
    }

    /// Share of the readers' cost that the index saves; nullopt: the planner would not use it.
    std::optional<double> SavedBy(const IndexSpec& spec, const std::vector<Reader>& readers) {
        const Result<IndexId> id = port_.Declare(spec);
        if (!id.ok()) {
            return std::nullopt;
        }
        const IndexId ids[] = {id.value()};
        double before = 0;
        double after = 0;
        bool is_used = false;
        for (const Reader& reader : readers) {  // those that took the most time come first
            if (before > 0 && IsLate()) {
                break;
            }
            const std::optional<Price> old_price = PriceOf(reader.statement, {});
            const std::optional<Price> new_price = PriceOf(reader.statement, ids);
            if (old_price && new_price) {
                before += reader.weight * old_price->cost;
                after += reader.weight * new_price->cost;
                is_used = is_used || !new_price->used.empty();
            }
        }
        return is_used && before > 0 ? std::optional(1 - after / before) : std::nullopt;
    }

    health::IndexFinding FindingOf(const Lookup& lookup, const IndexSpec& spec, size_t count,
                                   double saved) {
        const Relation& relation = port_.relation(lookup.relation);
        health::IndexFinding finding;
        finding.code = "json_without_jsonb";
        finding.severity = "low";
        finding.table_name = relation.display_name;
        finding.evidence =
            std::to_string(count) +
            (count == 1 ? " captured statement compares " : " captured statements compare ") +
            lookup.expression + ": " + relation.columns[static_cast<size_t>(lookup.column)].name +
            " is JSON kept as text, parsed again for each row, and this host has no type that "
            "keeps it parsed; an index on the value saves " +
            health::NumberText(saved * 100, 0) +
            " % of their cost by the planner, for statements that write the expression just so; an "
            "indexed generated column serves those that name the column; with either a row that is "
            "not "
            "JSON can no longer be written";
        IndexDdl ddl = writer_.Write(spec);
        finding.fix_sql = std::move(ddl.create_sql);
        finding.undo_sql = std::move(ddl.drop_sql);
        return finding;
    }

    WhatIf& port_;
    DdlWriter writer_;
    int64_t until_ms_;
    std::map<Lookup, std::vector<Reader>> readers_;
};

}  // namespace

bool MayLookIntoJson(std::string_view text) {
    std::string lower(text);
    std::transform(lower.begin(), lower.end(), lower.begin(), [](char c) {
        return static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    });
    return lower.find("->") != std::string::npos || lower.find("json_") != std::string::npos;
}

Result<std::vector<health::IndexFinding>> FindJsonLookups(
    WhatIf& port, const std::vector<SentTexts>& statements) {
    try {
        Search search(port);
        std::vector<const SentTexts*> costly_first;
        costly_first.reserve(statements.size());
        for (const SentTexts& one : statements) {
            costly_first.push_back(&one);
        }
        std::stable_sort(
            costly_first.begin(), costly_first.end(),
            [](const auto* one, const auto* other) { return one->weight > other->weight; });
        for (const SentTexts* one : costly_first) {
            if (search.IsLate()) {
                break;
            }
            search.Read(*one);
        }
        return search.Findings();
    } catch (const Error& error) {
        return error;
    }
}

}  // namespace upkeep::advisor
