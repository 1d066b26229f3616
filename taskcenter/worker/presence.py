"""What RQ and django-rq's pages see of a worker, and what they tell it.

All of it lives in Redis and is written anew at each heartbeat, so that a FLUSHALL hides a worker for no
longer than that.
"""

from __future__ import annotations

import contextlib
import logging
import signal
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import redis
from rq import worker_registration
from rq.command import parse_payload
from rq.suspension import WORKERS_SUSPENDED
from rq.utils import as_text, utcparse
from rq.utils import now as rq_now
from rq.worker import WorkerStatus

from taskcenter.conf import get_settings
from taskcenter.pointers import task_id_of
from taskcenter.wire import UNREACHABLE

from .chores import Chores
from .family import Family
from .outage import REDIS, Outages

if TYPE_CHECKING:
    from .parent import TaskCenterWorker

__all__ = ["Presence"]

logger = logging.getLogger("taskcenter")

LOOK = 1.0
"""Seconds between two looks for commands and suspension."""
LIFE = 60
"""Seconds that our keys outlive the silence after which we count as dead."""


class Presence:
    """The worker's keys, its state, its ears."""

    def __init__(self, worker: TaskCenterWorker, family: Family, chores: Chores, outages: Outages) -> None:
        self.worker = worker
        self.family = family
        self.chores = chores
        self.outages = outages
        self.suspended = False
        self._looked_at = self._shown_at = 0.0
        self._shown = False

    def keep_up(self) -> None:
        """Whatever is due now; an outage is said and tried again later."""
        now = time.monotonic()
        if not self._shown or now >= self._shown_at + get_settings().HEARTBEAT:
            self._shown_at = now
            self._shown = self._attempt(self._show)
        if now >= self._looked_at + LOOK:
            self._looked_at = now
            self._attempt(self._look)

    def _attempt(self, chore: Callable[[], None]) -> bool:
        done = self.outages.attempt(REDIS, chore)
        if not done:
            self._forget_ears()  # when Redis is back they are at a connection that is closed
        return done

    def leave(self) -> None:
        self.outages.attempt(REDIS, self._leave)

    def name_is_free(self) -> bool:
        """Whether nobody alive goes by our name: a worker killed -9 leaves its key behind for a while.

        Raises the errors of an unreachable Redis.
        """
        found = {as_text(key): as_text(value) for key, value in self._client.hgetall(self.worker.key).items()}
        if not found or "death" in found:
            return True
        with contextlib.suppress(ValueError, KeyError):
            silence = rq_now() - utcparse(found["last_heartbeat"])
            return silence.total_seconds() > get_settings().STALE_AFTER
        return True  # nobody writes such a key

    @property
    def _client(self) -> redis.Redis:
        return self.worker.connection

    # To be seen.

    def _show(self) -> None:
        """Everything that RQ's own worker writes at birth, and its heartbeat."""
        worker = self.worker
        worker.birth_date = worker.birth_date or rq_now()
        worker.last_heartbeat = rq_now()
        pipeline = self._client.pipeline()
        pipeline.hset(worker.key, mapping=worker.serialize())
        pipeline.hdel(worker.key, "death")
        worker_registration.register(worker, pipeline)
        worker.heartbeat(int(get_settings().STALE_AFTER) + LIFE, pipeline=pipeline)
        pipeline.execute()

    def _state(self, executions: int) -> WorkerStatus:
        if executions or any(True for _ in self.family.busy()):
            return WorkerStatus.BUSY
        return WorkerStatus.SUSPENDED if self.suspended else WorkerStatus.IDLE

    def _leave(self) -> None:
        self._forget_ears()
        self.worker.register_death()  # type: ignore[no-untyped-call]  # RQ's has no types

    # To see and hear.

    def _look(self) -> None:
        """Suspension, our state, commands: three questions in one round trip, and the answers at once."""
        pipeline = self._client.pipeline(transaction=False)
        pipeline.exists(WORKERS_SUSPENDED)
        pipeline.hget(self.worker.key, "state")
        pipeline.scard(self.worker.executions_key)
        suspended, shown, executions = pipeline.execute()
        if shown is None:  # Redis was emptied
            self._show()
        self._suspend(bool(suspended))
        state = self._state(executions)
        if as_text(shown or b"") != state:
            self.worker.set_state(state)
        self._hear()

    def _suspend(self, suspended: bool) -> None:
        if suspended != self.suspended:
            self.suspended = suspended
            logger.warning("Suspended: nothing is claimed until rqresume" if suspended else "Resumed")
        for child in self.family.children:
            child.page.paused = suspended

    def _hear(self) -> None:
        if self.worker.pubsub is None:
            self.worker.subscribe()
        while message := self._next_message():
            if message["type"] == "message":
                self.worker.handle_payload(message)

    def _next_message(self) -> dict[str, Any] | None:
        assert self.worker.pubsub is not None  # noqa: S101 subscribe() has just made it
        message: dict[str, Any] | None = self.worker.pubsub.get_message(timeout=0)
        return message

    def _forget_ears(self) -> None:
        if self.worker.pubsub is not None:
            with contextlib.suppress(*UNREACHABLE):
                self.worker.pubsub.close()
            self.worker.pubsub = None

    def obey(self, message: dict[str, Any]) -> None:
        """One of RQ's commands. Those about jobs mean tasks here."""
        try:
            payload = parse_payload(message)
            command, job_id = payload["command"], str(payload.get("job_id") or "")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            logger.warning("A command that is none was sent to this worker: %r", error)
            return
        match command:
            case "shutdown":
                logger.info("RQ asked this worker to shut down")
                self.worker.request_stop(signal.SIGTERM, None)
            case "stop-job":
                self._stop_job(job_id)
            case "kill-horse":
                logger.warning("RQ's kill-horse is refused: cancel the task, which ends well or is killed")
            case _:
                logger.info("RQ's command %s is not for tasks", command)

    def _stop_job(self, job_id: str) -> None:
        task_id = task_id_of(job_id)
        if task_id is None:  # an ordinary job; the slot that runs it listens too
            logger.info("RQ asked to stop job %s, which is no task", job_id)
        else:
            self.chores.cancels.append(task_id)
