"""Why a waiting task does not run yet: for staff what `explain` says, for its owner the same without our words."""

from __future__ import annotations

from typing import Any

from taskcenter.explain import Reason, explain
from taskcenter.models import Task
from taskcenter.states import State

__all__ = ["why_it_waits"]

TURN = "It waits for its turn."
MOMENT = "It starts in a moment."
STUCK = "Nothing can run it at the moment. It keeps its place and starts once that is put right."
PLAIN = {
    "not_due": "Its time has not come yet.",
    "retry": "It failed, and is tried again by itself.",
    "snoozed": "It goes on later, by itself.",
    "parents": "It waits for another task to finish first.",
    "queue_paused": "It is held back for now.",
    "limit_reached": TURN,
    "workers_busy": TURN,
    "behind": TURN,
    "due": MOMENT,
    "soon": MOMENT,
    "redis_away": MOMENT,
    "no_pointer": MOMENT,
}


def why_it_waits(user: Any, task: Task, *, plainly: bool) -> str:
    """A sentence or two; "" for a task that does not wait."""
    if task.is_final or task.state == State.PROCESSING:
        return ""
    reason = next(iter(explain(task, user=user).reasons), None)
    if reason is None:
        return ""
    return _plain(reason) if plainly else f"{reason.text} {reason.fix}".strip()


def _plain(reason: Reason) -> str:
    told = reason.data.get("reason") if reason.code == "queue_paused" else ""
    return f"It is held back for now: {told}" if told else PLAIN.get(reason.code, STUCK)
