"""What the parent does in the database now and then. Safety needs no scheduler: each heartbeat sweeps."""

from __future__ import annotations

import logging
import os
import socket
import time
import uuid

from django.db import close_old_connections

from taskcenter import lifecycle, minutes
from taskcenter.conf import get_settings
from taskcenter.definitions import known_names
from taskcenter.models import Task, Worker
from taskcenter.models.clock import Steps
from taskcenter.models.event import wishes
from taskcenter.recovery import TaskRecovery, lifelines

from . import aftermath
from .family import Family
from .outage import DATABASE, Outages
from .page import Attempt
from .stacks import Stacks

__all__ = ["Chores"]

logger = logging.getLogger("taskcenter")

ASK = 1.0
"""Seconds between two questions for what people want of running tasks, and two looks at this host's other workers."""
STOPPED_BY_RQ = "Stopped by a command from RQ."


class Chores:
    """One worker's row, and what its parent owes to the tasks of its slots and of dead workers."""

    def __init__(self, family: Family, outages: Outages) -> None:
        self.family = family
        self.outages = outages
        self.row_id = uuid.uuid4()
        self.registered = False
        self.lifeline: lifelines.Lifeline | None = None
        self.cancels: list[uuid.UUID] = []
        """Tasks that somebody wants stopped, by RQ's commands."""
        self.stacks = Stacks()
        self._asked_at = 0.0
        self._beat_at: float | None = None
        self._judge_from = 0.0
        self._steps = Steps(get_settings().STALE_AFTER / 2)
        self._unknown: set[Attempt] = set()

    def do_due(self) -> None:
        """Whatever is due now; an outage is said and tried again later."""
        now = time.monotonic()
        self._bury_the_dead()
        if self.cancels:
            self.outages.attempt(DATABASE, self._cancel)
        if now >= self._asked_at + ASK:
            self._asked_at = now
            self.outages.attempt(DATABASE, self._pass_on_wishes)
            if lifelines.broken():
                self.outages.attempt(DATABASE, self._recover_neighbours)
        if self.stacks.look():
            self.outages.attempt(DATABASE, self._tell_stacks)
        if self._is_beat_due(now) and self.outages.attempt(DATABASE, self._beat):
            self.outages.attempt(DATABASE, self._sweep)
            self.outages.attempt(DATABASE, self._hand_back_unknown)
            self.outages.attempt(DATABASE, self._roll_up)

    def do_while_ending(self) -> None:
        """Only what the slots that still run need."""
        self._bury_the_dead()
        if self.registered and self._is_beat_due(time.monotonic()):
            self.outages.attempt(DATABASE, self._beat)

    def close(self) -> None:
        """The last words. What cannot be written now is found by others, as the work of a dead worker."""
        self._bury_the_dead(at_once=True)
        if self.registered and self.outages.attempt(DATABASE, self._retire, at_once=True):
            self._let_go()  # else whoever finds the lifeline broken writes what we could not

    def nothing_left(self) -> bool:
        """Whether a worker in burst mode has done all that it can do."""
        try:
            return not Task.objects.claimable(self.family.queues, known_names()).exists()
        except Exception:  # noqa: BLE001 an outage; the slots tell of it
            return False
        finally:
            close_old_connections()

    # Our row.

    def _is_beat_due(self, now: float) -> bool:
        return self._beat_at is None or now >= self._beat_at + get_settings().HEARTBEAT

    def _beat(self) -> None:
        """Say that we live."""
        close_old_connections()
        if not self.registered:
            self._register()
        elif not Worker.objects.beat(self.row_id):
            # Somebody took us for dead while we were stopped: a new incarnation, fenced from the old.
            logger.warning("Worker %s was taken for dead; it registers anew", self.row_id)
            self.row_id = uuid.uuid4()
            self._register()
        now = time.monotonic()
        delayed = self._beat_at is not None and now > self._beat_at + 2 * get_settings().HEARTBEAT
        if self._steps.look(Worker.objects.db) or delayed:
            # What kept us from beating may have kept the others too; and when the clock was set, all that
            # was written before looks old at once. Give them time before we judge them.
            self._judge_from = now + get_settings().STALE_AFTER
        self._beat_at = now

    def _register(self) -> None:
        self._let_go()
        self.lifeline = lifelines.hold(self.row_id)
        Worker.objects.register(
            id=self.row_id,
            name=self.family.name,
            host=socket.gethostname(),
            pid=os.getpid(),
            queues=self.family.queues,
            slots=len(self.family.children),
            definitions=known_names(),
        )
        for child in self.family.children:
            child.page.worker_id = self.row_id
        self.registered = True

    def _retire(self) -> None:
        Worker.objects.retire(self.row_id)

    def _let_go(self) -> None:
        if self.lifeline is not None:
            self.lifeline.drop()
            self.lifeline = None

    # Tasks.

    def _bury_the_dead(self, *, at_once: bool = False) -> None:
        """Write what dead slots could not. A death is forgotten only when all of it is written."""
        for death in list(self.family.deaths):
            if self.outages.attempt(DATABASE, aftermath.settle, death, at_once=at_once):
                self.family.deaths.remove(death)

    def _cancel(self) -> None:
        while self.cancels:
            outcome = lifecycle.request_cancel(self.cancels[0], reason=STOPPED_BY_RQ)
            logger.info("RQ asked to stop task %s: %s", self.cancels.pop(0), outcome.text)

    def _pass_on_wishes(self) -> None:
        """What people want of the tasks that run here: that they stop, or a look at their stacks."""
        children = {(running.task_id, running.attempt): child for child, running in self.family.busy()}
        if not children:
            return
        ids = [task_id for task_id, _ in children]
        for wish in wishes(ids):
            attempt = (wish.task_id, wish.attempt)
            child = children.get(attempt)
            if child is not None and wish.cancelled:
                child.tell_cancelled(attempt)
            if child is not None and wish.wants_stack:
                self.stacks.ask(attempt, child.pid, child.stack)
        close_old_connections()

    def _tell_stacks(self) -> None:
        self.stacks.tell()
        close_old_connections()

    def _sweep(self) -> None:
        """Put right what dead workers left behind."""
        if time.monotonic() >= self._judge_from:
            self._recovery().recover_stuck_tasks()
        close_old_connections()

    def _roll_up(self) -> None:
        """Count what ended, where no scheduler does."""
        minutes.roll_up_if_late()
        close_old_connections()

    def _recover_neighbours(self) -> None:
        """Put right at once what a worker of this host left behind that has just died."""
        self._recovery().recover_neighbours()
        close_old_connections()

    def _recovery(self) -> TaskRecovery:
        """A sweep must not cost the next beat."""
        return TaskRecovery(seconds=get_settings().HEARTBEAT / 2)

    def _hand_back_unknown(self) -> None:
        """Tasks in our name that nobody here knows of: claimed by a slot that died before it said so."""
        known = self.family.known()
        held = set(Task.objects.held_by(self.row_id).values_list("id", "attempt")) - known
        for task_id, attempt in held & self._unknown:
            lifecycle.hand_back(task_id, attempt, aftermath.UNBEGUN)
        self._unknown = held - self._unknown
        close_old_connections()
