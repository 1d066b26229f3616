"""The parent's children: slots are forked, watched, killed past their limits, and reaped."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from django.db import connections

from taskcenter import wire

from . import patience
from .aftermath import Death, how_it_died
from .memory import memory_used
from .page import Attempt, Page, Running
from .process import kill_group
from .slot import Slot
from .stacks import StackFile

__all__ = ["Child", "Family", "Limits"]

logger = logging.getLogger("taskcenter")

RESPAWN = 1.0
"""Seconds between a slot's birth or crash and its successor's birth, so that a crash loop burns no CPU."""
WEIGH = 1.0
"""Seconds between two looks at the slots' memory."""
MB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """When a slot is replaced or killed."""

    grace: float
    """Seconds that a task may take to end when it was told to."""
    max_tasks: int | None = None
    """Tasks after which a slot is replaced."""
    max_memory: int | None = None
    """Bytes above which a slot is replaced after its task; a task that takes it past twice that is killed."""

    @property
    def recycle(self) -> bool:
        return bool(self.max_tasks or self.max_memory)


class Child:
    """A slot as the parent sees it; its page outlives it and serves its successor."""

    def __init__(self) -> None:
        self.page = Page()
        self.stack = StackFile()
        self.pid = 0
        self.born = self.next_birth = 0.0
        self.retired = False
        self._killed: tuple[str, Attempt | None, str] | None = None
        self._cancel: tuple[Attempt, float] | None = None

    def renew(self) -> None:
        """Make its page and place ready for another process."""
        self.page.end()
        self.page.hold([])
        self.page.stopping = False
        self.born = time.monotonic()
        self._killed = self._cancel = None

    def running(self) -> Running | None:
        return self.page.running() if self.pid else None

    def tell_cancelled(self, attempt: Attempt) -> None:
        """Pass on that an attempt shall stop."""
        if self._runs(attempt):
            self.page.cancelled = attempt
            if self._cancel is None or self._cancel[0] != attempt:
                self._cancel = (attempt, time.monotonic())

    def cancelled_at(self, attempt: Attempt) -> float | None:
        """When this attempt was first told to stop (`time.monotonic()`)."""
        return self._cancel[1] if self._cancel and self._cancel[0] == attempt else None

    def kill(self, why: str, attempt: Attempt | None = None, how: str = "") -> None:
        """Kill it once, for the sake of one attempt, or whatever it runs."""
        if self._killed is None:
            self._killed = (why, attempt, how)
            kill_group(self.pid)

    def death(self, status: int) -> Death:
        """What the dead slot leaves behind."""
        why, attempt, how = self._killed or ("", None, "")
        running = self.page.running()
        if running and attempt and attempt != (running.task_id, running.attempt):
            why = "another"  # it had gone on between our look and our kill
        return Death(running, tuple(self.page.held()), why, how or how_it_died(status))

    def _runs(self, attempt: Attempt) -> bool:
        running = self.running()
        return running is not None and (running.task_id, running.attempt) == attempt


class Family:
    """All slots of one worker."""

    def __init__(self, name: str, queues: Sequence[str], size: int, limits: Limits) -> None:
        self.name = name
        self.queues = list(queues)
        self.limits = limits
        self.children = [Child() for _ in range(size)]
        self.deaths: list[Death] = []
        """Deaths that the database has not been told of."""
        self._weighed_at = 0.0
        if limits.max_memory and memory_used(os.getpid()) is None:
            logger.warning("This system has no /proc: the memory of running tasks is not watched")

    def alive(self) -> list[Child]:
        return [child for child in self.children if child.pid]

    def busy(self) -> Iterator[tuple[Child, Running]]:
        """The slots in the middle of a task."""
        for child in self.children:
            running = child.running()
            if running is not None:
                yield child, running

    def known(self) -> set[Attempt]:
        """Every attempt that a slot, or a death not yet told of, answers for."""
        on_pages = {attempt for child in self.alive() for attempt in child.page.held()}
        bodies = {(running.task_id, running.attempt) for _, running in self.busy()}
        return on_pages.union(bodies, *(death.attempts for death in self.deaths))

    # Birth.

    def fill(self, *, burst: bool) -> None:
        """Fork what is missing."""
        now = time.monotonic()
        for child in self.children:
            if not child.pid and not child.retired and now >= child.next_birth:
                self._fork(child, burst)

    def _fork(self, child: Child, burst: bool) -> None:
        connections.close_all()  # a connection must not cross a fork
        child.renew()
        parent = os.getpid()
        child.pid = os.fork() or self._become_slot(child, parent, burst)

    def _become_slot(self, child: Child, parent: int, burst: bool) -> int:
        try:
            patience.be_patient_again()
            patience.heed_silence()
            wire.quick_client.cache_clear()
            child.stack.register()
            limits = {"max_tasks": self.limits.max_tasks, "max_memory": self.limits.max_memory}
            Slot(child.page, self.queues, name=self.name, burst=burst, **limits).main(parent)
        except BaseException:
            logger.exception("A slot could not be made")
        finally:
            os._exit(1)  # main() has ended the process; whatever else happened, no child lives the parent's life

    # Limits.

    def enforce_limits(self) -> None:
        now = time.monotonic()
        for child, running in self.busy():
            attempt = (running.task_id, running.attempt)
            asked = child.cancelled_at(attempt)
            if running.timeout and now > running.begun + running.timeout + self.limits.grace:
                child.kill("timeout", attempt)
            elif asked is not None and now > asked + self.limits.grace:
                child.kill("cancel", attempt)
        if self.limits.max_memory and now >= self._weighed_at + WEIGH:
            self._weighed_at = now
            self._weigh(self.limits.max_memory)

    def _weigh(self, limit: int) -> None:
        for child, running in self.busy():
            memory = memory_used(child.pid) or 0
            if memory > 2 * limit:
                text = (
                    f"Its process was killed because it used {memory // MB} MB of memory, "
                    f"more than twice its limit of {limit // MB} MB (--max-memory)."
                )
                child.kill("memory", (running.task_id, running.attempt), text)

    # Death.

    def reap(self, *, last: Callable[[], bool] | None = None) -> None:
        """Notice who has died. In burst mode `last` says whether nothing is left for a successor to do."""
        for child in self.alive():
            status = _exit_of(child.pid)
            if status is not None:
                pid, child.pid = child.pid, 0
                self._bury(child, pid, status, last)

    def _bury(self, child: Child, pid: int, status: int, last: Callable[[], bool] | None) -> None:
        death = child.death(status)
        if status:
            kill_group(pid, leader=False)  # what its task had started must not work on beside the next attempt
            _tell(death)
        if death.attempts:
            self.deaths.append(death)
        child.next_birth = (time.monotonic() if status else child.born) + RESPAWN
        if not status and self.limits.max_tasks:
            child.next_birth = 0.0  # it had its share; by memory alone it might be worn out at birth
        if last is not None:
            child.retired = death.running is None and (bool(status) or not self.limits.recycle or last())

    # The end.

    def stop(self) -> None:
        """Tell all to claim no more, and to end when what runs has ended."""
        for child in self.children:
            child.page.stopping = True
            if child.pid:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child.pid, signal.SIGTERM)

    def kill(self) -> None:
        """Their grace is over."""
        for child in self.alive():
            child.kill("shutdown")


def _exit_of(pid: int) -> int | None:
    """The wait status of a dead child; None while it lives."""
    try:
        found, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:  # somebody else has reaped it
        return 1 << 8
    return status if found else None


def _tell(death: Death) -> None:
    if death.running:
        text = "A slot died (%s) while it ran task %s attempt %d"
        logger.error(text, death.how, death.running.task_id, death.running.attempt)
    else:
        logger.warning("A slot died (%s) between two tasks", death.how)
