"""The board: who watches what, and the newest that is known of it."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Collection, Iterable
from typing import Any
from weakref import WeakKeyDictionary

from taskcenter.progress import Snapshot, Stored
from taskcenter.states import State
from taskcenter.wire import progress_channel

from .inbox import Inbox
from .line import Line
from .readings import Readings

__all__ = ["Relay", "relay"]

logger = logging.getLogger("taskcenter")

_PROGRESS = progress_channel("")

_relays: WeakKeyDictionary[asyncio.AbstractEventLoop, Relay] = WeakKeyDictionary()


def relay() -> Relay:
    """The relay of the running event loop."""
    loop = asyncio.get_running_loop()
    if loop not in _relays:
        _relays[loop] = Relay()
    return _relays[loop]


class Relay:
    """Hands on what Redis tells. Every method belongs to the one event loop that made it."""

    def __init__(self) -> None:
        self._inboxes: set[Inbox] = set()
        self._watchers: dict[str, set[Inbox]] = {}
        self._known: dict[str, Snapshot] = {}
        self._line = Line(self._take, self._catch_up)
        self._readings = Readings(lambda snapshot: self._tell(self._newest(snapshot)), self._tell_gone)
        self._running: asyncio.Task[None] | None = None

    @property
    def is_up(self) -> bool:
        """Whether Redis tells us what happens."""
        return self._line.is_up

    @property
    def is_quiet(self) -> bool:
        """Whether nothing runs here: nobody watches."""
        return self._running is None and self._readings.is_quiet

    # What sockets call.

    def join(self) -> Inbox:
        """A new inbox; the caller leaves with it."""
        inbox = Inbox()
        self._inboxes.add(inbox)
        return inbox

    def leave(self, inbox: Inbox) -> None:
        """Stop watching everything. The last to leave lets the relay itself go."""
        self.unwatch(inbox, [*inbox.channels])
        self._inboxes.discard(inbox)
        if not self._inboxes:
            _relays.pop(asyncio.get_running_loop(), None)

    async def watch(self, inbox: Inbox, channels: Collection[str]) -> None:
        """Have an inbox told of these channels. Returns when nothing can be missed any more: what is read
        after this call and what is told together leave no gap. Without Redis it returns as well.
        """
        for channel in channels:
            self._watchers.setdefault(channel, set()).add(inbox)
            inbox.channels.add(channel)
        self._line.want(channels)
        if self._running is None and self._watchers:
            self._running = asyncio.create_task(self._run())
        await self._line.until_confirmed(channels)

    def unwatch(self, inbox: Inbox, channels: Iterable[str]) -> None:
        """Tell it no more of these; what nobody watches is unsubscribed."""
        left = [channel for channel in channels if self._is_left_by(inbox, channel)]
        self._readings.forget(map(_key, left))
        for channel in left:
            self._known.pop(_key(channel), None)
        self._line.drop(left)

    def seed(self, seen: Iterable[Snapshot]) -> None:
        """What a socket has read by itself, so that progress can be told without reading again."""
        for snapshot in seen:
            key = str(snapshot.task.id)
            if progress_channel(key) in self._watchers:
                self._known[key] = self._newest(snapshot)

    def _is_left_by(self, inbox: Inbox, channel: str) -> bool:
        """Whether that one was the last who watched it."""
        inbox.channels.discard(channel)
        inbox.forget(_key(channel))
        watching = self._watchers.get(channel)
        if watching is None:
            return False
        watching.discard(inbox)
        if not watching:
            del self._watchers[channel]
        return not watching

    # What happens by itself.

    async def _run(self) -> None:
        """As long as anybody watches."""
        looking = asyncio.create_task(
            self._readings.keep_looking(lambda: not self._line.is_up, self._tasks, self._unfinished)
        )
        try:
            while self._watchers:
                await self._line.run()
        finally:
            looking.cancel()
            self._running = None

    def _tasks(self) -> set[str]:
        """Tasks only: notices can wait for Redis."""
        return {_key(channel) for channel in self._watchers if channel.startswith(_PROGRESS)}

    def _unfinished(self) -> set[str]:
        return {key for key in self._tasks() if key not in self._known or not self._known[key].task.is_final}

    # What was told.

    def _take(self, channel: str, data: bytes) -> None:
        try:
            told = json.loads(data)
            if channel.startswith(_PROGRESS):
                self._take_progress(_key(channel), told)
            else:
                for inbox in self._watchers.get(channel, ()):
                    inbox.put_notice({"unread": int(told["unread"]), "item": told.get("item")})
        except (ValueError, KeyError, TypeError, AttributeError):
            logger.warning("The relay ignores a message on %s that is not ours", channel)

    def _take_progress(self, key: str, told: dict[str, Any]) -> None:
        """Progress of the attempt we know is told at once; anything else sends us to the row."""
        if "line" in told:
            self._tell_line(key)
            return
        if "attempt" not in told:
            self._readings.mark(key)
            return
        stored = Stored.from_message(told)
        known = self._known.get(key)
        if known is None or stored.attempt > known.task.attempt:
            self._readings.mark(key)
        elif stored.attempt == known.task.attempt and known.task.state == State.PROCESSING:
            if known.stored is None or stored.order > known.stored.order:
                self._tell(known.progressed(stored))
        elif stored.attempt == known.task.attempt and not known.task.is_final:
            self._readings.mark(key)

    def _catch_up(self, channel: str) -> None:
        """Something may have been missed there."""
        if channel.startswith(_PROGRESS):
            self._readings.mark(_key(channel))
            self._tell_line(_key(channel))
            return
        for inbox in self._watchers.get(channel, ()):
            inbox.put_missed_notices()

    def _newest(self, snapshot: Snapshot) -> Snapshot:
        """The snapshot, or what is known where that is newer."""
        known = self._known.get(str(snapshot.task.id))
        if known is None:
            return snapshot
        if known.task.rev > snapshot.task.rev:
            return known
        ours, theirs = known.stored, snapshot.stored
        return snapshot.progressed(ours) if ours and (not theirs or ours.order > theirs.order) else snapshot

    # Whom it is told to.

    def _tell(self, snapshot: Snapshot) -> None:
        key = str(snapshot.task.id)
        watching = self._watchers.get(progress_channel(key))
        if watching:
            self._known[key] = snapshot
            for inbox in watching:
                inbox.put(snapshot)

    def _tell_line(self, key: str) -> None:
        for inbox in self._watchers.get(progress_channel(key), ()):
            inbox.put_line(key)

    def _tell_gone(self, key: str) -> None:
        for inbox in self._watchers.get(progress_channel(key), ()):
            inbox.put_gone()


def _key(channel: str) -> str:
    """The task of a channel of progress; other channels have no such key and stay as they are."""
    return channel.removeprefix(_PROGRESS)
