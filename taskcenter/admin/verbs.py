"""What the admin can do to a task: retry, cancel, recover."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from taskcenter import lifecycle
from taskcenter.recovery import TaskRecovery
from taskcenter.states import State

if TYPE_CHECKING:
    from collections.abc import Callable

    from taskcenter.models import Task

__all__ = ["VERBS", "Verb"]


@dataclass(frozen=True, slots=True)
class Verb:
    """One thing that can be done to a task."""

    name: str
    label: str
    done: str
    effect: str
    """What will happen, as a sentence for the confirmation page."""
    why_not: Callable[[Task], str]
    """Why it makes no sense for that task now; empty when it does. Advice: the move itself decides."""
    run: Callable[..., lifecycle.Outcome]
    """`run(task_id, actor=…, reason=…)`."""

    @property
    def permission(self) -> str:
        return f"taskcenter.{self.name}_task"


def _not_retried(task: Task) -> str:
    return "" if task.state in {State.FAILED, State.CANCELLED} else f"it is {task.state}"


def _not_cancelled(task: Task) -> str:
    if task.is_final:
        return f"it is {task.state} already"
    return "it was asked to stop before" if task.cancel_requested_at else ""


def _not_recovered(task: Task) -> str:
    return f"it is {task.state} already" if task.is_final else ""


def _recover(task_id: Any, *, actor: Any, reason: str) -> lifecycle.Outcome:
    return TaskRecovery().recover_task(task_id, actor=actor, reason=reason)


VERBS = {
    verb.name: verb
    for verb in (
        Verb(
            "retry",
            "Retry",
            "retried",
            "It runs again with the same input, as soon as a worker is free; its failures are counted anew.",
            _not_retried,
            lifecycle.retry,
        ),
        Verb(
            "cancel",
            "Cancel",
            "cancelled or asked to stop",
            "A waiting task is cancelled at once; a running one is asked to stop and does so at its next checkpoint.",
            _not_cancelled,
            lifecycle.request_cancel,
        ),
        Verb(
            "recover",
            "Recover",
            "recovered",
            "A task whose worker is gone is put back in line, or ended when it has crashed too often; "
            "a missing pointer is replaced. A task that somebody runs is left alone.",
            _not_recovered,
            _recover,
        ),
    )
}
