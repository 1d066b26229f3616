"""What goes wrong during a soak: mostly kill -9, of slots and of whole workers; now and then of a server."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import TypeVar

import psutil
import redis
from django.db import connections

from .crew import Crew
from .house import House

__all__ = ["FAULTS", "SERVERS", "Chaos", "Kill"]

T = TypeVar("T")

FAULTS = {
    "slot killed": 61,
    "worker killed": 16,
    "worker frozen": 8,
    "scheduler killed": 5,
    "Redis flushed": 4,
    "Redis restarted": 3,
    "database restarted": 3,
}
"""Each with its weight."""
SERVERS = {"Redis restarted": 0.3, "database restarted": 0.45}
"""When each happens in any case, as parts of the time: no run is to be without them."""
PAUSE = (0.4, 1.4)
"""Seconds between two faults."""
FROZEN = (3.5, 7.0)
"""Seconds a worker is frozen: longer than its heartbeat may be silent, so that another takes over its tasks."""
AWAY = 0.5
"""Seconds that a server is away, and up to as many again."""


@dataclass(frozen=True, slots=True)
class Kill:
    """Slots that were killed, or whose parent was, and when (`time.monotonic()`)."""

    fault: str
    at: float
    slots: tuple[int, ...]


@dataclass(slots=True)
class Chaos:
    """`strike()` does the next fault when it is time, and counts those that really happened."""

    seed: int
    seconds: float
    crew: Crew
    house: House
    fired: Counter[str] = field(default_factory=Counter)
    kills: list[Kill] = field(default_factory=list)
    _rng: Random = field(init=False)
    _promised: list[tuple[float, str]] = field(init=False)
    _begun: float = 0.0
    _due: float = 0.0
    _thaw_at: float = 0.0

    def __post_init__(self) -> None:
        self._rng = Random(f"chaos {self.seed}")
        self._promised = sorted((part * self.seconds, fault) for fault, part in SERVERS.items())

    def strike(self) -> None:
        now = time.monotonic()
        self._begun = self._begun or now
        if self._thaw_at and now >= self._thaw_at:
            self.crew.thaw()
            self._thaw_at = 0.0
        if now < self._due:
            return
        self._due = now + self._rng.uniform(*PAUSE)
        [fault] = self._rng.choices(list(FAULTS), list(FAULTS.values()))
        if self._promised and now >= self._begun + self._promised[0][0]:
            fault = self._promised.pop(0)[1]
        self.fired[fault] += self._happens(fault)

    def _happens(self, fault: str) -> bool:
        """Whether it could be done. The numbers are drawn in any case: a seed keeps its order of faults."""
        place, length = self._rng.random(), self._rng.uniform(*FROZEN)
        match fault:
            case "scheduler killed":
                schedulers = self.crew.schedulers()
                return bool(schedulers) and self.crew.kill9(_drawn(schedulers, place))
            case "Redis flushed" | "Redis restarted" | "database restarted":
                return self._to_a_server(fault, AWAY * (1 + place))
        at_work = self.crew.at_work()
        return bool(at_work) and self._to_a_worker(fault, at_work, place, length)

    def _to_a_server(self, fault: str, away: float) -> bool:
        if fault == "Redis restarted":
            return self._restart_redis(away)
        if fault == "database restarted":
            return self._restart_database(away)
        with redis.Redis.from_url(self.house.redis.url, socket_timeout=5) as client:
            return bool(client.flushall())

    def _to_a_worker(self, fault: str, at_work: dict[str, list[psutil.Process]], place: float, length: float) -> bool:
        name = _drawn(sorted(at_work), place)
        if fault == "worker frozen":
            return self._freeze(name, length)
        if fault == "worker killed":
            self._note(fault, *at_work[name])
            return self.crew.kill9(name)
        slot = _drawn([slot for slots in at_work.values() for slot in slots], place)
        self._note(fault, slot)
        return _kill(slot)

    def _note(self, fault: str, *slots: psutil.Process) -> None:
        self.kills.append(Kill(fault, time.monotonic(), tuple(slot.pid for slot in slots)))

    def _freeze(self, name: str, seconds: float) -> bool:
        if self._thaw_at:
            return False  # one at a time: somebody has to work
        self.crew.freeze(name)
        self._thaw_at = time.monotonic() + seconds
        return True

    def _restart_redis(self, away: float) -> bool:
        """Killed, and back at the same address with nothing in it."""
        self.crew.excuse_the_young()
        self.house.redis.kill9()
        time.sleep(away)
        self.house.redis.restart()
        return True

    def _restart_database(self, away: float) -> bool:
        """As `pg_ctl stop -m immediate`: what was committed comes back out of the log."""
        server = self.house.postgres
        if server is None:
            return False
        self.crew.excuse_the_young()
        os.kill(server.pid, signal.SIGQUIT)
        time.sleep(away)
        server.restart()
        connections.close_all()
        return True


def _drawn(candidates: Sequence[T], place: float) -> T:
    return candidates[int(place * len(candidates))]


def _kill(slot: psutil.Process) -> bool:
    try:
        slot.kill()
    except psutil.NoSuchProcess:
        return False
    return True
