"""What a look at the waiting tasks finds: problems, and heaps of tasks that have something in common."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from taskcenter.explain.words import as_data, counted, when

__all__ = ["Heap", "Problem", "Review"]

SHARES = 5
"""Queues or definitions that a sentence names."""


@dataclass(frozen=True, slots=True)
class Problem:
    code: str
    text: str
    fix: str
    data: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        return {"code": self.code, "text": self.text, "fix": self.fix, "data": self.data}


@dataclass(slots=True)
class Review:
    """What was looked at, and what was found."""

    waiting: int = 0
    definitions: int = 0
    arguments_looked_at: int = 0
    problems: list[Problem] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        return {
            "ok": not self.problems,
            "waiting": self.waiting,
            "definitions": self.definitions,
            "arguments_looked_at": self.arguments_looked_at,
            "problems": [problem.as_dict() for problem in self.problems],
        }


@dataclass(slots=True)
class Heap:
    """Waiting tasks that have something in common, counted."""

    oldest: datetime
    count: int = 0
    by: Counter[str] = field(default_factory=Counter)
    states: Counter[str] = field(default_factory=Counter)

    def add(self, other: str, state: str, count: int, oldest: datetime) -> None:
        self.count += count
        self.by[other] += count
        self.states[state] += count
        self.oldest = min(self.oldest, oldest)

    def as_data(self, what: str) -> dict[str, Any]:
        return {"count": self.count, what: dict(self.by), "states": dict(self.states), "oldest": as_data(self.oldest)}

    def so_many(self) -> str:
        return f"{counted(self.count, 'waiting task').capitalize()} {'names' if self.count == 1 else 'name'}"

    def where(self) -> str:
        shares = ", ".join(f"{count:,} of {name}" for name, count in self.by.most_common(SHARES))
        more = f" and {len(self.by) - SHARES} more" if len(self.by) > SHARES else ""
        return f"{shares}{more}; the oldest since {when(self.oldest)}"
