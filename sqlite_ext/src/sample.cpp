// SPDX-License-Identifier: PostgreSQL
#include "sample.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <unordered_map>

namespace upkeep::sqlite {

namespace {

// Fewer hits than this share: rowids are too sparse for probing.
constexpr double kMinHitRatio = 0.02;
constexpr int64_t kFirstProbes = 1000;
// Scans that pick rows end here; what comes later in a larger table is not seen.
constexpr int64_t kMaxScannedRows = 2'000'000;
// Longer values are cut in the sample (their width is not): 5,000 rows of them are 20 MB.
constexpr int kMaxValueBytes = 4096;

/// Source: splitmix64, public domain, https://prng.di.unimi.it/splitmix64.c (written anew).
class Random {
  public:
    explicit Random(uint64_t seed) : state_(seed) {}
    uint64_t Next() {
        state_ += 0x9e3779b97f4a7c15U;
        uint64_t z = state_;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
        return z ^ (z >> 31);
    }
    /// Uniform in [0, limit).
    uint64_t Below(uint64_t limit) { return limit == 0 ? Next() : Next() % limit; }

  private:
    uint64_t state_;
};

constexpr uint64_t kSeed = 20240101;

double IntegerBytes(int64_t value) {
    const uint64_t size = value < 0 ? ~static_cast<uint64_t>(value) : static_cast<uint64_t>(value);
    if (value == 0 || value == 1) {
        return 0;
    }
    const struct {
        uint64_t limit;
        double bytes;
    } steps[] = {{127, 1}, {32767, 2}, {8388607, 3}, {2147483647, 4}, {140737488355327, 6}};
    for (const auto& step : steps) {
        if (size <= step.limit) {
            return step.bytes;
        }
    }
    return 8;
}

/// Bytes of a value in a record, by its type and length: header part and body.
/// Source: sqlite.org/fileformat2.html#record_format
double RecordBytes(sqlite3_stmt* row, int column) {
    switch (sqlite3_column_type(row, column)) {
        case SQLITE_NULL:
            return 1;
        case SQLITE_INTEGER:
            return 1 + IntegerBytes(sqlite3_column_int64(row, column));
        case SQLITE_FLOAT: {
            // Whole numbers are stored as integers where they fit into six bytes.
            const double value = sqlite3_column_double(row, column);
            const bool is_whole = std::abs(value) < 140737488355327.0 && value == std::floor(value);
            return 1 + (is_whole ? IntegerBytes(static_cast<int64_t>(value)) : 8);
        }
        default: {
            const double bytes = sqlite3_column_bytes(row, column);
            return VarintBytes(2 * bytes + 13) + bytes;
        }
    }
}

/// The name by which the table's rowid can be read; empty if its columns hide all three.
std::string RowidName(const CatalogTable& table, const std::vector<CatalogColumn>& columns) {
    if (table.is_without_rowid || table.kind == TableKind::kView) {
        return "";
    }
    for (const char* name : {"rowid", "_rowid_", "oid"}) {
        const bool is_taken =
            std::any_of(columns.begin(), columns.end(),
                        [&](const CatalogColumn& column) { return Lower(column.name) == name; });
        if (!is_taken) {
            return name;
        }
    }
    return "";
}

/// The column that is another name of the rowid; -1 if none is.
int RowidColumn(const CatalogTable& table, const std::vector<CatalogColumn>& columns) {
    int found = -1;
    for (size_t i = 0; i < columns.size(); ++i) {
        if (columns[i].is_primary) {
            const bool is_alias =
                found == -1 && !table.is_without_rowid && Lower(columns[i].type) == "integer";
            found = is_alias ? static_cast<int>(i) : -2;
        }
    }
    return std::max(found, -1);
}

void BindCut(sqlite3_stmt* to, int parameter, sqlite3_stmt* from, int column) {
    const int bytes = sqlite3_column_bytes(from, column);
    const int type = sqlite3_column_type(from, column);
    if (bytes > kMaxValueBytes && type == SQLITE_BLOB) {
        sqlite3_bind_blob(to, parameter, sqlite3_column_blob(from, column), kMaxValueBytes,
                          SQLITE_TRANSIENT);
    } else if (bytes > kMaxValueBytes && type == SQLITE_TEXT) {
        const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(from, column));
        sqlite3_bind_text(to, parameter, text, kMaxValueBytes, SQLITE_TRANSIENT);
    } else {
        sqlite3_bind_value(to, parameter, sqlite3_column_value(from, column));
    }
}

/// A value as bytes that are equal where SQLite calls the values equal (BINARY, NOCASE).
std::string ClassKey(sqlite3_stmt* row, bool ignore_case) {
    switch (sqlite3_column_type(row, 0)) {
        case SQLITE_NULL:
            return "n";
        case SQLITE_INTEGER:
        case SQLITE_FLOAT: {
            const double value = sqlite3_column_double(row, 0);
            std::string key("f");
            key.append(reinterpret_cast<const char*>(&value), sizeof value);
            if (sqlite3_column_type(row, 0) == SQLITE_INTEGER) {
                const int64_t exact = sqlite3_column_int64(row, 0);
                if (static_cast<int64_t>(static_cast<long double>(value)) != exact) {
                    key.append(reinterpret_cast<const char*>(&exact), sizeof exact);
                }
            }
            return key;
        }
        case SQLITE_BLOB: {
            const auto* bytes = static_cast<const char*>(sqlite3_column_blob(row, 0));
            const auto size = static_cast<size_t>(sqlite3_column_bytes(row, 0));
            return "b" + (bytes == nullptr ? std::string() : std::string(bytes, size));
        }
        default: {
            const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(row, 0));
            const std::string value(text, static_cast<size_t>(sqlite3_column_bytes(row, 0)));
            return "t" + (ignore_case ? Lower(value) : value);
        }
    }
}

}  // namespace

int VarintBytes(double number) {
    int bytes = 1;
    for (double limit = 128; bytes < 9 && number >= limit; limit *= 128) {
        ++bytes;
    }
    return bytes;
}

/// Each condition reads each row of the sample up to its column: of wide tables fewer rows do.
static int64_t WantedRows(size_t columns) {
    constexpr int64_t kWide = 100, kLeast = 500;
    const auto count = static_cast<int64_t>(columns);
    return count <= kWide ? kSampleRows : std::max(kLeast, kSampleRows * kWide / count);
}

Sample::Sample(sqlite3* caller, sqlite3* store, const CatalogTable& table,
               const std::vector<CatalogColumn>& columns, int number, double analysed_rows)
    : store_(store),
      name_("sample_" + std::to_string(number)),
      from_(Qualified(table.schema, table.name)),
      rowid_(RowidName(table, columns)),
      rowid_column_(RowidColumn(table, columns)),
      table_rows_(analysed_rows),
      wanted_rows_(WantedRows(columns.size())),
      bytes_(columns.size(), 0),
      null_ratio_(columns.size(), 0) {
    CreateStore(columns);
    Stmt(store_, "BEGIN").Run();
    Fill(caller);
    Stmt(store_, "COMMIT").Run();
    const double n = std::max<double>(1, static_cast<double>(sampled_rows_));
    for (size_t i = 0; i < bytes_.size(); ++i) {
        bytes_[i] /= n;
        null_ratio_[i] /= n;
    }
    rowid_bytes_ = rowid_.empty() ? 0 : rowid_bytes_ / n;
    insert_ = Stmt();
}

void Sample::CreateStore(const std::vector<CatalogColumn>& columns) {
    std::string definition, marks;
    for (const CatalogColumn& column : columns) {
        const bool is_plain = column.type.find_first_of("\"'`[];,") == std::string::npos;
        column_sql_.push_back(Quoted(column.name));
        definition += column_sql_.back() + " " + (is_plain ? column.type : std::string()) +
                      " COLLATE " + Quoted(column.collation) + ", ";
        list_ += column_sql_.back() + ", ";
        marks += "?, ";
    }
    list_ += rowid_.empty() ? "NULL" : rowid_;
    Stmt(store_, "CREATE TABLE " + name_ + "(" + definition + "upkeep_rowid INTEGER)").Run();
    insert_ = Stmt(store_, "INSERT INTO " + name_ + " VALUES(" + marks + "?)");
}

void Sample::Fill(sqlite3* caller) {
    if (rowid_.empty()) {
        PickFromScan(caller);
        return;
    }
    Stmt range(caller, "SELECT (SELECT min(" + rowid_ + ") FROM " + from_ + "), (SELECT max(" +
                           rowid_ + ") FROM " + from_ + ")");
    if (!range.Step() || range.IsNull(0)) {
        table_rows_ = std::max(table_rows_, 0.0);
        return;
    }
    const int64_t smallest = range.Integer(0);
    const uint64_t span =
        static_cast<uint64_t>(range.Integer(1)) - static_cast<uint64_t>(smallest) + 1;
    range = Stmt();
    if (span != 0 && span <= static_cast<uint64_t>(2 * wanted_rows_)) {
        ReadAll(caller);
    } else if (!ProbeRowids(caller, smallest, span)) {
        PickRowids(caller);
    }
}

void Sample::ReadAll(sqlite3* caller) {
    Stmt rows(caller, "SELECT " + list_ + " FROM " + from_);
    while (rows.Step()) {
        Insert(rows.get());
    }
    if (table_rows_ < 0) {
        table_rows_ = static_cast<double>(sampled_rows_);
    }
}

/// `span` 0 stands for 2^64.
bool Sample::ProbeRowids(sqlite3* caller, int64_t smallest, uint64_t span) {
    Random random(kSeed);
    Stmt row(caller, "SELECT " + list_ + " FROM " + from_ + " WHERE " + rowid_ + " = ?1");
    int64_t probes = kFirstProbes;
    std::vector<int64_t> drawn;  // sorted at the end of each round: neighbours share pages
    int64_t hits = 0;
    int64_t total = 0;
    std::vector<int64_t> seen;
    for (int round = 0; round < 2; ++round) {
        drawn.clear();
        for (int64_t i = 0; i < probes; ++i) {
            drawn.push_back(
                static_cast<int64_t>(static_cast<uint64_t>(smallest) + random.Below(span)));
        }
        std::sort(drawn.begin(), drawn.end());
        drawn.erase(std::unique(drawn.begin(), drawn.end()), drawn.end());
        for (const int64_t rowid : drawn) {
            if (std::binary_search(seen.begin(), seen.end(), rowid)) {
                continue;
            }
            ++total;
            row.Reset();
            if (row.Bind(1, rowid).Step()) {
                ++hits;
                Insert(row.get());
            }
        }
        const double ratio = static_cast<double>(hits) / static_cast<double>(total);
        if (round == 0 && ratio < kMinHitRatio) {
            Stmt(store_, "DELETE FROM " + name_).Run();
            sampled_rows_ = 0;
            std::fill(bytes_.begin(), bytes_.end(), 0);
            std::fill(null_ratio_.begin(), null_ratio_.end(), 0);
            rowid_bytes_ = 0;
            return false;
        }
        seen = drawn;
        probes = static_cast<int64_t>(static_cast<double>(wanted_rows_ - hits) / ratio);
    }
    if (table_rows_ < 0) {
        const double all = span == 0 ? 18446744073709551616.0 : static_cast<double>(span);
        table_rows_ =
            hits == total
                ? all
                : std::round(all * static_cast<double>(hits) / static_cast<double>(total));
    }
    return true;
}

void Sample::PickRowids(sqlite3* caller) {
    Random random(kSeed);
    std::vector<int64_t> picked;
    int64_t scanned = 0;
    Stmt rows(caller, "SELECT " + rowid_ + " FROM " + from_);
    while (scanned < kMaxScannedRows && rows.Step()) {
        ++scanned;
        if (static_cast<int64_t>(picked.size()) < wanted_rows_) {
            picked.push_back(rows.Integer(0));
        } else if (const uint64_t place = random.Below(static_cast<uint64_t>(scanned));
                   place < static_cast<uint64_t>(wanted_rows_)) {
            picked[place] = rows.Integer(0);  // reservoir: every row equally likely
        }
    }
    rows = Stmt();
    if (table_rows_ < 0) {
        table_rows_ = static_cast<double>(scanned);
        if (scanned == kMaxScannedRows) {
            Stmt count(caller, "SELECT count(*) FROM " + from_);
            count.Step();
            table_rows_ = count.Float(0);
        }
    }
    FetchRowids(caller, std::move(picked));
}

void Sample::FetchRowids(sqlite3* caller, std::vector<int64_t> rowids) {
    std::sort(rowids.begin(), rowids.end());
    Stmt row(caller, "SELECT " + list_ + " FROM " + from_ + " WHERE " + rowid_ + " = ?1");
    for (const int64_t rowid : rowids) {
        row.Reset();
        if (row.Bind(1, rowid).Step()) {
            Insert(row.get());
        }
    }
}

void Sample::PickFromScan(sqlite3* caller) {
    Stmt count(caller, "SELECT count(*) FROM " + from_);
    count.Step();
    const double rows_now = count.Float(0);
    count = Stmt();
    if (table_rows_ < 0) {
        table_rows_ = rows_now;
    }
    // Each row with the same probability, about wanted_rows_ in all.
    const double seen = std::min(rows_now, static_cast<double>(kMaxScannedRows));
    const bool take_all = seen <= 2.0 * static_cast<double>(wanted_rows_);
    const auto limit = static_cast<uint64_t>(static_cast<double>(wanted_rows_) / seen * 0x1p32);
    Random random(kSeed);
    Stmt rows(caller, "SELECT " + list_ + " FROM " + from_);
    for (int64_t scanned = 0; scanned < kMaxScannedRows && rows.Step(); ++scanned) {
        if (take_all || (random.Next() >> 32) < limit) {
            Insert(rows.get());
        }
    }
}

void Sample::Insert(sqlite3_stmt* row) {
    const int columns = static_cast<int>(bytes_.size());
    for (int i = 0; i < columns; ++i) {
        bytes_[static_cast<size_t>(i)] += RecordBytes(row, i);
        null_ratio_[static_cast<size_t>(i)] += sqlite3_column_type(row, i) == SQLITE_NULL ? 1 : 0;
        BindCut(insert_.get(), i + 1, row, i);
    }
    rowid_bytes_ += RecordBytes(row, columns);
    sqlite3_bind_value(insert_.get(), columns + 1, sqlite3_column_value(row, columns));
    insert_.Run();
    insert_.Reset();
    ++sampled_rows_;
}

double Sample::RowBytes() const {
    double bytes = 0;
    for (size_t i = 0; i < bytes_.size(); ++i) {
        // A column that is the rowid itself is kept as NULL.
        bytes += static_cast<int>(i) == rowid_column_ ? 1 : bytes_[i];
    }
    return bytes + VarintBytes(static_cast<double>(bytes_.size()) + 1);
}

RowSet Sample::Matching(const std::string& condition, sqlite3_value* value) const {
    RowSet matching;
    Result<Stmt> rows =
        Stmt::Prepare(store_, "SELECT (" + condition + ") FROM " + name_ + " ORDER BY rowid");
    if (!rows.ok()) {
        return matching;
    }
    if (value != nullptr) {
        sqlite3_bind_value(rows.value().get(), 1, value);
    }
    int code = SQLITE_OK;
    while ((code = sqlite3_step(rows.value().get())) == SQLITE_ROW) {
        matching.push_back(rows.value().Integer(0) != 0 ? 1 : 0);
    }
    return code == SQLITE_DONE ? matching : RowSet();
}

const std::vector<int32_t>& Sample::Classes(const std::string& expression,
                                            const std::string& collation) {
    const auto [place, is_new] =
        classes_.try_emplace({expression, Lower(collation)}, std::vector<int32_t>());
    std::vector<int32_t>& classes = place->second;
    if (!is_new) {
        return classes;
    }
    const bool is_simple = Lower(collation) == "binary" || Lower(collation) == "nocase";
    const std::string ranked =
        "dense_rank() OVER (ORDER BY " + expression + " COLLATE " + Quoted(collation) + ")";
    const std::string sql = "SELECT " + (is_simple ? expression : ranked) + " FROM " + name_ +
                            (is_simple ? " ORDER BY rowid" : " ORDER BY " + name_ + ".rowid");
    Result<Stmt> rows = Stmt::Prepare(store_, sql);
    if (!rows.ok()) {
        return classes;
    }
    std::unordered_map<std::string, int32_t> numbers;
    int code = SQLITE_OK;
    while ((code = sqlite3_step(rows.value().get())) == SQLITE_ROW) {
        const std::string key = ClassKey(rows.value().get(), Lower(collation) == "nocase");
        classes.push_back(numbers.emplace(key, static_cast<int32_t>(numbers.size())).first->second);
    }
    if (code != SQLITE_DONE) {
        classes.clear();
    }
    return classes;
}

const std::vector<int32_t>& Sample::InOrder(int column) {
    const auto [place, is_new] = orders_.try_emplace(column, std::vector<int32_t>());
    if (is_new) {
        Stmt rows(store_, "SELECT rowid FROM " + name_ + " ORDER BY " + ColumnSql(column) +
                              ", upkeep_rowid");
        while (rows.Step()) {
            place->second.push_back(static_cast<int32_t>(rows.Integer(0) - 1));
        }
    }
    return place->second;
}

double Sample::ExpressionBytes(const std::string& expression, const RowSet& rows) const {
    Result<Stmt> values =
        Stmt::Prepare(store_, "SELECT " + expression + " FROM " + name_ + " ORDER BY rowid");
    double bytes = 0;
    double count = 0;
    for (size_t i = 0; values.ok() && sqlite3_step(values.value().get()) == SQLITE_ROW; ++i) {
        if (rows.empty() || (i < rows.size() && rows[i] != 0)) {
            bytes += RecordBytes(values.value().get(), 0);
            ++count;
        }
    }
    return count > 0 ? bytes / count : 1;
}

}  // namespace upkeep::sqlite
