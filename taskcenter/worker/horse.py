"""RQ's own worker inside a slot, for one ordinary job: forked, watched and recorded by RQ's own code."""

from __future__ import annotations

import contextlib
import logging
import os
import time
from typing import Any

from django.db import connections
from django_rq.connection_utils import get_redis_connection
from django_rq.jobs import get_job_class
from django_rq.queues import get_queue_class
from django_rq.workers import get_exception_handlers
from rq import Queue
from rq import Worker as RQWorker
from rq.command import parse_payload
from rq.job import Job

from taskcenter.conf import redis_queues
from taskcenter.wire import UNREACHABLE

from .process import end_with_parent

__all__ = ["Rider", "saddle"]

logger = logging.getLogger("taskcenter")

LONGEST_LOOK = 0.1
"""Seconds between two looks at the horse, and for commands."""

_inherited: list[Any] = []
_tidied: list[float] = []


def saddle(job_id: str, queue_name: str, worker_name: str) -> tuple[Rider, Job]:
    """A worker of RQ's for this job, and the job as RQ reads it, with the queue's own classes and serializer.

    Raises NoSuchJobError when there is no payload, and whatever RQ raises on a malformed one.
    """
    config = redis_queues()[queue_name]
    connection = get_redis_connection(config)
    queue_class, job_class = get_queue_class(config), get_job_class()
    queue = queue_class(queue_name, connection=connection, job_class=job_class, serializer=config.get("SERIALIZER"))
    rider = Rider(
        [queue],
        name=worker_name or None,
        connection=connection,
        queue_class=queue_class,
        job_class=job_class,
        serializer=config.get("SERIALIZER"),
        exception_handlers=get_exception_handlers() or None,
    )
    return rider, job_class.fetch(job_id, connection=connection, serializer=queue.serializer)


class Rider(RQWorker):
    """Runs one job in a forked horse. It goes by the name of our worker, whose keys are kept by the parent."""

    def ride(self, job: Job) -> None:
        """Run it once. Its result, or its failure, is where RQ puts them; nothing is raised."""
        queue: Queue = self.queues[0]
        try:
            self.log.info("Worker %s: %s: %s (%s)", self.name, queue.name, job.description, job.id)
            self.execute_job(job, queue)
            self._tidy()
        except UNREACHABLE as error:
            logger.warning("Redis went away while RQ job %s ran; it runs on, watched by nobody: %s", job.id, error)
            self._outlive()
        except Exception:
            logger.exception("RQ could not run its job %s", job.id)
            self._outlive()
        finally:
            self._unplug()

    # What RQ calls.

    def wait_for_horse(self) -> tuple[int | None, int | None, Any]:
        """Wait without a thread for commands: a slot forks again, for the next job."""
        look = 0.002
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status, usage = os.wait4(self.horse_pid, os.WNOHANG)
                if pid:
                    return pid, status, usage
                self._hear()
                time.sleep(look)
                look = min(look * 2, LONGEST_LOOK)
        return None, None, None

    def main_work_horse(self, job: Job, queue: Queue) -> None:
        """The horse: it dies with its slot, and has nothing of the slot's in its hands."""
        end_with_parent(self._slot_pid)
        for connection in connections.all(initialized_only=True):
            _inherited.append(connection)  # closing it here would close the slot's, so would forgetting it
            del connections[connection.alias]
        super().main_work_horse(job, queue)

    def prepare_execution(self, job: Job) -> Any:
        self._slot_pid = os.getpid()
        return super().prepare_execution(job)

    def _hear(self) -> None:
        """Stop commands from RQ, sent to the worker whose name we bear."""
        try:
            if self.pubsub is None:
                self.pubsub = self.connection.pubsub(ignore_subscribe_messages=True)  # type: ignore[no-untyped-call]
                self.pubsub.subscribe(self.pubsub_channel_name)
            message = self.pubsub.get_message(timeout=0)
        except UNREACHABLE:
            self.pubsub = None
            return
        except BaseException:
            self.pubsub = None  # RQ's alarm rang in the middle of an answer
            raise
        if message and parse_payload(message).get("command") != "shutdown":  # that is for the parent
            self.handle_payload(message)  # type: ignore[no-untyped-call]  # RQ's has no types

    def _tidy(self) -> None:
        """RQ's own care for jobs that were abandoned, as often as its workers take it."""
        if not _tidied or time.monotonic() > _tidied[-1] + self.maintenance_interval:
            _tidied[:] = [time.monotonic()]
            self.run_maintenance_tasks()  # type: ignore[no-untyped-call]  # RQ's has no types

    def _outlive(self) -> None:
        if self.horse_pid:
            self.wait_for_horse()

    def _unplug(self) -> None:
        with contextlib.suppress(*UNREACHABLE):
            if self.pubsub is not None:
                self.pubsub.close()
            self.connection.close()
