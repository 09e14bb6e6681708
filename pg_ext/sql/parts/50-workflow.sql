
--| the workflow schema as ordinary tables of the caller
--@ since: 0.1.0
CREATE FUNCTION upkeep.install_workflow_schema(
    target_schema text DEFAULT 'public', profile text DEFAULT 'corrected',
    stamp_alembic boolean DEFAULT false)
    RETURNS TABLE (object_type text, object_name text, action text)
    LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 50
    SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'upkeep_install_workflow_schema';
COMMENT ON FUNCTION upkeep.install_workflow_schema(text, text, boolean)
    IS 'creates the workflow tables and indexes as ordinary objects; twice changes nothing';
