"""Redrive: run again what failed alike; one task first, then a tenth, then all, until the same error returns.

A redrive is a task like any other, so that it is seen, cancelled, and goes on after a crash. It works in
waves. Each wave is first written down (a checkpoint: the tasks, and the `rev` of each), then retried, then
waited for, the redrive being snoozed meanwhile. It ends at once when a task fails by the error of the group
again, and also when some of a wave fail otherwise and none completes: then the fix has only moved the trouble.
A wave in which nothing completed, since people cancelled it or took its tasks away, is followed by one no larger.

Run twice, or killed anywhere, it does nothing twice: a task is retried only while it is failed and its row is
at the `rev` that was written down. Whoever moves it, this redrive, an earlier attempt of it or a person,
raises that. Two redrives of one group cannot live at once (unique key).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any
from uuid import UUID

from . import lifecycle, progress
from .compat import task_backends
from .conf import redis_queues
from .context import TaskContext
from .definitions import TaskDefinition, backend_alias, find
from .exceptions import AlreadyEnqueued
from .models import FailureGroup, Task, TaskEvent, TaskQuerySet
from .states import LIVE, State

__all__ = ["CHUNK", "Started", "definition", "redrivable", "redrive", "start", "waves"]

CHUNK = 500
"""Tasks of one wave at most."""
FEWEST = 10
"""Tasks of the second wave at least."""
LONGEST_LOOK = 60.0
"""Seconds between two looks at a wave that runs: 1 at first, then twice as many each time, up to these."""
MOST_CRASHES = 20
REASON_LENGTH = 500
COUNTS = ("tried", "retried", "completed", "failed")

Wave = list[tuple[UUID, int]]
"""Tasks with the `rev` at which each was found failed."""


@dataclass(frozen=True, slots=True)
class Started:
    """What came of asking for a redrive: its task, if there is one, and a sentence for people."""

    task_id: UUID | None
    is_new: bool
    text: str


def waves(total: int) -> Iterator[int]:
    """How many tasks each wave of a redrive of so many takes."""
    for step in count():
        if total <= 0:
            return
        size = min(total, _size(step, total))
        yield size
        total -= size


def redrivable(fingerprint: str, user: Any = None) -> TaskQuerySet:
    """The failed tasks of a group, oldest first; with a user those that they may see."""
    failed = Task.objects.failed_like(fingerprint).order_by("id")
    return failed if user is None else progress.visible(user, failed)


def start(group: FailureGroup, *, actor: Any = None, reason: str) -> Started:
    """Enqueue a redrive of that group; the one that is under way, if there is one.

    With an actor it works for them, and on the tasks that they may see.
    """
    tasks = redrivable(group.fingerprint, actor)
    oldest = tasks.only("queue").first()
    if oldest is None:
        return Started(None, is_new=False, text="None of its tasks is failed now: there is nothing to redrive.")
    options = {"owner": actor, "title": f"Redrive {group}"[:255], "unique_key": group.fingerprint}
    queue = oldest.queue if oldest.queue in _queues() else None
    wanted = definition().using(queue_name=queue, on_conflict="raise", **options)
    try:
        result = wanted.enqueue(
            fingerprint=group.fingerprint, reason=reason[:REASON_LENGTH], is_limited=actor is not None
        )
    except AlreadyEnqueued as held:
        return Started(held.task.id, is_new=False, text="A redrive of this group is under way.")
    total = tasks.count()
    text = f"The redrive of {total} {'task' if total == 1 else 'tasks'} begins."
    return Started(UUID(result.id), is_new=True, text=text)


def definition() -> TaskDefinition:
    """The definition of redrives, which `taskcenter.tasks` registers. Raises UnknownDefinition where that cannot be."""
    return find(f"{redrive.__module__}.{redrive.__qualname__}")


def redrive(context: TaskContext, fingerprint: str, reason: str, *, is_limited: bool = False) -> dict[str, Any]:
    """The task. Each attempt goes on where the one before stood; most end with a snooze."""
    run = _Run(context, fingerprint, f"Redrive {context.row.id}: {reason}", is_limited)
    while wave := run.wave():
        run.retry(wave)
        seen = run.look(wave)
        if seen.returned:
            return run.stopped(seen, f"the same error returned in task {seen.returned[0].id}")
        if seen.live:
            run.wait(seen)
        if seen.failed and not seen.completed:
            return run.stopped(seen, f"another error came instead, in task {seen.failed[0].id}")
        run.advance(wave, seen)
    return run.done()


@dataclass(slots=True)
class _Seen:
    """A wave as it is now."""

    live: list[Task]
    returned: list[Task]
    """Failed by the error of the group again."""
    failed: list[Task]
    """Failed otherwise."""
    completed: int
    tried: int
    retried: int

    @property
    def counts(self) -> dict[str, int]:
        failed = len(self.failed) + len(self.returned)
        return {"tried": self.tried, "retried": self.retried, "completed": self.completed, "failed": failed}


class _Run:
    """A redrive under way. What it must remember is in the task's metadata and checkpoints."""

    def __init__(self, context: TaskContext, fingerprint: str, reason: str, is_limited: bool) -> None:
        self.context = context
        self.fingerprint = fingerprint
        self.reason = reason
        self.is_limited = is_limited
        begun = {"wave": 0, "step": 0, "after": None, "looks": 0, **dict.fromkeys(COUNTS, 0)}
        self.state: dict[str, Any] = context.metadata.setdefault("redrive", begun)
        self.total: int = context.checkpoint("total", lambda: self._tasks().count())

    def wave(self) -> Wave:
        """The tasks of the present wave, written down before the first of them is touched; empty at the end."""
        kept = self.context.checkpoint(f"wave {self.state['wave']}", self._chosen)
        return [(UUID(task_id), rev) for task_id, rev in kept]

    def retry(self, wave: Wave) -> None:
        """Retry those of the wave that nobody has touched since it was written down."""
        untouched = set(Task.objects.failed_like(self.fingerprint).filter(id__in=_ids(wave)).values_list("id", "rev"))
        for done, (task_id, rev) in enumerate(one for one in wave if one in untouched):
            if self.context.stopping or not self._owns():
                self.context.hand_back()
            self._tell("retrying", len(wave) - len(untouched) + done)
            lifecycle.retry(task_id, rev=rev, actor=self.context.row.owner, reason=self.reason)

    def look(self, wave: Wave) -> _Seen:
        planned = dict(wave)
        rows = Task.objects.filter(id__in=planned).only("id", "state", "rev", "fingerprint").order_by("id")
        moved = [row for row in rows if row.rev != planned[row.id]]
        failed = [row for row in moved if row.state == State.FAILED]
        ours = TaskEvent.objects.filter(task_id__in=planned, kind=TaskEvent.Kind.RETRIED, text=self.reason)
        return _Seen(
            live=[row for row in moved if row.state in LIVE],
            returned=[row for row in failed if row.fingerprint == self.fingerprint],
            failed=[row for row in failed if row.fingerprint != self.fingerprint],
            completed=sum(row.state == State.COMPLETED for row in moved),
            tried=len(wave),
            retried=ours.count(),
        )

    def wait(self, seen: _Seen) -> None:
        """Leave the slot to others, and look again later."""
        self._tell(f"waiting for {len(seen.live)} to end", seen.tried)
        delay = min(LONGEST_LOOK, 2.0 ** min(self.state["looks"], 10))
        self.state["looks"] += 1
        self.context.save_metadata()
        self.context.snooze(delay)

    def advance(self, wave: Wave, seen: _Seen) -> None:
        """This wave is over. That is kept at the next wait; who dies before it counts the same wave again."""
        self._add(seen)
        step = self.state["step"] + bool(seen.completed)
        self.state.update(wave=self.state["wave"] + 1, step=step, after=wave[-1][0].hex, looks=0)
        self._tell("retrying", 0)

    def stopped(self, seen: _Seen, why: str) -> dict[str, Any]:
        self._add(seen)
        told = (
            f"Stopped: {why}. {self.state['retried']} of {self.total} tasks were retried, the others are as they were."
        )
        return self._outcome("Redrive stopped", told, stopped=True)

    def done(self) -> dict[str, Any]:
        state = self.state
        told = (
            f"{state['retried']} of {self.total} tasks were retried: {state['completed']} completed, "
            f"{state['failed']} failed otherwise. The same error did not return."
        )
        return self._outcome("Redrive done", told, stopped=False)

    def _outcome(self, title: str, text: str, *, stopped: bool) -> dict[str, Any]:
        counts = {name: self.state[name] for name in COUNTS[1:]}
        facts = {"Tasks": self.total, **{name.capitalize(): value for name, value in counts.items()}}
        self.context.report(title=title, data={"summary": text, "facts": facts})
        return {"stopped": stopped, "text": text, "tasks": self.total, **counts}

    def _owns(self) -> bool:
        """Whether this attempt is still the redrive's: one that was frozen and is woken has a successor by now."""
        row = self.context.row
        return Task.objects.of_attempt(row.id, row.attempt).exists()

    def _tasks(self) -> TaskQuerySet:
        """What was failed when the redrive was asked for; nothing if who asked for it is gone."""
        owner = self.context.row.owner
        if self.is_limited and owner is None:
            return Task.objects.none()
        tasks = redrivable(self.fingerprint, owner if self.is_limited else None)
        return tasks.filter(finished_at__lte=self.context.row.created_at)

    def _chosen(self) -> list[tuple[str, int]]:
        after, size = self.state["after"], _size(self.state["step"], self.total - self.state["tried"])
        tasks = self._tasks()
        rows = (tasks.filter(id__gt=UUID(after)) if after else tasks).values_list("id", "rev")[:size]
        return [(task_id.hex, rev) for task_id, rev in rows]

    def _add(self, seen: _Seen) -> None:
        for name, number in seen.counts.items():
            self.state[name] += number

    def _tell(self, what: str, of_wave: int) -> None:
        """Progress; raises Cancelled when somebody asked the redrive to stop."""
        done = min(self.state["tried"] + of_wave, self.total)
        fraction = done / self.total if self.total else None
        self.context.progress.set(fraction, what, done=done, total=self.total, unit="tasks")


def _size(step: int, left: int) -> int:
    match step:
        case 0:
            return 1
        case 1:
            return min(max(FEWEST, left // 10), CHUNK)
    return CHUNK


def _ids(wave: Wave) -> list[UUID]:
    return [task_id for task_id, _ in wave]


def _queues() -> list[str]:
    """The queues that a redrive may be on."""
    allowed = task_backends[backend_alias()].queues
    return [name for name in redis_queues() if not allowed or name in allowed]
