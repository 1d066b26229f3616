"""What goes wrong during a soak: mostly kill -9, of slots and of whole workers."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from random import Random
from typing import TypeVar

import psutil
import redis

from .crew import Crew

__all__ = ["FAULTS", "Chaos"]

T = TypeVar("T")

FAULTS = {"slot killed": 65, "worker killed": 17, "worker frozen": 8, "scheduler killed": 5, "Redis flushed": 5}
"""Each with its weight."""
PAUSE = (0.4, 1.4)
"""Seconds between two faults."""
FROZEN = (3.5, 7.0)
"""Seconds a worker is frozen: longer than its heartbeat may be silent, so that another takes over its tasks."""


class Chaos:
    """`strike()` does the next fault when it is time, and counts those that really happened."""

    def __init__(self, seed: int, crew: Crew, client: redis.Redis) -> None:
        self._rng = Random(f"chaos {seed}")
        self._crew = crew
        self._redis = client
        self._due = 0.0
        self._thaw_at = 0.0
        self.fired: Counter[str] = Counter()

    def strike(self) -> None:
        now = time.monotonic()
        if self._thaw_at and now >= self._thaw_at:
            self._crew.thaw()
            self._thaw_at = 0.0
        if now < self._due:
            return
        self._due = now + self._rng.uniform(*PAUSE)
        [fault] = self._rng.choices(list(FAULTS), list(FAULTS.values()))
        self.fired[fault] += self._happens(fault)

    def _happens(self, fault: str) -> bool:
        """Whether it could be done. The numbers are drawn in any case: a seed keeps its order of faults."""
        place, length = self._rng.random(), self._rng.uniform(*FROZEN)
        match fault:
            case "scheduler killed":
                return self._crew.kill9("scheduler")
            case "Redis flushed":
                return bool(self._redis.flushall())
        at_work = self._crew.at_work()
        if not at_work:
            return False
        name = _drawn(sorted(at_work), place)
        match fault:
            case "worker killed":
                return self._crew.kill9(name)
            case "worker frozen":
                return self._freeze(name, length)
        return _kill(_drawn([slot for slots in at_work.values() for slot in slots], place))

    def _freeze(self, name: str, seconds: float) -> bool:
        if self._thaw_at:
            return False  # one at a time: somebody has to work
        self._crew.freeze(name)
        self._thaw_at = time.monotonic() + seconds
        return True


def _drawn(candidates: Sequence[T], place: float) -> T:
    return candidates[int(place * len(candidates))]


def _kill(slot: psutil.Process) -> bool:
    try:
        slot.kill()
    except psutil.NoSuchProcess:
        return False
    return True
