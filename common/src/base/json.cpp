// SPDX-License-Identifier: PostgreSQL
#include "json.h"

#include <charconv>

namespace upkeep {

namespace {

constexpr int kDeepest = 500;

class Reader {
  public:
    explicit Reader(std::string_view text) : text_(text) {}

    bool ReadAll(Json* out) {
        if (!Read(out, 0)) {
            return false;
        }
        SkipBlank();
        return at_ == text_.size();
    }

  private:
    void SkipBlank() {
        while (at_ < text_.size() &&
               std::string_view(" \t\r\n").find(text_[at_]) != std::string_view::npos) {
            ++at_;
        }
    }

    bool Take(char c) {
        SkipBlank();
        if (at_ < text_.size() && text_[at_] == c) {
            ++at_;
            return true;
        }
        return false;
    }

    bool TakeWord(std::string_view word) {
        if (text_.substr(at_, word.size()) != word) {
            return false;
        }
        at_ += word.size();
        return true;
    }

    bool Read(Json* out, int depth) {
        SkipBlank();
        if (depth > kDeepest || at_ >= text_.size()) {
            return false;
        }
        switch (text_[at_]) {
            case '{':
                return ReadObject(out, depth);
            case '[':
                return ReadArray(out, depth);
            case '"':
                out->kind = Json::Kind::kText;
                return ReadText(&out->text);
            case 't':
                out->number = 1;
                [[fallthrough]];
            case 'f':
                out->kind = Json::Kind::kBool;
                return TakeWord(text_[at_] == 't' ? "true" : "false");
            case 'n':
                return TakeWord("null");
            default:
                return ReadNumber(out);
        }
    }

    bool ReadNumber(Json* out) {
        out->kind = Json::Kind::kNumber;
        const char* begin = text_.data() + at_;
        const auto read = std::from_chars(begin, text_.data() + text_.size(), out->number);
        at_ += static_cast<size_t>(read.ptr - begin);
        return read.ec == std::errc();
    }

    bool ReadObject(Json* out, int depth) {
        out->kind = Json::Kind::kObject;
        ++at_;
        if (Take('}')) {
            return true;
        }
        do {
            SkipBlank();
            std::string name;
            if (at_ >= text_.size() || text_[at_] != '"' || !ReadText(&name) || !Take(':')) {
                return false;
            }
            Json value;
            if (!Read(&value, depth + 1)) {
                return false;
            }
            out->names.push_back(std::move(name));
            out->items.push_back(std::move(value));
        } while (Take(','));
        return Take('}');
    }

    bool ReadArray(Json* out, int depth) {
        out->kind = Json::Kind::kArray;
        ++at_;
        if (Take(']')) {
            return true;
        }
        do {
            Json value;
            if (!Read(&value, depth + 1)) {
                return false;
            }
            out->items.push_back(std::move(value));
        } while (Take(','));
        return Take(']');
    }

    /// \u escapes become UTF-8 below U+0800 and `?` above: hosts write them for control characters.
    bool ReadEscape(std::string* out) {
        constexpr std::string_view kFrom = "\"\\/bfnrt";
        constexpr std::string_view kTo = "\"\\/\b\f\n\r\t";
        if (at_ >= text_.size()) {
            return false;
        }
        const char c = text_[at_++];
        if (c != 'u') {
            const size_t place = kFrom.find(c);
            if (place == std::string_view::npos) {
                return false;
            }
            *out += kTo[place];
            return true;
        }
        unsigned code = 0;
        if (at_ + 4 > text_.size()) {
            return false;
        }
        const char* begin = text_.data() + at_;
        const auto read = std::from_chars(begin, begin + 4, code, 16);
        at_ += 4;
        if (read.ptr != begin + 4) {
            return false;
        }
        if (code < 0x80) {
            *out += static_cast<char>(code);
        } else if (code < 0x800) {
            *out += static_cast<char>(0xc0 | (code >> 6));
            *out += static_cast<char>(0x80 | (code & 0x3f));
        } else {
            *out += '?';
        }
        return true;
    }

    bool ReadText(std::string* out) {
        ++at_;
        while (at_ < text_.size()) {
            const char c = text_[at_++];
            if (c == '"') {
                return true;
            }
            if (c != '\\') {
                *out += c;
            } else if (!ReadEscape(out)) {
                return false;
            }
        }
        return false;
    }

    std::string_view text_;
    size_t at_ = 0;
};

}  // namespace

const Json* Json::Find(std::string_view name) const {
    for (size_t i = 0; i < names.size(); ++i) {
        if (names[i] == name) {
            return &items[i];
        }
    }
    return nullptr;
}

double Json::Number(std::string_view name, double otherwise) const {
    const Json* found = Find(name);
    return found != nullptr && found->kind == Kind::kNumber ? found->number : otherwise;
}

std::string Json::Text(std::string_view name) const {
    const Json* found = Find(name);
    return found != nullptr && found->kind == Kind::kText ? found->text : std::string();
}

const std::vector<Json>& Json::Array(std::string_view name) const {
    static const std::vector<Json> none;
    const Json* found = Find(name);
    return found != nullptr && found->kind == Kind::kArray ? found->items : none;
}

std::optional<Json> ParseJson(std::string_view text) {
    Json value;
    if (!Reader(text).ReadAll(&value)) {
        return std::nullopt;
    }
    return value;
}

}  // namespace upkeep
