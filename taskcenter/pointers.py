"""Pointers: RQ jobs that carry a task's id and nothing else. The only room that speaks RQ's lists.

A pointer wakes a worker of its queue, which then claims the *best* task of that queue. So pointers are
interchangeable: a duplicate claims nothing, a lost one costs time until the next sweep. Each has a job
hash, so that a stock RQ worker can run it and django-rq's pages can show it.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any, NamedTuple, cast
from uuid import UUID
from weakref import WeakKeyDictionary

import redis
from rq.defaults import RQ_KEY_PREFIX
from rq.job import Job
from rq.queue import Queue
from rq.suspension import WORKERS_SUSPENDED
from rq.utils import as_text, utcformat

from .wire import UNREACHABLE, quick_client, redis_is_trusted, try_redis

__all__ = [
    "ENOUGH",
    "FUNCTION",
    "PREFIX",
    "Look",
    "count_all",
    "forget",
    "is_pointer",
    "look",
    "pointer_id",
    "push",
    "queue_key",
    "task_id_of",
    "wait",
    "wake",
]

PREFIX = "task-"
FUNCTION = "taskcenter.worker.run_pointer"
LIFETIME = 86_400
"""Seconds a job hash lives at most: a net under the sweeps."""
CHUNK = 1000
ENOUGH = 1000
"""Pointers that waiting tasks of one queue are worth at once.

Waiting rows need waking, not mirroring: each pointer wakes one slot, which then claims until nothing is
left. More of them than a queue has slots wake nobody, and cost eight microseconds each.
"""

FULL_FOR = 0.01
"""Seconds for which a queue that had enough pointers is believed to have some still."""

Pointer = tuple[UUID, str]
"""A task's id and its queue."""


def pointer_id(task_id: UUID) -> str:
    """The RQ job id of a task's pointer."""
    return PREFIX + task_id.hex


def is_pointer(job_id: str) -> bool:
    """Whether an RQ job id is one of ours."""
    return task_id_of(job_id) is not None


def task_id_of(job_id: str) -> UUID | None:
    """The task an RQ job id points at; None when the job is not ours."""
    if not job_id.startswith(PREFIX):
        return None
    try:
        return UUID(hex=job_id[len(PREFIX) :])
    except ValueError:
        return None


def queue_key(queue: str) -> str:
    """RQ's list of a queue."""
    return f"{Queue.redis_queue_namespace_prefix}{queue}"


def wake(task_id: UUID, queue: str) -> None:
    """Put a new task's pointer at the end of its queue, and wait for no answer: a request waits for this.

    Whether the last one arrived is heard before the next is sent. One that was lost costs time, as any
    lost pointer does: idle slots look by themselves, and the sweep pushes again. None is sent to a queue
    that had `ENOUGH` just now: whoever takes those off claims until nothing is left.
    """
    if redis_is_trusted() and time.monotonic() >= _full_until.get(queue, 0.0):
        try_redis(lambda client: _send(client, queue, [task_id], wait=False), queue=queue)


def push(pointers: Sequence[Pointer]) -> bool:
    """Put pointers at the end of their queues, one round trip per thousand; False when Redis is away.

    Never raises for an outage: the sweep pushes again what is missing.
    """
    if not pointers or not redis_is_trusted():
        return not pointers
    by_queue: dict[str, list[UUID]] = {}
    for task_id, queue in pointers:
        by_queue.setdefault(queue, []).append(task_id)
    return all(_push_queue(queue, ids) for queue, ids in by_queue.items())


def _push_queue(queue: str, ids: list[UUID]) -> bool:
    for start in range(0, len(ids), CHUNK):
        chunk = ids[start : start + CHUNK]
        if try_redis(lambda client, part=chunk: _send(client, queue, part, wait=True), queue=queue) is None:  # type: ignore[misc]
            return False
    return True


def _send(client: redis.Redis, queue: str, ids: list[UUID], *, wait: bool) -> bool:
    jobs = [f"{RQ_KEY_PREFIX}:job:{PREFIX}{task_id.hex}" for task_id in ids]
    keys = (Queue.redis_queues_keys, queue_key(queue), *jobs)
    with _line(client) as line:
        line.send(queue, "EVAL", PUSH, len(keys), *keys, queue, utcformat(datetime.now(UTC)))
        if wait:
            line.hear()
    return True


class _Line:
    """A connection for one push after the other.

    A client's own way, through a pool, costs as much again as a push: it is made for any command.
    """

    def __init__(self, client: redis.Redis) -> None:
        self._pool = client.connection_pool
        self._connection: Any = self._pool.get_connection()
        self._owed: tuple[str, float] | None = None
        """The queue of a push whose answer has not been heard yet, and when it was sent."""

    def send(self, queue: str, *command: str | int) -> None:
        """Send it once the answer to the last is known. Raises what Redis said to that, when it refused."""
        if self._owed:
            with suppress(redis.exceptions.ConnectionError):  # it has gone away since; the next line says if it is back
                self.hear()
        if self._is_closed():
            self._connection.disconnect()
        self._owed = queue, time.monotonic()
        self._connection.send_command(*command)

    def hear(self) -> None:
        """The answer: how long that queue's list was then."""
        queue, sent = self._owed or ("", 0.0)
        self._owed = None
        if self._connection.read_response() >= ENOUGH:
            _full_until[queue] = sent + FULL_FOR

    def close(self) -> None:
        """After an error, of which an answer may still be under way."""
        self._connection.disconnect()
        self._pool.release(self._connection)

    def _is_closed(self) -> bool:
        """Nothing should be there to read: an end, if the server closed the connection while it was idle."""
        try:
            return bool(self._connection.can_read(timeout=0))
        except UNREACHABLE:
            return True


_full_until: dict[str, float] = {}
"""Queues that had enough pointers when they were last pushed to, until when that is believed."""
_idle: WeakKeyDictionary[redis.Redis, list[_Line]] = WeakKeyDictionary()
# A fork must not talk on the connections of the process it came from.
os.register_at_fork(after_in_child=_idle.clear)


@contextmanager
def _line(client: redis.Redis) -> Iterator[_Line]:
    """One that no other thread has meanwhile; kept for the next push."""
    idle = _idle.setdefault(client, [])
    try:
        line = idle.pop()
    except IndexError:
        line = _Line(client)
    try:
        yield line
    except BaseException:
        line.close()
        raise
    idle.append(line)


PUSH = f"""
redis.call('SADD', KEYS[1], KEYS[2])
local length
for i = 3, #KEYS do
  local hex = string.sub(KEYS[i], -32)
  local id = string.sub(hex, 1, 8) .. '-' .. string.sub(hex, 9, 12) .. '-' .. string.sub(hex, 13, 16)
    .. '-' .. string.sub(hex, 17, 20) .. '-' .. string.sub(hex, 21)
  redis.call('HSET', KEYS[i], 'created_at', ARGV[2], 'enqueued_at', ARGV[2], 'origin', ARGV[1],
    'data', '["{FUNCTION}", null, ["' .. id .. '"], {{}}]', 'description', '{FUNCTION}(\\'' .. id .. '\\')',
    'status', 'queued', 'timeout', '-1')
  redis.call('EXPIRE', KEYS[i], {LIFETIME})
  length = redis.call('RPUSH', KEYS[2], '{PREFIX}' .. hex)
end
return length
"""
"""Pointers of one queue as one command: half the work of a pipeline here, and all of them or none there.

The hash holds what RQ's `Job.restore` needs (source: rq 3.0 `Job.to_dict`); its data is not compressed,
which RQ allows and a script cannot do. A stock worker must not add a time limit of its own: hence -1.
It is sent whole: a server that has forgotten the script would answer its hash with an error, which
nobody waits for. That costs Redis some three microseconds.
"""


def wait(client: redis.Redis, queues: Sequence[str], seconds: float) -> tuple[str, str] | None:
    """Block until one of the queues has a job, and take it off: its queue and id, or None after `seconds`."""
    found = client.blpop([queue_key(queue) for queue in queues], timeout=seconds)
    if not found:
        return None
    return as_text(found[0]).removeprefix(Queue.redis_queue_namespace_prefix), as_text(found[1])


def forget(client: redis.Redis, job_ids: Iterable[str]) -> None:
    """Delete the job hashes of pointers that were taken off their list."""
    keys = [Job.key_for(job_id) for job_id in job_ids]
    if keys:
        client.delete(*keys)


def drop(task_ids: Sequence[UUID], queue: str) -> None:
    """Take the pointers of these tasks off their queue, the last ones of its list first.

    Raises the errors of an unreachable Redis.
    """
    pipeline = quick_client(queue).pipeline(transaction=False)
    for task_id in reversed(task_ids):
        pipeline.lrem(queue_key(queue), -1, pointer_id(task_id))
        pipeline.delete(Job.key_for(pointer_id(task_id)))
    pipeline.execute()


def drop_hashes(task_ids: Sequence[UUID], queue: str) -> None:
    """Delete job hashes in the Redis of that queue. Raises the errors of an unreachable Redis."""
    forget(quick_client(queue), map(pointer_id, task_ids))


def origins(task_ids: Sequence[UUID], queue: str) -> list[str]:
    """The queues that the pointers of these tasks were made for. Raises the errors of an unreachable Redis."""
    pipeline = quick_client(queue).pipeline(transaction=False)
    for task_id in task_ids:
        pipeline.hget(Job.key_for(pointer_id(task_id)), "origin")
    return [as_text(name or b"") for name in pipeline.execute()] if task_ids else []


def pop_surplus(client: redis.Redis, queue: str, count: int) -> list[str]:
    """Take up to `count` jobs off a queue without waiting; the ids taken, ours or not."""
    taken = cast("list[bytes]", client.lpop(queue_key(queue), count) or [])
    return [as_text(job_id) for job_id in taken]


def count_all(queues: Iterable[str]) -> Counter[str] | None:
    """How many jobs each queue's list holds; None when Redis is away."""
    counts: Counter[str] = Counter()
    for queue in queues:
        length = try_redis(lambda client, name=queue: client.llen(queue_key(name)), queue=queue)  # type: ignore[misc]
        if length is None:
            return None
        counts[queue] = int(length)
    return counts


class Look(NamedTuple):
    """What Redis has to say of a queue."""

    waiting: int
    """Jobs in its list."""
    suspended: bool
    """Whether somebody ran `rqsuspend`: workers claim nothing until it is ended."""


def look(queue: str) -> Look | None:
    """One round trip; None when Redis is away."""

    def ask(client: redis.Redis) -> Look:
        pipeline = client.pipeline(transaction=False)
        pipeline.llen(queue_key(queue))
        pipeline.exists(WORKERS_SUSPENDED)
        waiting, suspended = pipeline.execute()
        return Look(int(waiting), bool(suspended))

    return try_redis(ask, queue=queue)


def length(queue: str) -> int:
    """How many jobs a queue's list holds. Raises the errors of an unreachable Redis."""
    return int(quick_client(queue).llen(queue_key(queue)))


def tail(queue: str, behind: int) -> list[str]:
    """Up to `CHUNK` jobs of a queue's list, before the last `behind` of it.

    Raises the errors of an unreachable Redis.
    """
    found = quick_client(queue).lrange(queue_key(queue), -(behind + CHUNK), -(behind + 1))
    return [as_text(job_id) for job_id in cast("list[bytes]", found)]


def listed(queue: str, limit: int = 10_000) -> list[UUID] | None:
    """The tasks whose pointers stand in a queue's list, from its head; None when Redis is away."""
    found = try_redis(lambda client: client.lrange(queue_key(queue), 0, limit - 1), queue=queue)
    if found is None:
        return None
    ids = (task_id_of(as_text(cast("bytes", job_id))) for job_id in found)
    return [task_id for task_id in ids if task_id]


def hashes(queue: str) -> Iterable[UUID]:
    """The tasks that have a job hash in the Redis of that queue."""
    pattern = f"{RQ_KEY_PREFIX}:job:{PREFIX}*"
    for key in quick_client(queue).scan_iter(match=pattern, count=CHUNK):
        task_id = task_id_of(as_text(key).rpartition(":")[2])
        if task_id:
            yield task_id
