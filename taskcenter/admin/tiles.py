"""The dashboard's large numbers: now first, then what was within the range."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from taskcenter.explain.words import span as for_so_long
from taskcenter.models.lines import LIMIT
from taskcenter.states import State

if TYPE_CHECKING:
    from .board import Board

__all__ = ["Tile", "rate", "tiles", "total"]

FEW = 10
NONE = "–"  # noqa: RUF001 a dash is meant


@dataclass(frozen=True, slots=True)
class Tile:
    label: str
    value: str
    note: str
    url: str = ""


def tiles(board: Board) -> list[Tile]:
    within, done = f"in {board.span.words}", rate(board.history.per_hour(State.COMPLETED))
    return [
        Tile("Processing", total(board, "processing"), _slots(board), board.tasks(state="processing")),
        Tile("Waiting", total(board, "pending"), _oldest(board), board.tasks(state="pending")),
        Tile("Scheduled", total(board, "scheduled"), "for later, or to try again", board.tasks(state="scheduled")),
        Tile("Completed/h", done, within, board.tasks(state="completed")),
        Tile("Failure rate", _failure_rate(board), within, board.tasks(state="failed")),
        Tile("Run time", _longest_run(board), f"at most, for 19 of 20 {within}"),
    ]


def total(board: Board, state: str) -> str:
    """How many tasks of all queues; at least so many, where one queue's were not counted to the end."""
    numbers = [getattr(row.line, state) for row in board.queues]
    more = "+" if any(number > LIMIT for number in numbers) else ""
    return f"{sum(min(number, LIMIT) for number in numbers):,}{more}"


def rate(per_hour: float) -> str:
    """Rare events keep a digit: one a day is not none."""
    return f"{per_hour:,.0f}" if per_hour >= FEW or not per_hour else f"{per_hour:.2g}"


def _slots(board: Board) -> str:
    alive = [row for row in board.workers if row.state == "alive"]
    busy, slots = sum(row.busy for row in alive), sum(row.worker.slots for row in alive)
    return f"{busy} of {slots} slots busy" if slots else "no worker is alive"


def _oldest(board: Board) -> str:
    since = [row.line.waits_since for row in board.queues if row.line.waits_since]
    return f"the oldest for {board.age(min(since))}" if since else "to be run now"


def _failure_rate(board: Board) -> str:
    share = board.history.failure_rate
    return NONE if share is None else f"{share:.1%}"


def _longest_run(board: Board) -> str:
    seconds = board.history.ran(0.95)
    if seconds is None:
        return NONE
    return for_so_long(seconds) if seconds >= 1 else f"{seconds * 1000:.0f} ms"
