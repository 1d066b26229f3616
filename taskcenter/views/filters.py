"""What a list of tasks is narrowed to, as an address says it: the same for the page and for scripts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from django.http import QueryDict

from taskcenter.models import TaskQuerySet
from taskcenter.states import FINAL, LIVE, State

__all__ = ["TABS", "Filters"]

TEXT_LENGTH = 100
WAITING = sorted(LIVE - {State.PROCESSING})

TABS = (
    ("All", ""),
    ("Waiting", ",".join(WAITING)),
    ("Running", str(State.PROCESSING)),
    ("Done", str(State.COMPLETED)),
    ("Failed", str(State.FAILED)),
    ("Cancelled", str(State.CANCELLED)),
)
"""For people: the word, and the states it stands for as `state` in the address."""


@dataclass(frozen=True, slots=True)
class Filters:
    states: tuple[str, ...] = ()
    queue: str = ""
    definition: str = ""
    text: str = ""
    """Part of a title."""

    @classmethod
    def of(cls, asked: QueryDict) -> Self:
        """`state` (may repeat, or list several with commas), `queue`, `definition`, `q`.

        Raises ValueError with a sentence for people.
        """
        given = {name: asked.get(name, "").replace("\0", "").strip() for name in ("queue", "definition", "q")}
        states = [one for part in asked.getlist("state") for one in part.split(",") if one]
        unknown = [state for state in states if state not in FINAL | LIVE]
        if unknown:
            raise ValueError(f"There is no state {unknown[0][:20]!r}; there are {', '.join(sorted(FINAL | LIVE))}.")
        return cls(tuple(sorted(set(states))), given["queue"], given["definition"], given["q"][:TEXT_LENGTH])

    def __bool__(self) -> bool:
        return self != type(self)()

    def narrow(self, rows: TaskQuerySet) -> TaskQuerySet:
        if self.states:
            rows = rows.filter(state__in=self.states)
        if self.queue:
            rows = rows.filter(queue=self.queue)
        if self.definition:
            rows = rows.filter(definition=self.definition)
        return rows.titled(self.text) if self.text else rows

    @property
    def tab(self) -> str:
        """Which of TABS these states are; "" when they are a choice of their own."""
        words = [word for word, states in TABS if states == ",".join(self.states)]
        return words[0] if words else ""
