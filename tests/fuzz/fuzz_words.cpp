// The small parsers of the core: settings' values and names, intervals, relative times, times, LIKE
// patterns, what Linux says of the machine. Any bytes give a value or an error; a canonical form is
// its own canonical form.
// SPDX-License-Identifier: PostgreSQL
#include "fuzz.h"
#include "upkeep/base/settings.h"
#include "upkeep/base/table_function.h"
#include "upkeep/base/text.h"
#include "upkeep/base/time.h"
#include "upkeep/health/machine.h"
#include "upkeep/publish/own_calls.h"
#include "upkeep/sessions/reap.h"

using upkeep::fuzz::Check;

namespace {

void Settings(std::string_view text, uint8_t which) {
    const auto settings = upkeep::SqliteSettings();
    const upkeep::Setting& setting = settings[which % settings.size()];
    const auto value = upkeep::ParseSetting(setting, text);
    if (value.ok()) {
        const auto again = upkeep::ParseSetting(setting, value.value());
        Check(again.ok() && again.value() == value.value(), "canonical values stay");
    }
    const auto found = upkeep::FindSetting(text);
    Check(!found.ok() || found.value()->name == text, "the setting of that name");
}

void Times(std::string_view text) {
    const auto interval = upkeep::ParseInterval(text);
    Check(interval.ok() || !interval.error().hint().empty(), "an error has a hint");
    static_cast<void>(upkeep::TimeOfWord(text, upkeep::Timestamp{0}));
    if (const auto time = upkeep::ParseTime(text)) {
        const auto again = upkeep::ParseTime(upkeep::FormatTime(*time));
        Check(again.has_value() && again->unix_us == time->unix_us,
              "a time reads as it is written");
    }
}

void Texts(std::string_view text) {
    const std::string json = upkeep::JsonString(text);
    Check(upkeep::IsUtf8(json), "JSON text is UTF-8");
    Check(json.size() >= 2 && json.size() <= 6 * text.size() + 2, "the length is bounded");
    for (const size_t most : {size_t{0}, size_t{1}, size_t{7}, size_t{64}}) {
        const std::string_view clipped = upkeep::Clip(text, most);
        Check(clipped.size() <= most && text.substr(0, clipped.size()) == clipped, "a beginning");
        Check(!upkeep::IsUtf8(text) || upkeep::IsUtf8(clipped), "cut between characters");
    }
}

void Patterns(std::string_view text, uint8_t at) {
    const size_t cut = at % (text.size() + 1);
    const std::string_view subject = text.substr(0, cut);
    const std::string_view pattern = text.substr(cut);
    upkeep::sessions::Rule rule;
    rule.match_application = std::string(pattern);
    if (upkeep::sessions::CheckRule(rule).ok()) {
        static_cast<void>(upkeep::sessions::Like(subject, pattern));
    }
    Check(upkeep::sessions::Like(subject, "%"), "% matches everything");
}

void Machine(std::string_view text) {
    const auto read = [text](const std::string&) { return std::string(text); };
    const upkeep::health::Machine machine = upkeep::health::DetectMachine(read, 4);
    Check(!machine.cpus || *machine.cpus > 0, "a machine has a processor");
    static_cast<void>(upkeep::publish::NumberOf(std::string(text)));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    std::string_view text = upkeep::fuzz::Text(data, size);
    const uint8_t which = upkeep::fuzz::TakeByte(&text);
    Settings(text, which);
    Times(text);
    Texts(text);
    Patterns(text, which);
    Machine(text);
    return 0;
}
