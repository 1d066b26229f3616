"""What a running task holds as `context.progress`."""

from __future__ import annotations

import asyncio
import json
import logging
import math
import threading
from collections.abc import Callable, Iterable, Iterator, Sized
from numbers import Real
from time import monotonic, time
from typing import TYPE_CHECKING, Any, TypeVar

from asgiref.sync import sync_to_async
from django.db import connections, router

from taskcenter.conf import get_settings
from taskcenter.models import Task
from taskcenter.states import State

from . import store
from .pace import Pace
from .standstill import Pauses

if TYPE_CHECKING:
    from uuid import UUID

__all__ = ["TaskProgress", "fraction_of"]

logger = logging.getLogger("taskcenter")

T = TypeVar("T")

ROW_GAP = 2.0
"""Seconds between two copies on the row."""
EXTRA_LIMIT = 4096
"""Bytes of JSON that the extra values of `set()` may take."""


class TaskProgress:
    """Tells people how far one attempt is. Cheap to call in a loop: most calls only remember.

    Every call but `flush()` first runs `check`, and only what that raises (Cancelled, SoftTimeout) comes
    out; whatever else goes wrong is logged. A fraction is 0 to 1 and never goes back; `set(…, restart=True)`
    says that it shall.
    """

    def __init__(self, task_id: UUID, attempt: int, *, check: Callable[[], None] | None = None) -> None:
        self.task_id = task_id
        self.attempt = attempt
        self._check = check or _nothing
        self._gap = 1.0 / get_settings().PROGRESS_PER_SECOND
        self._fraction: float | None = None
        self._details: dict[str, Any] = {"message": "", "stage": "", "done": None, "total": None, "unit": ""}
        self._extra: dict[str, Any] = {}
        self._stages: list[list[Any]] = []
        self._pace = Pace()
        self._pauses = Pauses()
        self._seq = 0
        self._due = 0.0
        self._row_due = monotonic() + ROW_GAP
        self._unsent = self._unsaved = self._complained = False
        self._timer: threading.Timer | None = None
        self._lock = threading.RLock()

    def set(self, fraction: float | None, message: str = "", *, restart: bool = False, **extra: Any) -> None:
        """Say how far the task is; an empty message leaves the last one standing.

        `done`, `total` and `unit` among the extra values are shown as such ("620 of 1,000 rows"); the rest
        is kept for readers of `ProgressTracker.get_progress()`.
        """
        self._check()
        if restart:
            self._restart()
        if message:
            self._details["message"] = message
        if extra:
            self._take_extra(extra)
        self._move(fraction)

    def stage(self, name: str, fraction: float | None = None) -> None:
        """Begin the next part of the work; always told at once."""
        self._check()
        self._details.update(stage=name, message="", done=None, total=None, unit="")
        if not self._stages or self._stages[-1][0] != name:
            self._stages = [*self._stages[1 - store.MOST_STAGES :], [name, round(time(), 1)]]
        self._due = 0.0
        self._move(fraction)

    def track(
        self,
        iterable: Iterable[T],
        message: str = "",
        total: int | None = None,
        unit: str = "",
        *,
        end: float = 1.0,
    ) -> Iterator[T]:
        """Yield each item and count it, from where the task is now up to the fraction `end`.

        Without `total` and with nothing to measure only the count is told.
        """
        if total is None and isinstance(iterable, Sized):
            total = len(iterable)
        start = self._fraction or 0.0
        details = self._details
        details.update(message=message or details["message"], done=0, total=total, unit=unit)
        self._pace.restart()
        self._due = 0.0
        step = (end - start) / total if total else 0.0
        self._check()
        self._move(start if total else None)
        for done, item in enumerate(iterable, 1):
            yield item
            details["done"] = done
            self._check()
            self._move(min(end, start + step * done) if total else None)
        self._due = 0.0
        self._move(end if total else None)

    def flush(self) -> None:
        """Send and keep what was held back. For the end of an attempt: asks `check` nothing."""
        with self._lock:
            if self._unsent:
                self._send()
            if self._unsaved:
                self._save()

    async def aset(self, fraction: float | None, message: str = "", *, restart: bool = False, **extra: Any) -> None:
        """See set()."""
        await sync_to_async(self.set)(fraction, message, restart=restart, **extra)

    async def astage(self, name: str, fraction: float | None = None) -> None:
        """See stage()."""
        await sync_to_async(self.stage)(name, fraction)

    async def aflush(self) -> None:
        """See flush()."""
        await sync_to_async(self.flush)()

    def _move(self, fraction: float | None) -> None:
        """The path of every call: remember, and send when it is time."""
        known = self._fraction
        if type(fraction) is not float or not 0.0 <= fraction <= 1.0:
            fraction = self._understood(fraction)
        if fraction is not None and (known is None or fraction > known):
            self._fraction = fraction
            if fraction == 1.0:
                self._due = 0.0
        self._unsent = self._unsaved = True
        if monotonic() >= self._due:
            self._report()
        elif self._timer is None:
            self._send_later()

    def _understood(self, fraction: Any) -> float | None:
        """The fraction that was meant; None when nothing can be made of it."""
        if fraction is None:
            return None
        understood = fraction_of(fraction)
        if understood is None and not self._complained:
            self._complained = True
            logger.warning("Progress of task %s ignored: %.80r is not a number from 0 to 1", self.task_id, fraction)
        return understood

    def _restart(self) -> None:
        self._fraction = None
        self._stages = []
        self._due = 0.0
        self._pace.restart()

    def _take_extra(self, extra: dict[str, Any]) -> None:
        for name in self._details.keys() & extra.keys():
            self._details[name] = extra.pop(name)
        self._extra.update(extra)

    def _report(self) -> None:
        with self._lock:
            self._send()
            if monotonic() >= self._row_due and self._may_save():
                self._save()

    def _send_later(self) -> None:
        """The last of a burst is told too, also when the task then says nothing for minutes."""
        with self._lock:
            if self._timer is None:
                self._timer = threading.Timer(max(0.0, self._due - monotonic()), self._send_held_back)
                self._timer.daemon = True
                self._timer.start()

    def _send_held_back(self) -> None:
        with self._lock:
            self._timer = None
            if self._unsent:
                self._send()

    def _send(self) -> None:
        """To Redis; the caller holds the lock."""
        now = monotonic()
        self._due = now + self._gap
        self._unsent = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        try:
            self._pace.note(now, self._fraction, self._details["done"])
            seq = store.publish(self.task_id, self._stored(self._seq + 1))
            # 0: a later attempt owns the task; without Redis we count on by ourselves.
            self._seq = seq or self._seq + 1
        except Exception:
            logger.exception("Progress of task %s could not be told", self.task_id)

    def _save(self) -> None:
        """To the row, if this attempt still owns it; the caller holds the lock."""
        self._row_due = monotonic() + ROW_GAP
        self._unsaved = False
        try:
            stored = self._stored(max(1, self._seq))
            Task.objects.save_progress(self.task_id, self.attempt, stored.progress, stored.for_row())
        except Exception:
            logger.exception("Progress of task %s could not be kept", self.task_id)

    def _may_save(self) -> bool:
        """Not from a coroutine, and not within the task's own transaction: it would lock the row."""
        if connections[router.db_for_write(Task)].in_atomic_block:
            return False
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return True
        return False

    def _stored(self, seq: int) -> store.Stored:
        details = {**self._details, "stages": self._stages, "eta_s": self._pace.eta(), "rate": self._pace.rate()}
        now = store.now_text()
        told = (self._fraction, *(self._details[name] for name in ("message", "stage", "done")))
        return store.Stored(
            attempt=self.attempt,
            seq=seq,
            progress=self._fraction,
            status=str(State.PROCESSING),
            metadata={**self._kept_extra(), **details, **self._pauses.after(monotonic(), now, told)},
            updated_at=now,
        )

    def _kept_extra(self) -> dict[str, Any]:
        """The extra values, unless they are not JSON or too much of it: then none, and one complaint."""
        try:
            if not self._extra or len(json.dumps(self._extra, allow_nan=False)) <= EXTRA_LIMIT:
                return self._extra
            trouble = f"more than {EXTRA_LIMIT} bytes"
        except (TypeError, ValueError) as error:
            trouble = str(error)
        logger.warning("Extra progress values of task %s dropped: %s", self.task_id, trouble)
        self._extra = {}
        return self._extra


def fraction_of(value: Any) -> float | None:
    """A finite number, brought to 0..1; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value):
        return None
    return min(1.0, max(0.0, float(value)))


def _nothing() -> None:
    pass
