"""`TaskScheduler`: what `manage.py rqscheduler` runs. The only room that knows rq-scheduler.

rq-scheduler keeps its schedule in Redis and loses or doubles it when it is killed, so only its shell is
used here: the command, the heartbeat key, and its jobs for those who still have some. Our own duties are
rows; a compare-and-set on `next_due` gives each due time to one scheduler of any number.
"""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from types import FrameType
from typing import Any

from asgiref.sync import sync_to_async
from django.db import DatabaseError, InterfaceError, close_old_connections, connections
from django.utils import timezone
from rq_scheduler import Scheduler

from . import minutes, reports
from .conf import get_settings, redis_queues
from .models import Duty, FailureGroup
from .models.clock import Steps
from .queues import TaskQueue
from .recovery import TaskRecovery
from .wire import UNREACHABLE

__all__ = ["DUTIES", "TaskScheduler", "next_midnight"]

logger = logging.getLogger("taskcenter")

LONGEST_SLEEP = 5.0
LONGEST_COUNT = 15.0


def next_minute(now: datetime) -> datetime:
    return now.replace(second=0, microsecond=0) + timedelta(minutes=1)


def next_midnight(now: datetime) -> datetime:
    """The next midnight in `settings.TIME_ZONE`, strictly later than `now`."""
    local = timezone.localtime(now, timezone.get_default_timezone())
    tomorrow = (local + timedelta(days=1)).date()
    return datetime.combine(tomorrow, datetime.min.time(), tzinfo=timezone.get_default_timezone())


def dispatch() -> str:
    """Recover, promote, and put missing pointers back."""
    swept = TaskRecovery().recover_stuck_tasks()
    return f"{swept.count} recovered, {swept.promoted} promoted, {swept.pointers_pushed} pointers pushed"


def clean_up() -> str:
    """Delete finished tasks, reports, failure groups and counts past their retention, and orphaned pointers."""
    now, age = timezone.now(), get_settings().TASK_RETENTION
    tasks = sum(TaskQueue(name).cleanup_old_tasks() for name in redis_queues())
    groups = FailureGroup.objects.forget(now - age) if age is not None else 0
    minutes.forget(now)
    orphans = TaskRecovery().delete_orphans()
    return f"{tasks} tasks, {reports.expire(now)} reports, {groups} failure groups and {orphans} pointers deleted"


def roll_up() -> str:
    """Count what ended; of a long history as much as the other duties can wait for."""
    return minutes.roll_up(seconds=LONGEST_COUNT)


DUTIES: dict[str, tuple[Callable[[], str], Callable[[datetime], datetime]]] = {
    "dispatch": (dispatch, next_minute),
    "clean-up": (clean_up, next_midnight),
    minutes.DUTY: (roll_up, next_minute),
}
"""Name: what to do, and when it is due after a given time."""


class TaskScheduler(Scheduler):  # type: ignore[misc]
    """Any number may run; each due time is taken by one of them."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._stop = False
        self._trouble = ""
        self._steps = Steps(get_settings().STALE_AFTER / 2)
        self._judge_from = 0.0

    def tick(self, now: datetime | None = None) -> list[str]:
        """Do the duties that are due; their names. One that fails never stops another."""
        now = now or timezone.now()
        return [name for name in DUTIES if self._do_if_due(name, now)]

    async def atick(self) -> list[str]:
        """See tick()."""
        return await sync_to_async(self.tick, thread_sensitive=True)()

    def run(self) -> None:
        """Tick until SIGTERM or SIGINT."""
        self._install_signal_handlers()
        self._quietly(self.register_birth)
        while not self._stop:
            self._guarded_tick()
            self._quietly(self.heartbeat)
            self._quietly(self._foreign_jobs)
            self._sleep()
        self._quietly(self.register_death)

    def _install_signal_handlers(self) -> None:
        """Only a flag: an exception out of a signal handler may tear a transaction apart."""

        def stop(_signum: int, _frame: FrameType | None) -> None:
            self._stop = True

        for name in (signal.SIGINT, signal.SIGTERM):
            signal.signal(name, stop)

    def _do_if_due(self, name: str, now: datetime) -> bool:
        action, next_due = DUTIES[name]
        duty, _ = Duty.objects.get_or_create(name=name, defaults={"next_due": now})
        if duty.next_due is not None and duty.next_due > now:
            return False
        if not Duty.objects.take(name, duty.next_due, next_due(now), now):
            return False  # another scheduler has it
        self._perform(name, action)
        return True

    def _perform(self, name: str, action: Callable[[], str]) -> None:
        try:
            outcome = action()
        except Exception as error:
            logger.exception("Duty %s failed; it is due again at its next time", name)
            outcome = f"failed: {type(error).__name__}: {error}"
        Duty.objects.filter(name=name).update(last_finished_at=timezone.now(), last_outcome=outcome[:255])

    def _guarded_tick(self) -> None:
        try:
            if self._steps.look(Duty.objects.db):
                logger.warning("The clock was set: no duty is done until every worker has told the new time")
                self._judge_from = time.monotonic() + get_settings().STALE_AFTER
            if time.monotonic() >= self._judge_from:
                self.tick()
            close_old_connections()
            self._trouble = ""
        except (DatabaseError, InterfaceError) as error:
            connections.close_all()
            self._say_once(f"The database does not answer: {error}")

    def _foreign_jobs(self) -> None:
        """Jobs that somebody scheduled with rq-scheduler itself; each in its own try."""
        if not self.acquire_lock():
            return
        try:
            for job in self.get_jobs_to_queue():
                self.enqueue_job(job)
        finally:
            self.remove_lock()

    def _quietly(self, action: Callable[[], Any]) -> None:
        """Redis may be away: our duties do not need it."""
        try:
            action()
        except UNREACHABLE as error:
            self._say_once(f"Redis does not answer: {error}")
        except Exception:
            logger.exception("rq-scheduler's own bookkeeping failed; the scheduler goes on")

    def _say_once(self, text: str) -> None:
        if self._trouble != text.partition(":")[0]:
            logger.warning(text)
        self._trouble = text.partition(":")[0]

    def _sleep(self) -> None:
        until = time.monotonic() + min(float(self._interval), LONGEST_SLEEP)
        while not self._stop and time.monotonic() < until:
            time.sleep(0.2)
