"""What a thousand pages hold of one ASGI process that wait for something to happen."""

from __future__ import annotations

import time

from benchmarks.audience import Audience
from benchmarks.stand import Stand

__all__ = ["sockets"]

COUNT = 1000
IDLE = 45.0
"""Seconds; within them every page's rights are looked at twice."""

WAITING = "SELECT id FROM taskcenter_task WHERE state = 'pending'"


def sockets(stand: Stand) -> dict[str, float]:
    """RSS of the server in MB, the share of each socket in kB, and how much of a core it uses while nothing happens."""
    with stand.frozen(), Audience(stand) as audience:
        stand.ask("in_bulk", kind="noop", count=COUNT)
        tasks = [str(row[0]) for row in stand.database.rows(WAITING)][:COUNT]
        audience.open(tasks[:1])
        before = audience.memory()
        audience.open(tasks[1:])
        begun, used = time.monotonic(), audience.cpu()
        time.sleep(IDLE)
        share = 100 * (audience.cpu() - used) / (time.monotonic() - begun)
        rss = audience.memory()
        audience.close()
    each = 1000 * (rss - before) / (COUNT - 1)
    return {"sockets": COUNT, "before": before, "rss": rss, "each": each, "cpu": share}
