\echo Use "CREATE EXTENSION upkeep" to load this file. \quit

--| upkeep itself
--@ since: 0.1.0
CREATE FUNCTION upkeep.version() RETURNS text
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'upkeep_version';
COMMENT ON FUNCTION upkeep.version() IS 'version of the library';
