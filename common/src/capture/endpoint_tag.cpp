// SPDX-License-Identifier: PostgreSQL
#include "upkeep/capture/endpoint_tag.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "tokenizer.h"
#include "upkeep/base/text.h"

namespace upkeep::capture {

namespace {

constexpr size_t kMostCommentBytes = 4096;  // a longer one is no tag

bool IsControl(unsigned char c) {
    return c < 0x20 || c == 0x7F;
}

/// U+0080 to U+009F, two bytes each, in text that is UTF-8.
bool HasLateControl(std::string_view text) {
    for (size_t at = text.find('\xC2'); at != std::string_view::npos;
         at = text.find('\xC2', at + 1)) {
        if (at + 1 < text.size() && static_cast<unsigned char>(text[at + 1]) < 0xA0) {
            return true;
        }
    }
    return false;
}

std::string_view Trim(std::string_view text) {
    while (!text.empty() && IsSpace(text.front())) {
        text.remove_prefix(1);
    }
    while (!text.empty() && IsSpace(text.back())) {
        text.remove_suffix(1);
    }
    return text;
}

/// End of a block comment that starts at `start`, or npos: it does not end.
size_t CommentEnd(std::string_view text, size_t start, SqlDialect dialect) {
    size_t depth = 0;
    for (size_t i = start; i + 1 < text.size();) {
        const std::string_view two = text.substr(i, 2);
        if (two == "/*" && (depth == 0 || dialect == SqlDialect::kPostgres)) {
            ++depth;
            i += 2;
        } else if (two == "*/") {
            i += 2;
            if (--depth == 0) {
                return i;
            }
        } else {
            ++i;
        }
    }
    return std::string_view::npos;
}

int HexDigit(char c) {
    if (IsDigit(c)) {
        return c - '0';
    }
    const char low = Lower(c);
    return low >= 'a' && low <= 'f' ? low - 'a' + 10 : -1;
}

/// A decoded value of a tag; a longer one is cut, which `size` over the room tells.
struct Value {
    std::array<char, 2 * kMostEndpointBytes> bytes;
    size_t size = 0;

    void Add(char c) {
        if (size < bytes.size()) {
            bytes[size++] = c;
        }
    }
    std::string_view view() const { return {bytes.data(), size}; }
};

/// The keys that make a name. Those of the frameworks' tags for one thing share a place.
enum Place : uint8_t { kRoute, kController, kAction, kJob, kPlaces };
struct Key {
    std::string_view name;
    Place place;
};
constexpr Key kKeys[] = {
    {"route", kRoute},
    {"controller", kController},
    {"namespaced_controller", kController},
    {"controller_with_namespace", kController},
    {"action", kAction},
    {"job", kJob},
    {"sidekiq_job", kJob},
};

bool IsKeyPart(char c) {
    return IsWordPart(c) || c == '-' || c == '.' || c == '%';
}

/// A plain value that may become a name: one word of the kind that programs are made of. Prose
/// and pieces of SQL are not.
bool IsPlainName(std::string_view value) {
    return std::all_of(value.begin(), value.end(), [](char c) {
        return IsWordStart(c) || IsDigit(c) ||
               std::string_view("-.:/#@<>{}[]+~%!*=&|?").find(c) != std::string_view::npos;
    });
}

/// Reads the pairs of a comment's inside, one after the other.
class Pairs {
  public:
    explicit Pairs(std::string_view inside) : rest_(Trim(inside)) {}

    bool is_done() const { return rest_.empty(); }
    std::string_view key() const { return key_; }
    const Value& value() const { return value_; }
    bool is_plain() const { return is_plain_; }  // the value has no quotes

    /// False: this is no tag.
    bool Next() {
        size_t at = 0;
        while (at < rest_.size() && IsKeyPart(rest_[at])) {
            ++at;
        }
        key_ = rest_.substr(0, at);
        rest_ = Trim(rest_.substr(at));
        if (key_.empty() || rest_.empty() || (rest_.front() != '=' && rest_.front() != ':')) {
            return false;
        }
        const bool is_encoded = rest_.front() == '=';
        rest_ = Trim(rest_.substr(1));
        value_.size = 0;
        is_plain_ = false;
        if (!rest_.empty() && rest_.front() == '\'') {
            return ReadQuoted(is_encoded) && EndPair();
        }
        return ReadPlain();
    }

  private:
    bool ReadQuoted(bool is_encoded) {
        for (size_t i = 1; i < rest_.size(); ++i) {
            char c = rest_[i];
            if (c == '\'') {
                rest_ = Trim(rest_.substr(i + 1));
                return true;
            }
            if (c == '\\' && i + 1 < rest_.size() && rest_[i + 1] == '\'') {
                c = rest_[++i];
            } else if (c == '%' && is_encoded) {
                const int high = i + 2 < rest_.size() ? HexDigit(rest_[i + 1]) : -1;
                const int low = i + 2 < rest_.size() ? HexDigit(rest_[i + 2]) : -1;
                if (high < 0 || low < 0) {
                    return false;
                }
                c = static_cast<char>(high * 16 + low);
                i += 2;
            }
            value_.Add(c);
        }
        return false;  // the quote does not end
    }

    bool ReadPlain() {
        const size_t end = std::min(rest_.find(','), rest_.size());
        const std::string_view plain = Trim(rest_.substr(0, end));
        rest_ = rest_.substr(end);
        if (std::any_of(plain.begin(), plain.end(),
                        [](char c) { return IsControl(static_cast<unsigned char>(c)); })) {
            return false;
        }
        for (const char c : plain) {
            value_.Add(c);
        }
        is_plain_ = true;
        return EndPair();
    }

    bool EndPair() {
        if (rest_.empty()) {
            return true;
        }
        if (rest_.front() != ',') {
            return false;
        }
        rest_ = Trim(rest_.substr(1));
        return !rest_.empty();
    }

    std::string_view rest_;
    std::string_view key_;
    Value value_;
    bool is_plain_ = false;
};

/// A route without its query string. A `?` of a regular expression, as Django's routes are, stays.
std::string_view WithoutQuery(std::string_view route) {
    for (size_t at = route.find('?'); at != std::string_view::npos; at = route.find('?', at + 1)) {
        const std::string_view after = route.substr(at + 1);
        const bool is_group =
            at > 0 && route[at - 1] == '(' && !after.empty() &&
            std::string_view("P:!<=").find(after.front()) != std::string_view::npos;
        if (!is_group && after != "$") {
            return route.substr(0, at);
        }
    }
    return route;
}

/// What a comment told, by place.
struct Told {
    std::array<Value, kPlaces> values;
    std::string_view Of(Place place) const { return Trim(values.at(place).view()); }
};

bool MakeName(const Told& told, EndpointName* endpoint) {
    const std::string_view route = Trim(WithoutQuery(told.Of(kRoute)));
    const std::string_view controller = told.Of(kController);
    const std::string_view action = told.Of(kAction);
    if (!route.empty()) {
        return endpoint->Set(route);
    }
    if (!controller.empty() && !action.empty()) {
        return endpoint->Set(controller, action);
    }
    for (const std::string_view one : {told.Of(kJob), controller, action}) {
        if (!one.empty()) {
            return endpoint->Set(one);
        }
    }
    return false;
}

}  // namespace

bool EndpointName::Set(std::string_view name) {
    name = Clip(name, kMostEndpointBytes);
    const bool has_control = std::any_of(
        name.begin(), name.end(), [](char c) { return IsControl(static_cast<unsigned char>(c)); });
    size_ = has_control || !IsUtf8(name) || HasLateControl(name) ? 0 : name.size();
    std::copy_n(name.begin(), size_, bytes_);
    return size_ != 0;
}

bool EndpointName::Set(std::string_view first, std::string_view second) {
    std::array<char, 2 * kMostEndpointBytes> both;
    size_t size = 0;
    const auto add = [&](std::string_view part) {
        const size_t bytes = std::min(part.size(), both.size() - size);
        std::copy_n(part.begin(), bytes, both.begin() + static_cast<std::ptrdiff_t>(size));
        size += bytes;
    };
    add(first);
    add("#");
    add(second);
    return Set(std::string_view(both.data(), size));
}

bool EdgeComments::StandsOutside(size_t start) const {
    Tokenizer tokenizer(statement_.substr(0, start + 2), dialect_);
    size_t last_end = 0;
    for (Token token = tokenizer.Next(); token.kind != Kind::kEnd; token = tokenizer.Next()) {
        last_end = static_cast<size_t>(token.text.data() + token.text.size() - statement_.data());
    }
    return last_end <= start;
}

std::string_view EdgeComments::NextTrailing() {
    size_t end = end_;
    while (end > 0 && IsBlankOrEnd(statement_[end - 1])) {
        --end;
    }
    if (trailing_ == kMost || end < 4 || statement_.substr(end - 2, 2) != "*/") {
        return {};
    }
    // The nearest beginning: in a comment that holds `/*` it is an inner one, which gives no
    // harm (such a comment is the application's own odd text), and never lies before the comment.
    const size_t start = statement_.rfind("/*", end - 4);
    if (start == std::string_view::npos) {
        return {};
    }
    const std::string_view comment = statement_.substr(start, end - start);
    // `-- … */`: the beginning found may be one in a string of an earlier line.
    const bool is_in_doubt = comment.find("--") != std::string_view::npos;
    if (comment.find("*/", 2) != comment.size() - 2 || (is_in_doubt && !StandsOutside(start))) {
        return {};
    }
    ++trailing_;
    end_ = start;
    return comment;
}

std::string_view EdgeComments::NextLeading() {
    size_t from = from_;
    while (from < end_ && IsBlankOrEnd(statement_[from])) {
        ++from;
    }
    if (leading_ == kMost || end_ - from < 4 || statement_.substr(from, 2) != "/*") {
        return {};
    }
    const size_t end = CommentEnd(statement_.substr(0, end_), from, dialect_);
    if (end == std::string_view::npos) {
        return {};
    }
    ++leading_;
    from_ = end;
    return statement_.substr(from, end - from);
}

std::string_view EdgeComments::Next() {
    if (from_ == 0) {
        if (const std::string_view trailing = NextTrailing(); !trailing.empty()) {
            return trailing;
        }
    }
    return NextLeading();
}

std::string_view EdgeComments::Between() const {
    size_t end = end_;
    size_t from = from_;
    while (end > from && IsBlankOrEnd(statement_[end - 1])) {
        --end;
    }
    while (from < end && IsBlankOrEnd(statement_[from])) {
        ++from;
    }
    return statement_.substr(from, end - from);
}

bool ReadTag(std::string_view comment, EndpointName* endpoint) {
    if (comment.size() < 4 || comment.size() > kMostCommentBytes) {
        return false;
    }
    Pairs pairs(comment.substr(2, comment.size() - 4));
    Told told;
    while (!pairs.is_done()) {
        if (!pairs.Next()) {
            return false;
        }
        const auto* known = std::find_if(std::begin(kKeys), std::end(kKeys),
                                         [&](const Key& key) { return key.name == pairs.key(); });
        if (known == std::end(kKeys)) {
            continue;
        }
        if (pairs.is_plain() && !IsPlainName(pairs.value().view())) {
            return false;
        }
        if (told.values.at(known->place).size == 0) {
            told.values.at(known->place) = pairs.value();
        }
    }
    return MakeName(told, endpoint);
}

bool FindEndpoint(std::string_view statement, SqlDialect dialect, EndpointName* endpoint) {
    if (!MayCarryTag(statement)) {
        return false;
    }
    EdgeComments comments(statement, dialect);
    for (std::string_view one = comments.Next(); !one.empty(); one = comments.Next()) {
        if (ReadTag(one, endpoint)) {
            return true;
        }
    }
    return false;
}

bool IsOnlyComments(std::string_view text, SqlDialect dialect) {
    size_t at = 0;
    while (at < text.size()) {
        if (IsBlankOrEnd(text[at])) {
            ++at;
        } else if (text.substr(at, 2) == "/*") {
            at = CommentEnd(text, at, dialect);
        } else if (text.substr(at, 2) == "--") {
            at = text.find('\n', at);
        } else {
            return false;
        }
    }
    return true;
}

}  // namespace upkeep::capture
