// The report as plain text: tables of fixed width, the last column over several lines.
// SPDX-License-Identifier: PostgreSQL
#include <algorithm>
#include <numeric>

#include "upkeep/base/text.h"
#include "upkeep/publish/report.h"

namespace upkeep::publish {

namespace {

constexpr size_t kGap = 2;             // between columns
constexpr size_t kLastLeast = 30;      // width of the last column
constexpr size_t kMostLines = 3;       // of a cell in the last column
constexpr size_t kLongestCell = 2000;  // looked at, in bytes

using Characters = std::u32string;

/// A space, or a mark that would turn, join or hide what stands around it.
bool IsBlank(char32_t c) {
    return c <= 0x20 || (c >= 0x7F && c <= 0xA0) || c == 0x061C || (c >= 0x200B && c <= 0x200F) ||
           (c >= 0x2028 && c <= 0x202E) || (c >= 0x2060 && c <= 0x206F) || c == 0xFEFF ||
           (c >= 0xE0000 && c <= 0xE007F);
}

char32_t Decode(std::string_view text, size_t* at) {
    const auto lead = static_cast<unsigned char>(text[(*at)++]);
    if (lead < 0x80) {
        return lead;
    }
    const int tails = lead >= 0xF0 ? 3 : lead >= 0xE0 ? 2 : 1;
    char32_t c = lead & (0x3FU >> tails);
    for (int i = 0; i < tails; ++i) {
        c = c << 6 | (static_cast<unsigned char>(text[(*at)++]) & 0x3FU);
    }
    return c;
}

/// One line: runs of blanks become one space, except in front, where they indent.
Characters OneLine(std::string_view text) {
    text = Clip(text, kLongestCell);
    const bool is_utf8 = IsUtf8(text);
    Characters line;
    bool is_front = true;
    for (size_t at = 0; at < text.size();) {
        const char32_t c =
            is_utf8 ? Decode(text, &at) : static_cast<unsigned char>(text[at++]) & 0x7FU;
        const bool is_blank = IsBlank(c);
        if (!is_blank) {
            line += c;
        } else if (is_front ? c == ' ' : line.back() != ' ') {
            line += ' ';
        }
        is_front = is_front && is_blank;
    }
    while (!line.empty() && line.back() == ' ') {
        line.pop_back();
    }
    return line;
}

void Append(const Characters& characters, std::string* out) {
    for (const char32_t c : characters) {
        if (c < 0x80) {
            *out += static_cast<char>(c);
        } else if (c < 0x800) {
            *out += static_cast<char>(0xC0 | c >> 6);
            *out += static_cast<char>(0x80 | (c & 0x3F));
        } else if (c < 0x10000) {
            *out += static_cast<char>(0xE0 | c >> 12);
            *out += static_cast<char>(0x80 | (c >> 6 & 0x3F));
            *out += static_cast<char>(0x80 | (c & 0x3F));
        } else {
            *out += static_cast<char>(0xF0 | c >> 18);
            *out += static_cast<char>(0x80 | (c >> 12 & 0x3F));
            *out += static_cast<char>(0x80 | (c >> 6 & 0x3F));
            *out += static_cast<char>(0x80 | (c & 0x3F));
        }
    }
}

Characters Cut(const Characters& line, size_t width) {
    return line.size() <= width ? line : line.substr(0, width - 1) + U"…";
}

/// Lines of at most `width`, broken at spaces where there is one; what is too much ends in `…`.
std::vector<Characters> Wrap(Characters line, size_t width) {
    std::vector<Characters> lines;
    while (line.size() > width && lines.size() + 1 < kMostLines) {
        const size_t space = line.rfind(U' ', width);
        const size_t end = space == Characters::npos || space < width / 2 ? width : space;
        lines.push_back(line.substr(0, end));
        line.erase(0, end + (end < line.size() && line[end] == U' ' ? 1 : 0));
    }
    lines.push_back(Cut(line, width));
    return lines;
}

/// Widths of all columns but the last: as wide as needed, the widest ones less, until the last one
/// has room.
std::vector<size_t> Widths(const std::vector<std::vector<Characters>>& rows) {
    std::vector<size_t> widths(rows[0].size() - 1, 1);
    for (const std::vector<Characters>& row : rows) {
        for (size_t i = 0; i < widths.size(); ++i) {
            widths[i] = std::max(widths[i], row[i].size());
        }
    }
    const size_t room = kReportWidth - kLastLeast - widths.size() * kGap;
    while (std::accumulate(widths.begin(), widths.end(), size_t{0}) > room) {
        --*std::max_element(widths.begin(), widths.end());
    }
    return widths;
}

void AppendCell(const Characters& cell, size_t width, bool to_the_right, std::string* out) {
    const Characters shown = Cut(cell, width);
    const std::string blanks(width - shown.size(), ' ');
    *out += to_the_right ? blanks : "";
    Append(shown, out);
    *out += (to_the_right ? "" : blanks) + std::string(kGap, ' ');
}

void AppendLine(std::string line, std::string* out) {
    line.erase(line.find_last_not_of(' ') + 1);
    *out += line + "\n";
}

void AppendRow(const std::vector<Characters>& row, const std::vector<size_t>& widths,
               const std::vector<ReportColumn>& columns, std::string* out) {
    std::string line;
    for (size_t i = 0; i < widths.size(); ++i) {
        AppendCell(row[i], widths[i], columns[i].is_number, &line);
    }
    const size_t indent =
        std::accumulate(widths.begin(), widths.end(), size_t{0}) + widths.size() * kGap;
    for (const Characters& part : Wrap(row.back(), kReportWidth - indent)) {
        Append(part, &line);
        AppendLine(std::move(line), out);
        line = std::string(indent, ' ');
    }
}

void AppendParagraph(std::string_view text, std::string* out) {
    for (const Characters& part : Wrap(OneLine(text), kReportWidth)) {
        std::string line;
        Append(part, &line);
        AppendLine(std::move(line), out);
    }
}

void AppendTable(const ReportTable& table, std::string* out) {
    *out += "\n" + table.title + "\n" + std::string(table.title.size(), '-') + "\n";
    if (!table.note.empty()) {
        AppendParagraph(table.note, out);
    }
    if (table.rows.empty()) {
        return;
    }
    std::vector<std::vector<Characters>> rows(1);
    for (const ReportColumn& column : table.columns) {
        rows[0].push_back(OneLine(column.name));
    }
    for (const std::vector<std::string>& cells : table.rows) {
        std::vector<Characters>& row = rows.emplace_back();
        for (const std::string& cell : cells) {
            row.push_back(OneLine(cell));
        }
    }
    const std::vector<size_t> widths = Widths(rows);
    for (const std::vector<Characters>& row : rows) {
        AppendRow(row, widths, table.columns, out);
    }
    if (table.left_out > 0) {
        AppendParagraph("and " + std::to_string(table.left_out) + " more: " + table.see_call, out);
    }
}

}  // namespace

std::string ReportText(const ReportModel& model) {
    const Characters title = Cut(OneLine(model.title), kReportWidth);
    std::string text;
    Append(title, &text);
    text += "\n" + std::string(title.size(), '=') + "\n";
    AppendParagraph(model.subtitle, &text);
    for (const ReportTable& table : model.tables) {
        AppendTable(table, &text);
    }
    return text;
}

}  // namespace upkeep::publish
