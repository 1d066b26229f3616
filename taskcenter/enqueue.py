"""Enqueue: the row first, in the caller's transaction; the pointer when that commits."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from . import pointers
from .compat import after_commit
from .conf import get_settings
from .definitions import TaskDefinition
from .models import Task
from .payload import checked
from .states import State

__all__ = ["enqueue", "enqueue_many"]

CHUNK = 1000


def enqueue(definition: TaskDefinition, args: Sequence[Any], kwargs: dict[str, Any]) -> tuple[Task, bool]:
    """One task; and whether it is new: a live one with the same `unique_key` is returned as it is.

    Raises InvalidPayload before anything is written.
    """
    task = _row(definition, args, kwargs)
    if task.unique_key is None:
        task.save(force_insert=True)
    else:
        found = _insert_unique(task)
        if found is not task:
            return found, False
    _wake([task])
    return task, True


def enqueue_many(definition: TaskDefinition, arguments: Sequence[dict[str, Any]]) -> list[Task]:
    """One task per dict of keyword arguments: all of them or none, one push for all.

    Raises InvalidPayload before anything is written, ValueError for a definition with a `unique_key`.
    """
    if definition.unique_key is not None:
        raise ValueError("enqueue_many() makes many tasks; a unique_key allows one.")
    tasks = [_row(definition, (), kwargs) for kwargs in arguments]
    with transaction.atomic():
        Task.objects.bulk_create(tasks, batch_size=CHUNK)
        _wake(tasks)
    return tasks


def _row(definition: TaskDefinition, args: Sequence[Any], kwargs: dict[str, Any]) -> Task:
    settings = get_settings()
    payload = checked([list(args), kwargs], limit=settings.ARGS_LIMIT, what="arguments")
    extras = checked(
        [list(definition.tags), dict(definition.metadata)], limit=settings.ARGS_LIMIT, what="tags and metadata"
    )
    delayed = definition.run_after is not None and definition.run_after > timezone.now()
    return Task(
        definition=definition.module_path,
        queue=definition.queue_name,
        priority=definition.priority,
        state=State.SCHEDULED if delayed else State.PENDING,
        run_after=definition.run_after if delayed else None,
        max_attempts=definition.attempts_allowed,
        max_crashes=definition.crashes_allowed,
        timeout=definition.timeout,
        args=payload[0],
        kwargs=payload[1],
        tags=extras[0],
        metadata=extras[1],
        title=definition.title[:255],
        owner=definition.owner,
        unique_key=_hashed(definition),
    )


def _hashed(definition: TaskDefinition) -> str | None:
    if definition.unique_key is None:
        return None
    return hashlib.sha256(f"{definition.module_path}\0{definition.unique_key}".encode()).hexdigest()


def _insert_unique(task: Task) -> Task:
    """Insert, or find the live task that holds the key; it may end between the two, so try again."""
    while True:
        try:
            with transaction.atomic():
                task.save(force_insert=True)
        except IntegrityError:
            holder = Task.objects.live().filter(unique_key=task.unique_key).first()
            if holder is not None:
                return holder
            if not task.unique_key or Task.objects.filter(id=task.id).exists():
                raise
        else:
            return task


def _wake(tasks: Sequence[Task]) -> None:
    due = [(task.id, task.queue) for task in tasks if task.state == State.PENDING]
    after_commit(pointers.push, due)
