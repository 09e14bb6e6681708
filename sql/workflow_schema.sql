-- install_workflow_schema: what it says it did, for both profiles, and what it refuses.
-- Every object by name: tests/pg/test_schema.py.
CREATE SCHEMA corrected;
CREATE SCHEMA guide;
SELECT * FROM upkeep.install_workflow_schema('corrected', stamp_alembic => true);
SELECT * FROM upkeep.install_workflow_schema('guide', 'guide');
SELECT action, count(*) FROM upkeep.install_workflow_schema('corrected', stamp_alembic => true) GROUP BY 1 ORDER BY 1;
SELECT action, count(*) FROM upkeep.install_workflow_schema('guide', 'guide') GROUP BY 1 ORDER BY 1;
-- refused, nothing changed
SELECT * FROM upkeep.install_workflow_schema('guide', 'corrected');
SELECT * FROM upkeep.install_workflow_schema('guide', 'guide', true);
SELECT * FROM upkeep.install_workflow_schema('guide', 'gude');
SELECT * FROM upkeep.install_workflow_schema('nowhere');
SELECT * FROM upkeep.install_workflow_schema('pg_catalog');
SELECT * FROM upkeep.install_workflow_schema(NULL);
SELECT * FROM upkeep.install_workflow_schema(profile => NULL);
CREATE SCHEMA foreign_tables;
CREATE TABLE foreign_tables.workflows (id bigserial PRIMARY KEY, title text);
SELECT * FROM upkeep.install_workflow_schema('foreign_tables');
UPDATE corrected.alembic_version SET version_num = '8f7f9c9512ec';
SELECT * FROM upkeep.install_workflow_schema('corrected', stamp_alembic => true);
BEGIN READ ONLY;
SELECT * FROM upkeep.install_workflow_schema('guide', 'guide');
ROLLBACK;
CREATE ROLE regress_plain;
CREATE SCHEMA closed;
SET ROLE regress_plain;
SELECT * FROM upkeep.install_workflow_schema('closed');
RESET ROLE;
DROP ROLE regress_plain;
SELECT count(*) FROM pg_class WHERE relnamespace IN ('closed'::regnamespace, 'foreign_tables'::regnamespace);
\set VERBOSITY terse
SET client_min_messages = warning;
DROP SCHEMA corrected, guide, foreign_tables, closed CASCADE;
