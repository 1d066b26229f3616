"""What one socket has yet to be told: of each task only the newest."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from taskcenter.progress import Snapshot

__all__ = ["Inbox", "Post"]


@dataclass(frozen=True, slots=True)
class Post:
    """What was taken out of an inbox at one time."""

    changed: list[Snapshot]
    notice: dict[str, Any] | None
    lines: set[str]
    """Tasks of which a line of history was told."""
    has_gone: bool
    """A watched row is there no more: look what else is."""
    has_missed_notices: bool


class Inbox:
    """Filled by the board, emptied by its socket; `ready` is set while there is something in it."""

    def __init__(self) -> None:
        self.ready = asyncio.Event()
        self.channels: set[str] = set()
        self._changed: dict[str, Snapshot] = {}
        self._lines: set[str] = set()
        self._notice: dict[str, Any] | None = None
        self._has_gone = self._has_missed_notices = False

    def put(self, snapshot: Snapshot) -> None:
        self._changed[str(snapshot.task.id)] = snapshot
        self.ready.set()

    def put_line(self, key: str) -> None:
        self._lines.add(key)
        self.ready.set()

    def put_notice(self, notice: dict[str, Any]) -> None:
        self._notice = notice
        self.ready.set()

    def put_gone(self) -> None:
        self._has_gone = True
        self.ready.set()

    def put_missed_notices(self) -> None:
        self._has_missed_notices = True
        self.ready.set()

    def take(self, allowed: Collection[str]) -> Post:
        """Everything, but only of the allowed tasks. Changes of other tasks stay."""
        changed = [self._changed.pop(key) for key in [*self._changed] if key in allowed]
        post = Post(changed, self._notice, self._lines, self._has_gone, self._has_missed_notices)
        self._notice, self._lines = None, set()
        self._has_gone = self._has_missed_notices = False
        self.ready.clear()
        return post

    def wake_for(self, keys: Iterable[str]) -> None:
        """These tasks became allowed: what came for them meanwhile is ready."""
        if not self._changed.keys().isdisjoint(keys):
            self.ready.set()

    def forget(self, key: str) -> None:
        self._changed.pop(key, None)
        self._lines.discard(key)
