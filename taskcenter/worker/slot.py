"""One slot: a child process that claims, runs and finishes one task at a time.

The one rule of waking: block only after an empty claim that began after the last pop. A pop may have
swallowed the pointer of a task committed since the claim, so every pop is followed by a claim.
"""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Sequence
from types import FrameType

import redis
from django.db import DatabaseError, InterfaceError, close_old_connections, connections

from taskcenter import lifecycle, pointers, wire
from taskcenter.definitions import known_names
from taskcenter.models import Task

from . import foreign, story
from .page import Page, Running
from .process import die_with_parent, reset_signals

__all__ = ["Slot"]

logger = logging.getLogger("taskcenter")

SELF_CLAIM = 1.0
"""Seconds an idle slot waits for a pointer before it looks by itself."""
SURPLUS = 64
"""Pointers popped at once when there is nothing to claim."""


class Stop(BaseException):
    """The parent wants this slot to end, and it is only waiting."""


class Slot:
    """The loop of one slot; `work()` returns when the parent wants it to end."""

    def __init__(self, page: Page, queues: Sequence[str], *, burst: bool = False) -> None:
        self.page = page
        self.queues = list(queues)
        self.burst = burst
        self._redis: redis.Redis | None = None
        self._waiting = False
        self._troubled = False

    def main(self, parent_pid: int) -> None:
        """The whole life of the child process; never returns."""
        code = 1
        try:
            reset_signals()
            signal.signal(signal.SIGTERM, self._on_term)
            die_with_parent(parent_pid)
            self.work()
            code = 0
        except Stop:
            code = 0
        except BaseException:
            logger.exception("A slot ended by an error of its own")
        finally:
            logging.shutdown()
            os._exit(code)

    def work(self) -> None:
        definitions = known_names()
        while not self.page.stopping:
            try:
                if not self._step(definitions) and self.burst:
                    return
                self._troubled = False
            except (DatabaseError, InterfaceError) as error:
                self._rest("The database", error)

    def _step(self, definitions: Sequence[str]) -> bool:
        """Run one task, or wait for a pointer; whether there was anything to do."""
        task = None if self.page.paused else self._claim(definitions)
        if task is not None:
            self._run(task)
            return True
        lifecycle.promote()
        close_old_connections()
        return self._wait()

    def _claim(self, definitions: Sequence[str]) -> Task | None:
        claimed = lifecycle.claim(self.queues, definitions, self.page.worker_id)
        return claimed[0] if claimed else None

    def _run(self, task: Task) -> None:
        """Run it. An error of ours leaves the page as it is and ends the slot: the parent counts a crash."""
        self.page.begin(Running(task.id, task.attempt, time.monotonic(), task.timeout or 0))
        try:
            story.run(task, PageListener(self.page, task.attempt))
        except DatabaseError as error:
            raise RuntimeError(f"Attempt {task.attempt} of task {task.id} could not be ended") from error
        self.page.end()

    def _wait(self) -> bool:
        """Wait for a pointer; whether one came. Each pop is followed by a claim, by the loop."""
        try:
            client = self._connection()
            self._waiting = True
            if self.page.stopping:
                return False
            found = pointers.wait(client, self.queues, 0.05 if self.burst else SELF_CLAIM)
            self._waiting = False
            if found is None:
                return self.burst and Task.objects.claimable(self.queues, known_names()).exists()
            self._take_off(client, [found, *self._surplus(client)])
        except wire.UNREACHABLE as error:
            self._redis = None
            self._rest("Redis", error)
        finally:
            self._waiting = False
        return True

    def _surplus(self, client: redis.Redis) -> list[tuple[str, str]]:
        return [(queue, job_id) for queue in self.queues for job_id in pointers.pop_surplus(client, queue, SURPLUS)]

    def _take_off(self, client: redis.Redis, jobs: list[tuple[str, str]]) -> None:
        pointers.forget(client, [job_id for _, job_id in jobs if pointers.is_pointer(job_id)])
        for queue, job_id in jobs:
            if not pointers.is_pointer(job_id):
                foreign.refuse(client, job_id, queue)

    def _connection(self) -> redis.Redis:
        if self._redis is None:
            self._redis = wire.blocking_client(self.queues[0])
        return self._redis

    def _rest(self, what: str, error: Exception) -> None:
        """Say once that something is away, and try again in a second."""
        if not self._troubled:
            logger.warning("%s does not answer, trying again: %s", what, error)
        self._troubled = True
        connections.close_all()
        time.sleep(1)

    def _on_term(self, _signum: int, _frame: FrameType | None) -> None:
        self.page.stopping = True
        if self._waiting:
            raise Stop


class PageListener:
    """Hears from the parent through the shared page: no query, no round trip."""

    def __init__(self, page: Page, attempt: int) -> None:
        self._page = page
        self._attempt = attempt

    def cancelled(self) -> bool:
        return self._page.cancelled_attempt == self._attempt

    def stopping(self) -> bool:
        return self._page.stopping
