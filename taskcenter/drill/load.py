"""The load of a drill: enqueues all the while, from the seed, and keeps what was promised."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from threading import Event, Thread
from typing import Any
from uuid import UUID

from django.db import DatabaseError, InterfaceError, connections, transaction

from .tasks import deliver, nap, stumble, walk

__all__ = ["Load", "Promises"]

GAP = 0.25
"""Seconds between two spoonfuls."""
OFTEN, SELDOM = 0.3, 0.2
"""Shares of spoonfuls that hold a long task, a failing one."""
ROLLED_BACK = 0.1
"""Share of spoonfuls whose transaction is rolled back."""

Order = tuple[str, Any, tuple[Any, ...]]


@dataclass(slots=True)
class Promises:
    """What was said to whoever enqueued. Written by the load's thread, read when that has ended."""

    kinds: dict[UUID, str] = field(default_factory=dict)
    """Tasks whose commit was answered, and their kind: these must end."""
    ghosts: set[UUID] = field(default_factory=set)
    """Tasks of transactions that were rolled back: there must be nothing of them."""
    unsure: dict[UUID, str] = field(default_factory=dict)
    """Tasks whose commit was not answered, as the database had gone: they may be there, and must end then."""
    refused: int = 0
    """Enqueues that raised an error because the database was away: the caller knows."""


class Load(Thread):
    """One caller, who never stops; ends when told."""

    def __init__(self, seed: int, owner: Any) -> None:
        super().__init__(name="drill-load", daemon=True)
        self.promises = Promises()
        self._rng = Random(f"load {seed}")
        self._owner = owner
        self._stop_asked = Event()
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self._spoon((("deliver", deliver, ()) for _ in range(100)), rolls_back=False)
            while not self._stop_asked.wait(GAP):
                self._spoon(self._orders(), rolls_back=self._rng.random() < ROLLED_BACK)
        except BaseException as error:  # noqa: BLE001 told by end(), in the thread that can say so
            self.error = error
        finally:
            connections.close_all()

    def give_up(self) -> None:
        """Stop without asking what came of it."""
        self._stop_asked.set()
        if self.is_alive():
            self.join(30)

    def end(self) -> None:
        """Stop; raises what went wrong."""
        self._stop_asked.set()
        self.join(30)
        if self.error is not None:
            raise self.error

    def _orders(self) -> Iterator[Order]:
        rng = self._rng
        for _ in range(rng.randint(1, 4)):
            yield "deliver", deliver, ()
        if rng.random() < OFTEN:
            yield "nap", nap, (round(rng.uniform(0.5, 2.0), 2),)
        if rng.random() < OFTEN:
            yield "walk", walk, (rng.randint(10, 25),)
        if rng.random() < SELDOM:
            yield "stumble", stumble, ()

    def _spoon(self, orders: Iterator[Order], *, rolls_back: bool) -> None:
        """Some tasks in one transaction: all of them or none."""
        asked: dict[UUID, str] = {}
        chosen = list(orders)
        try:
            with transaction.atomic():
                for kind, definition, arguments in chosen:
                    result = definition.using(owner=self._owner).enqueue(*arguments)
                    asked[UUID(str(result.id))] = kind
                if rolls_back:
                    transaction.set_rollback(True)
        except (DatabaseError, InterfaceError):
            connections.close_all()
            self.promises.unsure |= asked
            self.promises.refused += 1
            return
        if rolls_back:
            self.promises.ghosts |= asked.keys()
        else:
            self.promises.kinds |= asked
