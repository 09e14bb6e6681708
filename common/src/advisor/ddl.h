// Names and SQL of proposed indexes: stable names, the host's own words, all names quoted.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <set>
#include <string>
#include <vector>

#include "upkeep/advisor/what_if.h"

namespace upkeep::advisor {

struct IndexDdl {
    std::string name;  // unquoted
    std::string create_sql;
    std::string drop_sql;
    std::vector<std::string> steps;
    std::vector<std::string> warnings;
};

/// Writes DDL for the indexes of one answer; names given out once are not given again.
class DdlWriter {
  public:
    explicit DdlWriter(const WhatIf& port) : port_(port), dialect_(port.dialect()) {}

    IndexDdl Write(const IndexSpec& spec);

  private:
    std::string NewName(const IndexSpec& spec);

    const WhatIf& port_;
    Dialect dialect_;
    std::set<std::pair<std::string, std::string>> given_;  // (schema, name)
};

/// One key as DDL writes it: `started_at DESC NULLS LAST`, words only where they are needed.
std::string KeyText(const WhatIf& port, const Relation& relation, const IndexKey& key);

/// `idx_<table>_<columns>`, before it is cut or numbered.
std::string PlainIndexName(const Relation& relation, const IndexSpec& spec);

/// `name` within `max_bytes`, cut at a character boundary and marked with a hash of the whole.
std::string CutName(const std::string& name, size_t max_bytes);

}  // namespace upkeep::advisor
