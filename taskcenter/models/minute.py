"""The minute: how many tasks of a queue ended so in it, counted once so that no page counts them again.

Counts are read from the tasks and only ever rise, so a minute may be counted any number of times, by any number
of processes at once, from older and newer looks at the table: what is kept is the highest, which is the latest.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, NamedTuple, Self

from django.db import connections, models
from django.db.models import F, Max, Sum

from taskcenter.states import FINAL

WAITING = "waiting"
"""The kind of a row that tells how long the line was, at most, in that minute."""
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
# In one order: two that count at once wait for each other instead of locking each other up.
_KEEP = """
INSERT INTO taskcenter_minute (minute, queue, kind, took, tasks) {counted} ORDER BY 1, 2, 3, 4
ON CONFLICT (minute, queue, kind, took) DO UPDATE SET tasks = EXCLUDED.tasks
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
        found: int | None = self.ended().aggregate(newest=Max("minute"))["newest"]
        return found

    def roll_up(self, start: datetime, end: datetime) -> None:
        """Count what ended from `start` until before `end`. One statement: all of it is kept, or nothing."""
        counted, times = _counted(self.db, start, end)
        with connections[self.db].cursor() as cursor:
            cursor.execute(_KEEP.format(counted=counted), times)

    def note_waiting(self, minute: int, lines: dict[str, int]) -> None:
        """Keep how long these queues' lines are, if they were shorter before in that minute."""
        with connections[self.db].cursor() as cursor:
            for queue, tasks in sorted(lines.items()):
                row = "SELECT %s, %s, %s, 0, %s WHERE 1 = 1"
                cursor.execute(_KEEP.format(counted=row), [minute, queue, WAITING, tasks])

    def still_in_tasks(self, start: datetime, end: datetime) -> list[Count]:
        """The same counts, read from the tasks themselves: for the newest minutes."""
        counted, times = _counted(self.db, start, end)
        with connections[self.db].cursor() as cursor:
            cursor.execute(counted, times)
            return [Count(*row) for row in cursor.fetchall()]

    def in_buckets(self, first: int, end: int, width: int) -> list[Count]:
        """Counts from minute `first` until before `end`, by buckets of so many minutes, the first of which is 0."""
        rows = self.ended().filter(minute__gte=first, minute__lt=end).order_by()
        grouped = rows.values_list((F("minute") - first) / width, "queue", "kind", "took")
        return [Count(*row) for row in grouped.annotate(Sum("tasks"))]

    def longest_lines(self, first: int, width: int) -> list[tuple[int, int]]:
        """Per bucket, how many tasks waited at most: the sum of the queues' longest lines."""
        rows = self.filter(minute__gte=first, kind=WAITING).order_by()
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
    minute = models.IntegerField(help_text="Minutes since 1970, UTC.")
    queue = models.CharField(max_length=100)
    kind = models.CharField(max_length=10, help_text="The final state, or waiting.")
    took = models.SmallIntegerField(default=0, help_text="How long the last attempt ran, in half octaves of 1 ms.")
    tasks = models.IntegerField()

    objects = MinuteQuerySet.as_manager()

    class Meta:
        default_permissions = ()
        constraints = (
            models.UniqueConstraint(fields=("minute", "queue", "kind", "took"), name="taskcenter_minute_once"),
        )

    def __str__(self) -> str:
        return f"{moment_of(self.minute):%Y-%m-%d %H:%M} {self.queue} {self.kind}: {self.tasks}"
