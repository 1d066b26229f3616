"""What needs attention: each a sentence, where it leads, and the command that mends it, if one does."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.utils import timezone

from taskcenter.models import Duty
from taskcenter.models.failure import FAILED_LOOKED_AT
from taskcenter.models.lines import LIMIT, written
from taskcenter.progress.words import ICONS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .board import Board

__all__ = ["Alarm", "alarms"]

LATE = timedelta(minutes=2)
"""After which a duty is late: it is taken within seconds while a scheduler runs."""


@dataclass(frozen=True, slots=True)
class Alarm:
    tone: str
    """A shown state, whose colour and icon it takes."""
    text: str
    url: str = ""
    more: str = ""
    command: str = ""

    @property
    def icon(self) -> str:
        return ICONS[self.tone]


def alarms(board: Board) -> list[Alarm]:
    """What stops work comes first."""
    return [*_redis(board), *_unserved(board), *_lost(board), *_failed(board), *_late(board), *_paused(board)]


def _redis(board: Board) -> Iterator[Alarm]:
    if board.redis_since is not None:
        text = f"Queue server unreachable since {_clock(board.redis_since)}."
        yield Alarm("failed", text, more="No task is lost: workers look for work by themselves, every few seconds.")


def _unserved(board: Board) -> Iterator[Alarm]:
    for row in board.queues:
        if row.unserved and row.waiting:
            text = f"No worker listens to {row.name}: {_many(row.waiting, 'task waits', 'tasks wait')}."
            yield Alarm("failed", text, board.tasks(state="pending", queue=row.name), command=row.command)


def _lost(board: Board) -> Iterator[Alarm]:
    if board.lost:
        text = f"{_many(board.lost, 'task is lost', 'tasks are lost')}."
        yield Alarm("lost", text, board.tasks(state="lost"), "A living worker puts them right by itself.")
    if board.stalled:
        text = f"{_many(board.stalled, 'task stands still', 'tasks stand still')}."
        yield Alarm("stalled", text, board.tasks(state="processing"), "The worker lives, but progress does not move.")


def _failed(board: Board) -> Iterator[Alarm]:
    if board.failed:
        text = _many(board.failed, "task has failed", "tasks have failed", FAILED_LOOKED_AT)
        yield Alarm("failed", f"{text} in 24 h.", board.tasks(state="failed"))
    if board.failed > 1 and board.group is not None:
        what = f"{board.group.error_name or 'a death'} in {board.group.definition}"
        yield Alarm("failed", f"Most often: {board.group_tasks:,} times {what}.", board.group_url)


def _late(board: Board) -> Iterator[Alarm]:
    late = Duty.objects.filter(next_due__lt=board.now - LATE).order_by("next_due")
    names = list(late.values_list("name", flat=True))
    if names:
        text = f"The scheduler is late with {', '.join(names)}."
        yield Alarm("retrying", text, board.duties_url, "Is a scheduler running?", "manage.py rqscheduler")
    if board.history.gap is not None:
        text = f"Numbers since {_clock(board.history.gap)} are missing: nobody has counted."
        yield Alarm("retrying", text, more="A scheduler or a worker catches up.")


def _paused(board: Board) -> Iterator[Alarm]:
    for row in board.queues:
        if row.paused_at is not None:
            why = f": {row.paused_reason}" if row.paused_reason else ""
            yield Alarm("stalled", f"{row.name} is paused since {_clock(row.paused_at)}{why}.", board.queues_url)


def _many(number: int, one: str, many: str, limit: int = LIMIT) -> str:
    """1 task waits, 12 tasks wait, 10,000+ tasks wait."""
    return f"{written(number, limit)} {one if number == 1 else many}"


def _clock(at: datetime) -> str:
    local = timezone.localtime(at)
    return f"{local:%H:%M:%S}" if timezone.now() - at < timedelta(hours=20) else f"{local:%Y-%m-%d %H:%M}"
