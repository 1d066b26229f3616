"""How long a finished task stays unseen, when short and slow tasks are mixed in one backlog.

From the end of the body, which is the task's result, to the commit of its row, which PostgreSQL writes down when
`track_commit_timestamp` is on. Both clocks are the machine's.
"""

from __future__ import annotations

import time

from benchmarks.measures.latency import percentile
from benchmarks.stand import Stand

__all__ = ["SETTING", "held"]

SETTING = "track_commit_timestamp=on"
COUNT = 2000
EVERY = 40
"""Of so many tasks one is slow: it takes 200 ms."""

QUERY = """
    SELECT 1000 * (extract(epoch FROM pg_xact_commit_timestamp(xmin))::float8 - (result #>> '{}')::float8)
    FROM taskcenter_task
    WHERE state = 'completed' AND (definition LIKE '%.ended' OR definition LIKE '%.slow')
"""


def held(stand: Stand) -> dict[str, float]:
    """Milliseconds, and the seconds that the whole backlog took."""
    with stand.frozen():
        target = stand.done() + COUNT
        stand.ask("mixed", count=COUNT, every=EVERY)
        begun = time.monotonic()
    seconds = stand.wait_done(target) - begun
    waits = [float(row[0]) for row in stand.database.rows(QUERY)]
    return {"p50": percentile(waits, 50), "p99": percentile(waits, 99), "max": max(waits), "seconds": seconds}
