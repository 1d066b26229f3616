"""One slot: a child process that claims, runs and finishes tasks.

Claim first, Redis only wakes. What has ended is written with the next claim, and short tasks are claimed
several at a time (see desk.py). When a claim is empty, the slot waits for a pointer (see bell.py).
"""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Sequence
from types import FrameType

from django.db import DatabaseError, InterfaceError, close_old_connections

from taskcenter import lifecycle
from taskcenter.compat import strangers_listen, task_finished
from taskcenter.conf import get_settings
from taskcenter.definitions import known_names
from taskcenter.models import Task
from taskcenter.models.engine import Claimed, Want
from taskcenter.states import FINAL, State

from . import story
from .bell import Bell
from .desk import Desk
from .memory import memory_used
from .page import Attempt, Page
from .process import die_with_parent, reset_signals
from .trouble import Trouble

__all__ = ["Slot"]

logger = logging.getLogger("taskcenter")

SELF_CLAIM = 1.0
"""Seconds an idle slot waits for a pointer before it looks by itself."""
BATCH_SECONDS = 0.045
"""How long a batch should take: with tasks that run longer than half of it there are no batches."""
WORTH_AHEAD = 0.002
"""Mean seconds of a task while which another thread may as well make the next turn: a turn takes about as long."""
REMEMBERED = 0.1
"""How much the latest run counts in the mean run time."""
MEMORY_CHECK = 1.0
"""Seconds between two looks at the memory this process takes."""


class Stop(BaseException):
    """The parent wants this slot to end, and it is only waiting."""


class Slot:
    """The loop of one slot; `work()` returns when the parent wants it to end, or it is worn out."""

    def __init__(
        self,
        page: Page,
        queues: Sequence[str],
        *,
        name: str = "",
        burst: bool = False,
        max_tasks: int | None = None,
        max_memory: int | None = None,
    ) -> None:
        self.page = page
        self.queues = tuple(queues)
        self.definitions = tuple(known_names())
        self.burst = burst
        self.max_tasks = max_tasks
        self.max_memory = max_memory
        self.ran = 0
        self.desk = Desk(page)
        self._mean = BATCH_SECONDS  # an unknown queue begins with one task at a time
        self._memory_seen = 0.0
        self._trouble = Trouble()
        self.bell = Bell(self.queues, name, self._trouble)

    def main(self, parent_pid: int) -> None:
        """The whole life of the child process; never returns."""
        code = 1
        try:
            reset_signals()
            signal.signal(signal.SIGTERM, self._on_term)
            die_with_parent(parent_pid)
            self.work()
            code = 0
        except Stop:
            code = 0
        except BaseException:
            logger.exception("A slot ended by an error of its own")
        finally:
            logging.shutdown()
            os._exit(code)

    def work(self) -> None:
        self.desk.open()
        while not self._is_over():
            try:
                if not self._turn() and not self._idle():
                    break
                self._trouble.is_over("The database")
            except (DatabaseError, InterfaceError) as error:
                self.desk.reconnect()
                self._trouble.rest("The database", error)
        self._leave()

    def _is_over(self) -> bool:
        return self.page.stopping or self._is_worn_out()

    def _turn(self) -> bool:
        """Write what has ended, claim, run; whether anything was claimed."""
        if self.page.paused:
            self.desk.turn(None)
            return False
        claimed = self.desk.turn(self._want() if self.desk.is_empty else None)
        while not self.page.stopping and (row := self.desk.next(self._want_ahead)):
            self._run(row)
        self.bell.owe(self.desk.claimed_from())
        return bool(claimed)

    def _want(self, *, in_hand: int = 0) -> Want:
        return Want(self.queues, self.definitions, self.page.worker_id, self._batch_size(in_hand))

    def _want_ahead(self) -> Want | None:
        """What to claim while the last task in hand runs; None where that is soon over, or nothing more is wanted.

        Half a batch: nobody waits for the claim, and the less lies here, the more is left for an idle slot.
        """
        if self._mean < WORTH_AHEAD or self.page.paused or self.page.stopping:
            return None
        want = self._want(in_hand=1)
        return want._replace(limit=want.limit // 2) if want.limit > 1 else None

    def _run(self, claimed: Claimed) -> None:
        """Run it. An error of ours leaves the page as it is and ends the slot: the parent counts a crash."""
        self.ran += 1
        attempt = story.Attempt(claimed, PageListener(self.page, (claimed.id, claimed.attempt)))
        ending = story.perform(attempt)
        if isinstance(ending, story.Returned):
            took = self.desk.done(attempt.ended(ending))
        else:
            self._end_otherwise(attempt, ending)
            took = self.desk.done(None)
        self._learn(took)

    def _end_otherwise(self, attempt: story.Attempt, ending: BaseException) -> None:
        try:
            with self.desk.at_the_database():
                outcome = story.end(attempt, ending)
        except (DatabaseError, InterfaceError) as error:
            claimed = attempt.claimed
            raise RuntimeError(f"Attempt {claimed.attempt} of task {claimed.id} could not be ended") from error
        if outcome.moved and outcome.state in FINAL:
            story.tell_finished(attempt, State(outcome.state))

    def _learn(self, seconds: float) -> None:
        self._mean += (seconds - self._mean) * REMEMBERED

    def _batch_size(self, in_hand: int = 0) -> int:
        """As many tasks as fit into a batch's time, by the recent mean; a power of two, so that few statements do.

        One, when a stranger listens to their ends: he is to hear of each before the next begins.
        """
        most = get_settings().BATCH
        if most == 1 or strangers_listen(task_finished):
            return 1
        fits = int(BATCH_SECONDS / self._mean) if self._mean * most > BATCH_SECONDS else most
        left = self.max_tasks - self.ran - in_hand if self.max_tasks else most
        return 1 << (max(1, min(most, fits, left)).bit_length() - 1)

    def _is_worn_out(self) -> bool:
        if self.max_tasks and self.ran >= self.max_tasks:
            return True
        if not self.max_memory or time.monotonic() < self._memory_seen + MEMORY_CHECK:
            return False
        self._memory_seen = time.monotonic()
        return (memory_used(os.getpid()) or 0) > self.max_memory

    def _leave(self) -> None:
        """Write what has ended, give back the rest; the parent's grace is the limit of trying."""
        while not self.desk.is_clear:
            try:
                self.desk.hand_back()
                self.desk.turn(None)
            except (DatabaseError, InterfaceError) as error:
                self.desk.reconnect()
                self._trouble.rest("The database", error)
        self.desk.tell()

    # Waiting.

    def _idle(self) -> bool:
        """Nothing could be claimed: tell what is untold, wait for a pointer. False: the burst is over."""
        self.desk.tell()
        close_old_connections()
        if self.page.paused:
            time.sleep(SELF_CLAIM / 10)
            return True
        if self.bell.pop_owed() or self.page.stopping or self.bell.wait(0.05 if self.burst else SELF_CLAIM):
            return True
        return bool(self._promoted()) or not self.burst or self._anything_left()

    def _promoted(self) -> int:
        with self.desk.at_the_database():
            return lifecycle.promote()

    def _anything_left(self) -> bool:
        with self.desk.at_the_database():
            return Task.objects.claimable(self.queues, self.definitions).exists()

    def _on_term(self, _signum: int, _frame: FrameType | None) -> None:
        self.page.stopping = True
        if self.bell.is_waiting:
            raise Stop


class PageListener:
    """Hears from the parent through the shared page: no query, no round trip."""

    def __init__(self, page: Page, attempt: Attempt) -> None:
        self._page = page
        self._attempt = attempt

    def cancelled(self) -> bool:
        return self._page.cancelled == self._attempt

    def stopping(self) -> bool:
        return self._page.stopping
