"""Rows for tests: plain functions, each gives a valid row and takes what the test is about."""

from __future__ import annotations

import uuid
from datetime import timedelta
from itertools import count
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.utils import timezone

from taskcenter.models import Notification, Report, Task, TaskEvent, Worker
from taskcenter.states import FINAL, State

PASSWORD = "correct horse battery"  # noqa: S105 of users that live for one test

_numbers = count(1)


def make_user(username: str = "", *, permissions: tuple[str, ...] = (), **fields: Any) -> Any:
    """A user who may sign in with PASSWORD; `permissions` are code names of taskcenter."""
    user = get_user_model().objects.create_user(username or f"user{next(_numbers)}", password=PASSWORD, **fields)
    for name in permissions:
        user.user_permissions.add(Permission.objects.get(content_type__app_label="taskcenter", codename=name))
    return user


def make_staff(username: str = "", *, permissions: tuple[str, ...] = (), **fields: Any) -> Any:
    """A user who may enter the admin."""
    return make_user(username, permissions=permissions, is_staff=True, **fields)


def make_worker(*, silent: float = 0, **fields: Any) -> Worker:
    """A worker that was last heard of `silent` seconds ago."""
    values = {
        "name": f"worker-{next(_numbers)}",
        "host": "web1",
        "pid": 4242,
        "queues": ["default"],
        "slots": 2,
        "heartbeat_at": timezone.now() - timedelta(seconds=silent),
    }
    return Worker.objects.create(**{**values, **fields})


def make_task(state: str = State.PENDING, *, worker: Worker | None = None, **fields: Any) -> Task:
    """A task in that state, with the times and counts such a task has."""
    now = timezone.now()
    values: dict[str, Any] = {
        "definition": "tests.tasks.sample",
        "state": state,
        "created_at": now - timedelta(minutes=5),
        "kwargs": {"number": 1},
    }
    if state == State.PROCESSING or (state in FINAL and state != State.CANCELLED):
        begun = now - timedelta(minutes=2)
        values.update(attempt=1, started_at=begun, attempted_at=begun)
    if state == State.PROCESSING:
        values["worker_id"] = worker.pk if worker else uuid.uuid4()
    if state == State.SCHEDULED:
        values["run_after"] = now + timedelta(hours=1)
    if state in FINAL:
        values["finished_at"] = now - timedelta(minutes=1)
    if state == State.COMPLETED:
        values.update(progress=1.0, result={"rows": 3})
    if state == State.FAILED:
        values.update(failures=1, error_type="ValueError", error_message="line 41 has 9 fields, expected 8")
    return Task.objects.create(**{**values, **fields})


def make_event(task: Task, kind: str = TaskEvent.Kind.LOG, text: str = "", **fields: Any) -> TaskEvent:
    """The next line of the task's history."""
    return TaskEvent.objects.tell(task.pk, kind, text, **fields)


def make_report(task: Task, *, is_final: bool = True, **fields: Any) -> Report:
    """A report of the task's present attempt, for the task's owner."""
    values = {"title": "Sales 2026", "data": {"summary": "All is well."}, "owner": task.owner}
    return Report.objects.create(task=task, attempt=task.attempt, is_final=is_final, **{**values, **fields})


def make_notification(task: Task, **fields: Any) -> Notification:
    """What the owner of a finished task was told."""
    values = {"kind": str(task.state), "recipient": task.owner, "text": f"{task.label} is ready"}
    return Notification.objects.create(task=task, attempt=task.attempt, **{**values, **fields})
