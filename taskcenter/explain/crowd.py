"""Other tasks: those that hold the queue's limit, those in all slots, those that come first."""

from __future__ import annotations

from collections.abc import Iterator

from taskcenter.conf import get_settings
from taskcenter.models import Task
from taskcenter.models.worker import Worker

from .around import SHOWN, Around
from .values import Reason
from .words import counted, listed, span, tasks_data, worker_data

__all__ = ["AHEAD_CAP", "crowd"]

AHEAD_CAP = 1000
"""So many waiting tasks are looked at, from the front of the queue, to find the place of this one."""
RUNNING_CAP = 10_000
"""Running tasks counted at most."""
WORKERS_CAP = 500
"""Workers whose slots are looked at, at most."""


def crowd(around: Around) -> Iterator[Reason]:
    """Why a task waits that workers may claim."""
    held = _limit(around) or _busy(around)
    if held is not None:
        yield held
    before = _behind(around)
    if before is not None:
        yield before
    if held is None:
        yield from _wake_up(around, alone=before is None)


def _limit(around: Around) -> Reason | None:
    """The queue's `max_running`, and the tasks that use it up."""
    limit = around.queue.max_running if around.queue else None
    if limit is None:
        return None
    running = Task.objects.processing().filter(queue=around.task.queue)
    count = running[: min(limit, RUNNING_CAP)].count()
    if count < limit:
        return None
    seen = around.named(running.order_by("attempted_at", "id"))
    name = around.task.queue
    text = f"Queue {name} lets {counted(limit, 'task')} run at once, and so many do{_names(seen, limit)}."
    data = {"queue": name, "max_running": limit, "tasks": tasks_data(seen)}
    return Reason("limit_reached", text, "Wait for one to end, or raise max_running of the queue in the admin.", data)


def _busy(around: Around) -> Reason | None:
    """Every slot that could run it has something else; what was claimed together is in one slot."""
    able = around.able[:WORKERS_CAP]
    slots = sum(worker.slots for worker in able)
    running = Task.objects.processing().filter(worker_id__in=[worker.pk for worker in able])
    if running.values("worker_id", "attempted_at").distinct()[:slots].count() < slots:
        return None
    seen = around.named(running.order_by("attempted_at", "id"))
    which = f"The only slot that could run it is busy: worker {able[0]}"
    if slots > 1:
        which = f"All {slots} slots that could run it are busy, on {_workers(able)}"
    text = f"{which}{_names(seen, slots)}."
    data = {"slots": slots, "workers": [worker_data(worker) for worker in able[:SHOWN]], "tasks": tasks_data(seen)}
    fix = f"Wait for one to end, or start another worker: manage.py rqworker {around.task.queue}"
    return Reason("workers_busy", text, fix, data)


def _behind(around: Around) -> Reason | None:
    """What is claimed before it: of higher priority, or as high and older."""
    higher, older, is_capped = _ahead(around)
    count = higher + older
    verb = "comes" if count == 1 else "come"
    if not count:
        return None
    which = " and ".join(
        filter(None, (f"{higher:,} of higher priority" if higher else "", f"{older:,} older" if older else ""))
    )
    text = f"{counted(count, 'task', at_least=is_capped)} of queue {around.task.queue} {verb} first: {which}."
    others = sorted({queue for worker in around.able for queue in worker.queues} - {around.task.queue})
    if others:
        text += f" Its workers serve {', '.join(others)} too."
    data = {"ahead": count, "is_capped": is_capped, "higher": higher, "older": older, "also_serve": others}
    return Reason("behind", text[0].upper() + text[1:], "Start more workers, or enqueue with a higher priority.", data)


def _ahead(around: Around) -> tuple[int, int, bool]:
    """How many of higher priority, how many as high and older, and whether there may be more.

    The claim index is walked from its front as far as the cap. A task that no worker of the queue can run
    stands in nobody's way.
    """
    task, known = around.task, {name for worker in around.workers for name in worker.definitions}
    line = Task.objects.pending().filter(queue=task.queue).in_claim_order()
    higher = older = 0
    for other, priority, definition in line.values_list("id", "priority", "definition")[:AHEAD_CAP]:
        if (-priority, other) >= (-task.priority, task.pk):
            return higher, older, False
        higher += definition in known and priority > task.priority
        older += definition in known and priority == task.priority
    return higher, older, True


def _wake_up(around: Around, *, alone: bool) -> Iterator[Reason]:
    """A slot is free: what wakes it, and what to think if it has not woken for long."""
    waited = (around.now - around.waits_since).total_seconds()
    data = {"waited": round(waited, 1)}
    if alone and waited > get_settings().STALE_AFTER:
        text = f"Nothing that is known here holds it, and yet it has waited {span(waited)}: a living worker is free."
        fix = f"Look into the log of worker {around.able[0]}; restart it if it says nothing."
        yield Reason("unexplained", text, fix, {**data, "workers": [worker_data(one) for one in around.able[:SHOWN]]})
    elif alone:
        yield Reason("soon", "A worker is free and claims it within about a second.", data=data)
    yield from _pointerless(around)


def _pointerless(around: Around) -> Iterator[Reason]:
    """Why nothing wakes the workers; it costs a second, no more."""
    alone = "idle workers look into the database every second."
    if around.redis is None and around.is_known_queue:
        text = f"Redis does not answer, so nothing wakes the workers; {alone}"
        yield Reason("redis_away", text, "Mend Redis; no task is lost by that.")
    elif around.redis is not None and not around.redis.waiting:
        text = f"Redis holds no pointer for its queue, so nothing wakes the workers; {alone}"
        yield Reason("no_pointer", text, f"Nothing; at once: manage.py recover_tasks --task {around.task.pk}")


def _names(tasks: list[Task], total: int) -> str:
    names = listed(tasks, total)
    return f": {names}" if names else ""


def _workers(workers: list[Worker]) -> str:
    names = ", ".join(str(worker) for worker in workers[:SHOWN])
    return f"{names} and {len(workers) - SHOWN} more" if len(workers) > SHOWN else names
