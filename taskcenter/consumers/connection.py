"""The line to one page: what runs beside it, how it is spoken to, and how it ends."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from channels.generic.websocket import AsyncWebsocketConsumer

from .messages import Close, Refused

__all__ = ["Connection"]

logger = logging.getLogger("taskcenter")


class Connection(AsyncWebsocketConsumer):  # type: ignore[misc] # channels ships no types
    """Nothing waits in memory for a page that takes nothing: it is let go."""

    STUCK = 20.0
    """Seconds after which a page that takes no frame counts as gone."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Live, and tidy up however it ends: the server may just cancel us."""
        self._tasks: list[asyncio.Task[None]] = []
        self._life = asyncio.current_task()
        self.is_over = self._is_stuck = False
        try:
            await super().__call__(scope, receive, send)
        except asyncio.CancelledError:
            if not self._is_stuck:
                raise
        finally:
            self.is_over = True
            for task in self._tasks:
                task.cancel()

    def _run_beside(self, *works: Callable[[], Awaitable[None]]) -> None:
        """What happens by itself while the connection lives."""
        self._tasks = [asyncio.create_task(self._guarded(work)) for work in works]

    async def _guarded(self, work: Callable[[], Awaitable[None]]) -> None:
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

    async def _say(self, kind: str, tasks: list[str] | None = None, /, **fields: Any) -> None:
        """A frame; `tasks` are frames of tasks that have been encoded before, once for all pages."""
        text = json.dumps({"type": kind, **fields})
        if tasks is not None:
            text = f'{text[:-1]}, "tasks": [{", ".join(tasks)}]}}'
        await self._send(text_data=text)

    async def _end(self, code: Close, reason: str, **fields: Any) -> None:
        """Say why, then close. Accepted first: a refused handshake would reach the page as 1006."""
        await self._say("bye", code=int(code), reason=reason, **fields)
        await self._send(code=int(code))

    async def _send(self, *, code: int | None = None, text_data: str = "") -> None:
        """A frame, or the close."""
        if self.is_over:
            return
        try:
            async with asyncio.timeout(self.STUCK):
                if code is None:
                    await self.send(text_data=text_data)
                else:
                    self.is_over = True
                    await self.close(code=code)
        except TimeoutError:
            self._abandon()
        except (OSError, RuntimeError):
            # The page has gone, and the server says so in its own way; the disconnect follows.
            self.is_over = True

    def _abandon(self) -> None:
        logger.info("A page has taken nothing for %g s and is let go", self.STUCK)
        self.is_over = self._is_stuck = True
        if self._life:
            self._life.cancel()
