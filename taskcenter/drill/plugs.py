"""What is pulled in a drill, each plug once a round; and how one sees that it really came out."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from random import Random
from typing import NamedTuple
from uuid import UUID

from django.db import DatabaseError, InterfaceError, connections
from django.utils import timezone

from taskcenter.models import Task, TaskEvent, Worker

from . import interrupts
from .crew import SCHEDULER, SLOTS, WORKERS, Crew
from .load import Load
from .stage import Stage

__all__ = ["EACH", "PLUGS", "Pull", "Scene", "pull"]

PATIENCE = 60.0
"""Seconds that things may take to be as they should: a net for slow machines, never a measure."""
EACH = 10.0
"""Seconds that one plug takes, on the whole."""
TRIES = 5
"""How often one strikes until it hits a task that had not just ended."""
AWAY = 3.0
"""Seconds that a server stays away."""
LONG = ("nap", "walk")
"""Kinds that run long enough to be caught in the act."""


class Running(NamedTuple):
    """An attempt in the middle of its work."""

    task_id: UUID
    attempt: int
    pid: int


@dataclass(slots=True)
class Pull:
    """One plug that was pulled."""

    plug: str
    what: str = ""
    """Which one, in words."""
    fired: bool = False
    """Whether it happened, and hit something."""
    right_after: float | None = None
    """Seconds until what it hit was put right; None: it was not."""
    came: str = ""
    """What was seen to be put right, in words."""
    since: float = 0.0
    """When it began (`time.monotonic()`), or the server was back."""


@dataclass(slots=True)
class Scene:
    """Everything a plug may be pulled out of."""

    stage: Stage
    crew: Crew
    load: Load
    rng: Random
    pulls: list[Pull] = field(default_factory=list)

    def until(self, condition: Callable[[], object], seconds: float = PATIENCE) -> bool:
        """Whether it came true in time, the crew being looked after; a database that is away is no answer."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            interrupts.check()
            self.crew.tend()
            try:
                if condition():
                    return True
            except (DatabaseError, InterfaceError):
                connections.close_all()
            time.sleep(0.05)
        return False

    def is_complete(self) -> bool:
        """Whether all that should run does, and is known: a server must not go while a worker is starting."""
        alive = set(Worker.objects.alive().values_list("pid", flat=True))
        workers = self.crew.workers()
        ready = all(pid in alive and len(self.crew.slots(name)) == SLOTS for name, pid in workers.items())
        return ready and len(workers) == WORKERS and self.crew.is_settled(SCHEDULER)

    def pause(self, seconds: float) -> None:
        self.until(lambda: False, seconds)

    def running(self) -> list[Running]:
        """Attempts caught in the act: by the ledger, and their rows say the same."""
        under_way = [Running(*one) for one in self.stage.ledger.under_way()]
        rows = Task.objects.processing().filter(id__in=[one.task_id for one in under_way])
        owned = {
            (id_, attempt) for id_, attempt, name in rows.values_list("id", "attempt", "definition") if _is_long(name)
        }
        return [one for one in under_way if (one.task_id, one.attempt) in owned]

    def caught(self) -> tuple[str, list[Running]]:
        """A worker with what it runs; ("", []) when nobody can be caught in time."""
        found: dict[str, list[Running]] = {}

        def look() -> bool:
            running = self.running()
            for name in self.crew.workers():
                slots = self.crew.slots(name)
                found[name] = [one for one in running if one.pid in slots]
            return any(found.values())

        if not self.until(look):
            return "", []
        name = self.rng.choice(sorted(name for name, running in found.items() if running))
        return name, found[name]

    def begun_again(self, hit: list[Running]) -> bool:
        """Whether each of these has begun anew, or came to its end before it was hit."""
        begun = self.stage.ledger.read().begun
        final = set(Task.objects.finished().filter(id__in=[one.task_id for one in hit]).values_list("id", flat=True))
        return all(one.task_id in final or max(begun[one.task_id]) > one.attempt for one in hit)

    def moves(self, since: object) -> bool:
        """Whether a task that was enqueued after that moment has ended."""
        return Task.objects.finished().filter(created_at__gt=since).exists()


def _is_long(definition: str) -> bool:
    return definition.rpartition(".")[2] in LONG


def _struck(scene: Scene, strike: Callable[[str, list[Running]], list[Running]]) -> tuple[str, list[Running]]:
    """Strike at a worker in the middle of its work: its name, and what was hit and had not just come to its end."""
    name = ""
    for _ in range(TRIES):
        name, running = scene.caught()
        aimed = strike(name, running) if running else []
        under_way = set(scene.stage.ledger.under_way())
        if hit := [one for one in aimed if one in under_way]:
            return name, hit
        scene.crew.thaw()
        scene.until(scene.is_complete)
    return name, []


def _slot_killed(scene: Scene, told: Pull) -> Callable[[], bool]:
    def strike(_: str, running: list[Running]) -> list[Running]:
        one = scene.rng.choice(running)
        with contextlib.suppress(ProcessLookupError):
            os.kill(one.pid, signal.SIGKILL)
            return [one]
        return []

    name, hit = _struck(scene, strike)
    told.fired = bool(hit)
    told.what = f"kill -9 of a slot of {name or 'a worker'} in the middle of a task"
    told.came = "the task began anew"
    return lambda: scene.begun_again(hit)


def _worker_killed(scene: Scene, told: Pull) -> Callable[[], bool]:
    name, hit = _struck(scene, lambda name, running: running if scene.crew.kill9(name) else [])
    told.fired = bool(hit)
    told.what = f"kill -9 of {name or 'a worker'} while it ran {_count(len(hit), 'task')}"
    told.came = "all of them began anew"
    return lambda: scene.begun_again(hit)


def _worker_frozen(scene: Scene, told: Pull) -> Callable[[], bool]:
    """Its tasks are taken over meanwhile; then it wakes, and writes what it no longer may."""
    before = set(Worker.objects.values_list("id", flat=True))

    def strike(name: str, running: list[Running]) -> list[Running]:
        scene.crew.freeze(name)
        return running

    name, hit = _struck(scene, strike)
    told.what = (
        f"SIGSTOP of {name or 'a worker'} and its slots beyond STALE_AFTER, while it ran {_count(len(hit), 'task')}"
    )
    if not hit:
        return lambda: False
    pid = scene.crew.pid(name)
    told.since = time.monotonic()
    told.fired = scene.until(lambda: _taken_over(hit))
    taken = time.monotonic() - told.since
    scene.crew.thaw()
    # It need not: it may have woken after its tasks were taken over, and before its row was retired.
    anew = scene.until(lambda: Worker.objects.filter(pid=pid).exclude(id__in=before).exists(), AWAY)
    late = TaskEvent.objects.filter(task_id__in=[one.task_id for one in hit], kind=TaskEvent.Kind.SUPERSEDED)
    scene.until(late.exists, AWAY)
    words = [f"others took over, {taken:.1f} s after the stop", "it woke" + (" and registered anew" if anew else "")]
    if late.exists():
        words.append(f"{_count(late.count(), 'late result')} of it set aside")
    told.came = "; ".join(words)
    return lambda: scene.begun_again(hit)


def _scheduler_killed(scene: Scene, told: Pull) -> Callable[[], bool]:
    told.fired = scene.until(lambda: scene.crew.pid(SCHEDULER)) and scene.crew.kill9(SCHEDULER)
    told.what = "kill -9 of the scheduler"
    told.came = "new tasks ended without it"
    since = timezone.now()
    return lambda: scene.moves(since)


def _redis_flushed(scene: Scene, told: Pull) -> Callable[[], bool]:
    with scene.stage.redis() as client:
        scene.until(client.dbsize)  # after a restart its clients leave it alone for a moment
        keys: int = client.dbsize()
        told.what = f"FLUSHALL of Redis, {keys} keys"
        told.fired = bool(keys) and bool(client.flushall())
    told.came = "new tasks ended"
    since = timezone.now()
    return lambda: scene.moves(since)


def _redis_restarted(scene: Scene, told: Pull) -> Callable[[], bool]:
    since = timezone.now()
    scene.stage.valkey.kill9()
    told.fired = not scene.stage.valkey.answers()
    moved = scene.until(lambda: scene.moves(since), AWAY)
    scene.pause(AWAY / 3)
    scene.stage.valkey.restart()
    told.what = "kill -9 of Redis, nothing kept; started again, empty, a few seconds later"
    told.came = "new tasks ended" + (", some already while it was away" if moved else "")
    back = timezone.now()
    return lambda: scene.moves(back)


def _postgres_restarted(scene: Scene, told: Pull) -> Callable[[], bool]:
    hit = scene.caught()[1] and scene.running()
    scene.stage.postgres.kill9()
    told.fired = not scene.stage.postgres.answers()
    scene.pause(AWAY / 2)
    scene.stage.postgres.restart()
    told.what = f"kill -9 of PostgreSQL while {_count(len(hit), 'task')} ran; started again {AWAY / 2:g} s later"
    told.came = "those ended, and new ones too"
    back = timezone.now()
    return lambda: scene.moves(back) and not _still_running(hit)


PLUGS = {
    "slot killed": _slot_killed,
    "worker killed": _worker_killed,
    "worker frozen": _worker_frozen,
    "scheduler killed": _scheduler_killed,
    "Redis flushed": _redis_flushed,
    "Redis restarted": _redis_restarted,
    "PostgreSQL restarted": _postgres_restarted,
}


def pull(scene: Scene, name: str) -> Iterator[Pull]:
    """Pull one plug, then wait until what it hit is put right; told of at both moments."""
    told = Pull(name)
    scene.pulls.append(told)
    is_right = PLUGS[name](scene, told)
    told.since = told.since or time.monotonic()
    yield told
    if told.fired and scene.until(is_right):
        told.right_after = round(time.monotonic() - told.since, 1)
    yield told


def _taken_over(hit: list[Running]) -> bool:
    return not any(Task.objects.of_attempt(one.task_id, one.attempt).exists() for one in hit)


def _still_running(hit: list[Running]) -> bool:
    return Task.objects.processing().filter(id__in=[one.task_id for one in hit]).exists()


def _count(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
