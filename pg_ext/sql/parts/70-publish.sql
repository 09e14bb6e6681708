--| metrics and report: the rows of the other calls in forms for machines and people
--@ since: 0.1.0
--@ units: base units, seconds and bytes
CREATE FUNCTION upkeep.metric_samples()
    RETURNS TABLE (name text, type text, unit text, help text, labels jsonb,
        value double precision)
    LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 1000 COST 100000
    AS 'MODULE_PATHNAME', 'upkeep_metric_samples';
COMMENT ON FUNCTION upkeep.metric_samples()
    IS 'every metric as a row: statements, connections, locks, health, workflows';
CREATE VIEW upkeep.metric_samples AS SELECT * FROM upkeep.metric_samples();
COMMENT ON VIEW upkeep.metric_samples
    IS 'every metric as a row: statements, connections, locks, health, workflows';

CREATE FUNCTION upkeep.metrics(prefix text DEFAULT 'upkeep', families text[] DEFAULT NULL)
    RETURNS text
    LANGUAGE c VOLATILE PARALLEL UNSAFE COST 100000
    AS 'MODULE_PATHNAME', 'upkeep_metrics';
COMMENT ON FUNCTION upkeep.metrics(text, text[])
    IS 'the same metrics as text for Prometheus, exposition format 0.0.4';

CREATE FUNCTION upkeep.report(format text DEFAULT 'html', title text DEFAULT NULL) RETURNS text
    LANGUAGE c VOLATILE PARALLEL UNSAFE COST 100000
    AS 'MODULE_PATHNAME', 'upkeep_report';
COMMENT ON FUNCTION upkeep.report(text, text)
    IS 'one page: findings, statements, connections, locks, indexes, workflows, settings';
