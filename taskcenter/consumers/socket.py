"""The consumer: one per open page."""

from __future__ import annotations

import asyncio
import json
import logging
import random
from collections.abc import Iterable
from time import monotonic
from typing import Any

from channels.db import database_sync_to_async
from django.utils import timezone

from taskcenter.models import Notification
from taskcenter.progress import Snapshot
from taskcenter.relay import Inbox, Relay, relay
from taskcenter.states import State
from taskcenter.wire import notice_channel, progress_channel

from .connection import Connection
from .following import Following, key_of
from .history import History
from .messages import (
    MAX_TASKS,
    Asked,
    AskedHistory,
    Close,
    FrameRate,
    Refused,
    asked_history,
    asked_tasks,
    parse,
    task_key,
)
from .session import current_user

__all__ = ["TaskConsumer"]

logger = logging.getLogger("taskcenter")

VERSION = 1


class TaskConsumer(Connection):
    """Follows up to 200 tasks, the history of one of them, and the person's notices.

    Subscriptions are joined before rows are read, so nothing falls between; what is lost on the way the
    relay makes good by reading unfinished tasks again every 20 s. What was told last is remembered per task,
    so only differences leave.
    """

    UPDATE_GAP = 0.2
    """Seconds between two update frames."""
    LOOK_AGAIN = 20.0
    """Seconds between two looks at whether tasks may still be seen."""
    CHECK_SESSION = 60.0
    """Seconds between two looks at the session."""
    FIRST_WORD = 10.0
    """Seconds in which a page must subscribe."""

    relay: Relay
    inbox: Inbox

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.following = Following(scope.get("user"))
        self.history: History | None = None
        self.rate = FrameRate()
        self.has_subscribed = asyncio.Event()
        self.relay = relay()
        self.inbox = self.relay.join()
        try:
            await super().__call__(scope, receive, send)
        finally:
            self.relay.leave(self.inbox)

    async def connect(self) -> None:
        await self.accept()
        await self._say(
            "hello",
            v=VERSION,
            now=timezone.now().isoformat(),
            heartbeat=int(self.LOOK_AGAIN),
            max=MAX_TASKS,
            user=str(self.following.user.pk) if self.following.is_signed_in else None,
        )
        self._run_beside(self._tell_changes, self._watch_over)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:  # noqa: ARG002 text only
        if self.is_over:
            return
        try:
            self.rate.check()
            frame = parse(text_data)
            match frame["type"]:
                case "subscribe":
                    await self._subscribe(asked_tasks(frame), asked_history(frame))
                case "unsubscribe":
                    self._drop(frame.get("ids"))
                case "ping":
                    n = frame.get("n")
                    await self._say("pong", n=n if isinstance(n, int) else None, now=timezone.now().isoformat())
        except Refused as refused:
            await self._end(refused.code, refused.reason)
        except Exception:
            logger.exception("A socket could not answer")
            # Not all pages in the same moment.
            await self._end(Close.BUSY, "The server could not answer.", retry_s=random.randint(3, 8))

    # What a page asks.

    async def _subscribe(self, asked: list[Asked], history: AskedHistory | None) -> None:
        """Join, then read, then answer."""
        self.following.take_passes(asked)
        if not (self.following.is_signed_in or self.has_subscribed.is_set() or self.following.holds_passes):
            raise Refused(Close.SIGNED_OUT, "Sign in to follow tasks.")
        keys = {one.id for one in asked if task_key(one.id)}
        if len(self.following.told.keys() | keys) > MAX_TASKS:
            raise Refused(Close.TOO_MUCH, f"At most {MAX_TASKS} tasks.")
        wants_notices = self.following.is_signed_in and not self.has_subscribed.is_set()
        self.has_subscribed.set()
        notices = [notice_channel(self.following.user.pk)] if wants_notices else []
        await self.relay.watch(self.inbox, [*map(progress_channel, keys), *notices])
        await self._answer(asked, keys)
        if wants_notices:
            await self._tell_unread()
        if history:
            await self._begin_history(history)

    async def _answer(self, asked: list[Asked], keys: set[str]) -> None:
        seen = await self.following.look(keys)
        self.relay.seed(one.snapshot for one in seen)
        frames = self.following.follow(seen)
        same = _unchanged(asked, frames)
        denied = [one.id for one in asked if one.id not in frames]
        self._forget(denied)
        self.inbox.wake_for(frames)
        told = [json.dumps(frame) for key, frame in frames.items() if key not in same]
        await self._say("snapshot", told, same=same, denied=denied)

    async def _begin_history(self, asked: AskedHistory) -> None:
        """Of a task that is followed by right: a pass shows how far a task is, not what was said about it."""
        if self.following.sees_by_right(asked.id):
            self.history = History(asked.id, asked.after)
            self.inbox.put_line(asked.id)
        else:
            await self._say("events", id=asked.id, items=[], more=False, denied=True)

    def _drop(self, ids: Any) -> None:
        if not isinstance(ids, list) or not all(isinstance(key, str) for key in ids):
            raise Refused(Close.BAD_FRAME, "ids must be a list of ids.")
        self._forget(ids)

    def _forget(self, keys: Iterable[str]) -> None:
        keys = list(keys)
        self.following.forget(keys)
        if self.history and self.history.key in keys:
            self.history = None
        self.relay.unwatch(self.inbox, map(progress_channel, keys))

    # What happens by itself.

    async def _tell_changes(self) -> None:
        """Pass on what the relay tells, at most one frame of each kind every 200 ms."""
        while True:
            await self.inbox.ready.wait()
            post = self.inbox.take(self.following.told)
            moved = {key_of(one) for one in post.changed if self.following.has_moved(one)}
            await self._let_go(await self.following.hidden_among(post.changed))
            if post.has_gone:
                await self._look_over()
            await self._tell_tasks(post.changed)
            if self.history and self.history.key in post.lines | moved:
                await self._tell_history(self.history)
            if post.has_missed_notices:
                await self._tell_unread()
            if post.notice:
                await self._say("notice", **post.notice)
            await asyncio.sleep(self.UPDATE_GAP)

    async def _watch_over(self) -> None:
        """Wait for the first word, then look from time to time at what may be seen and at the session."""
        try:
            await asyncio.wait_for(self.has_subscribed.wait(), self.FIRST_WORD)
        except TimeoutError:
            raise Refused(Close.SILENT, "Nothing was subscribed.") from None
        checked = monotonic()
        while True:
            # Not all sockets in the same moment.
            await asyncio.sleep(self.LOOK_AGAIN * random.uniform(0.9, 1.1))
            if self.following.is_signed_in and monotonic() - checked >= self.CHECK_SESSION * 0.9:
                session_key = getattr(self.scope.get("session"), "session_key", None)
                user = await database_sync_to_async(current_user)(session_key, self.following.user)
                await self.following.becomes(user)
                checked = monotonic()
            await self._look_over()
            if self.history:
                self.inbox.put_line(self.history.key)

    async def _look_over(self) -> None:
        await self._let_go(await self.following.hidden([*self.following.told]))

    async def _let_go(self, hidden: set[str]) -> None:
        """What is gone or may not be seen any more is denied."""
        if hidden:
            self._forget(hidden)
            await self._say("snapshot", [], same=[], denied=sorted(hidden))

    async def _tell_tasks(self, changed: list[Snapshot]) -> None:
        news = [text for snapshot in changed if (text := self.following.news(snapshot))]
        if news:
            await self._say("update", news)

    async def _tell_history(self, history: History) -> None:
        fields = await history.next_lines()
        # The page may have asked for another one while we read.
        if fields["items"] and history is self.history:
            await self._say("events", **fields)
        if fields["more"]:
            self.inbox.put_line(history.key)

    async def _tell_unread(self) -> None:
        unread = await database_sync_to_async(_unread)(self.following.user)
        await self._say("notice", unread=unread, item=None)


def _unchanged(asked: list[Asked], frames: dict[str, dict[str, Any]]) -> list[str]:
    """Tasks of which the page knows all: nothing but their state can change, and it has not."""
    revs = {one.id: one.rev for one in asked}
    still = [frame for frame in frames.values() if frame["state"] != State.PROCESSING]
    return [frame["id"] for frame in still if frame["rev"] == revs[frame["id"]]]


def _unread(user: Any) -> int:
    return Notification.objects.to(user).unread().count()
