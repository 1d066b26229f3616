"""Finished tasks that people remove before their time: the row goes, with its history; its reports stay.

What a task's history would tell of it is kept by whoever asked for it, in the admin's log.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from django.db import transaction

from taskcenter.models import Task
from taskcenter.rules import Case, Ruling, Tally, delete_rule
from taskcenter.states import State

from .moves import Outcome
from .people import GONE

__all__ = ["delete", "delete_many"]


def delete(task_id: uuid.UUID, *, actor: Any = None, reason: str = "", once: str = "") -> Outcome:  # noqa: ARG001 a task is deleted once
    """Remove a finished task. One that lives must be cancelled first: a worker may be running it."""
    with transaction.atomic():
        task = Task.objects.select_for_update().filter(id=task_id).first()
        if task is None:
            return GONE
        ruling = delete_rule(Case.of(task))
        if not ruling.fits:
            return Outcome(moved=False, state=State(task.state), text=f"Not deleted: {ruling.why}.")
        task.delete()
    return Outcome(moved=True, state=None, text="Deleted.")


def delete_many(ids: Sequence[uuid.UUID], *, actor: Any = None, reason: str = "", once: str = "") -> Tally:  # noqa: ARG001 as above
    """The same for many, in one transaction."""
    tally, going = Tally(), []
    with transaction.atomic():
        rows = Task.objects.select_for_update().filter(id__in=ids).order_by("id")
        for task in rows.only("id", "state", "cancel_requested_at"):
            ruling = delete_rule(Case.of(task))
            tally.note(ruling)
            going += [task.pk] if ruling.fits else []
        if gone := len(set(ids)) - tally.changed - tally.left.total():
            tally.note(Ruling(why="it does not exist any more"), gone)
        Task.objects.filter(id__in=going).delete()
    return tally
