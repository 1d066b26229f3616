"""The parent of the slots: it watches, beats and cleans up; it never touches a task's data.

    family.py    the slots: forked, killed past their limits, reaped
    chores.py    the database: its row, cancels, the ends that dead slots could not write, sweeps
    presence.py  Redis: what RQ and django-rq's pages see of it, and their commands
    outage.py    what happens when one of the two is away: it is said once, and tried again

Built on `rq.Worker` for what RQ knows of a worker. Overridden are only methods whose signatures are the
same in rq 2.0 to 3.0; a test compares them.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Sequence
from types import FrameType
from typing import Any

from django.db import connections
from rq import Worker as RQWorker
from rq.logutils import setup_loghandlers

from taskcenter import wire
from taskcenter.conf import get_settings

from . import patience
from .chores import Chores
from .family import Family, Limits
from .outage import Outages
from .presence import Presence

__all__ = ["TaskCenterWorker"]

WATCH = 0.1
"""Seconds between two looks at the slots."""


class TaskCenterWorker(RQWorker):
    """`manage.py rqworker`: a parent and its slots."""

    def __init__(
        self, queues: Sequence[Any], *args: Any, concurrency: int = 0, limits: Limits | None = None, **kwargs: Any
    ) -> None:
        super().__init__(queues, *args, **kwargs)
        # RQ's own waits for minutes; a Redis that hangs must not cost us our heartbeat.
        self.connection = wire.watching_client(self.queue_names()[0])
        limits = limits or Limits(grace=get_settings().GRACE)
        self.grace = limits.grace
        self.outages = Outages()
        self.family = Family(self.name, self.queue_names(), concurrency or get_settings().CONCURRENCY, limits)
        self.chores = Chores(self.family, self.outages)
        self.presence = Presence(self, self.family, self.chores, self.outages)
        self._signals = 0

    def work(self, burst: bool = False, logging_level: str | None = None, *_: Any, **__: Any) -> bool:
        """Run until told to stop; with `burst`, until nothing is left to do."""
        setup_loghandlers(logging_level, name="rq.worker")
        patience.be_impatient()
        self._install_signal_handlers()
        self.log.info("Worker %s: started with PID %d, listening on %s", self.name, self.pid, self.queue_names())
        try:
            self._watch(burst)
        finally:
            self._end_slots()
            self._say_goodbye()
        return True

    # What RQ calls, or what those call who only know RQ.

    def subscribe(self) -> None:
        """Listen for commands without a thread: a fork beside a thread is not safe."""
        self.pubsub = self.connection.pubsub(ignore_subscribe_messages=True)  # type: ignore[no-untyped-call]
        self.pubsub.subscribe(self.pubsub_channel_name)

    def handle_payload(self, message: dict[str, Any]) -> None:
        """RQ's commands: `shutdown`, and those about jobs, which mean tasks here."""
        self.presence.obey(message)

    def request_stop(self, signum: int, frame: FrameType | None) -> None:  # noqa: ARG002 RQ's signature
        """First signal: finish what runs, within the grace period. Second: at once."""
        self._signals += 1
        self._stop_requested = True
        for child in self.family.children:
            child.page.stopping = True

    def _install_signal_handlers(self) -> None:
        for name in (signal.SIGINT, signal.SIGTERM):
            signal.signal(name, self.request_stop)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # ignored, it would hide how slots die

    # The loop.

    def _watch(self, burst: bool) -> None:
        """Look around ten times a second."""
        while not self._stop_requested:
            self.presence.keep_up()
            self.chores.do_due()
            if self.chores.registered and not self._stop_requested:
                self.family.fill(burst=burst)
            self.family.enforce_limits()
            self.family.reap(last=self.chores.nothing_left if burst else None)
            if burst and (self.presence.suspended or all(child.retired for child in self.family.children)):
                return
            time.sleep(WATCH)

    def _end_slots(self) -> None:
        """Stop claiming, give what runs its grace, then kill and hand back."""
        deadline = time.monotonic() + self.grace
        self.family.stop()
        while self.family.alive():
            if time.monotonic() > deadline or self._signals > 1:
                self.family.kill()
            self.chores.do_while_ending()
            self.family.reap()
            time.sleep(WATCH / 2)

    def _say_goodbye(self) -> None:
        self.chores.close()
        self.presence.leave()
        connections.close_all()
        patience.be_patient_again()
