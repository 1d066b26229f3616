"""Open pages of real browsers, as far as the socket is concerned: they follow tasks, and come back when it is cut."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import sys
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.test import Client
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from taskcenter.models import Task
from tests.faults.stack import Stack, wait_until
from tests.processes import Process
from tests.servers import free_port

OURS = range(4400, 4500)
"""Close codes after which a page does not come back."""


class Site:
    """The site's ASGI server; `stop` and `start` keep its address, as a deploy does."""

    def __init__(self, stack: Stack, application: str) -> None:
        self._stack, self._application, self.port = stack, application, free_port()
        self.log = stack.directory / "uvicorn.log"
        self.start()

    def start(self) -> None:
        options = ["--host", "127.0.0.1", "--port", str(self.port), "--lifespan", "off"]
        uvicorn = [sys.executable, "-m", "uvicorn", self._application, *options]
        environment = {"REDIS_URL": self._stack.url, "DATABASE_URL": os.environ["DATABASE_URL"]}
        self.process = Process([*uvicorn, "--timeout-graceful-shutdown", "1"], log=self.log, **environment)
        self.process.wait_until(self._answers, "it serves", timeout=60)

    def _answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


class Page:
    """Belongs to a loop that runs in a thread beside the test, which only looks at what the page knows."""

    def __init__(self, site: Site, user: Any, task_ids: list[str], passes: dict[str, str]) -> None:
        self.site, self.user, self.passes = site, user, passes
        self.known: dict[str, dict[str, Any]] = {}
        self.denied: set[str] = set()
        self.lines: list[int] = []
        self.frames = self.opened = 0
        self.codes: list[int] = []
        self.wanted = task_ids
        self.line: ClientConnection | None = None
        self._cookie = _cookie(user) if user else ""

    def state(self, task_id: str) -> str:
        return str(self.known[task_id]["state"]) if task_id in self.known else ""

    async def live(self) -> None:
        """Follow until a server says that it is of no use; come back after anything else."""
        while not (self.codes and self.codes[-1] in OURS):
            try:
                async with self._connect() as self.line:
                    await self._follow(self.line)
            except ConnectionClosed as closed:
                self.codes.append(closed.rcvd.code if closed.rcvd else 1006)
            except (OSError, InvalidHandshake, TimeoutError):
                pass
            self.line = None
            await asyncio.sleep(0.1)

    def _connect(self) -> connect:
        headers = {"Cookie": self._cookie} if self._cookie else {}
        origin: Any = f"http://127.0.0.1:{self.site.port}"
        address = f"ws://127.0.0.1:{self.site.port}/ws/taskcenter/"
        return connect(address, origin=origin, additional_headers=headers, compression=None, open_timeout=60)

    async def _follow(self, line: ClientConnection) -> None:
        tasks = [{"id": key, "token": self.passes.get(key, ""), "rev": self._rev(key)} for key in self.wanted]
        events = {"id": self.wanted[0], "after": max(self.lines, default=0)} if self.wanted else None
        await line.send(json.dumps({"type": "subscribe", "tasks": tasks, "events": events}))
        async for text in line:
            self._hear(json.loads(text))

    def _rev(self, key: str) -> int | None:
        return self.known[key]["rev"] if key in self.known else None

    def _hear(self, frame: dict[str, Any]) -> None:
        self.frames += 1
        if frame["type"] == "snapshot":
            self.opened += 1
        self.denied.update(frame.get("denied") or () if frame["type"] == "snapshot" else ())
        if frame["type"] == "events":
            self.lines += [line["seq"] for line in frame["items"]]
        for task in frame.get("tasks", ()):
            known = self.known.get(task["id"])
            if known is None or _order(task) >= _order(known):
                self.known[task["id"]] = task


class Readers:
    """All pages of a test."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever)
        self._thread.start()

    def open(self, user: Any, *task_ids: str, passes: dict[str, str] | None = None) -> Page:
        """A page that follows these tasks, with the snapshot of them; and the history of the first."""
        page = Page(self.site, user, list(task_ids), passes or {})
        self.run(page.live())
        wait_until(lambda: page.opened or page.codes, "the page has an answer")
        return page

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self.loop)

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(_end_all(), self.loop).result(30)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(30)
        self.loop.close()


@contextmanager
def watching(stack: Stack, application: str = "tests.faults.asgi:application") -> Iterator[Readers]:
    """A site, and pages of it."""
    site = Site(stack, application)
    readers = Readers(site)
    try:
        yield readers
    finally:
        readers.close()
        site.process.kill9()


def assert_true(page: Page, *task_ids: str) -> None:
    """What the page shows is what the database knows."""
    for task in Task.objects.filter(id__in=task_ids):
        shown = page.known[str(task.id)]
        expected = (task.state, task.rev, task.attempt, task.is_final)
        assert (shown["state"], shown["rev"], shown["attempt"], shown["final"]) == expected


def _cookie(user: Any) -> str:
    client = Client()
    client.force_login(user)
    return f"{settings.SESSION_COOKIE_NAME}={client.cookies[settings.SESSION_COOKIE_NAME].value}"


def _order(frame: dict[str, Any]) -> tuple[int, int, int]:
    return frame["rev"], frame["attempt"], frame["seq"]


async def _end_all() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    for task in others:
        with contextlib.suppress(BaseException):  # whatever it ended with
            await task
