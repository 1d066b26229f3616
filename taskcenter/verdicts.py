"""What becomes of an attempt whose process is gone: the whole decision, as data.

`lifecycle` and `recovery` read the facts of an attempt and ask `decide()`; nothing here reads or writes
anything. Four facts decide, and the first row of `TABLE` that fits them all:

    alive      does a worker stand behind it, by its heartbeat?
    cancel     has somebody asked it to stop?
    ran        was its body running? Of several that were lost together nobody knows which one was.
    chances    how many more crashes may it have?
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Literal, NamedTuple

from django.db.models.enums import TextChoices

__all__ = ["TABLE", "Chances", "Facts", "Ran", "Row", "Verdict", "chances", "decide"]


class Ran(Enum):
    YES = "its body was running"
    PERHAPS = "it was lost with others of one claim, of which one was running"
    NO = "its body had not begun"


class Chances(Enum):
    SOME = "it may run again after this crash"
    NONE = "this is the last crash it may have"
    ONCE = "it must not be begun twice (max_crashes = 0)"


class Verdict(TextChoices):
    """What is done; the word is kept in the event."""

    LEFT_ALONE = "left_alone", "Left alone"
    AGAIN = "again", "Runs again"
    FAILED = "failed", "Failed"
    CANCELLED = "cancelled", "Cancelled"


class Facts(NamedTuple):
    alive: bool
    cancel: bool
    ran: Ran
    chances: Chances


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table. A fact that is left out (None) may be as it likes."""

    alive: bool = False
    cancel: bool | None = None
    ran: frozenset[Ran] = frozenset(Ran)
    chances: Chances | None = None
    verdict: Verdict
    counts: Literal["", "crashes", "interrupted"]
    """The number that goes up by one."""
    text: str
    """What people read; {cause} is why nobody runs it."""

    def fits(self, facts: Facts) -> bool:
        return (
            self.alive == facts.alive
            and self.cancel in {None, facts.cancel}
            and facts.ran in self.ran
            and self.chances in {None, facts.chances}
        )


_IT_RAN = frozenset({Ran.YES})
_MAYBE_NOT = frozenset({Ran.PERHAPS, Ran.NO})

TABLE = (
    Row(alive=True, verdict=Verdict.LEFT_ALONE, counts="", text="Nothing to recover: its worker is alive and runs it."),
    Row(
        cancel=True,
        ran=_IT_RAN,
        verdict=Verdict.CANCELLED,
        counts="crashes",
        text="Cancelled; its process had died.",
    ),
    Row(cancel=True, ran=_MAYBE_NOT, verdict=Verdict.CANCELLED, counts="interrupted", text="Stopped as asked."),
    Row(
        ran=frozenset({Ran.PERHAPS}),
        verdict=Verdict.AGAIN,
        counts="interrupted",
        text="{cause} It was lost with others, so nobody knows which one ran; it will run again, alone.",
    ),
    Row(ran=frozenset({Ran.NO}), verdict=Verdict.AGAIN, counts="interrupted", text="{cause}"),
    Row(chances=Chances.SOME, verdict=Verdict.AGAIN, counts="crashes", text="Will run again: {cause}"),
    Row(chances=Chances.NONE, verdict=Verdict.FAILED, counts="crashes", text="Its crashes are used up: {cause}"),
    Row(
        chances=Chances.ONCE,
        verdict=Verdict.FAILED,
        counts="crashes",
        text="Lost, and it must not be begun twice: {cause}",
    ),
)


def chances(crashes: int, max_crashes: int) -> Chances:
    """What is left to a task that has crashed so often, if this is another crash."""
    if not max_crashes:
        return Chances.ONCE
    return Chances.SOME if crashes + 1 < max_crashes else Chances.NONE


def decide(facts: Facts) -> Row:
    """The row of the table for these facts; there is one for all of them."""
    return next(row for row in TABLE if row.fits(facts))
