"""Schemas, rows and workloads that index advice is judged on, beside AutoPR: a shop, an event log of
skewed tenants, a forum. Every value is arithmetic on the row number: the same rows every time."""
import autopr
import host

Statement = autopr.Statement

# A number in 0..9999 for row n and dice k, far from regular.
DICE = "((({n} * (2654435761 + {k} * 1000003)) % 4294967296) * 97 / 65536 % 10000)"


def dice(k, n="n"):
    return DICE.format(n=n, k=k)


def skewed(k, most, n="n"):
    """1..most, the low ones often: the first hundredth has a tenth."""
    return f"(1 + {dice(k, n)} * {dice(k, n)} * {most} / 100000000)"


NUMBERS = ("WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers"
           " WHERE n < {0}) ")

SHOP = f"""
CREATE TABLE customers(id INTEGER PRIMARY KEY, email TEXT NOT NULL UNIQUE, name TEXT NOT NULL,
    city TEXT NOT NULL, country TEXT NOT NULL, segment TEXT, created_at TEXT NOT NULL);
CREATE TABLE products(id INTEGER PRIMARY KEY, sku TEXT NOT NULL, title TEXT NOT NULL COLLATE NOCASE,
    category_id INTEGER NOT NULL, price REAL NOT NULL, stock INTEGER NOT NULL, is_active INTEGER NOT NULL);
CREATE TABLE categories(id INTEGER PRIMARY KEY, parent_id INTEGER, name TEXT NOT NULL);
CREATE TABLE orders(id INTEGER PRIMARY KEY, customer_id INTEGER NOT NULL REFERENCES customers(id),
    status TEXT NOT NULL, placed_at TEXT NOT NULL, shipped_at TEXT, total REAL NOT NULL, coupon TEXT,
    note TEXT);
CREATE TABLE order_items(id INTEGER PRIMARY KEY, order_id INTEGER NOT NULL REFERENCES orders(id),
    product_id INTEGER NOT NULL REFERENCES products(id), quantity INTEGER NOT NULL, price REAL NOT NULL);
CREATE TABLE reviews(id INTEGER PRIMARY KEY, product_id INTEGER NOT NULL, customer_id INTEGER NOT NULL,
    stars INTEGER NOT NULL, body TEXT, written_at TEXT NOT NULL);
INSERT INTO categories SELECT value, CASE WHEN value > 10 THEN value % 10 + 1 END, 'category ' || value
    FROM (WITH RECURSIVE v(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM v WHERE value < 120)
          SELECT value FROM v);
{NUMBERS.format("{scale} / 5")} INSERT INTO customers SELECT n, 'user' || n || '@mail' || (n % 7) || '.example',
    char(65 + {dice(2)} % 26) || char(97 + {dice(3)} % 26) || 'son ' || n,
    'city ' || {skewed(4, 800)}, CASE WHEN {dice(5)} < 6000 THEN 'de' WHEN {dice(5)} < 8000 THEN 'fr'
    WHEN {dice(5)} < 9900 THEN 'it' ELSE 'is' END, CASE WHEN {dice(6)} < 300 THEN 'vip' END,
    datetime(1600000000 + n * 997, 'unixepoch') FROM numbers;
{NUMBERS.format("{scale} / 20")} INSERT INTO products SELECT n, printf('SKU-%07d', n),
    CASE {dice(1)} % 5 WHEN 0 THEN 'Blue' WHEN 1 THEN 'red' WHEN 2 THEN 'Green' WHEN 3 THEN 'black'
    ELSE 'White' END || ' ' || char(97 + {dice(2)} % 26) || char(97 + {dice(3)} % 26) || char(97 + {dice(4)} % 26)
    || ' ' || n, {skewed(5, 120)}, {dice(6)} / 10.0, {dice(7)} % 500, {dice(8)} >= 700 FROM numbers;
{NUMBERS.format("{scale}")} INSERT INTO orders SELECT n, {skewed(1, "({scale} / 5)")},
    CASE WHEN n > {{scale}} - {{scale}} / 100 AND {dice(2)} < 5000 THEN 'open' WHEN {dice(2)} < 200 THEN 'returned'
    WHEN {dice(2)} < 500 THEN 'cancelled' ELSE 'delivered' END,
    datetime(1650000000 + n * 63 + {dice(3)}, 'unixepoch'),
    CASE WHEN n < {{scale}} - {{scale}} / 150 THEN datetime(1650090000 + n * 63 + {dice(4)} * 9, 'unixepoch') END,
    {dice(5)} / 7.0, CASE WHEN {dice(6)} < 400 THEN 'SAVE' || ({dice(7)} % 50) END,
    CASE WHEN {dice(8)} < 1000 THEN 'please ring twice at door ' || n END FROM numbers;
{NUMBERS.format("{scale} * 2")} INSERT INTO order_items SELECT n, 1 + {dice(9)} * {{scale}} / 10000 + n % ({{scale}} / 10000),
    {skewed(10, "({scale} / 20)")}, 1 + {dice(11)} % 4, {dice(12)} / 10.0 FROM numbers;
{NUMBERS.format("{scale} / 2")} INSERT INTO reviews SELECT n, {skewed(1, "({scale} / 20)")}, {skewed(2, "({scale} / 5)")},
    CASE WHEN {dice(3)} < 200 THEN 1 WHEN {dice(3)} < 500 THEN 2 WHEN {dice(3)} < 1500 THEN 3 WHEN {dice(3)} < 4000
    THEN 4 ELSE 5 END, CASE WHEN {dice(4)} < 7000 THEN 'text of review ' || n END,
    datetime(1650000000 + n * 130, 'unixepoch') FROM numbers;
"""

SHOP_WORKLOAD = [
    (3000, "SELECT * FROM orders WHERE customer_id = 7 ORDER BY placed_at DESC LIMIT 10"),
    (800, "SELECT id, total, status FROM orders WHERE customer_id = 4001 AND status = 'delivered'"
          " ORDER BY placed_at DESC"),
    (5000, "SELECT * FROM order_items WHERE order_id = 777"),
    (900, "SELECT i.quantity, i.price, p.title FROM order_items i JOIN products p ON p.id = i.product_id"
          " WHERE i.order_id = 1234"),
    (2000, "SELECT id, customer_id, placed_at FROM orders WHERE status = 'open' ORDER BY placed_at LIMIT 20"),
    (200, "SELECT count(*) FROM orders WHERE status = 'open'"),
    (10, "SELECT count(*), sum(total) FROM orders WHERE status = 'delivered'"),
    (60, "SELECT date(placed_at) AS day, count(*), sum(total) FROM orders WHERE placed_at >= '2024-03-01'"
         " AND placed_at < '2024-03-08' GROUP BY day ORDER BY day"),
    (40, "SELECT status, count(*) FROM orders WHERE placed_at >= '2024-04-01' GROUP BY status"),
    (300, "SELECT id, title, price FROM products WHERE title LIKE 'blue ab%' ORDER BY title LIMIT 20"),
    (2500, "SELECT * FROM products WHERE sku = 'SKU-0001500'"),
    (600, "SELECT id, title, price FROM products WHERE category_id = 3 AND is_active = 1"
          " ORDER BY price LIMIT 24"),
    (150, "SELECT id, title FROM products WHERE category_id IN (90, 91, 92) AND price BETWEEN 100 AND 150"),
    (20, "SELECT p.title, sum(i.quantity) AS sold FROM order_items i JOIN products p ON p.id = i.product_id"
         " JOIN orders o ON o.id = i.order_id WHERE o.placed_at >= '2024-04-10' GROUP BY p.id"
         " ORDER BY sold DESC LIMIT 10"),
    (700, "SELECT * FROM reviews WHERE product_id = 12 ORDER BY written_at DESC LIMIT 10"),
    (400, "SELECT avg(stars), count(*) FROM reviews WHERE product_id = 345"),
    (30, "SELECT id, product_id, body FROM reviews WHERE stars = 1 ORDER BY written_at DESC LIMIT 50"),
    (80, "SELECT name, email FROM customers WHERE city = 'city 41' AND country = 'is'"),
    (50, "SELECT id, name FROM customers WHERE country = 'de' ORDER BY created_at DESC LIMIT 25"),
    (40, "SELECT count(*) FROM customers WHERE segment = 'vip'"),
    (25, "SELECT c.name, o.total FROM customers c JOIN orders o ON o.customer_id = c.id"
         " WHERE c.city = 'city 700' AND o.status = 'returned'"),
    (100, "SELECT id, coupon, total FROM orders WHERE coupon = 'SAVE7' AND placed_at >= '2024-01-01'"),
    (15, "SELECT id FROM orders WHERE shipped_at IS NULL AND placed_at < '2024-04-14'"),
    (90, "SELECT c.name, count(*) FROM products p JOIN categories c ON c.id = p.category_id"
         " WHERE c.parent_id = 4 GROUP BY c.id"),
    (1200, "SELECT * FROM customers WHERE email = 'user77@mail0.example'"),
    (10, "SELECT id, name FROM customers k WHERE NOT EXISTS (SELECT 1 FROM orders o"
         " WHERE o.customer_id = k.id AND o.placed_at >= '2024-04-01') AND k.segment = 'vip'"),
    (300, "SELECT id, placed_at, total FROM orders WHERE placed_at < '2024-02-01 10:00:00'"
          " ORDER BY placed_at DESC, id DESC LIMIT 50"),
]

EVENTS = f"""
CREATE TABLE tenants(id INTEGER PRIMARY KEY, slug TEXT NOT NULL UNIQUE, plan TEXT NOT NULL);
CREATE TABLE devices(tenant_id INTEGER NOT NULL, serial TEXT NOT NULL, model TEXT NOT NULL, last_seen INTEGER,
    firmware TEXT, PRIMARY KEY(tenant_id, serial)) WITHOUT ROWID;
CREATE TABLE events(id INTEGER PRIMARY KEY, tenant_id INTEGER NOT NULL, kind TEXT NOT NULL, severity INTEGER NOT NULL,
    device TEXT, at INTEGER NOT NULL, session TEXT, payload TEXT, acknowledged INTEGER NOT NULL DEFAULT 0);
CREATE TABLE sessions(token TEXT PRIMARY KEY NOT NULL, tenant_id INTEGER NOT NULL, user_id INTEGER NOT NULL,
    started INTEGER NOT NULL, ended INTEGER);
CREATE TABLE alerts(id INTEGER PRIMARY KEY, event_id INTEGER NOT NULL, state TEXT NOT NULL, assignee TEXT,
    opened INTEGER NOT NULL, closed INTEGER);
{NUMBERS.format("400")} INSERT INTO tenants SELECT n, 'tenant-' || n, CASE WHEN n % 20 = 0 THEN 'gold' ELSE 'free' END
    FROM numbers;
{NUMBERS.format("{scale} / 50")} INSERT OR IGNORE INTO devices SELECT {skewed(1, 400)}, printf('D%08d', n),
    'model ' || ({dice(2)} % 12), 1700000000 + {dice(3)} * 300, CASE WHEN {dice(4)} < 9500 THEN '2.1' ELSE '1.' || ({dice(5)} % 9) END
    FROM numbers;
{NUMBERS.format("{scale}")} INSERT INTO events SELECT n,
    CASE WHEN {dice(1)} < 5500 THEN 1 WHEN {dice(1)} < 7000 THEN 2 ELSE 3 + {dice(2)} * 397 / 10000 END,
    CASE WHEN {dice(3)} < 7000 THEN 'heartbeat' WHEN {dice(3)} < 9000 THEN 'reading' WHEN {dice(3)} < 9800 THEN 'login'
    WHEN {dice(3)} < 9990 THEN 'error' ELSE 'tamper' END,
    CASE WHEN {dice(4)} < 8000 THEN 0 WHEN {dice(4)} < 9700 THEN 1 WHEN {dice(4)} < 9980 THEN 2 ELSE 3 END,
    CASE WHEN {dice(5)} < 9000 THEN printf('D%08d', {skewed(6, "({scale} / 50)")}) END,
    1700000000 + n * 17 + {dice(7)} / 50,
    CASE WHEN {dice(3)} >= 9000 THEN printf('s%09d', 1 + {dice(8)} * ({{scale}} / 10) / 10000) END,
    CASE WHEN {dice(9)} < 3000 THEN 'payload with some words ' || n END, {dice(10)} < 9700 FROM numbers;
{NUMBERS.format("{scale} / 10")} INSERT INTO sessions SELECT printf('s%09d', n), {skewed(1, 400)}, {skewed(2, 5000)},
    1700000000 + n * 170, CASE WHEN {dice(3)} < 9900 THEN 1700000000 + n * 170 + {dice(4)} END FROM numbers;
{NUMBERS.format("{scale} / 25")} INSERT INTO alerts SELECT n, 1 + {dice(1)} * {{scale}} / 10000,
    CASE WHEN {dice(2)} < 150 THEN 'open' WHEN {dice(2)} < 300 THEN 'snoozed' ELSE 'closed' END,
    CASE WHEN {dice(3)} < 8000 THEN 'user' || {skewed(4, 60)} END, 1700000000 + n * 425,
    CASE WHEN {dice(2)} >= 300 THEN 1700000000 + n * 425 + {dice(5)} END FROM numbers;
"""

EVENTS_WORKLOAD = [
    (900, "SELECT id, kind, at FROM events WHERE tenant_id = 1 ORDER BY at DESC LIMIT 50"),
    (900, "SELECT id, kind, at FROM events WHERE tenant_id = 317 ORDER BY at DESC LIMIT 50"),
    (120, "SELECT id, at, payload FROM events WHERE tenant_id = 1 AND kind = 'error' ORDER BY at DESC LIMIT 20"),
    (300, "SELECT count(*) FROM events WHERE tenant_id = 42 AND kind = 'error'"),
    (30, "SELECT count(*) FROM events WHERE tenant_id = 1 AND kind = 'heartbeat'"),
    (200, "SELECT * FROM events WHERE kind = 'tamper' AND at >= 1700000000 ORDER BY at LIMIT 100"),
    (60, "SELECT kind, count(*) FROM events WHERE tenant_id = 55 AND at BETWEEN 1700100000 AND 1700400000 GROUP BY kind"),
    (400, "SELECT * FROM events WHERE device = 'D00000042' ORDER BY at DESC LIMIT 10"),
    (150, "SELECT id, kind, severity FROM events WHERE session = 's000000777'"),
    (40, "SELECT id, tenant_id, at FROM events WHERE severity = 3 AND acknowledged = 0 ORDER BY at DESC LIMIT 20"),
    (40, "SELECT count(*) FROM events WHERE severity >= 2 AND at > 1700150000"),
    (10, "SELECT severity, count(*) FROM events GROUP BY severity"),
    (10, "SELECT count(*) FROM events WHERE acknowledged = 1"),
    (20, "SELECT t.slug, count(*) FROM events e JOIN tenants t ON t.id = e.tenant_id WHERE e.kind = 'tamper'"
         " GROUP BY t.slug ORDER BY 2 DESC LIMIT 5"),
    (500, "SELECT * FROM devices WHERE tenant_id = 9 AND serial = 'D00000100'"),
    (20, "SELECT tenant_id, serial FROM devices WHERE firmware = '1.3'"),
    (30, "SELECT serial, last_seen FROM devices WHERE tenant_id = 1 ORDER BY last_seen LIMIT 20"),
    (15, "SELECT tenant_id, serial FROM devices WHERE last_seen < 1700030000 AND model = 'model 3'"),
    (700, "SELECT * FROM sessions WHERE token = 's000000123'"),
    (200, "SELECT token, started FROM sessions WHERE user_id = 4000 AND ended IS NULL"),
    (100, "SELECT count(*) FROM sessions WHERE tenant_id = 3 AND started >= 1700200000"),
    (50, "SELECT s.token, count(*) FROM sessions s JOIN events e ON e.session = s.token"
         " WHERE s.user_id = 4242 GROUP BY s.token"),
    (600, "SELECT * FROM alerts WHERE state IN ('open', 'snoozed') ORDER BY opened DESC LIMIT 25"),
    (80, "SELECT a.id, e.kind, e.at FROM alerts a JOIN events e ON e.id = a.event_id"
         " WHERE a.assignee = 'user40' AND a.state = 'open'"),
    (60, "SELECT count(*) FROM alerts WHERE event_id = 4242"),
    (20, "SELECT assignee, count(*) FROM alerts WHERE closed >= 1700300000 GROUP BY assignee"),
    (40, "SELECT DISTINCT device FROM events WHERE tenant_id = 200 AND kind = 'login'"),
    (25, "SELECT max(at) FROM events WHERE device = 'D00000007' AND kind = 'reading'"),
    (12, "SELECT id FROM events WHERE (tenant_id = 77 AND kind = 'tamper') OR session = 's000000042'"),
]

FORUM = f"""
CREATE TABLE users(id INTEGER PRIMARY KEY, name TEXT NOT NULL COLLATE NOCASE, joined TEXT NOT NULL, karma INTEGER NOT NULL,
    banned INTEGER NOT NULL DEFAULT 0);
CREATE TABLE boards(id INTEGER PRIMARY KEY, title TEXT NOT NULL, is_public INTEGER NOT NULL);
CREATE TABLE threads(id INTEGER PRIMARY KEY, board_id INTEGER NOT NULL, author_id INTEGER NOT NULL, title TEXT NOT NULL,
    created TEXT NOT NULL, last_post TEXT NOT NULL, replies INTEGER NOT NULL, pinned INTEGER NOT NULL DEFAULT 0,
    locked INTEGER NOT NULL DEFAULT 0);
CREATE TABLE posts(id INTEGER PRIMARY KEY, thread_id INTEGER NOT NULL, author_id INTEGER NOT NULL, parent_id INTEGER,
    created TEXT NOT NULL, body TEXT NOT NULL, score INTEGER NOT NULL, state TEXT NOT NULL);
CREATE TABLE votes(user_id INTEGER NOT NULL, post_id INTEGER NOT NULL, value INTEGER NOT NULL, cast_at TEXT NOT NULL,
    PRIMARY KEY(user_id, post_id)) WITHOUT ROWID;
CREATE TABLE tags(thread_id INTEGER NOT NULL, tag TEXT NOT NULL);
{NUMBERS.format("{scale} / 20")} INSERT INTO users SELECT n, char(65 + {dice(1)} % 26) || char(97 + {dice(2)} % 26)
    || char(97 + {dice(3)} % 26) || n, datetime(1500000000 + n * 3001, 'unixepoch'), {skewed(4, 100000)},
    {dice(5)} < 100 FROM numbers;
{NUMBERS.format("30")} INSERT INTO boards SELECT n, 'board ' || n, n % 5 <> 0 FROM numbers;
{NUMBERS.format("{scale} / 8")} INSERT INTO threads SELECT n, {skewed(1, 30)}, {skewed(2, "({scale} / 20)")},
    'thread about ' || {dice(3)} || ' and ' || n, datetime(1600000000 + n * 400, 'unixepoch'),
    datetime(1600000000 + n * 400 + {dice(4)} * {dice(4)} / 4, 'unixepoch'), {skewed(5, 300)}, {dice(6)} < 20,
    {dice(7)} < 500 FROM numbers;
{NUMBERS.format("{scale}")} INSERT INTO posts SELECT n, {skewed(1, "({scale} / 8)")}, {skewed(2, "({scale} / 20)")},
    CASE WHEN {dice(3)} < 6000 AND n > 100 THEN n - {dice(4)} % 97 END, datetime(1600000000 + n * 50, 'unixepoch'),
    'body of post number ' || n || ' with a few more words to fill it up: ' || {dice(5)}, {dice(6)} * {dice(6)} / 1000000,
    CASE WHEN {dice(7)} < 9400 THEN 'visible' WHEN {dice(7)} < 9900 THEN 'deleted' WHEN {dice(7)} < 9960 THEN 'flagged'
    ELSE 'held' END FROM numbers;
{NUMBERS.format("{scale} * 2")} INSERT OR IGNORE INTO votes SELECT {skewed(1, "({scale} / 20)")},
    1 + {dice(2)} * {{scale}} / 10000 + n % 97, CASE WHEN {dice(3)} < 8500 THEN 1 ELSE -1 END,
    datetime(1600000000 + n * 25, 'unixepoch') FROM numbers;
{NUMBERS.format("{scale} / 5")} INSERT INTO tags SELECT {skewed(1, "({scale} / 8)")}, 'tag' || {skewed(2, 900)} FROM numbers;
"""

FORUM_WORKLOAD = [
    (3000, "SELECT id, title, replies, last_post FROM threads WHERE board_id = 1 ORDER BY pinned DESC, last_post DESC"
           " LIMIT 30"),
    (500, "SELECT id, title, replies, last_post FROM threads WHERE board_id = 28 ORDER BY last_post DESC LIMIT 30"),
    (50, "SELECT id, title FROM threads WHERE board_id = 1 ORDER BY last_post DESC LIMIT 30 OFFSET 300"),
    (5000, "SELECT p.id, p.body, p.score, u.name FROM posts p JOIN users u ON u.id = p.author_id"
           " WHERE p.thread_id = 4000 AND p.state = 'visible' ORDER BY p.created"),
    (800, "SELECT * FROM posts WHERE thread_id = 3 ORDER BY created DESC LIMIT 20"),
    (700, "SELECT id, thread_id, created FROM posts WHERE author_id = 17 ORDER BY created DESC LIMIT 25"),
    (100, "SELECT count(*), sum(score) FROM posts WHERE author_id = 900"),
    (400, "SELECT * FROM posts WHERE state = 'held' ORDER BY created LIMIT 50"),
    (100, "SELECT count(*) FROM posts WHERE state IN ('held', 'flagged')"),
    (8, "SELECT count(*) FROM posts WHERE state = 'visible'"),
    (300, "SELECT * FROM posts WHERE parent_id = 777"),
    (30, "SELECT id, score FROM posts WHERE created >= '2021-04-01' AND created < '2021-04-02' ORDER BY score DESC LIMIT 10"),
    (20, "SELECT author_id, count(*) AS posts FROM posts WHERE created >= '2022-03-10' GROUP BY author_id"
         " ORDER BY posts DESC LIMIT 20"),
    (900, "SELECT value FROM votes WHERE user_id = 12 AND post_id = 345"),
    (1500, "SELECT sum(value) FROM votes WHERE post_id = 2345"),
    (20, "SELECT post_id, count(*) FROM votes WHERE cast_at >= '2022-03-13' AND value = -1 GROUP BY post_id"
         " ORDER BY 2 DESC LIMIT 10"),
    (250, "SELECT id, name FROM users WHERE name LIKE 'ab%' ORDER BY name LIMIT 10"),
    (60, "SELECT id, name, karma FROM users ORDER BY karma DESC LIMIT 20"),
    (15, "SELECT id, name FROM users WHERE banned = 1 AND joined >= '2018-01-01'"),
    (600, "SELECT tag FROM tags WHERE thread_id = 99"),
    (300, "SELECT t.id, t.title, t.last_post FROM tags g JOIN threads t ON t.id = g.thread_id WHERE g.tag = 'tag700'"
          " ORDER BY t.last_post DESC LIMIT 20"),
    (100, "SELECT tag, count(*) FROM tags WHERE tag LIKE 'tag1%' GROUP BY tag ORDER BY 2 DESC LIMIT 10"),
    (80, "SELECT t.id, t.title, u.name FROM threads t JOIN users u ON u.id = t.author_id WHERE t.author_id = 55"
         " ORDER BY t.created DESC LIMIT 10"),
    (20, "SELECT b.title, count(*) FROM boards b JOIN threads t ON t.board_id = b.id WHERE b.is_public = 1"
         " AND t.created >= '2021-12-01' GROUP BY b.id"),
    (40, "SELECT id, title FROM threads WHERE locked = 0 AND replies >= 290 AND created > '2021-06-01' ORDER BY replies DESC"),
    (25, "SELECT id FROM threads WHERE pinned = 1"),
    (10, "SELECT u.name FROM users u WHERE u.karma > 90000 AND EXISTS (SELECT 1 FROM posts p WHERE p.author_id = u.id"
         " AND p.state = 'flagged')"),
    (10, "SELECT max(created) FROM posts WHERE thread_id = 8"),
]


class Scenario:
    def __init__(self, name, schema, workload):
        self.name = name
        self.schema = schema
        self.statements = [Statement(f"{name}_{number}", "read", float(weight), sql)
                           for number, (weight, sql) in enumerate(workload, 1)]

    def create(self, path, scale):
        db = host.connect(database=str(path), isolation_level=None)
        db.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;")
        db.executescript("BEGIN;" + self.schema.replace("{scale}", str(scale)) + "COMMIT;")
        db.execute("PRAGMA journal_mode = DELETE")
        return db


class Autopr:
    name = "autopr"

    def __init__(self):
        self.statements = autopr.workload()

    @staticmethod
    def create(path, scale):
        return autopr.create(path, scale)


def all_scenarios():
    return [Autopr(), Scenario("shop", SHOP, SHOP_WORKLOAD), Scenario("events", EVENTS, EVENTS_WORKLOAD),
            Scenario("forum", FORUM, FORUM_WORKLOAD)]
