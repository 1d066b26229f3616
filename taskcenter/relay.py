"""The relay: one Redis subscription per event loop, handed on in memory to every socket of the process.

    Redis ── one subscription ──▶ Relay ──▶ Inbox of socket 1, 2, 3, …
                                    │
                                    └─ "the row changed": read once, told to all who watch

Only channels that somebody watches are subscribed. While Redis is away watched rows are read every two
seconds instead, and once more when it is back, so that nobody ends with old news. An inbox keeps only the
newest snapshot of each task: a slow reader costs no memory and misses nothing but the way there.
"""

from __future__ import annotations

import asyncio
import json
import logging
from time import monotonic
from typing import TYPE_CHECKING, Any
from uuid import UUID
from weakref import WeakKeyDictionary

from channels.db import database_sync_to_async
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from .models import Task
from .progress import Snapshot, Stored, snapshots
from .states import State
from .wire import async_client, progress_channel

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from redis.asyncio.client import PubSub

__all__ = ["Inbox", "Relay", "relay"]

logger = logging.getLogger("taskcenter")

GATHER = 0.02
"""Seconds in which changes are gathered, to be read in one query."""
BLIND = 2.0
"""Seconds between two readings while Redis is away."""
CONFIRM = 1.0
"""Seconds that a new watcher waits for its subscription."""
PING, SILENCE = 5.0, 15.0
"""Seconds between signs of life asked of Redis, and after how many without any the line counts as cut."""
LONGEST_PAUSE = 5.0
"""Seconds between two tries to reach Redis, at most."""
CHUNK = 500
"""Rows read in one query."""

_PROGRESS = progress_channel("")

_relays: WeakKeyDictionary[asyncio.AbstractEventLoop, Relay] = WeakKeyDictionary()


def relay() -> Relay:
    """The relay of the running event loop."""
    loop = asyncio.get_running_loop()
    if loop not in _relays:
        _relays[loop] = Relay()
    return _relays[loop]


class Inbox:
    """What one socket has yet to be told: of each task only the newest."""

    def __init__(self) -> None:
        self.ready = asyncio.Event()
        self.channels: set[str] = set()
        self.has_gone = False
        """A watched row is there no more: look what else is."""
        self.has_missed_notices = False
        self._changed: dict[str, Snapshot] = {}
        self._notice: dict[str, Any] | None = None

    def put(self, snapshot: Snapshot) -> None:
        self._changed[str(snapshot.task.id)] = snapshot
        self.ready.set()

    def put_notice(self, notice: dict[str, Any]) -> None:
        self._notice = notice
        self.ready.set()

    def put_gone(self) -> None:
        self.has_gone = True
        self.ready.set()

    def put_missed_notices(self) -> None:
        self.has_missed_notices = True
        self.ready.set()

    def take(self, allowed: Collection[str]) -> tuple[list[Snapshot], dict[str, Any] | None]:
        """Changes of the allowed tasks and the last notice. Changes of other tasks stay."""
        changed = [self._changed.pop(key) for key in [*self._changed] if key in allowed]
        notice, self._notice = self._notice, None
        self.ready.clear()
        return changed, notice

    def wake_for(self, keys: Iterable[str]) -> None:
        """These tasks became allowed: what came for them meanwhile is ready."""
        if not self._changed.keys().isdisjoint(keys):
            self.ready.set()

    def forget(self, key: str) -> None:
        self._changed.pop(key, None)


class Relay:
    """Hands on what Redis tells. Every method belongs to the one event loop that made it."""

    def __init__(self) -> None:
        self.is_up = False
        self._is_cut = False
        self._inboxes: set[Inbox] = set()
        self._watchers: dict[str, set[Inbox]] = {}
        self._known: dict[str, Snapshot] = {}
        self._confirmed: set[str] = set()
        self._missed: set[str] = set()
        self._confirmations: dict[str, asyncio.Future[None]] = {}
        self._wanted = asyncio.Event()
        self._dirty: set[str] = set()
        self._listening: asyncio.Task[None] | None = None
        self._reading: asyncio.Task[None] | None = None
        self._heard = 0.0

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
        self._wanted.set()
        if self._listening is None:
            self._listening = asyncio.create_task(self._run())
        await self._until_confirmed(channels)

    def unwatch(self, inbox: Inbox, channels: Iterable[str]) -> None:
        """Tell it no more of these; what nobody watches is unsubscribed."""
        for channel in channels:
            inbox.channels.discard(channel)
            inbox.forget(channel.removeprefix(_PROGRESS))
            left = self._watchers.get(channel)
            if left is None:
                continue
            left.discard(inbox)
            if not left:
                del self._watchers[channel]
                self._missed.discard(channel)
                self._known.pop(channel.removeprefix(_PROGRESS), None)
        self._wanted.set()

    def seed(self, seen: Iterable[Snapshot]) -> None:
        """What a socket has read by itself, so that progress can be told without reading again."""
        for snapshot in seen:
            key = str(snapshot.task.id)
            if progress_channel(key) in self._watchers:
                self._known[key] = self._newest(snapshot)

    # Redis.

    async def _run(self) -> None:
        """Listen as long as anybody watches, whatever becomes of Redis."""
        blind = asyncio.create_task(self._read_while_blind())
        failures = 0
        try:
            while self._watchers:
                started = monotonic()
                try:
                    await self._listen()
                except Exception as error:  # noqa: BLE001 whatever it is, the rows are still there to read
                    failures = 0 if monotonic() - started > LONGEST_PAUSE else failures
                    if not failures:
                        logger.warning("The relay lost Redis, reading rows instead: %r", error)
                    failures += 1
                    self._go_down()
                    await asyncio.sleep(min(LONGEST_PAUSE, 0.1 * 2**failures))
        finally:
            blind.cancel()
            self._go_down()
            self._is_cut = False
            self._listening = None

    async def _listen(self) -> None:
        """One connection's life; ends when nobody watches, raises when the line is cut."""
        client = async_client()
        # The line is mended here, where it is known that something was missed, not silently below.
        client.set_retry(Retry(NoBackoff(), 0))
        pubsub = client.pubsub()
        tasks: list[asyncio.Task[None]] = []
        try:
            await pubsub.subscribe(*self._watchers)
            sent = set(self._watchers)
            self._heard = monotonic()
            tasks = [asyncio.create_task(self._hear(pubsub)), asyncio.create_task(self._adjust(pubsub, sent))]
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await pubsub.aclose()  # type: ignore[no-untyped-call] # redis leaves it unannotated
            await client.aclose()

    async def _hear(self, pubsub: PubSub) -> None:
        while True:
            message = await pubsub.get_message(timeout=None)
            self._heard = monotonic()
            if message is None:
                continue
            if message["type"] == "subscribe":
                self._confirm(message["channel"].decode())
            elif message["type"] == "message":
                self._take(message["channel"].decode(), message["data"])

    async def _adjust(self, pubsub: PubSub, sent: set[str]) -> None:
        """Keep the subscriptions what sockets want; ends when they want none."""
        while self._watchers:
            self._wanted.clear()
            wanted = set(self._watchers)
            if added := wanted - sent:
                await pubsub.subscribe(*added)
            if dropped := sent - wanted:
                self._confirmed -= dropped
                await pubsub.unsubscribe(*dropped)
            sent = wanted
            try:
                await asyncio.wait_for(self._wanted.wait(), PING)
            except TimeoutError:
                if monotonic() - self._heard > SILENCE:
                    raise ConnectionError("nothing heard from Redis") from None
                await pubsub.ping()

    async def _until_confirmed(self, channels: Collection[str]) -> None:
        missing = [channel for channel in channels if channel not in self._confirmed]
        loop = asyncio.get_running_loop()
        waiting = {self._confirmations.setdefault(channel, loop.create_future()) for channel in missing}
        # After an outage nobody waits: rows are read until Redis is back.
        if waiting and not self._is_cut:
            await asyncio.wait(waiting, timeout=CONFIRM)
        self._missed.update(
            channel for channel in missing if channel in self._watchers and channel not in self._confirmed
        )

    def _confirm(self, channel: str) -> None:
        if channel not in self._watchers:
            return
        self.is_up = True
        self._is_cut = False
        self._confirmed.add(channel)
        if future := self._confirmations.pop(channel, None):
            future.set_result(None)
        if channel in self._missed:
            self._missed.discard(channel)
            self._catch_up(channel)

    def _go_down(self) -> None:
        self.is_up = False
        self._is_cut = True
        self._confirmed.clear()
        self._missed = set(self._watchers)
        confirmations, self._confirmations = self._confirmations, {}
        for future in confirmations.values():
            future.set_result(None)

    def _catch_up(self, channel: str) -> None:
        """Something may have been missed there."""
        if channel.startswith(_PROGRESS):
            self._mark(channel.removeprefix(_PROGRESS))
            return
        for inbox in self._watchers.get(channel, ()):
            inbox.put_missed_notices()

    async def _read_while_blind(self) -> None:
        """Tasks only: notices can wait for Redis."""
        while True:
            await asyncio.sleep(BLIND)
            for channel in [] if self.is_up else [*self._watchers]:
                if channel.startswith(_PROGRESS):
                    self._mark(channel.removeprefix(_PROGRESS))

    # What was told.

    def _take(self, channel: str, data: bytes) -> None:
        try:
            told = json.loads(data)
            if channel.startswith(_PROGRESS):
                self._take_progress(channel.removeprefix(_PROGRESS), told)
            else:
                for inbox in self._watchers.get(channel, ()):
                    inbox.put_notice({"unread": int(told["unread"]), "item": told.get("item")})
        except (ValueError, KeyError, TypeError, AttributeError):
            logger.warning("The relay ignores a message on %s that is not ours", channel)

    def _take_progress(self, key: str, told: dict[str, Any]) -> None:
        """Progress of the attempt we know is told at once; anything else sends us to the row."""
        if "attempt" not in told:
            self._mark(key)
            return
        stored = Stored.from_message(told)
        known = self._known.get(key)
        if known is None or stored.attempt > known.task.attempt:
            self._mark(key)
        elif stored.attempt == known.task.attempt and known.task.state == State.PROCESSING:
            if known.stored is None or stored.order > known.stored.order:
                self._tell(known.progressed(stored))
        elif stored.attempt == known.task.attempt and not known.task.is_final:
            self._mark(key)

    def _mark(self, key: str) -> None:
        """Have that row read soon, together with others."""
        self._dirty.add(key)
        if self._reading is None:
            self._reading = asyncio.create_task(self._read_marked())

    async def _read_marked(self) -> None:
        try:
            while self._dirty:
                await asyncio.sleep(GATHER)
                keys = [key for key in self._dirty if progress_channel(key) in self._watchers]
                self._dirty.clear()
                await self._read(keys)
        finally:
            self._reading = None

    async def _read(self, keys: list[str]) -> None:
        try:
            found = await database_sync_to_async(_snapshots_of)(keys) if keys else []
        except Exception:
            # The sockets' own reading, every 20 s, makes it good.
            logger.exception("The relay could not read %d tasks", len(keys))
            return
        for snapshot in found:
            self._tell(self._newest(snapshot))
        for key in set(keys) - {str(snapshot.task.id) for snapshot in found}:
            for inbox in self._watchers.get(progress_channel(key), ()):
                inbox.put_gone()

    def _newest(self, snapshot: Snapshot) -> Snapshot:
        """The snapshot, or what is known where that is newer."""
        known = self._known.get(str(snapshot.task.id))
        if known is None:
            return snapshot
        if known.task.rev > snapshot.task.rev:
            return known
        ours, theirs = known.stored, snapshot.stored
        return snapshot.progressed(ours) if ours and (not theirs or ours.order > theirs.order) else snapshot

    def _tell(self, snapshot: Snapshot) -> None:
        key = str(snapshot.task.id)
        watching = self._watchers.get(progress_channel(key))
        if watching:
            self._known[key] = snapshot
            for inbox in watching:
                inbox.put(snapshot)


def _snapshots_of(keys: list[str]) -> list[Snapshot]:
    ids = [UUID(key) for key in keys]
    parts = (ids[at : at + CHUNK] for at in range(0, len(ids), CHUNK))
    return [one for part in parts for one in snapshots(Task.objects.filter(id__in=part))]
