"""A drain on SQLite, two slots writing to one file: how fast, and whether one starves the other."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from itertools import pairwise

from benchmarks.measures.backlog import drain
from benchmarks.stand import Stand

__all__ = ["sqlite"]

AT_MOST = 10_000
"""Tasks in the drain."""

QUERY = "SELECT result, finished_at FROM taskcenter_task WHERE definition LIKE '%.whose' ORDER BY finished_at"


def sqlite(stand: Stand) -> dict[str, float]:
    """Tasks a second; the smaller slot's share in percent; the longest time in ms that a slot finished nothing."""
    count = min(stand.runner.tasks, AT_MOST)
    numbers = drain(stand, "whose", count)
    finished: dict[str, list[datetime]] = defaultdict(list)
    for process, moment in stand.database.rows(QUERY):
        finished[process].append(datetime.fromisoformat(moment))
    share = min(map(len, finished.values())) if len(finished) > 1 else 0
    gaps = [(b - a).total_seconds() for moments in finished.values() for a, b in pairwise(moments)]
    return {**numbers, "share": 100 * share / count, "silence": 1000 * max(gaps, default=0)}
