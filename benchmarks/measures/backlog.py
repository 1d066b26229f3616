"""What a backlog costs: to write it, and to work it off."""

from __future__ import annotations

import os
import time

import psutil

from benchmarks.stand import Stand

__all__ = ["Meter", "drain", "enqueue", "fill"]

NAPS = 1000
"""At most; fewer for runners whose drain of no-ops is shorter than that. So many that its ends cost under 1 %."""
ONE_BY_ONE = 2000
IN_BULK = 10_000


class Meter:
    """CPU used by all concerned from its making on, and by strangers."""

    def __init__(self, stand: Stand) -> None:
        self._stand = stand
        self._strangers = _busy() - sum(stand.cpu().values()) - _mine()
        self._begun, self._cpu = time.monotonic(), stand.cpu()

    def read(self, tasks: int) -> dict[str, float]:
        """Microseconds per task of worker, PostgreSQL and Valkey; and how many cores strangers used."""
        used = {name: now - self._cpu[name] for name, now in self._stand.cpu().items()}
        strangers = _busy() - sum(self._stand.cpu().values()) - _mine() - self._strangers
        cores = max(0.0, strangers / (time.monotonic() - self._begun))
        return {**{f"cpu_{name}": 1e6 * seconds / tasks for name, seconds in used.items()}, "others": cores}


def drain(stand: Stand, kind: str, count: int) -> dict[str, float]:
    """Tasks a second, from SIGCONT to the workers until the last durable record of success is seen."""
    with stand.frozen():
        before = stand.done()
        fill(stand, kind, count)
        meter = Meter(stand)
        begun = time.monotonic()
    ended = stand.wait_done(before + count)
    return {"rate": count / (ended - begun), **meter.read(count)}


def enqueue(stand: Stand) -> dict[str, float]:
    """Calls a second and CPU per call of the client, while the workers stand still; nobody runs these tasks."""
    with stand.frozen():
        one = stand.ask("one_by_one", kind="noop", count=ONE_BY_ONE)
        numbers = {"rate": ONE_BY_ONE / one["seconds"], "cpu": 1e6 * one["cpu"] / ONE_BY_ONE}
        if stand.runner.bulk:
            bulk = stand.ask("in_bulk", kind="noop", count=IN_BULK)
            numbers |= {"bulk_rate": IN_BULK / bulk["seconds"], "bulk_cpu": 1e6 * bulk["cpu"] / IN_BULK}
    return numbers


def fill(stand: Stand, kind: str, count: int) -> None:
    """Enqueue so many in the quickest way there is."""
    stand.ask("in_bulk" if stand.runner.bulk else "one_by_one", kind=kind, count=count)


def _busy() -> float:
    """CPU seconds that this machine has not idled, all cores together."""
    times = psutil.cpu_times()
    return float(sum(times) - times.idle - getattr(times, "iowait", 0) - getattr(times, "guest", 0))


def _mine() -> float:
    times = os.times()
    return times.user + times.system
