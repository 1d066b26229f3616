"""The order of things: a crew, a load, chaos; then quiet, an orderly stop, and the verdict."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Event

import redis

from taskcenter.models import Notification, Report, Task, TaskEvent

from . import leftovers
from .chaos import Chaos, Kill
from .crew import SLOTS, Crew
from .generator import Generator, Promises
from .house import House
from .marks import Marks
from .plan import Order, make_plan
from .verdict import Evidence, Kept, Row, Told, Violation, judge
from .watch import Watch, live, stuck

__all__ = ["Findings", "Options", "soak"]

PATIENCE = 60.0
"""Seconds without a single task that ends, after which the rest is stuck."""
SETTLE = 30.0
"""Seconds in which what is left behind must have been put away."""
CHUNK = 5000
NEWS = 10.0

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    seed: int
    seconds: float
    tasks: int
    workers: int = 3
    schedulers: int = 1
    database: str = "postgres"


@dataclass(slots=True, kw_only=True)
class Findings:
    evidence: Evidence
    fired: Counter[str]
    kills: list[Kill]
    took: float
    """Seconds from the first enqueue until nothing was live."""
    longest_idle: float
    swept: int = 0
    set_aside: int = 0
    """Results of superseded attempts that came late and did not land."""
    complaints: Counter[str] = field(default_factory=Counter)
    """Errors in the logs of the crew; what they are worth is for people to judge."""
    violations: list[Violation] = field(default_factory=list)


def soak(options: Options, house: House, say: Say) -> Findings:
    """One run; raises what the generator raised. No process of the crew is left after it."""
    with redis.Redis.from_url(os.environ["REDIS_URL"], socket_timeout=5) as client:
        crew = Crew(house, options.workers, options.schedulers)
        try:
            return _Run(options, house, crew, client, say).whole()
        finally:
            crew.end()


class _Run:
    def __init__(self, options: Options, house: House, crew: Crew, client: redis.Redis, say: Say) -> None:
        self.options, self.house, self.crew, self.client, self.say = options, house, crew, client, say
        self.chaos = Chaos(options.seed, options.seconds, crew, house)
        self.watch = Watch()
        self.promises = Promises()
        self.violations: list[Violation] = []
        self._news_at = 0.0

    def whole(self) -> Findings:
        options = self.options
        slots = options.workers * SLOTS
        plan = make_plan(seed=options.seed, seconds=options.seconds, tasks=options.tasks, slots=slots)
        self._muster()
        begun = time.monotonic()
        self._load(plan, begun)
        self._drain()
        took = time.monotonic() - begun
        swept = self._put_away()
        evidence = gather(self.promises, Marks.read(self.house.marks))
        self.violations += judge(evidence)
        return Findings(
            evidence=evidence,
            fired=self.chaos.fired,
            kills=self.chaos.kills,
            took=took,
            longest_idle=self.watch.longest_idle,
            swept=swept,
            set_aside=TaskEvent.objects.filter(kind=TaskEvent.Kind.SUPERSEDED).count(),
            complaints=leftovers.complaints(self.house.logs),
            violations=self.violations,
        )

    def _muster(self) -> None:
        """Everybody is at work before the first fault."""
        self._within(PATIENCE, lambda: len(self.crew.at_work()) == self.crew.size or bool(self.crew.deaths))
        if self.crew.deaths or len(self.crew.at_work()) < self.crew.size:
            raise RuntimeError(f"The workers did not start; see {self.house.logs}.")

    def _load(self, plan: Sequence[Order], begun: float) -> None:
        stop = Event()
        with ThreadPoolExecutor(1) as pool:
            load = pool.submit(Generator(plan, self.promises, stop).run)
            try:
                while self._goes_on(load, begun):
                    self.chaos.strike()
                    self._tend(begun)
            finally:
                stop.set()
        self.crew.thaw()
        load.result()

    def _goes_on(self, load: Future[None], begun: float) -> bool:
        if not load.done():
            return True
        return load.exception() is None and time.monotonic() < begun + self.options.seconds

    def _drain(self) -> None:
        while Task.objects.live().exists():
            if self.watch.quiet > PATIENCE:
                self.violations.append(("I1", f"{live()} tasks are stuck: nothing has ended for {PATIENCE:g} s"))
                self.violations += [("stuck", line) for line in stuck()]
                return
            self._tend()

    def _put_away(self) -> int:
        """While workers live, the queues run empty and dead workers are retired; then nobody is left."""
        self._expect("I4", "pointers stand in the queues", lambda: leftovers.pointers_listed(self.client))
        self._expect("I9", "rows of dead workers", lambda: abs(leftovers.unretired() - self.crew.size))
        self.violations += [("I9", trouble) for trouble in [*self.crew.deaths, *self.crew.stop()]]
        self._expect("I9", "worker rows are left", leftovers.unretired)
        self._expect("I9", "processes are left", lambda: len(self.crew.strays()))
        self._expect("I9", "connections to the database are left", leftovers.connections_open)
        swept = leftovers.sweep()
        self.violations += leftovers.keys(self.client, self.promises)
        return swept

    def _expect(self, rule: str, what: str, count: Callable[[], int]) -> None:
        """That a count comes down to 0 in time."""
        if not self._within(SETTLE, lambda: not count()):
            self.violations.append((rule, f"{count()} {what}"))

    def _within(self, seconds: float, condition: Callable[[], bool]) -> bool:
        until = time.monotonic() + seconds
        while not (held := condition()) and time.monotonic() < until:
            self._tend()
        return held

    def _tend(self, begun: float = 0.0) -> None:
        self.crew.tend()
        self.watch.look()
        if begun and time.monotonic() > self._news_at + NEWS:
            self._news_at = time.monotonic()
            enqueued, waiting = len(self.promises.kinds), live()
            faults = sum(self.chaos.fired.values())
            self.say(f"{time.monotonic() - begun:5.0f} s: {enqueued:,} enqueued, {waiting:,} live, {faults} faults")
        time.sleep(0.05)


def gather(promises: Promises, marks: Marks) -> Evidence:
    """Everything in the database that is judged, in three queries."""
    rows = (Row(*values) for values in Task.objects.values_list(*Row._fields).iterator(chunk_size=CHUNK))
    evidence = Evidence(promises, marks, {row.id: row for row in rows})
    reports = Report.objects.final().order_by("id").values_list("task_id", *Kept._fields)
    for task_id, *values in reports.iterator(chunk_size=CHUNK):
        evidence.reports[task_id].append(Kept(*values))
    told = Notification.objects.order_by("id").values_list("task_id", *Told._fields)
    for task_id, *values in told.iterator(chunk_size=CHUNK):
        evidence.notifications[task_id].append(Told(*values))
    return evidence
