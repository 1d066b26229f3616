"""What keeps every task of a queue, or of a definition, from being claimed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from taskcenter.conf import get_settings, redis_queues
from taskcenter.definitions import known_names
from taskcenter.models import Worker
from taskcenter.states import State

from .around import Around
from .values import Reason
from .words import as_data, counted, when

__all__ = ["obstacles"]


def obstacles(around: Around) -> Iterator[Reason]:
    """Each by itself is enough to keep the task waiting."""
    if around.queue is not None and around.queue.paused_at is not None:
        yield _paused(around, around.queue.paused_at, around.queue.paused_reason)
    if not around.workers:
        yield _no_worker(around)
        if around.task.definition not in known_names():
            yield _unknown_here(around)
    elif not around.able:
        yield _unknown(around)
    if around.redis is not None and around.redis.suspended:
        yield _suspended(around)


def _paused(around: Around, since: datetime, reason: str) -> Reason:
    name = around.task.queue
    why = f": {reason}" if reason else ", without a reason given"
    text = f"Queue {name} has been paused since {when(since)}{why}."
    data = {"queue": name, "since": as_data(since), "reason": reason}
    return Reason("queue_paused", text, f"Resume it: manage.py resume_queue {name}, or in the admin.", data)


def _no_worker(around: Around) -> Reason:
    name, others = around.task.queue, sorted({queue for worker in around.all_workers for queue in worker.queues})
    data = {"queue": name, "served": others, "known_queue": around.is_known_queue}
    if not around.is_known_queue:
        known = ", ".join(sorted(redis_queues())) or "none"
        text = f"No living worker serves queue {name}, and no worker can be started on it: RQ_QUEUES names {known}."
        return Reason("unknown_queue", text, f"Add {name!r} to RQ_QUEUES, then start: manage.py rqworker {name}", data)
    alive = len(around.all_workers)
    but = f"{counted(alive, 'living worker')} on {', '.join(others)} only" if alive else "no worker is alive at all"
    text = f"No living worker serves queue {name}: {but}."
    return Reason("no_worker", text, f"Start one: manage.py rqworker {name}", data)


def _suspended(around: Around) -> Reason:
    text = "All workers are suspended: somebody ran rqsuspend, and they claim nothing until it is ended."
    return Reason("workers_suspended", text, "End it: manage.py rqresume", {"queue": around.task.queue})


def _unknown_here(around: Around) -> Reason:
    """Said with `no_worker`: the worker that one would start from here does not help."""
    name = around.task.definition
    text = f"The code here does not define {name}: a worker that runs it does not take the task."
    fix = "Deploy the code that defines it first; or cancel the task if it is gone for good."
    return Reason("unknown_definition", text, fix, {"definition": name, "known_here": False, "fails_at": None})


def _unknown(around: Around) -> Reason:
    task, known_here = around.task, around.task.definition in known_names()
    fails_at = _fails_at(around)
    subject = "The one living worker" if len(around.workers) == 1 else f"None of the {len(around.workers)} workers"
    verb = "does not know" if len(around.workers) == 1 else "knows"
    text = f"{subject} of queue {task.queue} {verb} {task.definition}."
    if known_here:
        text += " The code here does, so they run other code than this."
        fix = "Restart the workers with the code that defines it."
    else:
        text += " Nor does the code here."
        fix = "Deploy the code that defines it and restart the workers; or cancel the task if it is gone for good."
    if fails_at is not None:
        text += f" While that stays so, the task is failed after {when(fails_at)}."
    data = {"definition": task.definition, "known_here": known_here, "fails_at": as_data(fails_at)}
    return Reason("unknown_definition", text, fix, data)


def _fails_at(around: Around) -> datetime | None:
    """When recovery may fail it at the earliest: UNKNOWN_FAILS_AFTER after the latest hope.

    A hope is the task's own news, the start of a worker that lives, and the last word of one that knew the
    definition. None while the queue is paused or the task is not yet due: then it is not failed.
    """
    if around.task.state != State.PENDING or (around.queue is not None and around.queue.paused_at is not None):
        return None
    limit = get_settings().UNKNOWN_FAILS_AFTER
    hopes = [around.waits_since, *(worker.started_at for worker in around.workers)]
    heard = Worker.objects.filter(heartbeat_at__gt=around.now - limit)
    for queues, definitions, heard_at in heard.values_list("queues", "definitions", "heartbeat_at").iterator():
        if around.task.definition in definitions and around.task.queue in queues:
            hopes.append(heard_at)
    return max(hopes) + limit
