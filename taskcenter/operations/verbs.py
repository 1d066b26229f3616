"""What an operator can do to tasks: retry, cancel, recover, delete."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from taskcenter import lifecycle, pointers
from taskcenter.models import Task
from taskcenter.models.narrow import lost_among
from taskcenter.recovery import TaskRecovery
from taskcenter.rules import Case, Rule, Ruling, Tally, cancel_rule, delete_rule, recover_rule, retry_rule
from taskcenter.states import FINAL, LIVE, State

__all__ = ["VERBS", "Verb"]

WAKES = 20
"""Waiting tasks of one call that are worth a pointer: it wakes a slot, which then claims until nothing is left."""


@dataclass(frozen=True, slots=True)
class Verb:
    """One thing that can be done to tasks."""

    name: str
    label: str
    effect: str
    """What will happen, as a sentence for the confirmation page."""
    rule: Rule
    """Whether it makes sense for a task now. Advice before the click; the moves ask it again."""
    states: frozenset[State]
    """The states in which it may make sense."""
    run: Callable[..., lifecycle.Outcome]
    """`run(task_id, actor=…, reason=…, once=…)`."""
    run_many: Callable[..., Tally]
    """`run_many(ids, actor=…, reason=…, once=…)`, in the caller's transaction if there is one."""
    needs_reason: bool = False
    """Whether also one task takes a reason; many always do."""

    @property
    def permission(self) -> str:
        return f"taskcenter.{self.name}_task"

    def why_not(self, task: Task, *, lost: bool = False) -> str:
        """Why it makes no sense for that task now; empty when it does."""
        return self.rule(Case.of(task, lost=lost)).why


def _recover(task_id: uuid.UUID, *, actor: Any = None, reason: str = "", once: str = "") -> lifecycle.Outcome:  # noqa: ARG001 only what is lost is recovered, so asking twice does nothing twice
    return TaskRecovery().recover_task(task_id, actor=actor, reason=reason)


def _recover_many(ids: Sequence[uuid.UUID], *, actor: Any = None, reason: str = "", once: str = "") -> Tally:  # noqa: ARG001 as above
    """Each is judged again by its move: another may have put it right, or its worker may be back."""
    tally = Tally()
    rows = list(Task.objects.filter(id__in=ids).only("id", "state", "queue", "cancel_requested_at").order_by("id"))
    if gone := len(set(ids)) - len(rows):
        tally.note(Ruling(why="it does not exist any more"), gone)
    lost = lost_among(rows)
    for task in rows:
        ruling = recover_rule(Case.of(task, lost=task.id in lost))
        if task.id in lost and not _recover(task.id, actor=actor, reason=reason).moved:
            # What was lost together is put right together, with the first of them.
            ruling = Ruling("recovered") if _is_put_right(task) else Ruling(why="somebody runs it by now")
        tally.note(ruling)
    waiting = [(task.id, task.queue) for task in rows if task.state == State.PENDING]
    if waiting:
        pointers.push(waiting[:WAKES])
    return tally


def _is_put_right(task: Task) -> bool:
    return not Task.objects.processing().filter(id=task.id).exists()


VERBS = {
    verb.name: verb
    for verb in (
        Verb(
            "retry",
            "Retry",
            "It runs again with the same input, as soon as a worker is free; its failures are counted anew.",
            retry_rule,
            frozenset({State.FAILED, State.CANCELLED}),
            lifecycle.retry,
            lifecycle.retry_many,
        ),
        Verb(
            "cancel",
            "Cancel",
            "A waiting task is cancelled at once; a running one is asked to stop and does so at its next checkpoint.",
            cancel_rule,
            LIVE,
            lifecycle.request_cancel,
            lifecycle.cancel_many,
            needs_reason=True,
        ),
        Verb(
            "recover",
            "Recover",
            "A task whose worker is gone is put back in line, or ended when it has crashed too often; "
            "a missing pointer is replaced. A task that somebody runs is left alone.",
            recover_rule,
            frozenset({State.PROCESSING, State.PENDING}),
            _recover,
            _recover_many,
        ),
        Verb(
            "delete",
            "Delete",
            "It is removed for good, with its history; its reports stay. A task that has not finished is left alone.",
            delete_rule,
            FINAL,
            lifecycle.delete,
            lifecycle.delete_many,
            needs_reason=True,
        ),
    )
}
