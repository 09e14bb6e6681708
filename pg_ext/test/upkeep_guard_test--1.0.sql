\echo Use "CREATE EXTENSION upkeep_guard_test" to load this file. \quit
CREATE FUNCTION guard_throw(kind text) RETURNS text LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'upkeep_guard_throw';
CREATE FUNCTION guard_alive() RETURNS bigint LANGUAGE c AS 'MODULE_PATHNAME', 'upkeep_guard_alive';
CREATE FUNCTION guard_resident_kb() RETURNS bigint LANGUAGE c AS 'MODULE_PATHNAME', 'upkeep_guard_resident_kb';

CREATE FUNCTION estimated_index_bytes(create_index text) RETURNS bigint
    AS 'MODULE_PATHNAME', 'upkeep_test_index_bytes' LANGUAGE C STRICT;

CREATE FUNCTION hold_extension(of_table regclass, ms integer) RETURNS void
    AS 'MODULE_PATHNAME', 'upkeep_test_hold_extension' LANGUAGE C STRICT;
