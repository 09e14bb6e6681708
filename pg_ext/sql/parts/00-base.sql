\echo Use "CREATE EXTENSION upkeep" to load this file. \quit

-- Made here, not by the control file: it goes with the extension, and a schema of this name that
-- somebody else owns already is an error instead of a place to plant objects in.
CREATE SCHEMA upkeep;
COMMENT ON SCHEMA upkeep IS 'the DBA that lives inside the database';

--| upkeep itself
--@ since: 0.1.0
CREATE FUNCTION upkeep.version() RETURNS text
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'upkeep_version';
COMMENT ON FUNCTION upkeep.version() IS 'version of the library';

CREATE FUNCTION upkeep.capabilities()
    RETURNS TABLE (feature text, available boolean, tier text, reason text, how_to_enable text)
    LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'upkeep_capabilities';
COMMENT ON FUNCTION upkeep.capabilities() IS 'what works here, how well, and what to do to get the rest';

CREATE VIEW upkeep.capabilities AS SELECT * FROM upkeep.capabilities();
COMMENT ON VIEW upkeep.capabilities IS 'what works here, how well, and what to do to get the rest';
