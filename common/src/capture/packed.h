// Numbers and texts as bytes for files, the same on every machine: whole numbers as LEB128, texts
// with their length before them. Inside common/src/capture only.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <bit>
#include <cstdint>
#include <string>
#include <string_view>

namespace upkeep::capture {

class Packer {
  public:
    void Number(uint64_t number) {
        for (; number >= 0x80; number >>= 7) {
            bytes_.push_back(static_cast<char>(number | 0x80));
        }
        bytes_.push_back(static_cast<char>(number));
    }
    void Signed(int64_t number) { Number(static_cast<uint64_t>(number)); }
    void Real(double number) { Number(std::bit_cast<uint64_t>(number)); }
    void Text(std::string_view text) {
        Number(text.size());
        bytes_ += text;
    }
    const std::string& bytes() const { return bytes_; }
    size_t size() const { return bytes_.size(); }
    void Clear() { bytes_.clear(); }

  private:
    std::string bytes_;
};

/// Reads what a Packer wrote. After the first thing that is not there, `ok` is false and every
/// answer is 0 or empty.
class Unpacker {
  public:
    explicit Unpacker(std::string_view bytes) : rest_(bytes) {}

    uint64_t Number() {
        uint64_t number = 0;
        for (int shift = 0; shift < 64 && !rest_.empty(); shift += 7) {
            const auto byte = static_cast<uint8_t>(rest_.front());
            rest_.remove_prefix(1);
            number |= uint64_t{byte & 0x7FU} << shift;
            if (byte < 0x80) {
                return number;
            }
        }
        return Fail();
    }
    /// A number below `limit`.
    uint64_t Below(uint64_t limit) {
        const uint64_t number = Number();
        return number < limit ? number : Fail();
    }
    uint32_t Word() { return static_cast<uint32_t>(Below(uint64_t{1} << 32)); }
    int64_t Signed() { return static_cast<int64_t>(Number()); }
    double Real() { return std::bit_cast<double>(Number()); }
    /// Of at most `most` bytes; lives as long as the bytes do.
    std::string_view Text(size_t most) {
        const uint64_t size = Number();
        if (size > most || size > rest_.size()) {
            Fail();
            return {};
        }
        const std::string_view text = rest_.substr(0, size);
        rest_.remove_prefix(size);
        return text;
    }
    bool ok() const { return ok_; }
    bool AtEnd() const { return rest_.empty(); }
    uint64_t Fail() {
        ok_ = false;
        rest_ = {};
        return 0;
    }

  private:
    std::string_view rest_;
    bool ok_ = true;
};

}  // namespace upkeep::capture
