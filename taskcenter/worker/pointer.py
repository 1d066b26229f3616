"""What a stock RQ worker calls: the same claim, run and finish, in its process."""

from __future__ import annotations

import logging
import os
import socket
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Event, Thread

from django.db import DatabaseError, InterfaceError, connections

from taskcenter import lifecycle, pointers
from taskcenter.conf import get_settings
from taskcenter.definitions import known_names
from taskcenter.models import Task, Worker
from taskcenter.recovery import TaskRecovery

from . import story

__all__ = ["run_pointer"]

logger = logging.getLogger("taskcenter")


def run_pointer(task_id: str) -> str:
    """Claim the best task of the pointed-at task's queue and run it; what came of it, in words.

    A pointer whose task is gone or taken still claims: pointers of a queue are interchangeable.
    """
    queue = Task.objects.filter(id=uuid.UUID(task_id)).values_list("queue", flat=True).first()
    if queue is None:
        return "The task is gone."
    with _standing_in(queue) as worker_id:
        claimed = lifecycle.claim([queue], known_names(), worker_id)
        if not claimed:
            return "Nothing was waiting."
        _bring_more(queue)
        return story.run(claimed[0], RowListener(claimed[0])).text


def _bring_more(queue: str) -> None:
    """Waiting tasks have a thousand pointers at most, and each wakes a stock worker once: the last brings the next."""
    if pointers.count_all([queue]) == Counter({queue: 0}):
        TaskRecovery().push_missing_pointers()


class RowListener:
    """Hears of a cancel by looking at the row: one query per look."""

    def __init__(self, task: Task) -> None:
        self._task = task

    def cancelled(self) -> bool:
        fence = Task.objects.of_attempt(self._task.id, self._task.attempt)
        return fence.filter(cancel_requested_at__isnull=False).exists()

    def stopping(self) -> bool:
        return False


@contextmanager
def _standing_in(queue: str) -> Iterator[uuid.UUID]:
    """A worker row for as long as this one task runs, with a heartbeat of its own."""
    worker = Worker.objects.create(
        name="stock RQ worker", host=socket.gethostname(), pid=os.getpid(), queues=[queue], definitions=known_names()
    )
    done = Event()
    thread = Thread(target=_beat, args=(worker.id, done), daemon=True)
    thread.start()
    try:
        yield worker.id
    finally:
        done.set()
        thread.join()
        with suppress(DatabaseError, InterfaceError):  # then it falls silent, and a sweep retires it
            Worker.objects.retire(worker.id)


def _beat(worker_id: uuid.UUID, done: Event) -> None:
    """An outage must not end the heartbeat: the task still runs when the database is back."""
    try:
        while not done.wait(get_settings().HEARTBEAT):
            try:
                Worker.objects.beat(worker_id)
            except (DatabaseError, InterfaceError) as error:
                logger.warning("A heartbeat could not be written, trying again: %s", error)
                connections.close_all()
    finally:
        connections.close_all()
