"""What the tests of workflow statistics share between the hosts: the columns, exact percentiles, the
sketch whose bytes are fixed, and how near a sketch has to be."""
import math

COLUMNS = ("group_key total pending running completed failed timeout cancelled success_ratio avg_ms p50_ms"
           " p95_ms p99_ms max_ms retries per_hour last_started_at last_failed_at covered_from_at"
           " covered_until_at").split()
GROUPS = ("workflow", "status", "trigger_type", "hour", "day", "all")
EXACT = [name for name in COLUMNS if not name.endswith("_ms")]

# The numbers of tests, and the bytes both hosts make of them, for ever.
NUMBERS = [0, 0.0004, 0.25, 1, 1, 2.5, 17, 1000, 1000.4, 86400000, 31536000000, 144115188075855]
BYTES = "55010ca6afa8d0aa988780020a0001e40101d604018001025201b40101f70202970801a204018c0601"


def percentile(values, q):
    """As percentile_cont."""
    ordered = sorted(values)
    place = q * (len(ordered) - 1)
    low = ordered[int(place)]
    return low + (ordered[min(int(place) + 1, len(ordered) - 1)] - low) * (place - int(place))


def near(found, wanted, ratio=0.03):
    """Both NULL, or within 3 %."""
    if found is None or wanted is None:
        return found is wanted
    return math.isclose(found, wanted, rel_tol=ratio, abs_tol=1e-6)
