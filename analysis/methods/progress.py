"""How far the analysis is, and whether it should stop: the two things said to and asked of the caller."""

from collections.abc import Callable

OnProgress = Callable[[str, float, str], None]


def ignore_progress(_stage: str, _fraction: float, _message: str) -> None:
    """For callers who do not watch."""


def never_stop() -> None:
    """For callers who do not cancel."""


def never() -> bool:
    """For callers who do not cancel."""
    return False


class Reporter:
    """Overall progress from 0 to 1, weighted by stage; it never goes back."""

    def __init__(self, on_progress: OnProgress, check_cancelled: Callable[[], None]) -> None:
        self.on_progress = on_progress
        self._check = check_cancelled
        self.stopped: BaseException | None = None
        self._stage = ""
        self._start = self._width = self._reached = 0.0

    def begin(self, stage: str, start: float, width: float) -> None:
        """A stage starts; it covers `width` of the whole from `start` on."""
        self._stage, self._start, self._width = stage, start, width
        self.progress(0.0, "")

    def progress(self, fraction: float, message: str) -> None:
        """This much (0..1) of the stage is done."""
        overall = self._start + self._width * min(max(fraction, 0.0), 1.0)
        self._reached = min(max(self._reached, overall), 1.0)
        self.on_progress(self._stage, self._reached, message)

    def check_cancelled(self) -> None:
        """Lets the caller stop the analysis: whatever it raises goes through, and is remembered."""
        try:
            self._check()
        except BaseException as stop:
            self.stopped = stop
            raise
