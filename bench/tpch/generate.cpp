// Rows of the TPC-H tables with the specification's distributions, as text for COPY.
//
//   generate TABLE [SCALE]  ->  standard output       deterministic: equal arguments, equal bytes
//
// Each row has a generator of its own, seeded by table and row number, so orders and lineitem agree
// without either being kept. What is not the specification's: the words of the comments, which are
// drawn word by word.
// SPDX-License-Identifier: PostgreSQL
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

namespace {

using Words = std::string_view;

constexpr std::array<Words, 92> kColors = {
    "almond",   "antique",   "aquamarine", "azure",      "beige",     "bisque",    "black",
    "blanched", "blue",      "blush",      "brown",      "burlywood", "burnished", "chartreuse",
    "chiffon",  "chocolate", "coral",      "cornflower", "cornsilk",  "cream",     "cyan",
    "dark",     "deep",      "dim",        "dodger",     "drab",      "firebrick", "floral",
    "forest",   "frosted",   "gainsboro",  "ghost",      "goldenrod", "green",     "grey",
    "honeydew", "hot",       "indian",     "ivory",      "khaki",     "lace",      "lavender",
    "lawn",     "lemon",     "light",      "lime",       "linen",     "magenta",   "maroon",
    "medium",   "metallic",  "midnight",   "mint",       "misty",     "moccasin",  "navajo",
    "navy",     "olive",     "orange",     "orchid",     "pale",      "papaya",    "peach",
    "peru",     "pink",      "plum",       "powder",     "puff",      "purple",    "red",
    "rose",     "rosy",      "royal",      "saddle",     "salmon",    "sandy",     "seashell",
    "sienna",   "sky",       "slate",      "smoke",      "snow",      "spring",    "steel",
    "tan",      "thistle",   "tomato",     "turquoise",  "violet",    "wheat",     "white",
    "yellow"};
constexpr std::array<Words, 6> kType1 = {"STANDARD", "SMALL",   "MEDIUM",
                                         "LARGE",    "ECONOMY", "PROMO"};
constexpr std::array<Words, 5> kType2 = {"ANODIZED", "BURNISHED", "PLATED", "POLISHED", "BRUSHED"};
constexpr std::array<Words, 5> kType3 = {"TIN", "NICKEL", "BRASS", "STEEL", "COPPER"};
constexpr std::array<Words, 5> kBox1 = {"SM", "LG", "MED", "JUMBO", "WRAP"};
constexpr std::array<Words, 8> kBox2 = {"CASE", "BOX", "BAG", "JAR", "PKG", "PACK", "CAN", "DRUM"};
constexpr std::array<Words, 5> kSegments = {"AUTOMOBILE", "BUILDING", "FURNITURE", "MACHINERY",
                                            "HOUSEHOLD"};
constexpr std::array<Words, 5> kPriorities = {"1-URGENT", "2-HIGH", "3-MEDIUM", "4-NOT SPECIFIED",
                                              "5-LOW"};
constexpr std::array<Words, 4> kInstructions = {"DELIVER IN PERSON", "COLLECT COD", "NONE",
                                                "TAKE BACK RETURN"};
constexpr std::array<Words, 7> kModes = {"REG AIR", "AIR", "RAIL", "SHIP", "TRUCK", "MAIL", "FOB"};
constexpr std::array<Words, 5> kRegions = {"AFRICA", "AMERICA", "ASIA", "EUROPE", "MIDDLE EAST"};
struct Nation {
    Words name;
    int region;
};
constexpr std::array<Nation, 25> kNations = {
    {{"ALGERIA", 0},      {"ARGENTINA", 1}, {"BRAZIL", 1}, {"CANADA", 1},
     {"EGYPT", 4},        {"ETHIOPIA", 0},  {"FRANCE", 3}, {"GERMANY", 3},
     {"INDIA", 2},        {"INDONESIA", 2}, {"IRAN", 4},   {"IRAQ", 4},
     {"JAPAN", 2},        {"JORDAN", 4},    {"KENYA", 0},  {"MOROCCO", 0},
     {"MOZAMBIQUE", 0},   {"PERU", 1},      {"CHINA", 2},  {"ROMANIA", 3},
     {"SAUDI ARABIA", 4}, {"VIETNAM", 2},   {"RUSSIA", 3}, {"UNITED KINGDOM", 3},
     {"UNITED STATES", 1}}};
constexpr std::array<Words, 64> kText = {
    "packages", "requests", "accounts",     "deposits",     "foxes",    "ideas",     "theodolites",
    "pinto",    "beans",    "instructions", "dependencies", "excuses",  "platelets", "asymptotes",
    "courts",   "dolphins", "multipliers",  "warthogs",     "frets",    "dinos",     "attainments",
    "special",  "pending",  "unusual",      "express",      "furious",  "sly",       "careful",
    "blithe",   "quick",    "fluffy",       "slow",         "quiet",    "ruthless",  "thin",
    "close",    "dogged",   "daring",       "brave",        "stealthy", "permanent", "enticing",
    "idle",     "busy",     "regular",      "final",        "ironic",   "even",      "bold",
    "silent",   "sleep",    "wake",         "cajole",       "nag",      "haggle",    "integrate",
    "detect",   "among",    "above",        "according",    "across",   "the",       "never",
    "always"};

constexpr int kCurrentDay = 1263;  // 1995-06-17, in days since 1992-01-01
constexpr int kOrderDays = 2406;   // 1992-01-01 to 1998-08-02

class Random {
  public:
    Random(uint64_t table, uint64_t row) : state_(table << 56 ^ row) {
        state_ = Next();  // neighbours must not be the same sequence, one step later
    }
    /// Uniform in low … high, both included.
    int64_t Between(int64_t low, int64_t high) {
        const auto range = static_cast<uint64_t>(high - low + 1);
        return low + static_cast<int64_t>(Next() % range);
    }
    template <size_t kCount>
    Words Pick(const std::array<Words, kCount>& words) {
        return words[static_cast<size_t>(Between(0, kCount - 1))];
    }

  private:
    /// Source: splitmix64 (public domain).
    uint64_t Next() {
        uint64_t z = (state_ += 0x9E3779B97F4A7C15);
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        return z ^ (z >> 31);
    }
    uint64_t state_;
};

/// One line of COPY's text format after the other.
class Line {
  public:
    Line& Text(Words text) {
        if (!is_first_) {
            line_ += '\t';
        }
        is_first_ = false;
        line_ += text;
        return *this;
    }
    Line& Number(int64_t number) { return Text(std::to_string(number)); }
    Line& Money(int64_t cents) {
        char text[32];
        std::snprintf(text, sizeof(text), "%s%lld.%02lld", cents < 0 ? "-" : "",
                      static_cast<long long>(std::llabs(cents) / 100),
                      static_cast<long long>(std::llabs(cents) % 100));
        return Text(text);
    }
    Line& Date(int day) {
        int year = 1992;
        for (; day >= DaysOf(year); ++year) {
            day -= DaysOf(year);
        }
        constexpr std::array<int, 12> kMonths = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
        size_t month = 0;
        for (; day >= kMonths[month] + (month == 1 && year % 4 == 0 ? 1 : 0); ++month) {
            day -= kMonths[month] + (month == 1 && year % 4 == 0 ? 1 : 0);
        }
        char text[32];
        std::snprintf(text, sizeof(text), "%04d-%02d-%02d", year, static_cast<int>(month) + 1,
                      day + 1);
        return Text(text);
    }
    Line& Numbered(const char* format, int64_t number) {
        char text[64];
        std::snprintf(text, sizeof(text), format, static_cast<long long>(number));
        return Text(text);
    }
    Line& Comment(Random& random, int64_t low, int64_t high, Words middle = {}) {
        const auto length = static_cast<size_t>(random.Between(low, high));
        std::string text;
        while (text.size() < length) {
            text += (text.empty() ? "" : " ") + std::string(random.Pick(kText));
        }
        text.resize(length);
        if (!middle.empty()) {
            text.replace(0, middle.size(), middle);
        }
        if (text.back() == ' ') {
            text.back() = '.';
        }
        return Text(text);
    }
    Line& Letters(Random& random, int64_t low, int64_t high) {
        constexpr Words kLetters =
            "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ, ";
        std::string text;
        for (int64_t left = random.Between(low, high); left > 0; --left) {
            text += kLetters[static_cast<size_t>(random.Between(0, 63))];
        }
        return Text(text);
    }
    Line& Phone(Random& random, int64_t nation) {
        char text[32];
        std::snprintf(text, sizeof(text), "%lld-%lld-%lld-%lld",
                      static_cast<long long>(nation + 10),
                      static_cast<long long>(random.Between(100, 999)),
                      static_cast<long long>(random.Between(100, 999)),
                      static_cast<long long>(random.Between(1000, 9999)));
        return Text(text);
    }
    void End() {
        line_ += '\n';
        std::fwrite(line_.data(), 1, line_.size(), stdout);
        line_.clear();
        is_first_ = true;
    }

  private:
    static int DaysOf(int year) { return year % 4 == 0 ? 366 : 365; }
    std::string line_;
    bool is_first_ = true;
};

struct Sizes {
    int64_t parts, suppliers, customers, orders, clerks;
};

int64_t RetailCents(int64_t part) {
    return 90000 + (part / 10) % 20001 + 100 * (part % 1000);
}

int64_t SupplierOf(int64_t part, int64_t which, const Sizes& sizes) {
    const int64_t count = sizes.suppliers;
    return (part + which * (count / 4 + (part - 1) / count)) % count + 1;
}

struct LineItem {
    int64_t part, supplier, quantity, price, discount, tax;
    int ship, commit, receipt;
};

/// An order and its lines, the same whichever table is asked for.
struct Order {
    int64_t key, customer, total = 0;
    int day;
    int count, open = 0;
    std::array<LineItem, 7> lines;
    Order(int64_t number, const Sizes& sizes) {
        Random random(1, static_cast<uint64_t>(number));
        key = number / 8 * 32 + number % 8 + 1;  // 8 of 32 keys are used
        do {
            customer = random.Between(1, sizes.customers);
        } while (customer % 3 == 0);  // a third of the customers has no orders
        day = static_cast<int>(random.Between(0, kOrderDays - 1));
        count = static_cast<int>(random.Between(1, 7));
        for (int i = 0; i < count; ++i) {
            LineItem& line = lines[static_cast<size_t>(i)];
            line.part = random.Between(1, sizes.parts);
            line.supplier = SupplierOf(line.part, random.Between(0, 3), sizes);
            line.quantity = random.Between(1, 50);
            line.price = line.quantity * RetailCents(line.part);
            line.discount = random.Between(0, 10);
            line.tax = random.Between(0, 8);
            line.ship = day + static_cast<int>(random.Between(1, 121));
            line.commit = day + static_cast<int>(random.Between(30, 90));
            line.receipt = line.ship + static_cast<int>(random.Between(1, 30));
            total += line.price * (100 + line.tax) / 100 * (100 - line.discount) / 100;
            open += line.ship > kCurrentDay ? 1 : 0;
        }
    }
};

void Orders(const Sizes& sizes, Line& line) {
    for (int64_t i = 0; i < sizes.orders; ++i) {
        const Order order(i, sizes);
        Random random(2, static_cast<uint64_t>(i));
        line.Number(order.key).Number(order.customer);
        line.Text(order.open == 0 ? "F" : order.open == order.count ? "O" : "P");
        line.Money(order.total).Date(order.day).Text(random.Pick(kPriorities));
        line.Numbered("Clerk#%09lld", random.Between(1, sizes.clerks)).Number(0);
        line.Comment(random, 19, 78).End();
    }
}

void LineItems(const Sizes& sizes, Line& line) {
    for (int64_t i = 0; i < sizes.orders; ++i) {
        const Order order(i, sizes);
        Random random(3, static_cast<uint64_t>(i));
        for (int k = 0; k < order.count; ++k) {
            const LineItem& item = order.lines[static_cast<size_t>(k)];
            line.Number(order.key).Number(item.part).Number(item.supplier).Number(k + 1);
            line.Money(item.quantity * 100).Money(item.price).Money(item.discount).Money(item.tax);
            const bool is_returned = item.receipt <= kCurrentDay;
            line.Text(!is_returned ? "N" : random.Between(0, 1) == 0 ? "R" : "A");
            line.Text(item.ship > kCurrentDay ? "O" : "F");
            line.Date(item.ship).Date(item.commit).Date(item.receipt);
            line.Text(random.Pick(kInstructions)).Text(random.Pick(kModes));
            line.Comment(random, 10, 43).End();
        }
    }
}

void Parts(const Sizes& sizes, Line& line) {
    for (int64_t i = 1; i <= sizes.parts; ++i) {
        Random random(4, static_cast<uint64_t>(i));
        std::array<Words, 5> names;
        for (size_t k = 0; k < names.size(); ++k) {
            bool is_new = false;
            while (!is_new) {
                names[k] = random.Pick(kColors);
                is_new = true;
                for (size_t before = 0; before < k; ++before) {
                    is_new = is_new && names[before] != names[k];
                }
            }
        }
        std::string name;
        for (const Words word : names) {
            name += (name.empty() ? "" : " ") + std::string(word);
        }
        const int64_t maker = random.Between(1, 5);
        line.Number(i).Text(name).Numbered("Manufacturer#%lld", maker);
        line.Numbered("Brand#%lld", maker * 10 + random.Between(1, 5));
        const std::string one(random.Pick(kType1));
        const std::string two(random.Pick(kType2));
        line.Text(one + " " + two + " " + std::string(random.Pick(kType3)));
        line.Number(random.Between(1, 50));
        const std::string box(random.Pick(kBox1));
        line.Text(box + " " + std::string(random.Pick(kBox2)));
        line.Money(RetailCents(i)).Comment(random, 5, 22).End();
    }
}

void PartSuppliers(const Sizes& sizes, Line& line) {
    for (int64_t i = 1; i <= sizes.parts; ++i) {
        Random random(5, static_cast<uint64_t>(i));
        for (int64_t which = 0; which < 4; ++which) {
            line.Number(i).Number(SupplierOf(i, which, sizes)).Number(random.Between(1, 9999));
            line.Money(random.Between(100, 100000)).Comment(random, 49, 198).End();
        }
    }
}

void Suppliers(const Sizes& sizes, Line& line) {
    for (int64_t i = 1; i <= sizes.suppliers; ++i) {
        Random random(6, static_cast<uint64_t>(i));
        const int64_t nation = random.Between(0, 24);
        line.Number(i).Numbered("Supplier#%09lld", i).Letters(random, 10, 40).Number(nation);
        line.Phone(random, nation).Money(random.Between(-99999, 999999));
        // Five of 10,000 complain, five recommend.
        const int64_t special = i % 2000;
        line.Comment(random, 25, 100,
                     special == 700    ? "Customer Complaints"
                     : special == 1400 ? "Customer Recommends"
                                       : "")
            .End();
    }
}

void Customers(const Sizes& sizes, Line& line) {
    for (int64_t i = 1; i <= sizes.customers; ++i) {
        Random random(7, static_cast<uint64_t>(i));
        const int64_t nation = random.Between(0, 24);
        line.Number(i).Numbered("Customer#%09lld", i).Letters(random, 10, 40).Number(nation);
        line.Phone(random, nation).Money(random.Between(-99999, 999999));
        line.Text(random.Pick(kSegments)).Comment(random, 29, 116).End();
    }
}

void NationsAndRegions(bool nations, Line& line) {
    if (nations) {
        for (size_t i = 0; i < kNations.size(); ++i) {
            Random random(8, i);
            line.Number(static_cast<int64_t>(i)).Text(kNations[i].name).Number(kNations[i].region);
            line.Comment(random, 31, 114).End();
        }
        return;
    }
    for (size_t i = 0; i < kRegions.size(); ++i) {
        Random random(9, i);
        line.Number(static_cast<int64_t>(i)).Text(kRegions[i]).Comment(random, 31, 115).End();
    }
}

bool Generate(Words table, const Sizes& sizes) {
    Line line;
    if (table == "orders") {
        Orders(sizes, line);
    } else if (table == "lineitem") {
        LineItems(sizes, line);
    } else if (table == "part") {
        Parts(sizes, line);
    } else if (table == "partsupp") {
        PartSuppliers(sizes, line);
    } else if (table == "supplier") {
        Suppliers(sizes, line);
    } else if (table == "customer") {
        Customers(sizes, line);
    } else if (table == "nation" || table == "region") {
        NationsAndRegions(table == "nation", line);
    } else {
        return false;
    }
    return std::fflush(stdout) == 0;
}

}  // namespace

int main(int argc, char** argv) {
    const double scale = argc > 2 ? std::strtod(argv[2], nullptr) : 1;
    auto count = [&](double rows) { return static_cast<int64_t>(rows * scale); };
    const Sizes sizes = {count(200000), count(10000), count(150000), count(1500000), count(1000)};
    if (argc < 2 || sizes.clerks < 1 || !Generate(argv[1], sizes)) {
        std::fprintf(stderr, "usage: generate TABLE [SCALE >= 0.001]\n");
        return 2;
    }
    return 0;
}
