"""How fast a task moves: a rate and the time left, smoothed over the last half minute."""

from __future__ import annotations

from collections import deque

__all__ = ["Pace"]

WINDOW = 30.0
"""Seconds that count."""
EARLY_FRACTION, EARLY_SECONDS = 0.05, 5.0
"""Before both are passed a guess would mislead, so none is made."""


class Pace:
    """Notes of (time, fraction, done), the oldest about `WINDOW` seconds old."""

    def __init__(self) -> None:
        self._notes: deque[tuple[float, float | None, float | None]] = deque(maxlen=512)
        self._began: float | None = None

    def note(self, now: float, fraction: float | None, done: float | None) -> None:
        """Remember where the task was at `now`, in seconds of a monotonic clock."""
        if self._began is None:
            self._began = now
        # The note just outside the window stays: slow tasks need a point to measure from.
        while len(self._notes) > 1 and self._notes[1][0] <= now - WINDOW:
            self._notes.popleft()
        self._notes.append((now, fraction, done))

    def restart(self) -> None:
        """Forget everything: the count begins anew."""
        self._notes.clear()
        self._began = None

    def rate(self) -> float | None:
        """Units done in a second; None while it is too early to tell."""
        speed = self._speed(2)
        return None if speed is None or not self._is_telling() else round(speed, 3)

    def eta(self) -> float | None:
        """Seconds left; None while it is too early to tell, or when nothing moves."""
        speed = self._speed(1)
        if not speed or not self._is_telling():
            return None
        fraction = self._notes[-1][1] or 0.0
        return round((1.0 - fraction) / speed, 1)

    def _is_telling(self) -> bool:
        now, fraction, _ = self._notes[-1]
        is_early = self._began is None or now - self._began < EARLY_SECONDS
        return not is_early and (fraction is None or fraction >= EARLY_FRACTION)

    def _speed(self, column: int) -> float | None:
        """By how much that column rose in a second; None when that is not known."""
        known = [note for note in self._notes if note[column] is not None]
        if len(known) < 2 or known[-1][0] <= known[0][0]:  # noqa: PLR2004 two points make a line
            return None
        rise = known[-1][column] - known[0][column]  # type: ignore[operator] # None was left out above
        return max(0.0, rise / (known[-1][0] - known[0][0]))
