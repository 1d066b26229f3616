"""Tasks that a worker has claimed: running, asked to stop, or lost with their worker."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from taskcenter.conf import get_settings
from taskcenter.models import Task, TaskEvent, Worker
from taskcenter.models.worker import stale_before

from .around import Around
from .values import Reason
from .words import as_data, span, when, worker_data

__all__ = ["processing"]


def processing(around: Around) -> Iterator[Reason]:
    task = around.task
    worker = Worker.objects.filter(pk=task.worker_id).first() if task.worker_id else None
    if worker is None or not worker.is_alive:
        yield _lost(around, worker) if _is_lost(task) else _silent(around, worker)
        if task.cancel_requested_at:
            yield _asked(around, "It is cancelled when it is recovered.")
        return
    if task.cancel_requested_at:
        grace = span(get_settings().GRACE)
        yield _asked(
            around, f"It hears that at its next call for progress; if it does not, it is killed after {grace}."
        )
    yield _running(around, worker)


def _is_lost(task: Task) -> bool:
    """By the same rule that recovery goes by."""
    return Task.objects.lost(stale_before()).filter(pk=task.pk).exists()


def _running(around: Around, worker: Worker) -> Reason:
    task = around.task
    silence = span((around.now - worker.heartbeat_at).total_seconds())
    text = (
        f"It is running: attempt {task.attempt} began{_since(around)} on worker {worker}. "
        f"The worker is alive, its latest heartbeat is {silence} old."
    )
    return Reason("running", text, data={"attempt": task.attempt, "worker": worker_data(worker)})


def _asked(around: Around, then: str) -> Reason:
    task = around.task
    asked = task.events.filter(kind=TaskEvent.Kind.CANCEL_ASKED).select_related("actor").order_by("-seq").first()
    by = f"{asked.actor} asked" if asked and asked.actor else "Somebody asked"
    why = f" ({asked.text})" if asked and asked.text else ""
    assert task.cancel_requested_at is not None  # noqa: S101 the callers have looked
    ago = span((around.now - task.cancel_requested_at).total_seconds())
    data = {"at": as_data(task.cancel_requested_at), "by": str(asked.actor) if asked and asked.actor else None}
    return Reason("cancelling", f"{by} it to stop {ago} ago{why}. {then}", data=data)


def _lost(around: Around, worker: Worker | None) -> Reason:
    """Nobody runs it, and recovery may take it at once."""
    data = _data(around.task, worker)
    text = f"It is lost: {_worker(around.task, worker)} {_death(worker)}. {_then(around.task)}"
    if around.all_workers:
        soon = span(get_settings().HEARTBEAT)
        text += f" A living worker recovers it within {soon}."
        fix = f"Nothing; at once: manage.py recover_tasks --task {around.task.pk}"
    else:
        text += " No worker is alive to recover it."
        fix = f"Start a worker: manage.py rqworker {around.task.queue}"
    return Reason("lost", text, fix, {**data, "living_workers": len(around.all_workers)})


def _silent(around: Around, worker: Worker | None) -> Reason:
    """Its worker is not heard of, but the attempt is too young to be given up."""
    assert around.task.attempted_at is not None  # noqa: S101 a CHECK on the row
    at = around.task.attempted_at + timedelta(seconds=get_settings().STALE_AFTER)
    text = (
        f"Attempt {around.task.attempt} began{_since(around)}, but {_worker(around.task, worker)} is not heard of. "
        f"If that stays so, the task counts as lost at {when(at)} and is recovered then."
    )
    return Reason("silent", text, data={**_data(around.task, worker), "lost_at": as_data(at)})


def _worker(task: Task, worker: Worker | None) -> str:
    return f"its worker {worker}" if worker else f"its worker {task.worker_id}" if task.worker_id else "its worker"


def _death(worker: Worker | None) -> str:
    if worker is None:
        return "is gone"
    if worker.stopped_at:
        return f"stopped at {when(worker.stopped_at)}"
    return f"has been silent since {when(worker.heartbeat_at)}"


def _then(task: Task) -> str:
    """What recovery will do, so that nobody presses a button twice."""
    if task.cancel_requested_at:
        return "It was asked to stop."
    if task.crashes + 1 >= task.max_crashes:
        return (
            f"It has no crashes left ({task.crashes} of {task.max_crashes} before this one): it will be failed, "
            "unless it was lost together with others."
        )
    return "It will run again."


def _data(task: Task, worker: Worker | None) -> dict[str, Any]:
    return {"attempt": task.attempt, "worker": worker_data(worker) if worker else None}


def _since(around: Around) -> str:
    begun = around.task.attempted_at
    return f" {span((around.now - begun).total_seconds())} ago" if begun else ""
