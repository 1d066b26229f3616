"""Rolling up: what ended is counted minute by minute, never by those who end tasks.

The scheduler does it each minute; where none runs, workers do at a heartbeat. It reads the tasks that ended since
the last minute counted, and a little before: a transaction may commit late. Two at once, or one killed anywhere,
are harmless: see `models/minute.py`.
"""

from __future__ import annotations

import time
from datetime import datetime, timedelta

from .conf import get_settings
from .models import Duty, Minute, Task
from .models.clock import moment
from .models.lines import lines, queues_with_tasks
from .models.minute import minute_of, moment_of

__all__ = ["DUTY", "KEPT", "roll_up", "roll_up_if_late"]

DUTY = "roll-up"
AGAIN = 3
"""Minutes before the last one counted that are counted again, for late commits."""
SUM_AGAIN = timedelta(hours=1)
AT_ONCE = timedelta(minutes=10)
"""Of history that one statement counts: a long one must not hold back anything for long."""
FEWEST = 2
"""Statements that are made in any case: the first may find nothing but what was counted before."""
KEPT = timedelta(days=7)
"""What the dashboard looks back at most, and so what is kept at least."""
LATE = timedelta(seconds=30)
"""After which a worker does what no scheduler has done."""
LONGEST_LINE = 1_000_000


def roll_up(*, seconds: float | None = None) -> str:
    """Count what ended since the last time, then how many wait; what was done.

    `seconds` bounds the time for a long history: what is left over is for the next time, here or elsewhere.
    """
    now = moment(Minute.objects.db)
    end, start, statements = now + timedelta(minutes=1), _begin(now), 0
    deadline = None if seconds is None else time.monotonic() + seconds
    while start is not None and start < end:
        until = min(start + AT_ONCE, end)
        Minute.objects.roll_up(start, until)
        statements += 1
        if deadline is not None and statements >= FEWEST and time.monotonic() > deadline:
            return f"counted in {statements} statements; the rest comes with the next"
        start = _next_end(until)
    waiting = {line.queue: line.pending for line in lines(queues_with_tasks(), limit=LONGEST_LINE) if line.pending}
    Minute.objects.note_waiting(minute_of(now), waiting)
    # Once more: two at once may each have missed what the other had not yet committed.
    Minute.objects.sum_up(minute_of(now - SUM_AGAIN), minute_of(end))
    return f"counted in {statements} statement{'' if statements == 1 else 's'}, {sum(waiting.values())} waiting"


def roll_up_if_late() -> bool:
    """Do it in the scheduler's stead, if its time was a while ago; whether it was done here."""
    now = moment(Duty.objects.db)
    duty, _ = Duty.objects.get_or_create(name=DUTY, defaults={"next_due": now})
    if duty.next_due is None or duty.next_due > now - LATE:
        return False
    if not Duty.objects.take(DUTY, duty.next_due, now + timedelta(minutes=1), now):
        return False  # somebody else has it
    outcome = roll_up(seconds=get_settings().HEARTBEAT / 2)  # it must not cost the next beat
    Duty.objects.filter(name=DUTY).update(last_outcome=outcome, last_finished_at=moment(Duty.objects.db))
    return True


def forget(now: datetime) -> int:
    """Counts go with the tasks that were counted, but not before nobody looks at them; how many rows."""
    age = get_settings().TASK_RETENTION
    return 0 if age is None else Minute.objects.forget(now - max(age, KEPT))


def _begin(now: datetime) -> datetime | None:
    """From where to count; None when nothing ended since."""
    newest = Minute.objects.newest()
    oldest = moment_of(minute_of(now - KEPT))
    return _next_end(oldest if newest is None else max(oldest, moment_of(newest - AGAIN)))


def _next_end(since: datetime) -> datetime | None:
    """The minute in which the first task ended since then: empty hours are skipped."""
    ended = Task.objects.filter(finished_at__gte=since).order_by("finished_at")
    found = ended.values_list("finished_at", flat=True).first()
    return moment_of(minute_of(found)) if found else None
