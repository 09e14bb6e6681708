// SPDX-License-Identifier: PostgreSQL
#include "upkeep/base/time.h"

namespace upkeep {

namespace {

// Calendar arithmetic counts years from the first of March, so that a leap day is the last of its
// year, in cycles of 400 years (146097 days) of the proleptic Gregorian calendar.
constexpr int64_t kDaysPerCycle = 146097;
constexpr int64_t kDaysToUnixEpoch = 719468;  // from 0000-03-01 to 1970-01-01

struct Date {
    int64_t year;
    int64_t month;
    int64_t day;
};

Date DateOfDay(int64_t unix_day) {
    const int64_t days = unix_day + kDaysToUnixEpoch;
    const int64_t cycle = FloorTo(days, kDaysPerCycle) / kDaysPerCycle;
    const int64_t day = days - cycle * kDaysPerCycle;
    const int64_t year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
    const int64_t in_year = day - (365 * year + year / 4 - year / 100);
    const int64_t march_month = (5 * in_year + 2) / 153;
    const int64_t month = march_month < 10 ? march_month + 3 : march_month - 9;
    return {year + cycle * 400 + (month <= 2 ? 1 : 0), month,
            in_year - (153 * march_month + 2) / 5 + 1};
}

int64_t DayOfDate(const Date& date) {
    const int64_t year = date.month <= 2 ? date.year - 1 : date.year;
    const int64_t cycle = FloorTo(year, 400) / 400;
    const int64_t in_cycle = year - cycle * 400;
    const int64_t march_month = date.month > 2 ? date.month - 3 : date.month + 9;
    const int64_t in_year = (153 * march_month + 2) / 5 + date.day - 1;
    return cycle * kDaysPerCycle + in_cycle * 365 + in_cycle / 4 - in_cycle / 100 + in_year -
           kDaysToUnixEpoch;
}

bool Exists(const Date& date) {
    if (date.month < 1 || date.month > 12 || date.day < 1 || date.day > 31) {
        return false;
    }
    const Date back = DateOfDay(DayOfDate(date));
    return back.month == date.month && back.day == date.day;
}

/// With leading zeros, a minus before them.
std::string Padded(int64_t number, size_t digits) {
    std::string out = std::to_string(number < 0 ? -number : number);
    out.insert(0, digits > out.size() ? digits - out.size() : 0, '0');
    return number < 0 ? "-" + out : out;
}

bool IsDigit(char c) {
    return c >= '0' && c <= '9';
}

/// Takes exactly `digits` digits off the front.
bool TakeDigits(std::string_view* text, int digits, int64_t* number) {
    *number = 0;
    for (int i = 0; i < digits; ++i) {
        if (text->empty() || !IsDigit(text->front())) {
            return false;
        }
        *number = *number * 10 + (text->front() - '0');
        text->remove_prefix(1);
    }
    return true;
}

bool TakeChar(std::string_view* text, std::string_view any) {
    if (text->empty() || any.find(text->front()) == std::string_view::npos) {
        return false;
    }
    text->remove_prefix(1);
    return true;
}

/// `.123456` and more digits, of which six count.
bool TakeFraction(std::string_view* text, int64_t* micros) {
    int64_t scale = 100'000;
    bool any = false;
    while (!text->empty() && IsDigit(text->front())) {
        *micros += (text->front() - '0') * scale;
        scale /= 10;
        text->remove_prefix(1);
        any = true;
    }
    return any;
}

/// `08:30`, `08:30:00`, `08:30:00.5` as microseconds of the day.
bool TakeClock(std::string_view* text, int64_t* micros) {
    int64_t hour = 0;
    int64_t minute = 0;
    int64_t second = 0;
    int64_t fraction = 0;
    if (!TakeDigits(text, 2, &hour) || !TakeChar(text, ":") || !TakeDigits(text, 2, &minute)) {
        return false;
    }
    if (TakeChar(text, ":")) {
        if (!TakeDigits(text, 2, &second)) {
            return false;
        }
        if (TakeChar(text, ".,") && !TakeFraction(text, &fraction)) {
            return false;
        }
    }
    *micros = ((hour * 60 + minute) * 60 + second) * 1'000'000 + fraction;
    return hour < 24 && minute < 60 && second < 60;
}

/// Nothing, `Z`, `+02`, `+0200` or `+02:00`, with blanks before it.
bool TakeOffset(std::string_view* text, int64_t* micros) {
    while (TakeChar(text, " ")) {
    }
    if (text->empty() || TakeChar(text, "Zz")) {
        return true;
    }
    const int64_t sign = text->front() == '-' ? -1 : 1;
    int64_t hours = 0;
    int64_t minutes = 0;
    if (!TakeChar(text, "+-") || !TakeDigits(text, 2, &hours)) {
        return false;
    }
    const bool colon = TakeChar(text, ":");
    if ((colon || !text->empty()) && !TakeDigits(text, 2, &minutes)) {
        return false;
    }
    *micros = sign * (hours * 60 + minutes) * 60'000'000;
    return hours < 24 && minutes < 60;
}

}  // namespace

std::optional<Timestamp> ParseTime(std::string_view text) {
    Date date = {};
    int64_t clock = 0;
    int64_t offset = 0;
    if (!TakeDigits(&text, 4, &date.year) || !TakeChar(&text, "-") ||
        !TakeDigits(&text, 2, &date.month) || !TakeChar(&text, "-") ||
        !TakeDigits(&text, 2, &date.day) || !Exists(date)) {
        return std::nullopt;
    }
    if (!text.empty() && (!TakeChar(&text, " Tt") || !TakeClock(&text, &clock) ||
                          !TakeOffset(&text, &offset) || !text.empty())) {
        return std::nullopt;
    }
    return Timestamp{DayOfDate(date) * kMicrosPerDay + clock - offset};
}

std::string FormatDay(Timestamp time) {
    const Date date = DateOfDay(FloorTo(time.unix_us, kMicrosPerDay) / kMicrosPerDay);
    return Padded(date.year, 4) + "-" + Padded(date.month, 2) + "-" + Padded(date.day, 2);
}

std::string FormatTime(Timestamp time) {
    if (time == kTimeForever || time == kTimeBefore) {
        return time == kTimeForever ? "infinity" : "-infinity";
    }
    const int64_t clock = time.unix_us - FloorTo(time.unix_us, kMicrosPerDay);
    const int64_t seconds = clock / 1'000'000;
    const int64_t micros = clock % 1'000'000;
    const bool fine = micros % 1000 != 0;
    return FormatDay(time) + "T" + Padded(seconds / 3600, 2) + ":" + Padded(seconds / 60 % 60, 2) +
           ":" + Padded(seconds % 60, 2) + "." +
           (fine ? Padded(micros, 6) : Padded(micros / 1000, 3)) + "Z";
}

}  // namespace upkeep
