"""100 report statements over the snowflake of schema.sql: one seed, one list."""
import datetime
import random

# table: alias, and its foreign keys
FACTS = {"sales": ("s", {"day_id": "days", "customer_id": "customers", "product_id": "products", "store_id": "stores",
                         "employee_id": "employees", "promotion_id": "promotions", "payment_id": "payments",
                         "channel_id": "channels", "currency_id": "currencies"}),
         "returns": ("r", {"day_id": "days", "customer_id": "customers", "product_id": "products", "store_id": "stores",
                           "reason_id": "reasons", "sale_id": "sales"}),
         "shipments": ("h", {"day_id": "days", "warehouse_id": "warehouses", "carrier_id": "carriers",
                             "customer_id": "customers", "city_id": "cities", "product_id": "products", "sale_id": "sales"})}
DIMENSIONS = {"countries": {"region_id": "regions"}, "cities": {"country_id": "countries"},
              "customers": {"city_id": "cities", "segment_id": "segments", "income_id": "incomes"},
              "categories": {"department_id": "departments"}, "brands": {"country_id": "countries"},
              "suppliers": {"city_id": "cities"},
              "products": {"category_id": "categories", "brand_id": "brands", "supplier_id": "suppliers"},
              "stores": {"city_id": "cities", "type_id": "store_types"}, "employees": {"store_id": "stores"},
              "carriers": {"country_id": "countries"}, "warehouses": {"city_id": "cities"}}
NAMED = {"regions": 6, "countries": 60, "cities": 2000, "segments": 8, "customers": 60000, "departments": 12, "categories": 150,
         "brands": 800, "suppliers": 3000, "products": 30000, "store_types": 5, "stores": 400, "employees": 5000,
         "promotions": 600, "payments": 7, "channels": 4, "carriers": 25, "warehouses": 40, "reasons": 30, "currencies": 15}
WORD = {"countries": "country", "cities": "city", "categories": "category", "store_types": "type", "currencies": "currency"}
MEASURES = {"sales": ["amount", "quantity"], "returns": ["amount"], "shipments": ["freight", "days_taken"]}
FIRST = datetime.date(2018, 1, 1)


def foreign_keys():
    """Every (table, column, table it points to)."""
    for table, keys in {**DIMENSIONS, **{fact: keys for fact, (_, keys) in FACTS.items()}}.items():
        for column, target in keys.items():
            yield table, column, target


class Statement:
    def __init__(self, rng):
        self.rng = rng
        self.fact = rng.choice(["sales", "sales", "sales", "returns", "shipments"])
        alias, keys = FACTS[self.fact]
        self.tables = [(self.fact, alias)]
        self.joins = []  # (table, alias, condition)
        self.open_ends = [(alias, column, target) for column, target in keys.items()]
        self.where = []

    def join(self, count):
        """Walks outwards, the date and what has names preferred to nothing."""
        while len(self.tables) < count and self.open_ends:
            near, column, target = self.open_ends.pop(self.rng.randrange(len(self.open_ends)))
            if target == "sales" and self.rng.random() < 0.6:
                continue
            alias = f"{target[:3]}{len(self.tables)}"
            self.tables.append((target, alias))
            self.joins.append((target, alias, f"{near}.{column} = {alias}.id"))
            keys = FACTS[target][1] if target in FACTS else DIMENSIONS.get(target, {})
            self.open_ends += [(alias, key, to) for key, to in keys.items()]

    def name(self, table):
        word = WORD.get(table, table[:-1])
        return f"'{word} {self.rng.randint(1, NAMED[table])}'"

    def filter(self, table, alias):
        rng = self.rng
        first = FIRST + datetime.timedelta(rng.randrange(2000))
        last = first + datetime.timedelta(rng.choice([7, 31, 92, 365]))
        if table == "days":
            return rng.choice([f"{alias}.day BETWEEN date '{first}' AND date '{last}'",
                               f"{alias}.day >= date '{first}' AND {alias}.day < date '{last}'",
                               f"{alias}.year = {first.year} AND {alias}.month = {first.month}", f"{alias}.year = {first.year}"])
        if table == "customers" and rng.random() < 0.6:
            return rng.choice([f"{alias}.birthday < date '1960-01-01' AND {alias}.is_member", f"{alias}.email LIKE 'ab%'",
                               f"{alias}.birthday BETWEEN date '1980-01-01' AND date '1980-06-30'"])
        if table == "products" and rng.random() < 0.6:
            return rng.choice([f"{alias}.price > {rng.choice([900, 990])}", f"{alias}.launched >= date '{rng.randint(2019, 2022)}-06-01'"])
        if table == "cities" and rng.random() < 0.4:
            return f"{alias}.population > {rng.choice([5, 8])}000000"
        if table == "incomes":
            return f"{alias}.from_income >= {rng.randint(10, 19)}0000"
        if rng.random() < 0.3:
            return f"{alias}.name IN ({', '.join(self.name(table) for _ in range(3))})"
        return f"{alias}.name = {self.name(table)}"

    def filter_fact(self):
        rng = self.rng
        alias = self.tables[0][1]
        day = rng.randrange(1, 2100)
        choices = [f"{alias}.day_id BETWEEN {day} AND {day + rng.choice([7, 30, 90])}"]
        if self.fact != "returns":
            choices.append(f"{alias}.status = '{'open' if self.fact == 'sales' else 'lost'}'")
        choices.append(f"{alias}.{MEASURES[self.fact][0]} > {rng.choice([45, 900])}")
        return rng.choice(choices)

    def text(self):
        rng = self.rng
        self.join(rng.randint(3, 10))
        dimensions = [(table, alias) for table, alias in self.tables[1:] if table not in FACTS]
        parts = [self.filter(*each) for each in rng.sample(dimensions, min(len(dimensions), rng.randint(1, 3)))]
        if rng.random() < 0.4 or not parts:
            parts.append(self.filter_fact())
        alias = self.tables[0][1]
        measure = f"{alias}.{rng.choice(MEASURES[self.fact])}"
        if rng.random() < 0.5:
            source = f"{self.fact} {alias}" + "".join(f" JOIN {table} {name} ON {on}" for table, name, on in self.joins)
        else:
            source = ", ".join(f"{table} {name}" for table, name in self.tables)
            parts = [on for _, _, on in self.joins] + parts
        where = " WHERE " + " AND ".join(parts)
        if rng.random() < 0.2:  # the latest rows, not a sum
            return (f"SELECT {alias}.id, {alias}.day_id, {measure} FROM {source}{where}"
                    f" ORDER BY {rng.choice([f'{alias}.day_id DESC', f'{measure} DESC', f'{alias}.day_id, {alias}.id'])} LIMIT 50")
        named = [(table, name) for table, name in dimensions if table in NAMED] or [("days", None)]
        groups = [f"{name}.name" if name else f"{alias}.day_id" for _, name in rng.sample(named, min(len(named), rng.randint(1, 2)))]
        total = rng.choice([f"sum({measure})", f"count(*), avg({measure})", f"sum({measure}), count(DISTINCT {alias}.product_id)"
                            if self.fact != "shipments" else f"sum({measure}), max({measure})"])
        order = rng.choice([f" ORDER BY {len(groups) + 1} DESC LIMIT 20", f" ORDER BY {', '.join(groups)}", "",
                            f" ORDER BY {len(groups) + 1} DESC LIMIT 100"])
        return f"SELECT {', '.join(groups)}, {total} FROM {source}{where} GROUP BY {', '.join(groups)}{order}"


def statements(count=100, seed=1):
    rng = random.Random(seed)
    return [Statement(rng).text() for _ in range(count)]
