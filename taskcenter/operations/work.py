"""What the task of a large operation does: chunk by chunk, in the order of ids, each judged as it is now.

A chunk and the place behind it are one commit, fenced by this attempt: killed at any instruction the next
attempt goes on where the last commit was, and does nothing twice. Whoever has lost the permission since
the click is stopped at the next chunk.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Self
from uuid import UUID

from django.db import OperationalError, transaction

from taskcenter.context import TaskContext
from taskcenter.exceptions import Cancelled, NotAllowed, Overtaken
from taskcenter.rules import Tally

from .audit import log_many
from .order import Order

__all__ = ["CHUNK", "carry_out"]

CHUNK = 500
TRIES = 3
"""How often a chunk is begun again that ran into a deadlock with those who run its tasks."""
PLACE = "place"
"""The key in the task's metadata."""


@dataclass(frozen=True, slots=True)
class Place:
    """How far it is: behind which id, and what came of the tasks up to there."""

    after: UUID | None = None
    seen: int = 0
    tally: Tally = field(default_factory=Tally)
    is_logged: bool = False

    @classmethod
    def of(cls, context: TaskContext) -> Self:
        told = context.metadata.get(PLACE)
        if not told:
            return cls()
        after = UUID(told["after"]) if told["after"] else None
        return cls(after, told["seen"], Tally.from_json(told["tally"]), told["is_logged"])

    def keep(self, context: TaskContext) -> None:
        """In the caller's transaction; raises Overtaken, so that it is rolled back."""
        after = self.after.hex if self.after else ""
        told = {"after": after, "seen": self.seen, "tally": self.tally.as_json(), "is_logged": self.is_logged}
        context.metadata[PLACE] = told
        if not context.save_metadata():
            raise Overtaken


def carry_out(context: TaskContext, order: Order, expected: int) -> dict[str, Any]:
    """Do it to all of the selection that is left; the counts of all attempts together."""
    place = Place.of(context)
    try:
        _tell(context, place, expected)
        while ids := _next(context, order, place):
            place = _insist(context, order, place, ids)
            _tell(context, place, expected)
            if context.stopping:
                context.hand_back()
    except (Cancelled, NotAllowed):
        _account(context, order, place, "Stopped before its end")
        raise
    _account(context, order, place, "Done")
    return place.tally.as_json()


def _next(context: TaskContext, order: Order, place: Place) -> list[UUID]:
    """The ids of the next chunk, those in a state where the verb may make sense.

    Ids rise with time: each task is met once, whatever becomes of those behind.
    """
    chosen = order.selection
    rows = chosen.worth_it(chosen.rows(_operator(context, order)), order.verb.states).order_by("pk")
    if place.after is not None:
        rows = rows.filter(pk__gt=place.after)
    return list(rows.values_list("pk", flat=True)[:CHUNK])


def _operator(context: TaskContext, order: Order) -> Any:
    """Read anew each time, with the permissions of now."""
    operator = context.row.owner
    if operator is not None:
        operator = type(operator)._default_manager.filter(pk=operator.pk).first()  # noqa: SLF001 Django documents it
    if operator is None or not operator.has_perm(order.verb.permission):
        raise NotAllowed(f"{operator or 'Whoever asked for it'} may not {order.verb.name} tasks any more.")
    return operator


def _insist(context: TaskContext, order: Order, place: Place, ids: Sequence[UUID]) -> Place:
    for tries_left in reversed(range(TRIES)):
        try:
            return _chunk(context, order, place, ids)
        except OperationalError:
            if not tries_left:
                raise
    raise AssertionError  # pragma: no cover  the last try returns or raises


def _chunk(context: TaskContext, order: Order, place: Place, ids: Sequence[UUID]) -> Place:
    with transaction.atomic():
        tally = order.verb.run_many(ids, actor=context.row.owner, reason=order.reason, once=order.once)
        there = Place(ids[-1], place.seen + len(ids), place.tally + tally)
        there.keep(context)
    return there


def _tell(context: TaskContext, place: Place, expected: int) -> None:
    """Hears of a cancel, too."""
    fraction = min(1.0, place.seen / expected) if expected else None
    context.progress.set(fraction, str(place.tally), done=place.seen, total=max(expected, place.seen), unit="tasks")


def _account(context: TaskContext, order: Order, place: Place, how: str) -> None:
    """The report and the line in the admin's log, once for all attempts."""
    text = f"{how}: {place.tally} Reason: {order.reason}"
    if not place.is_logged and context.row.owner is not None:
        with transaction.atomic():
            Place(place.after, place.seen, place.tally, is_logged=True).keep(context)
            log_many(context.row.owner, context.row.label, f"{order.verb.label}: {text}", task=context.row)
    facts = {"Selection": str(order.selection), "Reason": order.reason, **place.tally.done}
    left = [[why, str(count)] for why, count in place.tally.left.most_common()]
    table = {"title": "Left alone", "columns": ["Why", "Tasks"], "rows": left}
    data = {"summary": f"{how}: {place.tally}", "facts": facts, "tables": [table] if left else []}
    context.report(title=f"{order.verb.label}: what was done", data=data)
