"""The parent of the slots: it beats, watches, and cleans up; it never touches a task's data.

Built on `rq.Worker` for what RQ and django-rq's pages know of a worker (its key, state, commands,
suspension). Overridden are only methods whose signatures are the same in rq 2.0 to 3.0; a test
compares them.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import time
import uuid
from dataclasses import dataclass, field
from functools import partial
from types import FrameType
from typing import Any

from django.db import DatabaseError, InterfaceError, close_old_connections, connections
from rq import Worker as RQWorker
from rq.command import parse_payload
from rq.suspension import is_suspended
from rq.worker import WorkerStatus

from taskcenter import lifecycle, wire
from taskcenter.conf import get_settings
from taskcenter.definitions import known_names
from taskcenter.models import Task, Worker
from taskcenter.recovery import TaskRecovery

from . import aftermath
from .page import Page
from .process import kill_group
from .slot import Slot

__all__ = ["TaskCenterWorker"]

logger = logging.getLogger("taskcenter")

WATCH = 0.1
"""Seconds between two looks at the slots."""
ASK = 1.0
"""Seconds between two looks for cancels, commands and suspension."""
RESPAWN = 1.0
"""Seconds between a slot's death and its successor's birth, so that a crash loop burns no CPU."""


@dataclass
class Child:
    """A slot as the parent sees it."""

    page: Page
    pid: int = 0
    born_after: float = 0
    cancel_seen: dict[tuple[uuid.UUID, int], float] = field(default_factory=dict)
    killed_for: str = ""


class TaskCenterWorker(RQWorker):
    """`manage.py rqworker`: a parent and its slots."""

    def __init__(self, *args: Any, concurrency: int | None = None, grace: float | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # RQ's own waits for minutes; a Redis that hangs must not cost us our heartbeat.
        self.connection = wire.watching_client(self.queue_names()[0])
        self.concurrency = concurrency or get_settings().CONCURRENCY
        self.grace = get_settings().GRACE if grace is None else grace
        self.row_id = uuid.uuid4()
        self.children = [Child(Page()) for _ in range(self.concurrency)]
        self._signals = 0
        self._asked_at = self._beat_at = self._judge_from = 0.0
        self._unclaimed: set[tuple[uuid.UUID, int]] = set()
        self._trouble: dict[str, float] = {}

    def work(self, burst: bool = False, logging_level: str | None = None, *_: Any, **__: Any) -> bool:
        """Run until told to stop; with `burst`, until nothing is left to do."""
        self.bootstrap(logging_level)
        self._register()
        self._install_signal_handlers()
        self.set_state(WorkerStatus.BUSY)
        try:
            self._watch(burst)
        finally:
            self._end_slots()
            self._say_goodbye()
        return True

    # What RQ calls, or what other rooms of RQ look at.

    def subscribe(self) -> None:
        """Listen for commands without a thread: a fork beside a thread is not safe."""
        self.pubsub = self.connection.pubsub(ignore_subscribe_messages=True)  # type: ignore[no-untyped-call]
        self.pubsub.subscribe(self.pubsub_channel_name)

    def request_stop(self, signum: int, frame: FrameType | None) -> None:  # noqa: ARG002 RQ's signature
        """First signal: finish what runs, within the grace period. Second: at once."""
        self._signals += 1
        self._stop_requested = True
        for child in self.children:
            child.page.stopping = True

    def _install_signal_handlers(self) -> None:
        for name in (signal.SIGINT, signal.SIGTERM):
            signal.signal(name, self.request_stop)

    # The loop.

    def _watch(self, burst: bool) -> None:
        while not self._stop_requested:
            self._fill_slots(burst)
            self._chores()
            self._reap()
            self._enforce_limits()
            if burst and not any(child.pid for child in self.children):
                return
            time.sleep(WATCH)

    def _fill_slots(self, burst: bool) -> None:
        for child in self.children:
            if not child.pid and time.monotonic() >= child.born_after:
                if burst and child.born_after:
                    continue  # in burst mode a slot ends because nothing is left
                self._fork(child, burst)

    def _fork(self, child: Child, burst: bool) -> None:
        connections.close_all()  # a connection must not cross a fork
        child.page.worker_id = self.row_id
        child.page.end()
        parent = os.getpid()
        child.pid = os.fork() or self._become_slot(child, parent, burst)
        child.killed_for = ""

    def _become_slot(self, child: Child, parent: int, burst: bool) -> int:
        wire.quick_client.cache_clear()
        Slot(child.page, self.queue_names(), burst=burst).main(parent)
        return 0  # never reached: main() ends the process

    def _reap(self) -> None:
        for child in self.children:
            if child.pid:
                pid, status = os.waitpid(child.pid, os.WNOHANG)
                if pid:
                    child.pid, child.born_after = 0, time.monotonic() + RESPAWN
                    self._guarded("database", partial(self._after_death, child, status))

    def _after_death(self, child: Child, status: int) -> None:
        """Write what the dead slot could not; the page names the attempt it was running."""
        running = child.page.running()
        if running is None:
            return
        how = aftermath.how_it_died(status)
        logger.error("A slot died (%s) while it ran task %s attempt %d", how, running.task_id, running.attempt)
        aftermath.close_attempt(running, child.killed_for, how)
        child.page.end()

    def _enforce_limits(self) -> None:
        now = time.monotonic()
        for child in self.children:
            running = child.page.running() if child.pid else None
            if running is None:
                continue
            asked = child.cancel_seen.get((running.task_id, running.attempt))
            if running.timeout and now > running.begun + running.timeout + self.grace:
                self._kill(child, "timeout")
            elif asked is not None and now > asked + self.grace:
                self._kill(child, "cancel")

    def _kill(self, child: Child, why: str) -> None:
        if not child.killed_for:
            child.killed_for = why
            kill_group(child.pid)

    # What is done now and then.

    def _chores(self) -> None:
        now = time.monotonic()
        if now >= self._asked_at + ASK:
            self._asked_at = now
            self._guarded("database", self._pass_on_cancels)
            self._guarded("redis", self._hear_commands)
        if now >= self._beat_at + get_settings().HEARTBEAT:
            self._beat_at = now
            self._guarded("database", self._beat)
            self._guarded("redis", self._beat_redis)

    def _pass_on_cancels(self) -> None:
        busy = {}
        for child in self.children:
            running = child.page.running() if child.pid else None
            if running:
                busy[running.task_id, running.attempt] = child
        if not busy:
            return
        asked = Task.objects.held_by(self.row_id).filter(cancel_requested_at__isnull=False)
        for key in asked.values_list("id", "attempt"):
            child_or_none = busy.get(key)
            if child_or_none is not None:
                child_or_none.page.cancelled_attempt = key[1]
                child_or_none.cancel_seen.setdefault(key, time.monotonic())
        close_old_connections()

    def _hear_commands(self) -> None:
        paused = bool(is_suspended(self.connection, self))
        for child in self.children:
            child.page.paused = paused
        assert self.pubsub is not None  # noqa: S101 bootstrap() subscribed
        while message := self.pubsub.get_message(timeout=0):
            self.handle_payload(message)

    def handle_payload(self, message: dict[str, Any]) -> None:
        """RQ's `shutdown` command; the others are about jobs, and ours are tasks: cancel those."""
        if parse_payload(message).get("command") == "shutdown":
            self.request_stop(signal.SIGTERM, None)

    def _register(self) -> None:
        Worker.objects.create(
            id=self.row_id,
            name=self.name,
            host=socket.gethostname(),
            pid=os.getpid(),
            queues=self.queue_names(),
            slots=self.concurrency,
            definitions=known_names(),
        )
        for child in self.children:
            child.page.worker_id = self.row_id

    def _beat(self) -> None:
        """Say that we live, and put right what others left behind. Safety needs no scheduler."""
        if not Worker.objects.beat(self.row_id):
            # Somebody took us for dead while we were stopped: a new incarnation, fenced from the old.
            logger.warning("Worker %s was taken for dead; it registers anew", self.row_id)
            self.row_id = uuid.uuid4()
            self._register()
        if time.monotonic() >= self._judge_from:
            TaskRecovery().recover_stuck_tasks()
        self._hand_back_unclaimed()
        close_old_connections()

    def _hand_back_unclaimed(self) -> None:
        """Tasks in our name that no slot runs: claimed by a slot that died before it said so."""
        on_pages = {(r.task_id, r.attempt) for child in self.children if (r := child.page.running())}
        held = set(Task.objects.held_by(self.row_id).values_list("id", "attempt")) - on_pages
        for task_id, attempt in held & self._unclaimed:
            lifecycle.hand_back(task_id, attempt, "Its slot died before it began.")
        self._unclaimed = held - self._unclaimed

    def _beat_redis(self) -> None:
        if not self.connection.exists(self.key):
            self.register_birth()  # type: ignore[no-untyped-call]  # Redis was emptied: be seen again on django-rq's pages
            self.set_state(WorkerStatus.BUSY)
        self.heartbeat(int(get_settings().STALE_AFTER) + 60)

    def _guarded(self, what: str, chore: Any) -> None:
        """Do a chore; an outage is said once and tried again later."""
        if what == "redis" and time.monotonic() < self._trouble.get(what, 0):
            return  # each try may cost the time-out; the database's chores go first
        try:
            chore()
            if self._trouble.pop(what, None) is not None:
                logger.warning("The %s answers again", what)
                # The others could not beat either: give them time before anyone is called dead.
                self._judge_from = time.monotonic() + get_settings().STALE_AFTER
        except (DatabaseError, InterfaceError, *wire.UNREACHABLE) as error:
            if what not in self._trouble:
                logger.warning("The %s does not answer, trying again: %s", what, error)
            self._trouble[what] = time.monotonic() + wire.PAUSE
            if what == "database":
                connections.close_all()

    # The end.

    def _end_slots(self) -> None:
        """Stop claiming, give what runs its grace, then kill and hand back."""
        deadline = time.monotonic() + self.grace
        for child in self.children:
            child.page.stopping = True
            if child.pid:
                _signal(child.pid, signal.SIGTERM)
        while any(child.pid for child in self.children):
            if time.monotonic() > deadline or self._signals > 1:
                for child in self.children:
                    if child.pid:
                        self._kill(child, "shutdown")
            self._chores_while_ending()
            self._reap()
            time.sleep(WATCH / 2)

    def _chores_while_ending(self) -> None:
        if time.monotonic() >= self._beat_at + get_settings().HEARTBEAT:
            self._beat_at = time.monotonic()
            self._guarded("database", lambda: Worker.objects.beat(self.row_id))

    def _say_goodbye(self) -> None:
        self._guarded("database", lambda: Worker.objects.retire(self.row_id))
        self._guarded("redis", self.register_death)
        connections.close_all()


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
