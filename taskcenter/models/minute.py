"""The minute: how many tasks of a queue ended so in it, counted once so that no page counts them again.

Counts are read from the tasks and only ever rise, so a minute may be counted any number of times, by any number
of processes at once, from older and newer looks at the table: what is kept is the highest, which is the latest.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, NamedTuple, Self

from django.db import connections, models, transaction
from django.db.models import F, Max, Q, Sum

from taskcenter.states import FINAL

WAITING = "waiting"
"""The kind of a row that tells how long the line was, at most, in that minute."""
HALF_HOUR = 30
STEPS = 2
"""Steps of `took` in which a time doubles."""

# The logarithm is that of milliseconds. NULL, of a task that never began, counts as nothing.
_ENDED = {
    "postgresql": """
SELECT FLOOR(EXTRACT(EPOCH FROM finished_at)::float8 / 60)::int, queue, state,
  CEIL({steps} * LN(GREATEST(1, EXTRACT(EPOCH FROM finished_at - attempted_at)::float8 * 1000)) / LN(2))::int, COUNT(*)
FROM taskcenter_task WHERE finished_at >= %s AND finished_at < %s GROUP BY 1, 2, 3, 4""",
    "sqlite": """
SELECT CAST(strftime('%%s', finished_at) AS INTEGER) / 60, queue, state,
  CAST(CEILING({steps} * LN(MAX(1, COALESCE((julianday(finished_at) - julianday(attempted_at)) * 86400000, 0)))
    / LN(2)) AS INTEGER), COUNT(*)
FROM taskcenter_task WHERE finished_at >= %s AND finished_at < %s GROUP BY 1, 2, 3, 4""",
}
# What was counted by the minute once more by the half hour, for those who look at days.
_HALF_HOURS = """
SELECT minute / {half_hour} * {half_hour} AS since, queue, kind, took,
  CASE WHEN kind = 'waiting' THEN MAX(tasks) ELSE SUM(tasks) END
FROM taskcenter_minute WHERE width = 1 AND minute >= %s AND minute < %s
GROUP BY minute / {half_hour} * {half_hour}, queue, kind, took"""
# In one order: two that count at once wait for each other instead of locking each other up.
_KEEP = """
INSERT INTO taskcenter_minute (minute, queue, kind, took, tasks, width)
SELECT c.*, {width} FROM ({counted}) AS c WHERE 1 = 1 ORDER BY 1, 2, 3, 4
ON CONFLICT (width, minute, queue, kind, took) DO UPDATE SET tasks = EXCLUDED.tasks
WHERE taskcenter_minute.tasks < EXCLUDED.tasks"""


class Count(NamedTuple):
    """So many tasks of that queue ended so within that minute (or bucket of minutes), each having run that long."""

    minute: int
    queue: str
    kind: str
    took: int
    tasks: int


def minute_of(at: datetime) -> int:
    return int(at.timestamp() // 60)


def moment_of(minute: int) -> datetime:
    return datetime.fromtimestamp(minute * 60, UTC)


def seconds_of(took: float) -> float:
    """The longest time that counts as `took`."""
    return float(2 ** (took / STEPS)) / 1000


class MinuteQuerySet(models.QuerySet["Minute"]):
    """Counting, and what was counted."""

    def ended(self) -> Self:
        return self.filter(kind__in=FINAL)

    def newest(self) -> int | None:
        """The last minute of which ended tasks were counted."""
        found: int | None = self.ended().filter(width=1).aggregate(newest=Max("minute"))["newest"]
        return found

    def roll_up(self, start: datetime, end: datetime) -> None:
        """Count what ended from `start` until before `end`. All of it is kept, or nothing."""
        counted, times = _counted(self.db, start, end)
        with transaction.atomic(using=self.db):
            self._keep(counted, times)
            self.sum_up(minute_of(start), minute_of(end) + 1)

    def sum_up(self, first: int, end: int) -> None:
        """Keep the half hours in which these minutes lie."""
        half_hours = [first // HALF_HOUR * HALF_HOUR, -(-end // HALF_HOUR) * HALF_HOUR]
        self._keep(_HALF_HOURS.format(half_hour=HALF_HOUR), half_hours, width=HALF_HOUR)

    def _keep(self, counted: str, values: list[Any], *, width: int = 1) -> None:
        with connections[self.db].cursor() as cursor:
            cursor.execute(_KEEP.format(counted=counted, width=width), values)

    def note_waiting(self, minute: int, lines: dict[str, int]) -> None:
        """Keep how long these queues' lines are, if they were shorter before in that minute."""
        row = "SELECT CAST(%s AS integer), %s, %s, 0, CAST(%s AS integer)"
        for queue, tasks in sorted(lines.items()):
            self._keep(row, [minute, queue, WAITING, tasks])

    def still_in_tasks(self, start: datetime, end: datetime) -> list[Count]:
        """The same counts, read from the tasks themselves: for the newest minutes."""
        counted, times = _counted(self.db, start, end)
        with connections[self.db].cursor() as cursor:
            cursor.execute(counted, times)
            return [Count(*row) for row in cursor.fetchall()]

    def between(self, first: int, end: int, *, by: int) -> Self:
        """What was counted in these minutes; where `by` allows it, by half hours as long as those have ended."""
        coarse = end // HALF_HOUR * HALF_HOUR if by % HALF_HOUR == 0 else first
        half_hours = Q(width=HALF_HOUR, minute__gte=first, minute__lt=coarse)
        return self.filter(half_hours | Q(width=1, minute__gte=coarse, minute__lt=end)).order_by()

    def in_buckets(self, first: int, end: int, width: int) -> list[Count]:
        """Counts from minute `first` until before `end`, by buckets of so many minutes, the first of which is 0."""
        rows = self.ended().between(first, end, by=width)
        grouped = rows.values_list((F("minute") - first) / width, "queue", "kind", "took")
        return [Count(*row) for row in grouped.annotate(Sum("tasks"))]

    def longest_lines(self, first: int, end: int, width: int) -> list[tuple[int, int]]:
        """Per bucket, how many tasks of one queue after the other waited at most."""
        rows = self.filter(kind=WAITING).between(first, end, by=width)
        grouped = rows.values_list((F("minute") - first) / width, "queue").annotate(Max("tasks"))
        return [(bucket, tasks) for bucket, _, tasks in grouped]

    def forget(self, before: datetime) -> int:
        """Delete what was counted before then; how many rows."""
        return self.filter(minute__lt=minute_of(before)).delete()[0]


def _counted(alias: str, start: datetime, end: datetime) -> tuple[str, list[Any]]:
    connection = connections[alias]
    prepared = [connection.ops.adapt_datetimefield_value(at) for at in (start, end)]
    return _ENDED[connection.vendor].format(steps=STEPS), prepared


class Minute(models.Model):
    width = models.SmallIntegerField(default=1, help_text="Minutes that are counted together: 1 or 30.")
    minute = models.IntegerField(help_text="The first of them, since 1970, UTC.")
    queue = models.CharField(max_length=100)
    kind = models.CharField(max_length=10, help_text="The final state, or waiting.")
    took = models.SmallIntegerField(default=0, help_text="How long the last attempt ran, in half octaves of 1 ms.")
    tasks = models.IntegerField()

    objects = MinuteQuerySet.as_manager()

    class Meta:
        default_permissions = ()
        constraints = (
            models.UniqueConstraint(fields=("width", "minute", "queue", "kind", "took"), name="taskcenter_minute_once"),
        )

    def __str__(self) -> str:
        return f"{moment_of(self.minute):%Y-%m-%d %H:%M} {self.queue} {self.kind}: {self.tasks}"
