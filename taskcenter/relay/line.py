"""The subscription to Redis: kept to what is wanted, and mended whatever becomes of Redis."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable
from time import monotonic
from typing import TYPE_CHECKING

from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from taskcenter.wire import async_client

if TYPE_CHECKING:
    from redis.asyncio.client import PubSub

__all__ = ["Line"]

logger = logging.getLogger("taskcenter")

CONFIRM = 1.0
"""Seconds that a new watcher waits for its subscription."""
PING, SILENCE = 5.0, 15.0
"""Seconds between signs of life asked of Redis, and after how many without any the line counts as cut."""
LONGEST_PAUSE = 5.0
"""Seconds between two tries to reach Redis, at most."""


class Line:
    """Calls `heard(channel, data)` for each message, and `missed(channel)` when some may have been lost."""

    def __init__(self, heard: Callable[[str, bytes], None], missed: Callable[[str], None]) -> None:
        self.is_up = False
        self.wanted: set[str] = set()
        self._heard, self._missed_on = heard, missed
        self._is_cut = False
        self._confirmed: set[str] = set()
        self._missed: set[str] = set()
        self._confirmations: dict[str, asyncio.Future[None]] = {}
        self._changed = asyncio.Event()
        self._last_word = 0.0

    def want(self, channels: Iterable[str]) -> None:
        self.wanted.update(channels)
        self._changed.set()

    def drop(self, channels: Iterable[str]) -> None:
        self.wanted.difference_update(channels)
        self._missed.intersection_update(self.wanted)
        self._changed.set()

    async def until_confirmed(self, channels: Collection[str]) -> None:
        """Returns when nothing is missed there any more; without Redis it returns as well."""
        missing = [channel for channel in channels if channel not in self._confirmed]
        loop = asyncio.get_running_loop()
        waiting = {self._confirmations.setdefault(channel, loop.create_future()) for channel in missing}
        # After an outage nobody waits: rows are read until Redis is back.
        if waiting and not self._is_cut:
            await asyncio.wait(waiting, timeout=CONFIRM)
        self._missed.update(self.wanted.intersection(missing) - self._confirmed)

    async def run(self) -> None:
        """Listen as long as anything is wanted."""
        failures = 0
        try:
            while self.wanted:
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
            self._go_down()
            self._is_cut = False

    async def _listen(self) -> None:
        """One connection's life; ends when nothing is wanted, raises when the line is cut."""
        client = async_client()
        # The line is mended here, where it is known that something was missed, not silently below.
        client.set_retry(Retry(NoBackoff(), 0))
        pubsub = client.pubsub()
        tasks: list[asyncio.Task[None]] = []
        try:
            sent = set(self.wanted)
            await pubsub.subscribe(*sent)
            self._last_word = monotonic()
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
            self._last_word = monotonic()
            if message is None:
                continue
            if message["type"] == "subscribe":
                self._confirm(message["channel"].decode())
            elif message["type"] == "message":
                self._heard(message["channel"].decode(), message["data"])

    async def _adjust(self, pubsub: PubSub, sent: set[str]) -> None:
        """Keep the subscriptions what sockets want; ends when they want none."""
        while self.wanted:
            self._changed.clear()
            wanted = set(self.wanted)
            if added := wanted - sent:
                await pubsub.subscribe(*added)
            if dropped := sent - wanted:
                self._confirmed -= dropped
                await pubsub.unsubscribe(*dropped)
            sent = wanted
            try:
                await asyncio.wait_for(self._changed.wait(), PING)
            except TimeoutError:
                if monotonic() - self._last_word > SILENCE:
                    raise ConnectionError("nothing heard from Redis") from None
                await pubsub.ping()
        # Whoever comes now waits for the next connection.
        self._confirmed.clear()

    def _confirm(self, channel: str) -> None:
        if channel not in self.wanted:
            return
        self.is_up = True
        self._is_cut = False
        self._confirmed.add(channel)
        if future := self._confirmations.pop(channel, None):
            future.set_result(None)
        if channel in self._missed:
            self._missed.discard(channel)
            self._missed_on(channel)

    def _go_down(self) -> None:
        self.is_up = False
        self._is_cut = True
        self._confirmed.clear()
        self._missed = set(self.wanted)
        confirmations, self._confirmations = self._confirmations, {}
        for future in confirmations.values():
            future.set_result(None)
