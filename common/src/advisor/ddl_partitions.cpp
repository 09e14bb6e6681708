// An index on a partitioned table without blocking its writers. CREATE INDEX CONCURRENTLY is not to
// be had on the root, so: the root's own index first, valid once every partition has its part.
//
//   CREATE INDEX … ON ONLY root          takes no time, not valid yet
//   CREATE INDEX CONCURRENTLY … ON leaf  one after the other
//   ALTER INDEX … ATTACH PARTITION …     no time; with the last one the root's becomes valid
//
// Where a partition is a foreign table that last one never comes. There:
//
//   CREATE INDEX CONCURRENTLY … ON leaf  each that can have one
//   CREATE INDEX … ON root               takes those as its parts: blocks writers for a moment
//
// Source: postgresql.org/docs/current/ddl-partitioning.html
// SPDX-License-Identifier: PostgreSQL
#include <algorithm>

#include "ddl.h"

namespace upkeep::advisor {

bool HasForeignPartition(const Relation& relation) {
    return std::any_of(relation.partitions.begin(), relation.partitions.end(),
                       [](const Partition& partition) { return partition.is_foreign; });
}

std::vector<std::string> DdlWriter::PartitionSteps(const IndexSpec& spec, const std::string& name,
                                                   const std::string& tail) {
    const Relation& relation = port_.relation(spec.relation);
    if (HasForeignPartition(relation)) {
        return LeavesFirst(spec, name, tail);
    }
    std::vector<std::string> steps = {std::string(dialect_.plain_create_index) + " " +
                                      port_.Quote(name) + " ON ONLY " + relation.display_name +
                                      tail};
    std::vector<std::string> names;  // as DDL names them, by partition
    for (const Partition& partition : relation.partitions) {
        const std::string quoted =
            port_.Quote(NewName(spec.relation, partition.schema_quoted,
                                PlainIndexName(relation, spec, partition.name)));
        names.push_back(Dotted(partition.schema_quoted, quoted));
        steps.push_back(std::string(partition.is_partitioned ? dialect_.plain_create_index
                                                             : dialect_.create_index) +
                        " " + quoted + " ON " + (partition.is_partitioned ? "ONLY " : "") +
                        partition.display_name + tail);
    }
    // From the leaves upwards: an index is attached once its own parts are in place.
    const std::string root = Dotted(relation.schema_quoted, port_.Quote(name));
    for (size_t i = names.size(); i-- > 0;) {
        const int parent = relation.partitions[i].parent;
        steps.push_back("ALTER INDEX " + (parent < 0 ? root : names[static_cast<size_t>(parent)]) +
                        " ATTACH PARTITION " + names[i]);
    }
    return steps;
}

std::vector<std::string> DdlWriter::LeavesFirst(const IndexSpec& spec, const std::string& name,
                                                const std::string& tail) {
    const Relation& relation = port_.relation(spec.relation);
    std::vector<std::string> steps;
    for (const Partition& partition : relation.partitions) {
        if (!partition.is_foreign && !partition.is_partitioned) {
            const std::string leaf = NewName(spec.relation, partition.schema_quoted,
                                             PlainIndexName(relation, spec, partition.name));
            steps.push_back(std::string(dialect_.create_index) + " " + port_.Quote(leaf) + " ON " +
                            partition.display_name + tail);
        }
    }
    steps.push_back(std::string(dialect_.plain_create_index) + " " + port_.Quote(name) + " ON " +
                    relation.display_name + tail);
    return steps;
}

}  // namespace upkeep::advisor
