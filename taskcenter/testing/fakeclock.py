"""A clock that the test holds in its hand."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any
from unittest import mock

from django.conf import settings
from django.utils import timezone

from taskcenter.models import clock as shared

__all__ = ["Clock", "clock"]


class Clock:
    """The time that TaskCenter sees; it stands still until it is moved."""

    def __init__(self, at: datetime) -> None:
        self._at = _in_utc(at)

    @property
    def now(self) -> datetime:
        """The same as `timezone.now()`."""
        return timezone.now()

    def advance(self, by: timedelta | float) -> datetime:
        """Move on, by a timedelta or by seconds; back, if that is negative. Returns the new time."""
        self._at += by if isinstance(by, timedelta) else timedelta(seconds=by)
        return self.now

    def move_to(self, at: datetime) -> datetime:
        """Move to that time; raises ValueError if it lacks the zone that USE_TZ asks for."""
        self._at = _in_utc(at)
        return self.now


@contextmanager
def clock(at: datetime | None = None) -> Iterator[Clock]:
    """Let the time stand still at `at` (now) for this process, until the clock is moved or the block ends.

    Moves all that asks `django.utils.timezone.now()`: when scheduled tasks and retries are due, the times
    on rows, heartbeats and who counts as dead, what is old enough to be cleaned up, and the same in Django
    and in your code. Does not move `datetime.now()`, `time.time()`, the database's own `now()`, timeouts
    of running tasks, the expiry of keys in Redis, or any other process.

    Nothing runs by being due: call `run_pending()` after moving the clock.
    """
    held = Clock(at or timezone.now())
    # Model fields hold `timezone.now` itself as their default; so not the function is changed, but what it asks.
    told = mock.patch.object(timezone, "datetime", _told_by(held))
    with told, mock.patch.object(shared, "by_database", False):
        yield held


class _SeenAsDatetime(type):
    """Django asks its `datetime` also whether a value is one."""

    def __instancecheck__(cls, value: Any) -> bool:
        return isinstance(value, datetime)


def _told_by(held: Clock) -> type[datetime]:
    class Told(datetime, metaclass=_SeenAsDatetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]  # a plain one, not a Told
            at = held._at  # noqa: SLF001 its other half
            return at.astimezone(tz) if tz else at.astimezone().replace(tzinfo=None)

    return Told


def _in_utc(at: datetime) -> datetime:
    if settings.USE_TZ and timezone.is_naive(at):
        raise ValueError("The clock needs a time with a zone, such as datetime(2026, 1, 31, 12, tzinfo=UTC).")
    return at.astimezone(UTC)
