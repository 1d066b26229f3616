"""What one page follows: as whom, by which passes, and what it was told last."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from channels.db import database_sync_to_async

from taskcenter.passes import task_of
from taskcenter.progress import NOBODY, Seen, Snapshot, Viewer, see, still_seen

from .messages import Asked

__all__ = ["Following", "key_of"]


class Following:
    """`told` has the last frame of each followed task, so that only differences leave."""

    def __init__(self, user: Any) -> None:
        self.user = user
        self.told: dict[str, dict[str, Any]] = {}
        self._viewer: Viewer | None = None
        self._passes: dict[str, str] = {}
        self._by_pass: set[str] = set()

    @property
    def is_signed_in(self) -> bool:
        return bool(getattr(self.user, "is_authenticated", False))

    @property
    def holds_passes(self) -> bool:
        return bool(self._passes)

    async def becomes(self, user: Any) -> None:
        """The same person, read afresh: what they may do is asked for again."""
        self._viewer = await database_sync_to_async(Viewer.of)(user)
        self.user = user

    def take_passes(self, asked: Iterable[Asked]) -> None:
        """Keep those that open the task they came with."""
        for one in asked:
            if one.token and str(task_of(one.token)) == one.id:
                self._passes[one.id] = one.token

    async def look(self, keys: Collection[str]) -> list[Seen]:
        """Those of the tasks that may be seen, as they are now."""
        if self._viewer is None:
            await self.becomes(self.user)
        passes = [self._passes[key] for key in keys if key in self._passes]
        seen: list[Seen] = await database_sync_to_async(see)(self.user, keys, passes, self._viewer)
        return seen

    async def hidden(self, keys: Collection[str]) -> set[str]:
        """Those of the followed tasks that are gone, or may not be seen any more. A pass may have run out."""
        if not keys:
            return set()
        passes = [self._passes[key] for key in keys if key in self._passes]
        seen = await database_sync_to_async(still_seen)(self.user, keys, passes)
        # The page may have dropped some while we read.
        return {key for key in keys if key not in seen and key in self.told}

    async def hidden_among(self, changed: Iterable[Snapshot]) -> set[str]:
        """As `hidden()`, of rows that the relay has read just now: only a site's own rule must be asked again,
        and only of those that have moved.
        """
        sights = [(one, self._sees(one)) for one in changed]
        doubtful = [key_of(one) for one, sees in sights if sees is None and self.has_moved(one)]
        return {key_of(one) for one, sees in sights if sees is False} | await self.hidden(doubtful)

    def _sees(self, snapshot: Snapshot) -> bool | None:
        key = key_of(snapshot)
        if key in self._by_pass:
            return str(task_of(self._passes[key])) == key
        return (self._viewer or NOBODY).sees(snapshot.task)

    def follow(self, seen: Iterable[Seen]) -> dict[str, dict[str, Any]]:
        """Begin with these; their frames by id, where the relay has not told something newer meanwhile."""
        frames = {}
        for one in seen:
            key = key_of(one.snapshot)
            (self._by_pass.add if one.is_by_pass else self._by_pass.discard)(key)
            frame, last = one.snapshot.frame(one.viewer), self.told.get(key)
            frames[key] = self.told[key] = last if last and _order(last) > _order(frame) else frame
        return frames

    def forget(self, keys: Iterable[str]) -> None:
        for key in keys:
            self.told.pop(key, None)
            self._passes.pop(key, None)
            self._by_pass.discard(key)

    def sees_by_right(self, key: str) -> bool:
        return key in self.told and key not in self._by_pass

    def has_moved(self, snapshot: Snapshot) -> bool:
        """Whether its row has changed since the page was told of it: then its rights may have too."""
        last = self.told.get(key_of(snapshot))
        return last is not None and snapshot.task.rev > last["rev"]

    def news(self, snapshot: Snapshot) -> str | None:
        """The frame as JSON, unless the page has it or something newer, or has dropped the task."""
        key = key_of(snapshot)
        viewer = NOBODY if key in self._by_pass else self._viewer or NOBODY
        last, frame = self.told.get(key), snapshot.frame(viewer)
        if last is None or _order(frame) < _order(last) or frame == last:
            return None
        self.told[key] = frame
        return snapshot.text(viewer)


def key_of(snapshot: Snapshot) -> str:
    return str(snapshot.task.id)


def _order(frame: dict[str, Any]) -> tuple[int, int, int]:
    return frame["rev"], frame["attempt"], frame["seq"]
