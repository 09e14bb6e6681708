-- CREATE EXTENSION in a server that preloads the library.
BEGIN;
SELECT plan(5);
CREATE TABLE numbers AS SELECT n FROM generate_series(1, 20000) AS n;
ANALYZE numbers;
SELECT ok(current_setting('shared_preload_libraries') LIKE '%upkeep%', 'the library is preloaded here');
SELECT is((SELECT tier FROM upkeep.capabilities WHERE feature = 'library'), 'preloaded', 'and the row says so');
SELECT is((SELECT how_to_enable FROM upkeep.capabilities WHERE feature = 'library'), NULL,
          'there is nothing left to do for it');
SELECT ok((SELECT cost_before > cost_after FROM upkeep.what_if(
              'SELECT * FROM numbers WHERE n = 5', ARRAY['CREATE INDEX ON numbers (n)'])),
          'indexes can be assumed in a preloaded server');
SELECT is(upkeep.version(), (SELECT extversion FROM pg_extension WHERE extname = 'upkeep'),
          'library and extension have the same version');
SELECT * FROM finish();
ROLLBACK;
