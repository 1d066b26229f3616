"""The bell: pointers wake a slot. Redis only wakes; a slot that hears nothing looks by itself.

A slot claims first and pops later: as many pointers as it has claimed, by the dozen. The one rule of waking
is the slot's to keep: block only after an empty claim that began after the last pop. A pop may have
swallowed the pointer of a task committed since the claim, so every pop that took something (`pop_owed()`
and `wait()` say so) is followed by a claim.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import redis

from taskcenter import pointers, wire

from . import foreign
from .trouble import Trouble

__all__ = ["Bell"]

POPPED_AT_ONCE = 64
"""Pointers taken off a queue in one round trip."""


class Bell:
    def __init__(self, queues: Sequence[str], name: str, trouble: Trouble) -> None:
        self.is_waiting = False
        """Whether the slot does nothing but wait: then it may be interrupted."""
        self._queues = queues
        self._name = name
        self._trouble = trouble
        self._client: redis.Redis | None = None
        self._owed: Counter[str] = Counter()
        self._popped: list[str] = []

    def owe(self, queues: Iterable[str]) -> None:
        """A task was claimed from each of these: its pointer is to be popped some time."""
        self._owed.update(queues)
        if sum(self._owed.values()) >= POPPED_AT_ONCE:
            self.pop_owed()

    def pop_owed(self) -> bool:
        """Take the pointers of claimed tasks off their queues; whether any came, so that a claim is due.

        A negative count is a pointer that nothing was claimed for: there may be a heap of such.
        """
        owed, self._owed = self._owed, Counter()
        took = False
        try:
            for queue, count in owed.items():
                if count:
                    jobs = pointers.pop_surplus(self._redis(), queue, max(count, POPPED_AT_ONCE))
                    self._take([(queue, job_id) for job_id in jobs])
                    took = took or bool(jobs)
            self._forget_popped()
        except wire.UNREACHABLE as error:
            self._lose(error)
        return took

    def wait(self, seconds: float) -> bool:
        """Wait for a pointer; whether one came."""
        try:
            client = self._redis()
            foreign.settle(client, self._name)
            self._forget_popped()
            self.is_waiting = True
            found = pointers.wait(client, self._queues, seconds)
            self.is_waiting = False
            if found is not None:
                self._take([found])
                self._owed[found[0]] -= 1
        except wire.UNREACHABLE as error:
            self._lose(error)
            return False
        finally:
            self.is_waiting = False
        self._trouble.is_over("Redis")
        return found is not None

    def _take(self, jobs: list[tuple[str, str]]) -> None:
        for queue, job_id in jobs:
            if pointers.is_pointer(job_id):
                self._popped.append(job_id)
            else:
                foreign.handle(self._redis(), job_id, queue, self._name)

    def _forget_popped(self) -> None:
        if self._popped:
            popped, self._popped = self._popped, []
            pointers.forget(self._redis(), popped)

    def _redis(self) -> redis.Redis:
        if self._client is None:
            self._client = wire.blocking_client(self._queues[0])
        return self._client

    def _lose(self, error: Exception) -> None:
        self._client = None
        self._trouble.rest("Redis", error)
