"""What a slot has in hand: tasks not begun, ends not written, changes not told. Two threads share it.

The slot's own thread runs tasks, and writes what has ended together with the next claim. The helper
thread is awake only while something is in hand. It sees to it that nobody waits for a slow task: once
one has run for `SLOW` seconds, what is finished is written and the rest, not begun, is handed back; and
nothing that has ended stays unseen for longer than `UNSEEN`. It may also make the next turn ahead, while the
last task in hand runs. They take turns under one lock, which is never held while a task runs.

All that is in hand and not written was claimed at the same time, as the rows say it (`attempted_at`): when
the whole worker is lost, recovery knows by that which tasks one slot held, and blames none of several.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import NamedTuple

from django.db import DatabaseError, InterfaceError, connections

from taskcenter import lifecycle
from taskcenter.models.engine import Claimed, Ended, Want, as_datetime, engine_of, own_connection
from taskcenter.states import State

from . import story
from .page import Page, Running

__all__ = ["Desk"]

logger = logging.getLogger("taskcenter")

LOOK = 0.01
"""Seconds between two looks of the helper thread."""
SLOW = 0.02
"""Seconds after which a task must hold up neither what has ended before it nor what was to come."""
UNSEEN = 0.03
"""Seconds that an end may wait for the next claim; most batches are over by then."""
AHEAD = 0.5
"""Seconds for which turns are made ahead, one after the other: while it runs, an attempt may look so much older
than it is. When it completes, the time at which it really began is written with its end.
"""


class Claim(NamedTuple):
    """The latest claim."""

    at: datetime | None = None
    """What its rows have as `attempted_at`, and those claimed ahead of their time too."""
    made: float = 0.0
    """When that was (`time.monotonic()`)."""
    was_full: bool = False
    """Whether all that was wanted was there, so that more may be."""


class Desk:
    def __init__(self, page: Page) -> None:
        self._page = page
        self._connection = own_connection()
        self._engine = engine_of(self._connection, is_own=True)
        self._unbegun: deque[Claimed] = deque()
        self._ended: list[Ended] = []
        self._untold = lifecycle.Turn()
        self._running: Claimed | None = None
        self._begun = 0.0
        self._oldest_end = 0.0
        self._claim = Claim()
        self._ahead: Want | None = None
        self._queues: list[str] = []
        self._lock = threading.Lock()
        self._in_hand = threading.Event()
        self._called = threading.Event()
        self._helper = threading.Thread(target=self._help, name="taskcenter-helper", daemon=True)

    # The slot's own thread.

    def open(self) -> None:
        self._helper.start()

    def turn(self, want: Want | None) -> list[Claimed]:
        """Write what has ended and claim what is wanted; raises database errors and then forgets nothing."""
        with self._lock:
            self._ahead = None
            made = self._make(want)
        self._tell_strangers(made)
        return made.claimed

    def next(self, ahead: Callable[[], Want | None]) -> Claimed | None:
        """Begin the next task in hand. One that must run alone waits until all before it is written.

        While the last one runs, the helper claims what is then wanted `ahead`.
        """
        with self._lock:
            if self._unbegun and self._ended and self._unbegun[0].is_careful:
                self._write(None)
                self._note()
            if not self._unbegun:
                return None
            claimed = self._running = self._unbegun.popleft()
            self._begun = time.monotonic()
            self._page.begin(Running(claimed.id, claimed.attempt, self._begun, claimed.timeout or 0))
            self._ahead = ahead() if self._may_look_ahead() else None
        if self._ahead is not None:
            self._in_hand.set()
            self._called.set()
        return claimed

    def claimed_from(self) -> list[str]:
        """The queues of what was claimed since this was asked last, one for each task."""
        with self._lock:
            queues, self._queues = self._queues, []
        return queues

    def done(self, ended: Ended | None) -> float:
        """The task begun last has ended; with its end if that is still to be written. Seconds it took.

        One that must not be begun twice stays on the page until its end is written: were it taken for
        unbegun, it would run again.
        """
        ended_at = time.monotonic()
        took = ended_at - self._begun
        with self._lock:
            self._running = None
            if ended is None:
                self._page.end()
                self._note()
                return took
            ended.begun = self._begun
            self._oldest_end = self._oldest_end if self._ended else ended_at
            self._ended.append(ended)
            if ended.claimed.max_crashes:
                self._page.end()
        return took

    def hand_back(self) -> None:
        """Give back what was not begun."""
        with self._lock:
            self._give_back()
            self._note()

    @contextmanager
    def at_the_database(self) -> Iterator[None]:
        """The slot's own connection in the place of Django's, which tasks may have left in any state."""
        with self._lock, self._as_default():
            yield

    def tell(self) -> None:
        """Tell all that is untold, now."""
        with self._lock:
            untold = self._take_untold()
        self._send(untold)

    def reconnect(self) -> None:
        """Forget a connection that failed; the next statement opens another."""
        with self._lock:
            self._connection.close()

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits to be begun."""
        return not self._unbegun

    @property
    def is_clear(self) -> bool:
        """Whether nothing waits to be begun or to be written."""
        return not (self._unbegun or self._ended)

    # The helper's thread.

    def _help(self) -> None:
        while True:
            self._in_hand.wait()
            self._called.wait(LOOK)
            self._called.clear()
            try:
                self._look()
            except (DatabaseError, InterfaceError):
                self.reconnect()  # the other thread meets the same, says so, and tries again
            except Exception:
                logger.exception("A slot's helper met an error; it goes on")

    def _look(self) -> None:
        with self._lock:
            ahead, self._ahead = self._ahead, None
            made = self._make(ahead._replace(at=self._claim.at)) if ahead else self._relieve(time.monotonic())
            untold = self._take_untold()
            if not (self._unbegun or self._ended):
                self._in_hand.clear()
        self._tell_strangers(made)
        self._send(untold)

    def _relieve(self, moment: float) -> lifecycle.Turn:
        """Write what has waited too long, and hand back what would."""
        is_slow = self._running is not None and moment - self._begun >= SLOW
        made = lifecycle.Turn()
        if self._ended and (is_slow or moment - self._oldest_end >= UNSEEN):
            made = self._write(None)
        if self._unbegun and is_slow:
            self._give_back()
        if made.landed or is_slow:
            self._note()
        return made

    # Both; the lock is held.

    def _may_look_ahead(self) -> bool:
        """Whether the last one in hand runs, more is likely to wait, and what is in hand was claimed just now.

        What must run alone is also lost alone, with its worker: nothing may be claimed beside it.
        """
        running = self._running
        is_last = running is not None and not self._unbegun and not running.is_careful
        return is_last and self._claim.was_full and self._begun < self._claim.made + AHEAD

    def _make(self, want: Want | None) -> lifecycle.Turn:
        made = self._write(want)
        if want is not None:
            self._unbegun.extend(made.claimed)
            self._queues.extend([row.queue for row in made.claimed])
            self._claim = self._remembered(want, made.claimed)
        self._note()
        return made

    def _remembered(self, want: Want, claimed: list[Claimed]) -> Claim:
        was_full = len(claimed) == want.limit
        if want.at is not None:
            return self._claim._replace(was_full=was_full)
        at = as_datetime(claimed[0].attempted_at) if claimed else None
        return Claim(at, time.monotonic(), was_full=was_full)

    def _write(self, want: Want | None) -> lifecycle.Turn:
        with self._as_default():
            made = lifecycle.turn(self._engine, self._ended, want)
        lifecycle.log(made)
        self._ended = []
        self._untold.add(made)
        if self._running is None:
            self._page.end()
        return made

    def _give_back(self) -> None:
        if not self._unbegun:
            return
        held = list(self._unbegun)
        with self._as_default():
            made = lifecycle.hand_back_unbegun(self._engine, held)
            for claimed in held:
                if claimed.id not in made.hints:  # somebody asked it to stop, or took it over
                    lifecycle.hand_back(claimed.id, claimed.attempt, "Its slot was busy with a longer task.")
        self._unbegun.clear()
        self._untold.add(made)

    def _note(self) -> None:
        """Say on the page what is in hand, and wake the helper if there is something to look after."""
        held = [(item.id, item.attempt) for item in self._unbegun]
        held += [(item.claimed.id, item.claimed.attempt) for item in self._ended]
        if self._running is not None:
            held.append((self._running.id, self._running.attempt))
        self._page.hold(held)
        if (held or self._untold.hints) and not self._in_hand.is_set():
            self._in_hand.set()

    @contextmanager
    def _as_default(self) -> Iterator[None]:
        alias = self._connection.alias
        theirs = connections[alias]
        connections[alias] = self._connection
        try:
            yield
        finally:
            connections[alias] = theirs

    def _take_untold(self) -> lifecycle.Turn:
        untold, self._untold = self._untold, lifecycle.Turn()
        return untold

    # Neither; the lock is free.

    def _send(self, untold: lifecycle.Turn) -> None:
        if untold.notes:
            with self._lock, self._as_default():
                lifecycle.tell(untold)
        else:
            lifecycle.tell(untold)

    def _tell_strangers(self, made: lifecycle.Turn) -> None:
        for item in made.landed:
            story.tell_finished(item.run, State.COMPLETED)
