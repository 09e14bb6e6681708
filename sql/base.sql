-- upkeep itself: version, capabilities, settings, what an ordinary role may do.
CREATE EXTENSION upkeep;
SELECT upkeep.version() = extversion AS same_version FROM pg_extension WHERE extname = 'upkeep';
SELECT feature, available, tier, reason, how_to_enable FROM upkeep.capabilities
WHERE feature IN ('library', 'index_advice', 'what_if', 'captured_workload') ORDER BY feature;
-- a feature that is not available says what to do; one that is available needs nothing
SELECT feature FROM upkeep.capabilities WHERE available = (how_to_enable IS NOT NULL AND feature <> 'library');
SHOW upkeep.workflow_profile;
SET upkeep.no_such_setting = 1;
-- everything is documented, nothing runs with its owner's rights by accident or on any search path
SELECT p.proname FROM pg_proc p WHERE pronamespace = 'upkeep'::regnamespace
    AND obj_description(p.oid, 'pg_proc') IS NULL ORDER BY 1;
SELECT c.relname FROM pg_class c WHERE relnamespace = 'upkeep'::regnamespace AND relkind IN ('r', 'v', 'm', 'f', 'p')
    AND obj_description(c.oid, 'pg_class') IS NULL ORDER BY 1;
SELECT p.proname FROM pg_proc p WHERE pronamespace = 'upkeep'::regnamespace AND prokind <> 'a'
    AND (prosecdef OR prolang <> (SELECT oid FROM pg_language WHERE lanname = 'c'))
    AND NOT coalesce(proconfig::text LIKE '%search_path%', false) ORDER BY 1;
-- what an ordinary role may do
CREATE ROLE regress_plain;
SET ROLE regress_plain;
SELECT upkeep.version() IS NOT NULL AS may_version;
SELECT count(*) > 0 AS may_capabilities FROM upkeep.capabilities;
SELECT cost_before > 0 AS may_what_if FROM upkeep.what_if('SELECT 1', '{}');
SELECT count(*) AS may_advise_indexes FROM upkeep.advise_indexes(ARRAY['SELECT 1']);
CREATE FUNCTION upkeep.planted() RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE VIEW upkeep.planted AS SELECT 1;
RESET ROLE;
DROP ROLE regress_plain;
