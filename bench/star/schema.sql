-- A snowflake of 25 tables: 3 facts, 22 dimensions, keys on the dimensions, no index on a foreign key.
-- All values follow from the row's number, so that two loads are equal. :facts is the size of the largest table.
CREATE FUNCTION pick(i bigint, salt bigint, n bigint) RETURNS bigint IMMUTABLE PARALLEL SAFE LANGUAGE sql
    RETURN 1 + (hashint8extended(i, salt) & 9223372036854775807) % n;
-- Small numbers are drawn more often than large ones, as with products and customers.
CREATE FUNCTION pick_skewed(i bigint, salt bigint, n bigint) RETURNS bigint IMMUTABLE PARALLEL SAFE LANGUAGE sql
    RETURN 1 + floor(n * ((pick(i, salt, 1000000) - 1) / 1000000.0)::float8 ^ 2.5)::bigint;

CREATE TABLE regions AS SELECT i::int AS id, 'region ' || i AS name FROM generate_series(1, 6) i;
CREATE TABLE countries AS SELECT i::int AS id, pick(i, 1, 6)::int AS region_id, 'country ' || i AS name, chr(65 + i % 26) || chr(65 + i / 26) AS code
    FROM generate_series(1, 60) i;
CREATE TABLE cities AS SELECT i::int AS id, pick(i, 2, 60)::int AS country_id, 'city ' || i AS name, pick(i, 3, 9000000)::int AS population
    FROM generate_series(1, 2000) i;
CREATE TABLE segments AS SELECT i::int AS id, 'segment ' || i AS name FROM generate_series(1, 8) i;
CREATE TABLE incomes AS SELECT i::int AS id, i * 10000 AS from_income FROM generate_series(1, 20) i;
CREATE TABLE customers AS SELECT i::int AS id, pick(i, 4, 2000)::int AS city_id, pick(i, 5, 8)::int AS segment_id, pick(i, 6, 20)::int AS income_id,
    'customer ' || i AS name, date '1940-01-01' + pick(i, 7, 25000)::int AS birthday, pick(i, 8, 2) = 1 AS is_member,
    md5(i::text) || '@example.org' AS email FROM generate_series(1, 60000) i;
CREATE TABLE departments AS SELECT i::int AS id, 'department ' || i AS name FROM generate_series(1, 12) i;
CREATE TABLE categories AS SELECT i::int AS id, pick(i, 9, 12)::int AS department_id, 'category ' || i AS name FROM generate_series(1, 150) i;
CREATE TABLE brands AS SELECT i::int AS id, 'brand ' || i AS name, pick(i, 10, 60)::int AS country_id FROM generate_series(1, 800) i;
CREATE TABLE suppliers AS SELECT i::int AS id, pick(i, 11, 2000)::int AS city_id, 'supplier ' || i AS name, pick(i, 12, 5)::int AS rating
    FROM generate_series(1, 3000) i;
CREATE TABLE products AS SELECT i::int AS id, pick(i, 13, 150)::int AS category_id, pick_skewed(i, 14, 800)::int AS brand_id,
    pick(i, 15, 3000)::int AS supplier_id, 'product ' || i AS name, (pick(i, 16, 100000) / 100.0)::numeric(10, 2) AS price,
    date '2015-01-01' + pick(i, 17, 3000)::int AS launched FROM generate_series(1, 30000) i;
CREATE TABLE days AS SELECT i::int AS id, date '2018-01-01' + i::int - 1 AS day, extract(year FROM date '2018-01-01' + i::int - 1)::int AS year,
    extract(month FROM date '2018-01-01' + i::int - 1)::int AS month, extract(isodow FROM date '2018-01-01' + i::int - 1)::int AS weekday
    FROM generate_series(1, 2192) i;
CREATE TABLE store_types AS SELECT i::int AS id, 'type ' || i AS name FROM generate_series(1, 5) i;
CREATE TABLE stores AS SELECT i::int AS id, pick(i, 18, 2000)::int AS city_id, pick(i, 19, 5)::int AS type_id, 'store ' || i AS name,
    date '2000-01-01' + pick(i, 20, 7000)::int AS opened FROM generate_series(1, 400) i;
CREATE TABLE employees AS SELECT i::int AS id, pick(i, 21, 400)::int AS store_id, 'employee ' || i AS name,
    date '2005-01-01' + pick(i, 22, 6000)::int AS hired FROM generate_series(1, 5000) i;
CREATE TABLE promotions AS SELECT i::int AS id, 'promotion ' || i AS name, pick(i, 23, 4)::int AS medium FROM generate_series(1, 600) i;
CREATE TABLE payments AS SELECT i::int AS id, 'payment ' || i AS name FROM generate_series(1, 7) i;
CREATE TABLE channels AS SELECT i::int AS id, 'channel ' || i AS name FROM generate_series(1, 4) i;
CREATE TABLE carriers AS SELECT i::int AS id, 'carrier ' || i AS name, pick(i, 24, 60)::int AS country_id FROM generate_series(1, 25) i;
CREATE TABLE warehouses AS SELECT i::int AS id, pick(i, 25, 2000)::int AS city_id, 'warehouse ' || i AS name FROM generate_series(1, 40) i;
CREATE TABLE reasons AS SELECT i::int AS id, 'reason ' || i AS name FROM generate_series(1, 30) i;
CREATE TABLE currencies AS SELECT i::int AS id, 'currency ' || i AS name FROM generate_series(1, 15) i;

-- Facts come in the order of their days, as they do where rows are appended.
CREATE TABLE sales AS SELECT i AS id, (1 + i::bigint * 2192 / (:facts + 1))::int AS day_id, pick_skewed(i, 30, 60000)::int AS customer_id,
    pick_skewed(i, 31, 30000)::int AS product_id, pick(i, 32, 400)::int AS store_id, pick(i, 33, 5000)::int AS employee_id,
    CASE WHEN pick(i, 34, 10) <= 2 THEN pick(i, 35, 600)::int END AS promotion_id, pick_skewed(i, 36, 7)::int AS payment_id,
    pick_skewed(i, 37, 4)::int AS channel_id, pick_skewed(i, 38, 15)::int AS currency_id, pick(i, 39, 10)::int AS quantity,
    (pick(i, 40, 100000) / 100.0)::numeric(10, 2) AS amount, CASE WHEN pick(i, 41, 100) <= 2 THEN 'open' ELSE 'paid' END AS status
    FROM generate_series(1, :facts) i;
CREATE TABLE returns AS SELECT i AS id, pick(i, 50, :facts) AS sale_id, (1 + i::bigint * 2192 / (:facts / 5 + 1))::int AS day_id,
    pick_skewed(i, 51, 60000)::int AS customer_id, pick_skewed(i, 52, 30000)::int AS product_id, pick(i, 53, 400)::int AS store_id,
    pick_skewed(i, 54, 30)::int AS reason_id, (pick(i, 55, 100000) / 100.0)::numeric(10, 2) AS amount
    FROM generate_series(1, :facts / 5) i;
CREATE TABLE shipments AS SELECT i AS id, pick(i, 60, :facts) AS sale_id, (1 + i::bigint * 2192 / (:facts / 2 + 1))::int AS day_id,
    pick(i, 61, 40)::int AS warehouse_id, pick_skewed(i, 62, 25)::int AS carrier_id, pick_skewed(i, 63, 60000)::int AS customer_id,
    pick(i, 64, 2000)::int AS city_id, pick_skewed(i, 65, 30000)::int AS product_id, pick(i, 66, 20)::int AS days_taken,
    (pick(i, 67, 5000) / 100.0)::numeric(10, 2) AS freight, CASE WHEN pick(i, 68, 200) = 1 THEN 'lost' ELSE 'arrived' END AS status
    FROM generate_series(1, :facts / 2) i;
