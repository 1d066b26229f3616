"""Rows that somebody watches, read many at a time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from time import monotonic
from uuid import UUID

from channels.db import database_sync_to_async

from taskcenter.models import Task
from taskcenter.progress import Snapshot, snapshots

__all__ = ["Readings"]

logger = logging.getLogger("taskcenter")

GATHER = 0.02
"""Seconds in which changes are gathered, to be read in one query."""
BLIND = 2.0
"""Seconds between two readings while Redis is away."""
LOOK_AGAIN = 20.0
"""Seconds between two readings of all unfinished rows: what got lost on the way is made good."""
CHUNK = 500
"""Rows read in one query."""


class Readings:
    """Marked keys are read soon; calls `found(snapshot)` for each row, `gone(key)` where there is none."""

    def __init__(self, found: Callable[[Snapshot], None], gone: Callable[[str], None]) -> None:
        self._found, self._gone = found, gone
        self._marked: set[str] = set()
        self._reading: asyncio.Task[None] | None = None

    @property
    def is_quiet(self) -> bool:
        return self._reading is None

    def mark(self, key: str) -> None:
        """Have that row read soon, together with others."""
        self._marked.add(key)
        if self._reading is None:
            self._reading = asyncio.create_task(self._read_marked())

    def forget(self, keys: Iterable[str]) -> None:
        """Nobody watches these any more."""
        self._marked.difference_update(keys)

    async def keep_looking(
        self, is_blind: Callable[[], bool], watched: Callable[[], set[str]], unfinished: Callable[[], set[str]]
    ) -> None:
        """Mark what nobody tells us of: everything while Redis is away, what is unfinished now and then."""
        looked = monotonic()
        while True:
            await asyncio.sleep(min(BLIND, LOOK_AGAIN))
            if is_due := monotonic() - looked >= LOOK_AGAIN:
                looked = monotonic()
            for key in watched() if is_blind() else unfinished() if is_due else ():
                self.mark(key)

    async def _read_marked(self) -> None:
        try:
            while self._marked:
                await asyncio.sleep(GATHER)
                keys, self._marked = self._marked, set()
                await self._read(keys)
        finally:
            self._reading = None

    async def _read(self, keys: set[str]) -> None:
        try:
            found = await database_sync_to_async(_snapshots_of)(keys) if keys else []
        except Exception:
            # The next look at unfinished rows makes it good.
            logger.exception("The relay could not read %d tasks", len(keys))
            return
        for snapshot in found:
            self._found(snapshot)
        for key in keys - {str(snapshot.task.id) for snapshot in found}:
            self._gone(key)


def _snapshots_of(keys: Iterable[str]) -> list[Snapshot]:
    ids = [UUID(key) for key in keys]
    parts = (ids[at : at + CHUNK] for at in range(0, len(ids), CHUNK))
    return [one for part in parts for one in snapshots(Task.objects.filter(id__in=part))]
