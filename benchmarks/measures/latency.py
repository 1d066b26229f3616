"""How long from before the enqueue call to the first line of the body, workers idle."""

from __future__ import annotations

import statistics
import time

from benchmarks.stand import Stand

__all__ = ["latency", "percentile"]

SECONDS = 4
PATIENCE = 20.0


def latency(stand: Stand) -> dict[str, float]:
    """p50 and p99 in ms; `lost` are tasks whose body ran but whose record of success did not come."""
    pace = stand.runner.pace
    count = int(SECONDS * pace)
    before = stand.done()
    sent = stand.ask("paced", kind="stamp", count=count, pace=pace)["sent"]
    begun = _stamps(stand, count)
    waits = [1000 * (begun[number] - moment) for number, moment in enumerate(sent) if number in begun]
    return {"p50": statistics.median(waits), "p99": percentile(waits, 99), "lost": _lost(stand, before + count)}


def percentile(values: list[float], percent: float) -> float:
    """The value that so many percent do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def _stamps(stand: Stand, count: int) -> dict[int, float]:
    """When each body began, as the bodies wrote it down; those that come within the patience."""
    deadline = time.monotonic() + PATIENCE
    while True:
        lines = [line.split() for line in stand.stamps.read_text().splitlines()]
        if len(lines) >= count or time.monotonic() > deadline:
            return {int(number): float(moment) for number, moment in lines}
        time.sleep(0.05)


def _lost(stand: Stand, target: int) -> int:
    """How many records are missing once no more come."""
    found, still_since = stand.done(), time.monotonic()
    while found < target and time.monotonic() < still_since + 3:
        time.sleep(0.1)
        now = stand.done()
        if now > found:
            found, still_since = now, time.monotonic()
    return max(0, target - found)
