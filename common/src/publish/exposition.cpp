// Samples as text for Prometheus and as rows.
// SPDX-License-Identifier: PostgreSQL
#include <charconv>
#include <cmath>

#include "upkeep/base/text.h"
#include "upkeep/publish/metrics.h"

namespace upkeep::publish {

namespace {

enum class Quotes : bool { kPlain, kEscaped };

/// Backslash and newline; in label values quotes, too.
void AppendEscaped(std::string_view text, Quotes quotes, std::string* out) {
    for (const char c : text) {
        if (c == '\\') {
            *out += "\\\\";
        } else if (c == '\n') {
            *out += "\\n";
        } else if (c == '"' && quotes == Quotes::kEscaped) {
            *out += "\\\"";
        } else {
            *out += c;
        }
    }
}

void AppendNumber(double value, std::string* out) {
    constexpr double kExactIntegers = 9007199254740992.0;  // 2^53
    if (std::isnan(value)) {
        *out += "NaN";
        return;
    }
    if (std::isinf(value)) {
        *out += value > 0 ? "+Inf" : "-Inf";
        return;
    }
    char text[64];
    const bool is_whole = std::fabs(value) < kExactIntegers && value == std::trunc(value);
    const auto end =
        is_whole ? std::to_chars(std::begin(text), std::end(text), static_cast<int64_t>(value))
                 : std::to_chars(std::begin(text), std::end(text), value);
    out->append(std::begin(text), end.ptr);
}

std::string FullName(std::string_view prefix, const Family& family) {
    return std::string(prefix) + "_" + std::string(family.name);
}

void AppendHead(const std::string& name, const Family& family, std::string* out) {
    *out += "# HELP " + name + " ";
    AppendEscaped(family.help, Quotes::kPlain, out);
    *out += "\n# TYPE " + name + " " + std::string(MetricTypeName(family.type)) + "\n";
}

void AppendSample(const std::string& name, const Sample& sample, std::string* out) {
    *out += name;
    *out += sample.suffix;
    if (!sample.labels.empty()) {
        *out += '{';
        for (size_t i = 0; i < sample.labels.size(); ++i) {
            *out += i == 0 ? "" : ",";
            *out += sample.labels[i].name;
            *out += "=\"";
            AppendEscaped(sample.labels[i].value, Quotes::kEscaped, out);
            *out += '"';
        }
        *out += '}';
    }
    *out += ' ';
    AppendNumber(sample.value, out);
    *out += '\n';
}

std::string LabelsJson(const std::vector<Label>& labels) {
    std::string json = "{";
    for (const Label& label : labels) {
        json += json.size() == 1 ? "" : ", ";
        json += JsonString(label.name) + ": " + JsonString(label.value);
    }
    return json + "}";
}

}  // namespace

std::string Exposition(std::string_view prefix, std::span<const Sample> samples) {
    std::string text;
    std::string name;
    const Family* family = nullptr;
    for (const Sample& sample : samples) {
        if (sample.family != family) {
            family = sample.family;
            name = FullName(prefix, *family);
            AppendHead(name, *family, &text);
        }
        AppendSample(name, sample, &text);
    }
    return text;
}

void SampleRows(std::string_view prefix, std::span<const Sample> samples, RowSink& rows) {
    for (const Sample& sample : samples) {
        const Family& family = *sample.family;
        rows.Add({FullName(prefix, family) + std::string(sample.suffix),
                  std::string(MetricTypeName(family.type)),
                  family.unit.empty() ? Value() : Value(std::string(family.unit)),
                  std::string(family.help), LabelsJson(sample.labels), sample.value});
    }
}

}  // namespace upkeep::publish
