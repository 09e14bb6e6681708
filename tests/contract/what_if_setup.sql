CREATE TABLE s (id int PRIMARY KEY, a int, b text, c int, d int);
INSERT INTO s (id, a, b, c, d)
    WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
    SELECT i, i % 500, 'b' || i, i * 60, i % 7 FROM n;
ANALYZE;
