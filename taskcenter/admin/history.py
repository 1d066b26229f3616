"""What the dashboard tells of the past: throughput, lines, rates and run times within a range, from counted minutes."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate

from django.utils import timezone

from taskcenter.charts import Line, Series, Spark, StackedBar
from taskcenter.explain.words import span as for_so_long
from taskcenter.models import Minute, Task
from taskcenter.models.minute import Count, minute_of, moment_of, seconds_of
from taskcenter.states import State

__all__ = ["SPANS", "History", "Span"]

MOST_LIVE = 15
"""Minutes that are read from the tasks themselves when nobody has counted them yet."""


@dataclass(frozen=True, slots=True)
class Span:
    """A range to look at, cut into buckets of equal width."""

    name: str
    words: str
    minutes: int
    width: int

    @property
    def buckets(self) -> int:
        return self.minutes // self.width

    @property
    def hours(self) -> float:
        return self.minutes / 60


SPANS = {
    one.name: one
    for one in (
        Span("1h", "the last hour", 60, 1),
        Span("24h", "the last 24 hours", 24 * 60, 30),
        Span("7d", "the last 7 days", 7 * 24 * 60, 180),
    )
}


class History:
    """Three queries, four where counting is behind; none of them scans the tasks."""

    def __init__(self, span: Span, now: datetime) -> None:
        self.span = span
        self.first = minute_of(now) // span.width * span.width - span.minutes + span.width
        newest = Minute.objects.newest()
        live_from = max(self.first if newest is None else newest, minute_of(now) - MOST_LIVE, self.first)
        self.gap = _gap(max(self.first, -1 if newest is None else newest + 1), live_from)
        """Since when nobody has counted, if tasks have ended since that no number here knows of."""
        counted = Minute.objects.in_buckets(self.first, live_from, span.width)
        live = Minute.objects.still_in_tasks(moment_of(live_from), now + timedelta(minutes=1))
        self._counts = [*counted, *(self._in_bucket(one) for one in live)]
        self._lines = Minute.objects.longest_lines(self.first, minute_of(now) + 1, span.width)

    def ended(self, kind: str, queue: str = "") -> int:
        return sum(one.tasks for one in self._counts if one.kind == kind and queue in {"", one.queue})

    def per_hour(self, kind: str, queue: str = "") -> float:
        return self.ended(kind, queue) / self.span.hours

    @property
    def failure_rate(self) -> float | None:
        """The share of tasks that ended failed; None when none has run to an end."""
        failed, completed = self.ended(State.FAILED), self.ended(State.COMPLETED)
        return failed / (failed + completed) if failed + completed else None

    def ran(self, share: float) -> float | None:
        """The seconds in which that share of the attempts ended; None when none did."""
        tasks: Counter[int] = Counter()
        for one in self._counts:
            if one.kind != State.CANCELLED:
                tasks[one.took] += one.tasks
        wanted, steps = share * tasks.total(), sorted(tasks)
        for took, so_far in zip(steps, accumulate(tasks[step] for step in steps), strict=True):
            if so_far >= wanted:
                # Within its step a time is taken to lie where its rank does.
                return seconds_of(took - (so_far - wanted) / tasks[took]) if took else seconds_of(0)
        return None

    def throughput(self) -> StackedBar:
        series = [self._series(kind) for kind in (State.COMPLETED, State.FAILED)]
        told = f"{self.ended(State.COMPLETED):,} completed, {self.ended(State.FAILED):,} failed in {self.span.words}."
        return StackedBar(title="Throughput", finding=told, unit=self._unit, labels=self._labels(), series=series)

    def waiting(self, now: int, in_words: str = "") -> Line:
        """`now` is how many wait at this moment: the last bucket has not ended yet."""
        longest = [0] * self.span.buckets
        for bucket, tasks in self._lines:
            longest[bucket] += tasks
        longest[-1] = max(longest[-1], now)
        told = f"{in_words or now} now; at most {max(longest):,} in {self.span.words}."
        return Line(title="Waiting", finding=told, x=self._labels(), series=[Series("waiting", longest)])

    def spark(self, queue: str) -> Spark:
        kept = [0] * self.span.buckets
        for one in self._counts:
            if one.queue == queue and one.kind == State.COMPLETED:
                kept[one.minute] += one.tasks
        return Spark(title=f"Completed on {queue}", unit=self._unit, values=kept)

    @property
    def _unit(self) -> str:
        width = timedelta(minutes=self.span.width).total_seconds()
        return "per minute" if self.span.width == 1 else f"per {for_so_long(width)}"

    def _series(self, kind: State) -> Series:
        values = [0] * self.span.buckets
        for one in self._counts:
            if one.kind == kind:
                values[one.minute] += one.tasks
        return Series(kind.label, values)

    def _labels(self) -> list[str]:
        form = "%a %H:%M" if self.span.minutes > SPANS["24h"].minutes else "%H:%M"
        starts = range(self.first, self.first + self.span.minutes, self.span.width)
        return [f"{timezone.localtime(moment_of(start)):{form}}" for start in starts]

    def _in_bucket(self, one: Count) -> Count:
        last = self.span.buckets - 1  # a clock ahead of the database's must not break the page
        return one._replace(minute=min(last, (one.minute - self.first) // self.span.width))


def _gap(first: int, live_from: int) -> datetime | None:
    if first >= live_from:
        return None
    times = {"finished_at__gte": moment_of(first), "finished_at__lt": moment_of(live_from)}
    return moment_of(first) if Task.objects.filter(**times).exists() else None
