"""Carries out the plan, and keeps what each commit promised."""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from threading import Event
from typing import Any
from uuid import UUID

from django.contrib.auth import get_user_model
from django.db import connections, transaction
from django.utils import timezone

from taskcenter.lifecycle import request_cancel
from tests.ledger import soak as definitions

from .plan import OWNERS, Kind, Order

__all__ = ["Generator", "Promises"]


Due = tuple[float, int, Callable[[], None]]
"""Seconds from the beginning, a number that settles ties, and what to do."""


class RolledBackError(Exception):
    """Takes a transaction back."""


@dataclass(slots=True)
class Promises:
    """What was committed, and what was taken back. Written by one thread, read when it is done."""

    kinds: dict[UUID, Kind] = field(default_factory=dict)
    ghosts: set[UUID] = field(default_factory=set)
    """Enqueued in a transaction that was rolled back."""
    not_before: dict[UUID, datetime] = field(default_factory=dict)
    stumbles: dict[UUID, int] = field(default_factory=dict)
    """How often each of these fails before it completes."""
    cancelled: set[UUID] = field(default_factory=set)
    """Of which we were told that they are cancelled."""
    asked: int = 0
    """Enqueues: more than tasks, because of unique keys."""


class Generator:
    """`run()` enqueues and cancels in its own thread, on a connection of its own."""

    def __init__(self, plan: Sequence[Order], promises: Promises, stop: Event) -> None:
        self.promises = promises
        self._stop = stop
        # In the order of time, and so a heap already.
        self._due: list[Due] = [(order.at, number, partial(self._place, order)) for number, order in enumerate(plan)]
        self._numbers = len(plan)
        self._begun = 0.0
        self._owners: list[Any] = []

    def run(self) -> None:
        """Until everything is done, or `stop` is set."""
        self._begun = time.monotonic()
        try:
            self._owners = _owners()
            while self._due:
                at, _, action = heapq.heappop(self._due)
                if self._stop.wait(max(0.0, self._begun + at - time.monotonic())):
                    return
                action()
        finally:
            connections.close_all()

    def _place(self, order: Order) -> None:
        starts = timezone.now() + timedelta(seconds=order.delay) if order.delay else None
        enqueue = partial(self._enqueue, order, starts)
        if order.fate == "kept":
            self._promise(order, enqueue(), starts)
        elif order.fate == "half":
            with transaction.atomic():
                kept = enqueue()
                self._take_back(enqueue)
            self._promise(order, kept, starts)
        else:
            self._take_back(enqueue)

    def _take_back(self, enqueue: Callable[[], list[UUID]]) -> None:
        with suppress(RolledBackError), transaction.atomic():
            # With a key it may have been another's task, which stays.
            self.promises.ghosts |= set(enqueue()) - self.promises.kinds.keys()
            raise RolledBackError

    def _enqueue(self, order: Order, starts: datetime | None) -> list[UUID]:
        definition = getattr(definitions, order.kind.definition).using(
            queue_name=order.queue,
            priority=order.priority,
            run_after=starts,
            unique_key=order.key,
            owner=None if order.owner is None else self._owners[order.owner],
            title=order.kind.name,
        )
        if len(order.arguments) == 1:
            results = [definition.enqueue(**order.arguments[0])]
        else:
            results = definition.enqueue_many(order.arguments)
        return [UUID(result.id) for result in results]

    def _promise(self, order: Order, ids: list[UUID], starts: datetime | None) -> None:
        promises = self.promises
        promises.asked += len(ids)
        for task_id, arguments in zip(ids, order.arguments, strict=True):
            promises.kinds[task_id] = order.kind
            if starts:
                promises.not_before.setdefault(task_id, starts)  # a key may have been its own before
            if order.kind.definition == "stumble":
                promises.stumbles[task_id] = arguments["times"]
        if order.cancel_after is not None:
            self._numbers += 1
            at = time.monotonic() - self._begun + order.cancel_after
            entry: Due = (at, self._numbers, partial(self._cancel, ids))
            heapq.heappush(self._due, entry)

    def _cancel(self, ids: list[UUID]) -> None:
        for task_id in ids:
            outcome = request_cancel(task_id, reason="The soak wants it.")
            if outcome.moved and outcome.state == "cancelled":
                self.promises.cancelled.add(task_id)


def _owners() -> list[Any]:
    people = get_user_model().objects
    return [people.create_user(f"owner-{number}", password=None) for number in range(OWNERS)]
