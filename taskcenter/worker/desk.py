"""What a slot has in hand: tasks not begun, ends not written, changes not told. Two threads share it.

The slot's own thread runs tasks, and writes what has ended together with the next claim. The helper
thread is awake only while something is in hand. It sees to it that nobody waits for a slow task: once
one has run for `SLOW` seconds, what is finished is written and the rest, not begun, is handed back; and
nothing that has ended stays unseen for longer than `UNSEEN`. They take turns under one lock, which is never held while
a task runs.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import DatabaseError, InterfaceError, connections

from taskcenter import lifecycle
from taskcenter.models.engine import Claimed, Ended, Want, engine_of, own_connection
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
        self._lock = threading.Lock()
        self._in_hand = threading.Event()
        self._helper = threading.Thread(target=self._help, name="taskcenter-helper", daemon=True)

    # The slot's own thread.

    def open(self) -> None:
        self._helper.start()

    def turn(self, want: Want | None) -> list[Claimed]:
        """Write what has ended and claim what is wanted; raises database errors and then forgets nothing."""
        with self._lock:
            made = self._write(want)
            self._unbegun.extend(made.claimed)
            self._note()
        self._tell_strangers(made)
        return made.claimed

    def next(self) -> Claimed | None:
        """Begin the next task in hand. One that must run alone waits until all before it is written."""
        with self._lock:
            if self._unbegun and self._ended and self._unbegun[0].is_careful:
                self._write(None)
                self._note()
            if not self._unbegun:
                return None
            claimed = self._running = self._unbegun.popleft()
            self._begun = time.monotonic()
            self._page.begin(Running(claimed.id, claimed.attempt, self._begun, claimed.timeout or 0))
            return claimed

    def done(self, ended: Ended | None) -> float:
        """The task begun last has ended; with its end if that is still to be written. Seconds it took.

        One that must not be begun twice stays on the page until its end is written: were it taken for
        unbegun, it would run again.
        """
        now = time.monotonic()
        with self._lock:
            self._running = None
            if ended is None:
                self._page.end()
                self._note()
                return now - self._begun
            self._oldest_end = self._oldest_end if self._ended else now
            self._ended.append(ended)
            if ended.claimed.max_crashes:
                self._page.end()
        return now - self._begun

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
            time.sleep(LOOK)
            try:
                self._look()
            except (DatabaseError, InterfaceError):
                self.reconnect()  # the other thread meets the same, says so, and tries again
            except Exception:
                logger.exception("A slot's helper met an error; it goes on")

    def _look(self) -> None:
        with self._lock:
            made = self._relieve(time.monotonic())
            untold = self._take_untold()
            if not (self._unbegun or self._ended):
                self._in_hand.clear()
        self._tell_strangers(made)
        self._send(untold)

    def _relieve(self, now: float) -> lifecycle.Turn:
        """Write what has waited too long, and hand back what would."""
        is_slow = self._running is not None and now - self._begun >= SLOW
        made = lifecycle.Turn()
        if self._ended and (is_slow or now - self._oldest_end >= UNSEEN):
            made = self._write(None)
        if self._unbegun and is_slow:
            self._give_back()
        if made.landed or is_slow:
            self._note()
        return made

    # Both; the lock is held.

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
