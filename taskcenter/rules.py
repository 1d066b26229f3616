"""Rules: whether it makes sense to retry, cancel or recover a task now, as pure data.

One rule each, asked three times: for the count before an operator confirms, for the button, and once more
by the move itself, which holds the row. Tasks that are alike in a `Case` are judged alike, so that a
million of them are judged by counting.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .states import FINAL, State

__all__ = ["Case", "Rule", "Ruling", "Tally", "cancel_rule", "delete_rule", "recover_rule", "retry_rule"]


@dataclass(frozen=True, slots=True)
class Case:
    """What a ruling depends on."""

    state: State
    cancel_asked: bool = False
    lost: bool = False
    """Processing, and no living worker stands behind it."""

    @classmethod
    def of(cls, task: Any, *, lost: bool = False) -> Case:
        return cls(State(task.state), task.cancel_requested_at is not None, lost)


@dataclass(frozen=True, slots=True)
class Ruling:
    """What is done with such a task, in one participle; or why it is left alone."""

    word: str = ""
    why: str = ""

    @property
    def fits(self) -> bool:
        return bool(self.word)


Rule = Callable[[Case], Ruling]


def retry_rule(case: Case) -> Ruling:
    if case.state in {State.FAILED, State.CANCELLED}:
        return Ruling("retried")
    return Ruling(why=f"it is {case.state}")


def cancel_rule(case: Case) -> Ruling:
    if case.state in FINAL:
        return Ruling(why=f"it is {case.state} already")
    if case.state != State.PROCESSING:
        return Ruling("cancelled")
    return Ruling(why="it was asked to stop before") if case.cancel_asked else Ruling("asked to stop")


def recover_rule(case: Case) -> Ruling:
    if case.state in FINAL:
        return Ruling(why=f"it is {case.state} already")
    match case.state:
        case State.PROCESSING:
            return Ruling("recovered") if case.lost else Ruling(why="its worker is alive")
        case State.PENDING:
            return Ruling("woken")
        case State.BLOCKED:
            return Ruling(why="it waits for its parents")
    return Ruling(why="it waits for its time to come")


def delete_rule(case: Case) -> Ruling:
    """A live one may be running at this moment."""
    if case.state in FINAL:
        return Ruling("deleted")
    return Ruling(why=f"it is {case.state}; cancel it first")


@dataclass(slots=True)
class Tally:
    """How many were, or would be, done with in which way; how many left alone, and why."""

    done: Counter[str] = field(default_factory=Counter)
    left: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of(cls, rule: Rule, cases: Mapping[Case, int]) -> Tally:
        """The dry run."""
        tally = cls()
        for case, count in cases.items():
            tally.note(rule(case), count)
        return tally

    @classmethod
    def from_json(cls, told: Mapping[str, Mapping[str, int]]) -> Tally:
        return cls(Counter(told.get("done", {})), Counter(told.get("left", {})))

    def as_json(self) -> dict[str, dict[str, int]]:
        return {"done": dict(self.done), "left": dict(self.left)}

    def note(self, ruling: Ruling, count: int = 1) -> None:
        if ruling.fits:
            self.done[ruling.word] += count
        else:
            self.left[ruling.why] += count

    def __add__(self, other: Tally) -> Tally:
        return Tally(self.done + other.done, self.left + other.left)

    @property
    def changed(self) -> int:
        return self.done.total()

    def __str__(self) -> str:
        """As a sentence: 1,200 retried, 3 left alone (2 it is pending; 1 it is completed)."""
        parts = [f"{count:,} {word}" for word, count in sorted(self.done.items())]
        if self.left:
            why = "; ".join(f"{count:,}: {text}" for text, count in self.left.most_common(4))
            parts.append(f"{self.left.total():,} left alone ({why})")
        return f"{', '.join(parts) or 'No task was there to be changed'}."
