"""Lost tasks by the thousand. What the database refuses is tried again in halves, down to the one bad row."""

from __future__ import annotations

import logging
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from django.db import DatabaseError, OperationalError, connections

from taskcenter import lifecycle
from taskcenter.lifecycle import Outcome
from taskcenter.models import Task
from taskcenter.models.engine import task_alias
from taskcenter.models.lost import Claim
from taskcenter.states import State

__all__ = ["CHUNK", "KEPT", "Chunks", "Swept"]

logger = logging.getLogger("taskcenter")

CHUNK = 2000
"""Tasks of one transaction, some 300 bytes each: ten statements at most, whatever becomes of them."""
KEPT = 1000
"""Outcomes that a sweep remembers one by one; of the rest it knows how many there were."""


@dataclass(slots=True)
class Swept:
    """What a sweep did."""

    recovered: list[tuple[uuid.UUID, Outcome]] = field(default_factory=list)
    """The first `KEPT` of them."""
    by_state: Counter[State] = field(default_factory=Counter)
    """How many lost tasks became what."""
    promoted: int = 0
    unknown_failed: int = 0
    workers_retired: int = 0
    pointers_pushed: int = 0
    errors: int = 0

    @property
    def count(self) -> int:
        """Lost tasks that were put right."""
        return self.by_state.total()

    @property
    def did_anything(self) -> bool:
        return bool(self.count or self.promoted or self.unknown_failed or self.workers_retired or self.pointers_pushed)

    def add(self, outcomes: Mapping[uuid.UUID, Outcome]) -> None:
        self.recovered.extend(list(outcomes.items())[: KEPT - len(self.recovered)])
        self.by_state.update(outcome.state for outcome in outcomes.values() if outcome.state)


class Chunks:
    """The chunks of one sweep."""

    def __init__(self, swept: Swept, reason: str = "") -> None:
        self.swept = swept
        self.reason = reason
        self.woken: Counter[str] = Counter()

    def put_right(self, claims: Sequence[Claim]) -> None:
        """All of these claims, but what cannot be: that is logged and counted.

        Raises when it is the database that is away: then one row more or less makes no difference.
        """
        try:
            done = lifecycle.recover_many(claims, self.woken, reason=self.reason)
        except DatabaseError as error:
            _raise_if_nobody_could(error)
            self._by_halves(claims, error)
            return
        self.swept.add(done.outcomes)
        for task in done.torn:
            self._alone(task)

    def _by_halves(self, claims: Sequence[Claim], error: DatabaseError) -> None:
        if len(claims) == 1:
            self._alone(claims[0].tasks[0])
            return
        logger.warning("%d lost claims were refused together, trying in halves: %s", len(claims), str(error).strip())
        middle = len(claims) // 2
        self.put_right(claims[:middle])
        self.put_right(claims[middle:])

    def _alone(self, task: Task) -> None:
        """One task and what was claimed with it, waiting for whoever holds a part of that."""
        try:
            self.swept.add(lifecycle.recover(task.id, task.attempt, reason=self.reason))
        except DatabaseError as error:
            _raise_if_nobody_could(error)
            self.swept.errors += 1
            logger.exception("Task %s could not be recovered; the sweep goes on", task.id)


def _raise_if_nobody_could(error: DatabaseError) -> None:
    """A connection that is gone, or SQLite's lock: halves would only fail one after the other."""
    connection = connections[task_alias()]
    if isinstance(error, OperationalError) and (connection.vendor == "sqlite" or not connection.is_usable()):
        raise error
