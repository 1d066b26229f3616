"""Redis beside the database: pointers that are missing, pointers that point nowhere.

After FLUSHALL, a failover or a restart without persistence nothing is lost but wake-ups. What waits needs
waking, not mirroring: a queue is given `ENOUGH` pointers at most, and no more rows than that are read,
however many wait. What orphans cost goes by the pointers that Redis holds, not by the rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from uuid import UUID

from taskcenter import pointers
from taskcenter.conf import redis_queues
from taskcenter.models import Task
from taskcenter.pointers import CHUNK, ENOUGH

__all__ = ["Difference", "Reconciled", "compare", "delete_orphans", "fill_up"]


@dataclass(slots=True)
class Difference:
    """What was different in one queue."""

    queue: str
    waiting: int
    """Waiting tasks; no more than `ENOUGH` are counted."""
    more: bool
    """Whether more than that wait."""
    pointers: int
    """The length of its list before."""
    orphans: int
    """Pointers and job hashes of tasks that have ended or are gone: deleted."""
    pushed: int
    """Pointers that were missing: put back."""


@dataclass(slots=True)
class Reconciled:
    promoted: int = 0
    """Scheduled tasks whose time had come."""
    queues: list[Difference] = field(default_factory=list)

    @property
    def did_anything(self) -> bool:
        return bool(self.promoted or any(one.orphans or one.pushed for one in self.queues))


def compare(queues: Sequence[str], *, dry_run: bool) -> list[Difference]:
    """Put right what differs, or only count it. Raises the errors of an unreachable Redis."""
    before = {queue: pointers.length(queue) for queue in queues}
    orphans = delete_orphans(queues, dry_run=dry_run)
    return [_difference(queue, before[queue], orphans[queue], dry_run) for queue in queues]


def fill_up(queue: str, length: int) -> int:
    """Push what a queue whose list is so long lacks; how many, 0 when Redis is away."""
    # Look at one more than the list holds: enough to know whether anything is missing.
    if length >= ENOUGH or len(_waiting(queue, length + 1)) <= length:
        return 0
    missing = _missing(queue, _waiting(queue, ENOUGH), length)
    return len(missing) if pointers.push([(task_id, queue) for task_id in missing]) else 0


def delete_orphans(queues: Sequence[str], *, dry_run: bool = False) -> Counter[str]:
    """Delete the pointers and job hashes of tasks that have ended or are gone; how many, by queue.

    Raises the errors of an unreachable Redis.
    """
    found: Counter[str] = Counter()
    seen: set[UUID] = set()
    for queue in queues:
        for orphans in _listed_orphans(queue, dry_run=dry_run):
            found[queue] += len(orphans)
            seen.update(orphans)
    for queue in _one_of_each_redis(queues):
        for task_id, origin in _stray_hashes(queue, queues, dry_run=dry_run):
            found[origin] += task_id not in seen
    return found


def _difference(queue: str, length: int, orphans: int, dry_run: bool) -> Difference:
    waiting = _waiting(queue, ENOUGH + 1)
    left = max(length - orphans, 0) if dry_run else pointers.length(queue)
    missing = _missing(queue, waiting[:ENOUGH], left)
    if missing and not dry_run and not pointers.push([(task_id, queue) for task_id in missing]):
        raise ConnectionError("it stopped answering while pointers were put back")
    return Difference(queue, min(len(waiting), ENOUGH), len(waiting) > ENOUGH, length, orphans, len(missing))


def _waiting(queue: str, limit: int) -> list[UUID]:
    return list(Task.objects.pending().filter(queue=queue).in_claim_order().values_list("id", flat=True)[:limit])


def _missing(queue: str, waiting: Sequence[UUID], length: int) -> list[UUID]:
    """The best of those that wait without a pointer: as many as the list lacks."""
    listed = set(pointers.listed(queue, ENOUGH) or ())
    lacking = max(min(len(waiting), ENOUGH) - length, 0)
    return [task_id for task_id in waiting if task_id not in listed][:lacking]


def _listed_orphans(queue: str, *, dry_run: bool) -> Iterator[list[UUID]]:
    """Page by page from the end of the list: workers take from its head meanwhile."""
    behind = 0
    while page := pointers.tail(queue, behind):
        ids = [task_id for task_id in map(pointers.task_id_of, page) if task_id]
        over = _over(ids)
        orphans = [task_id for task_id in ids if task_id in over]
        if orphans and not dry_run:
            pointers.drop(orphans, queue)
        yield orphans
        behind += len(page) if dry_run else len(page) - len(orphans)


def _stray_hashes(queue: str, queues: Sequence[str], *, dry_run: bool) -> Iterator[tuple[UUID, str]]:
    """Job hashes of tasks that are over, with the queue each was made for; those of other queues stay."""
    found = iter(pointers.hashes(queue))
    while chunk := list(islice(found, CHUNK)):
        over = sorted(_over(chunk))
        origins = zip(over, pointers.origins(over, queue), strict=True)
        strays = [(task_id, origin) for task_id, origin in origins if origin in queues]
        if not dry_run:
            pointers.drop_hashes([task_id for task_id, _ in strays], queue)
        yield from strays


def _over(ids: Iterable[UUID]) -> set[UUID]:
    """Those of these tasks that have ended or are gone."""
    asked = set(ids)
    return asked - set(Task.objects.live().filter(id__in=asked).values_list("id", flat=True)) if asked else set()


def _one_of_each_redis(queues: Iterable[str]) -> list[str]:
    """A queue for each Redis that is named; one that is named in two ways is looked at twice."""
    of_a_queue = {"DEFAULT_TIMEOUT", "DEFAULT_RESULT_TTL", "SERIALIZER", "ASYNC"}
    known = redis_queues()
    places = {
        repr(sorted((key, repr(value)) for key, value in known[queue].items() if key not in of_a_queue)): queue
        for queue in queues
    }
    return list(places.values())
