-- upkeep itself: version, capabilities, settings, what an ordinary role may do.
CREATE EXTENSION upkeep;
SELECT upkeep.version() = extversion AS same_version FROM pg_extension WHERE extname = 'upkeep';
SELECT feature, available, tier, reason, how_to_enable FROM upkeep.capabilities WHERE feature <> 'library';
SELECT tier, reason FROM upkeep.capabilities WHERE feature = 'library';
SHOW upkeep.workflow_profile;
SET upkeep.no_such_setting = 1;
-- nothing of ours is an application table, everything is documented, nothing is granted by accident
SELECT p.proname FROM pg_proc p WHERE pronamespace = 'upkeep'::regnamespace
    AND obj_description(p.oid, 'pg_proc') IS NULL;
SELECT p.proname, p.provolatile, p.proparallel, p.prosecdef FROM pg_proc p
WHERE pronamespace = 'upkeep'::regnamespace ORDER BY 1;
CREATE ROLE regress_plain;
SET ROLE regress_plain;
SELECT upkeep.version() IS NOT NULL AS may_version;
SELECT count(*) > 0 AS may_capabilities FROM upkeep.capabilities;
CREATE FUNCTION upkeep.planted() RETURNS int LANGUAGE sql AS 'SELECT 1';
RESET ROLE;
DROP ROLE regress_plain;
