// Names and SQL of proposed indexes: stable names, the host's own words, all names quoted.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <set>
#include <string>
#include <vector>

#include "upkeep/advisor/index_text.h"

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
    std::string NewName(RelationId relation, const std::string& schema_quoted,
                        const std::string& plain);
    /// Without blocking writers: the root's index on itself only, one for each partition
    /// concurrently, then attached. In ddl_partitions.cpp.
    std::vector<std::string> PartitionSteps(const IndexSpec& spec, const std::string& name,
                                            const std::string& tail);
    std::vector<std::string> LeavesFirst(const IndexSpec& spec, const std::string& name,
                                         const std::string& tail);

    const WhatIf& port_;
    Dialect dialect_;
    std::set<std::pair<std::string, std::string>> given_;  // (schema, name)
};

/// Foreign tables have their indexes elsewhere, if at all.
bool HasForeignPartition(const Relation& relation);

/// `name` in its schema, as DDL names it.
std::string Dotted(const std::string& schema_quoted, const std::string& name_quoted);

/// `idx_<table>_<columns>` and what tells its kind, before it is cut or numbered. `table`: the
/// relation's own name, or a partition's.
std::string PlainIndexName(const Relation& relation, const IndexSpec& spec,
                           const std::string& table);

/// `name` within `max_bytes`, cut at a character boundary and marked with a hash of the whole.
std::string CutName(const std::string& name, size_t max_bytes);

}  // namespace upkeep::advisor
