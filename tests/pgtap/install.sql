-- CREATE EXTENSION in a server that does not preload the library: who may, what everyone gets, and
-- what is left after DROP EXTENSION.
BEGIN;
SELECT plan(20);

SELECT is(current_setting('shared_preload_libraries'), '', 'nothing is preloaded here');
SELECT has_schema('upkeep');
SELECT ok((SELECT tier = 'created' AND available FROM upkeep.capabilities WHERE feature = 'library'),
          'a call of ours does not make the library more than created');
SELECT ok((SELECT how_to_enable LIKE '%shared_preload_libraries%' FROM upkeep.capabilities
           WHERE feature = 'library'), 'and the row says how to get the rest');
SELECT is((SELECT count(*)::int FROM upkeep.capabilities WHERE tier = 'preloaded'), 0,
          'no feature claims the preloaded tier');
SELECT is((SELECT count(*)::int FROM upkeep.capabilities
           WHERE NOT available AND coalesce(how_to_enable, '') = ''), 0,
          'what does not work says what to do');
SELECT is((SELECT count(*)::int FROM upkeep.capabilities WHERE coalesce(reason, '') = ''), 0,
          'every row has a reason');
SELECT ok((SELECT NOT available FROM upkeep.capabilities WHERE feature = 'captured_workload'),
          'no workload is captured here, and the row says so');

CREATE ROLE upkeep_plain;
SELECT ok(has_schema_privilege('upkeep_plain', 'upkeep', 'USAGE'), 'everyone may look into the schema');
SELECT ok(NOT has_schema_privilege('upkeep_plain', 'upkeep', 'CREATE'), 'nobody may plant objects there');
SELECT ok(has_function_privilege('upkeep_plain', 'upkeep.' || name, 'EXECUTE'), 'everyone may call ' || name)
FROM (VALUES ('version()'), ('what_if(text, text[])'),
      ('advise_indexes(text[], float8[], bigint, int, interval, float8, text[])')) AS call (name);
SELECT ok(has_table_privilege('upkeep_plain', 'upkeep.capabilities', 'SELECT'), 'everyone may read capabilities');
SELECT is((SELECT count(*)::int FROM pg_class WHERE relnamespace = 'upkeep'::regnamespace AND relkind IN ('r', 'v', 'm')
           AND (has_table_privilege('upkeep_plain', oid, 'INSERT') OR has_table_privilege('upkeep_plain', oid, 'DELETE')
                OR has_table_privilege('upkeep_plain', oid, 'UPDATE'))), 0, 'nobody may write where nothing was granted');

DROP EXTENSION upkeep;
SET ROLE upkeep_plain;
SELECT throws_ok('CREATE EXTENSION upkeep', '42501', NULL, 'an ordinary role may not install it');
RESET ROLE;
SELECT hasnt_schema('upkeep', 'DROP EXTENSION leaves no schema');
SELECT is((SELECT count(*)::int FROM pg_proc WHERE probin LIKE '%upkeep%'), 0, 'nor a function');
CREATE SCHEMA upkeep AUTHORIZATION upkeep_plain;
SELECT throws_ok('CREATE EXTENSION upkeep', '42P06', NULL, 'nor is it installed into a schema that somebody owns');
DROP SCHEMA upkeep;
CREATE EXTENSION upkeep;
SELECT is(upkeep.version(), (SELECT extversion FROM pg_extension WHERE extname = 'upkeep'),
          'installed again, library and extension have the same version');

SELECT * FROM finish();
ROLLBACK;
