"""How long from a call that tells progress to the frame at a client, one and many watching the same task."""

from __future__ import annotations

import statistics

from benchmarks.audience import Audience
from benchmarks.measures.latency import percentile
from benchmarks.stand import Stand

__all__ = ["WATCHERS", "frames"]

WATCHERS = (1, 100, 500)
TICKS = 20

NEWEST = "SELECT id FROM taskcenter_task WHERE definition LIKE '%.ticks' ORDER BY created_at DESC LIMIT 1"


def frames(stand: Stand) -> dict[str, float]:
    """p50 and p95 in ms over all frames of all who watch, and the server's CPU in µs for each."""
    found: dict[str, float] = {}
    with Audience(stand) as audience:
        for count in WATCHERS:
            waits, used = _watched(stand, audience, count)
            found |= {f"p50_{count}": statistics.median(waits), f"p95_{count}": percentile(waits, 95)}
            found[f"cpu_{count}"] = 1_000_000 * used / len(waits)
    return found


def _watched(stand: Stand, audience: Audience, count: int) -> tuple[list[float], float]:
    target = stand.done() + 1
    with stand.frozen():
        stand.ask("one", kind="ticks", number=TICKS)
        audience.open([str(stand.database.rows(NEWEST)[0][0])] * count)
        used = audience.cpu()
    stand.wait_done(target)
    waits = audience.hear_out()
    used = audience.cpu() - used
    audience.close()
    return waits, used
