"""Carries out the plan, and keeps what each commit promised."""

from __future__ import annotations

import heapq
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from threading import Event
from typing import Any, TypeVar
from uuid import UUID

from django.contrib.auth import get_user_model
from django.db import InterfaceError, OperationalError, connections, transaction
from django.utils import timezone

from taskcenter.lifecycle import request_cancel
from taskcenter.models import Task
from tests.ledger import soak as definitions

from .plan import OWNERS, Kind, Order

__all__ = ["Generator", "Promises"]


T = TypeVar("T")
LOST = (OperationalError, InterfaceError)
"""The connection to the database, and with it the answer to what was asked last."""
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
        self._tries = 0
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
        if order.fate == "rolled back":
            with suppress(*LOST):  # the database took it back by itself
                self._take_back(partial(self._enqueue, order, starts, ""))
            return
        while not self._stop.is_set():
            self._tries += 1
            tag = f"try {self._tries}"
            try:
                ids = self._keep(order, partial(self._enqueue, order, starts, tag))
            except LOST:
                ids = self._committed_after_all(order, tag)
            if ids:
                self._promise(order, ids, starts)
                return

    def _keep(self, order: Order, enqueue: Callable[[], list[UUID]]) -> list[UUID]:
        if order.fate == "kept":
            return enqueue()
        with transaction.atomic():
            kept = enqueue()
            self._take_back(enqueue)
        return kept

    def _committed_after_all(self, order: Order, tag: str) -> list[UUID]:
        """What a try has made whose answer was lost with the connection: all of it, or nothing."""
        rows = Task.objects.filter(tags=[tag]).values_list("id", "kwargs")
        made: dict[str, list[UUID]] = defaultdict(list)
        for task_id, arguments in self._insist(lambda: list(rows.all())) or []:
            made[repr(arguments)].append(task_id)
        return [made[repr(arguments)].pop() for arguments in order.arguments] if made else []

    def _insist(self, action: Callable[[], T]) -> T | None:
        """What it gives once the database answers; None when it is time to stop."""
        while not self._stop.is_set():
            try:
                return action()
            except LOST:
                connections.close_all()
                self._stop.wait(0.1)
        return None

    def _take_back(self, enqueue: Callable[[], list[UUID]]) -> None:
        with suppress(RolledBackError), transaction.atomic():
            # With a key it may have been another's task, which stays.
            self.promises.ghosts |= set(enqueue()) - self.promises.kinds.keys()
            raise RolledBackError

    def _enqueue(self, order: Order, starts: datetime | None, tag: str) -> list[UUID]:
        definition = getattr(definitions, order.kind.definition).using(
            queue_name=order.queue,
            priority=order.priority,
            run_after=starts,
            unique_key=order.key,
            owner=None if order.owner is None else self._owners[order.owner],
            title=order.kind.name,
            tags=[tag],
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
            outcome = self._insist(partial(request_cancel, task_id, reason="The soak wants it."))
            if outcome and outcome.moved and outcome.state == "cancelled":
                self.promises.cancelled.add(task_id)


def _owners() -> list[Any]:
    people = get_user_model().objects
    return [people.create_user(f"owner-{number}", password=None) for number in range(OWNERS)]
