"""The consumer: one per open page."""

from __future__ import annotations

import asyncio
import json
import logging
import random
from collections.abc import Collection, Iterable
from time import monotonic
from typing import Any

from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer
from django.utils import timezone

from taskcenter.models import Notification
from taskcenter.progress import Snapshot, Viewer, snapshots, visible
from taskcenter.relay import Inbox, Relay, relay
from taskcenter.states import State
from taskcenter.wire import notice_channel, progress_channel

from .messages import MAX_TASKS, Asked, Close, FrameRate, Refused, asked_tasks, parse, task_key
from .session import current_user

__all__ = ["TaskConsumer"]

logger = logging.getLogger("taskcenter")

VERSION = 1


class TaskConsumer(AsyncWebsocketConsumer):  # type: ignore[misc] # channels ships no types
    """Follows up to 200 tasks and the person's notices.

    Subscriptions are joined before rows are read, so nothing falls between; what is lost on the way is
    made good by reading unfinished tasks again every 20 s. What was sent last is remembered per task, so
    only differences leave.
    """

    UPDATE_GAP = 0.2
    """Seconds between two update frames."""
    LOOK_AGAIN = 20.0
    """Seconds between two readings of unfinished tasks."""
    CHECK_SESSION = 60.0
    """Seconds between two looks at the session."""
    FIRST_WORD = 10.0
    """Seconds in which a page must subscribe."""

    relay: Relay
    inbox: Inbox

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Live, and tidy up however it ends: the server may just cancel us."""
        self.tasks: list[asyncio.Task[None]] = []
        self.sent: dict[str, dict[str, Any]] = {}
        self.viewer = Viewer()
        self.rate = FrameRate()
        self.has_subscribed = asyncio.Event()
        self.is_over = False
        self.relay = relay()
        self.inbox = self.relay.join()
        try:
            await super().__call__(scope, receive, send)
        finally:
            self.is_over = True
            for task in self.tasks:
                task.cancel()
            self.relay.leave(self.inbox)

    async def connect(self) -> None:
        self.user = self.scope.get("user")
        await self.accept()
        await self._say(
            "hello",
            v=VERSION,
            now=timezone.now().isoformat(),
            heartbeat=int(self.LOOK_AGAIN),
            max=MAX_TASKS,
            user=str(self.user.pk) if self._is_signed_in() else None,
        )
        self.tasks = [asyncio.create_task(self._guarded(work)) for work in (self._tell_changes, self._watch_over)]

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:  # noqa: ARG002 text only
        if self.is_over:
            return
        try:
            self.rate.check()
            frame = parse(text_data)
            match frame["type"]:
                case "subscribe":
                    await self._subscribe(asked_tasks(frame))
                case "unsubscribe":
                    self._drop(frame.get("ids"))
                case "ping":
                    n = frame.get("n")
                    await self._say("pong", n=n if isinstance(n, int) else None, now=timezone.now().isoformat())
        except Refused as refused:
            await self._end(refused.code, refused.reason)
        except Exception:
            logger.exception("A socket could not answer")
            await self._end(Close.BUSY, "The server could not answer.", retry_s=5)

    # What a page asks.

    async def _subscribe(self, asked: list[Asked]) -> None:
        """Join, then read, then answer."""
        if not self._is_signed_in():
            raise Refused(Close.SIGNED_OUT, "Sign in to follow tasks.")
        keys = {one.id for one in asked if task_key(one.id)}
        if len(self.sent.keys() | keys) > MAX_TASKS:
            raise Refused(Close.TOO_MUCH, f"At most {MAX_TASKS} tasks.")
        is_first = not self.has_subscribed.is_set()
        self.has_subscribed.set()
        notices = [notice_channel(self.user.pk)] if is_first else []
        await self.relay.watch(self.inbox, [*map(progress_channel, keys), *notices])
        found = await self._look(keys)
        # What the relay told while we read may be newer.
        found.update({key: frame for key, frame in self.sent.items() if _order(frame) > _order(found.get(key, frame))})
        same = self._unchanged(asked, found)
        shown = [frame for key, frame in found.items() if key not in same]
        self.sent.update(found)
        denied = [one.id for one in asked if one.id not in found]
        self._forget(denied)
        self.inbox.wake_for(found)
        await self._say("snapshot", tasks=shown, same=same, denied=denied)
        if is_first:
            await self._tell_unread()

    def _unchanged(self, asked: list[Asked], found: dict[str, dict[str, Any]]) -> list[str]:
        """Tasks of which the page knows all: nothing but their state can change, and it has not."""
        revs = {one.id: one.rev for one in asked}
        still = [frame for frame in found.values() if frame["state"] != State.PROCESSING]
        return [frame["id"] for frame in still if frame["rev"] == revs[frame["id"]]]

    def _drop(self, ids: Any) -> None:
        if not isinstance(ids, list) or not all(isinstance(key, str) for key in ids):
            raise Refused(Close.BAD_FRAME, "ids must be a list of ids.")
        self._forget(ids)

    def _forget(self, keys: Iterable[str]) -> None:
        keys = list(keys)
        for key in keys:
            self.sent.pop(key, None)
        self.relay.unwatch(self.inbox, map(progress_channel, keys))

    # What happens by itself.

    async def _tell_changes(self) -> None:
        """Pass on what the relay tells, at most one frame every 200 ms."""
        while True:
            await self.inbox.ready.wait()
            changed, notice = self.inbox.take(self.sent)
            if self.inbox.has_gone:
                self.inbox.has_gone = False
                await self._look_again()
            if self.inbox.has_missed_notices:
                self.inbox.has_missed_notices = False
                await self._tell_unread()
            news = [frame for snapshot in changed if (frame := self._news(snapshot.frame(self.viewer)))]
            if news:
                await self._say("update", tasks=news)
            if notice:
                await self._say("notice", **notice)
            await asyncio.sleep(self.UPDATE_GAP)

    async def _watch_over(self) -> None:
        """Wait for the first word, then look again and at the session from time to time."""
        try:
            await asyncio.wait_for(self.has_subscribed.wait(), self.FIRST_WORD)
        except TimeoutError:
            raise Refused(Close.SILENT, "Nothing was subscribed.") from None
        checked = monotonic()
        while True:
            # Not all sockets in the same moment.
            await asyncio.sleep(self.LOOK_AGAIN * random.uniform(0.9, 1.1))
            if monotonic() - checked >= self.CHECK_SESSION * 0.9:
                session_key = getattr(self.scope.get("session"), "session_key", None)
                self.user = await database_sync_to_async(current_user)(session_key, self.user)
                checked = monotonic()
            await self._look_again()

    async def _look_again(self) -> None:
        """Read unfinished tasks and tell what differs; what is gone or hidden now is denied."""
        keys = [key for key, frame in self.sent.items() if not frame["final"]]
        found = await self._look(keys) if keys else {}
        # A task may have been dropped by the page while we read.
        gone = [key for key in keys if key not in found and key in self.sent]
        news = [fresh for key, frame in found.items() if key in self.sent and (fresh := self._news(frame))]
        if news:
            await self._say("update", tasks=news)
        if gone:
            self._forget(gone)
            await self._say("snapshot", tasks=[], same=[], denied=gone)

    async def _look(self, keys: Collection[str]) -> dict[str, dict[str, Any]]:
        """Frames of those tasks that this person may see, by id."""
        self.viewer, seen = await database_sync_to_async(_seen_by)(self.user, list(keys))
        self.relay.seed(seen)
        return {str(snapshot.task.id): snapshot.frame(self.viewer) for snapshot in seen}

    def _news(self, frame: dict[str, Any]) -> dict[str, Any] | None:
        """The frame, unless the page has it or something newer."""
        last = self.sent.get(frame["id"])
        if last is not None and (_order(frame) < _order(last) or frame == last):
            return None
        self.sent[frame["id"]] = frame
        return frame

    async def _tell_unread(self) -> None:
        unread = await database_sync_to_async(_unread)(self.user)
        await self._say("notice", unread=unread, item=None)

    # The line.

    async def _guarded(self, work: Any) -> None:
        """Run a task beside the frames. A database that fails once must not silence the socket."""
        while not self.is_over:
            try:
                await work()
            except Refused as refused:
                await self._end(refused.code, refused.reason)
            except Exception:
                if not self.is_over:
                    logger.exception("A socket stumbled")
                    await asyncio.sleep(1)

    async def _say(self, kind: str, **fields: Any) -> None:
        if self.is_over:
            return
        try:
            await self.send(text_data=json.dumps({"type": kind, **fields}))
        except (OSError, RuntimeError):
            # The page has gone, and the server says so in its own way; the disconnect follows.
            self.is_over = True

    async def _end(self, code: Close, reason: str, **fields: Any) -> None:
        """Say why, then close. Accepted first: a refused handshake would reach the page as 1006."""
        await self._say("bye", code=int(code), reason=reason, **fields)
        if not self.is_over:
            self.is_over = True
            await self.close(code=int(code))

    def _is_signed_in(self) -> bool:
        return bool(getattr(self.user, "is_authenticated", False))


def _order(frame: dict[str, Any]) -> tuple[int, int, int]:
    return frame["rev"], frame["attempt"], frame["seq"]


def _seen_by(user: Any, keys: list[str]) -> tuple[Viewer, list[Snapshot]]:
    return Viewer.of(user), snapshots(visible(user).filter(id__in=keys)) if keys else []


def _unread(user: Any) -> int:
    return Notification.objects.to(user).unread().count()
