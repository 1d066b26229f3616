"""The life of a task, as data: its states, which of them are final, and the legal moves.

Nothing here reads or writes anything. `lifecycle` is the only room that makes moves, and it makes
only the moves of `MOVES`; a CHECK constraint and a fence on `attempt` hold the same line in the
database. The states that people see but nobody stores are in `Shown`.
"""

from __future__ import annotations

from django.db.models.enums import TextChoices

__all__ = ["DUE_STATES", "FINAL", "LIVE", "MOVES", "Shown", "State", "may_move"]


class State(TextChoices):
    # Waits for its parents; the last of them to finish moves it on.
    BLOCKED = "blocked", "Blocked"
    # Waits for `run_after`: a delayed task, a snoozed one, or one that waits for its next try.
    SCHEDULED = "scheduled", "Scheduled"
    # May run now; the only state that a worker claims from.
    PENDING = "pending", "Pending"
    # Claimed by the worker in `worker_id`; nobody else may run this attempt.
    PROCESSING = "processing", "Processing"
    # Its function returned; the result is on the row.
    COMPLETED = "completed", "Completed"
    # No tries are left, or it must not be repeated; the error is on the row.
    FAILED = "failed", "Failed"
    # Somebody asked for it to stop, and it did.
    CANCELLED = "cancelled", "Cancelled"


class Shown(TextChoices):
    """What people are shown where the stored state alone would say too little."""

    RETRYING = "retrying", "Retrying"
    CANCELLING = "cancelling", "Cancelling"
    LOST = "lost", "Lost"
    STALLED = "stalled", "Stalled"


FINAL = frozenset({State.COMPLETED, State.FAILED, State.CANCELLED})
LIVE = frozenset(State) - FINAL
DUE_STATES = frozenset({State.SCHEDULED, State.PENDING})

MOVES: dict[State, frozenset[State]] = {
    State.BLOCKED: frozenset({State.PENDING, State.SCHEDULED, State.CANCELLED, State.FAILED}),
    State.SCHEDULED: frozenset({State.PENDING, State.CANCELLED}),
    State.PENDING: frozenset({State.PROCESSING, State.CANCELLED, State.FAILED}),
    State.PROCESSING: frozenset({State.COMPLETED, State.FAILED, State.CANCELLED, State.SCHEDULED, State.PENDING}),
    State.COMPLETED: frozenset(),
    State.FAILED: frozenset({State.PENDING}),
    State.CANCELLED: frozenset({State.PENDING}),
}


def may_move(old: State, new: State) -> bool:
    """Whether a task may go from `old` to `new` in one step."""
    return new in MOVES[old]
