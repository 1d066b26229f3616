"""What Redis keeps and carries of progress: the hash `progress:{id}` and the channel of the same name."""

from __future__ import annotations

import json
import logging
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import redis
from django.utils import timezone
from rq.utils import as_text

from taskcenter.wire import progress_channel, progress_key, try_redis

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from uuid import UUID

__all__ = [
    "DETAILS",
    "Stored",
    "announce",
    "announce_line",
    "announce_many",
    "now_text",
    "publish",
    "read",
    "read_many",
]

logger = logging.getLogger("taskcenter")

T = TypeVar("T")

KEPT_FOR = 24 * 60 * 60
"""Seconds that Redis keeps the progress of a task nobody reports on any more."""
DETAILS = ("message", "stage", "stages", "done", "total", "unit", "eta_s", "rate")
"""What of the metadata a browser is told."""
MANY = 16
"""More hints than that are not sent before somebody is known to listen."""
TEXT_LIMIT = 200
"""Characters of a text in a frame."""
MOST_STAGES = 20
"""Stages in a frame: the last ones."""

# Atomic, because a late write of an attempt that lost the row must not cover what its successor wrote.
# Within an attempt the higher of both numbers counts: seq goes on rising when Redis has forgotten it.
_WRITE = """
local known = redis.call('HMGET', KEYS[1], 'attempt', 'seq')
local attempt, seq = tonumber(ARGV[1]), tonumber(ARGV[2])
local known_attempt, known_seq = tonumber(known[1] or 0) or 0, tonumber(known[2] or 0) or 0
if known_attempt > attempt then return 0 end
if known_attempt == attempt and known_seq >= seq then seq = known_seq + 1 end
redis.call('HSET', KEYS[1], 'attempt', ARGV[1], 'seq', string.format('%d', seq), 'progress', ARGV[3],
  'status', ARGV[4], 'metadata', ARGV[5], 'updated_at', ARGV[6])
redis.call('EXPIRE', KEYS[1], ARGV[7])
redis.call('PUBLISH', ARGV[8], '{"seq":' .. string.format('%d', seq) .. ',' .. ARGV[9])
return seq
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """The progress of one attempt at one moment. `progress` is 0 to 1, or None while unknown."""

    attempt: int
    seq: int
    progress: float | None = None
    status: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)
    updated_at: str = ""

    @property
    def order(self) -> tuple[int, int]:
        """Of two, the one with the higher order is newer."""
        return self.attempt, self.seq

    @property
    def moved_at(self) -> str:
        """When it last told anything new; ISO 8601. Whoever does not say so moved when it told."""
        return str(self.metadata.get("moved_at") or self.updated_at)

    def details(self) -> dict[str, Any]:
        """What a browser is told beside the fraction: texts cut short, numbers finite."""
        return {name: _clean(name, self.metadata.get(name)) for name in DETAILS}

    def for_row(self) -> dict[str, Any]:
        """What `Task.progress_state` keeps; `from_row` reads it."""
        return {
            "attempt": self.attempt,
            "seq": self.seq,
            "status": self.status,
            "metadata": self.metadata,
            "updated_at": self.updated_at,
        }

    @classmethod
    def from_row(cls, progress: float | None, state: Mapping[str, Any]) -> Stored | None:
        """What the row keeps; None when it keeps nothing, or something that is not ours."""
        try:
            return cls(progress=progress, **state) if state else None
        except TypeError:
            return None

    @classmethod
    def from_hash(cls, given: Mapping[bytes, bytes]) -> Stored | None:
        """What Redis keeps; None when it keeps nothing, or something that is not ours."""
        try:
            told = {name.decode(): value.decode() for name, value in given.items()}
            metadata = json.loads(told["metadata"])
            return cls(
                attempt=int(told["attempt"]),
                seq=int(told["seq"]),
                progress=float(told["progress"]) if told["progress"] else None,
                status=told["status"],
                metadata=metadata if isinstance(metadata, dict) else {},
                updated_at=told["updated_at"],
            )
        except (KeyError, ValueError):
            return None

    @classmethod
    def from_message(cls, given: Mapping[str, Any]) -> Stored:
        """What was published. Raises KeyError or TypeError when it is something else."""
        metadata = {name: given[name] for name in DETAILS if given.get(name) is not None}
        metadata["moved_at"] = given.get("moved_at")
        return cls(
            attempt=int(given["attempt"]),
            seq=int(given["seq"]),
            progress=given["progress"],
            metadata=metadata,
            updated_at=given["updated_at"],
        )


def now_text() -> str:
    """Now, as frames and hashes tell it."""
    return timezone.now().isoformat()


def publish(task_id: UUID | str, stored: Stored) -> int | None:
    """Keep it and tell who watches, in one round trip.

    Returns the seq it was given; 0 when a later attempt has written: then nothing was kept; None when
    Redis is away.
    """
    told = {
        "id": str(task_id),
        "attempt": stored.attempt,
        "progress": stored.progress,
        **stored.details(),
        "updated_at": stored.updated_at,
        "moved_at": stored.moved_at,
    }
    arguments: list[str | int] = [
        stored.attempt,
        stored.seq,
        "" if stored.progress is None else repr(stored.progress),
        stored.status,
        json.dumps(stored.metadata, allow_nan=False),
        stored.updated_at,
        KEPT_FOR,
        progress_channel(task_id),
        json.dumps(told, allow_nan=False)[1:],
    ]
    seq = _safely(lambda client: client.register_script(_WRITE)(keys=[progress_key(task_id)], args=arguments))
    return None if seq is None else int(seq)


def read(task_id: UUID | str) -> Stored | None:
    """The progress that Redis keeps of a task; None when there is none or Redis is away."""
    return read_many([task_id]).get(str(task_id))


def read_many(task_ids: Iterable[UUID | str]) -> dict[str, Stored]:
    """The progress that Redis keeps of these tasks, by id, in one round trip."""
    ids = [str(task_id) for task_id in task_ids]

    def ask(client: redis.Redis) -> list[Any]:
        pipe = client.pipeline(transaction=False)
        for task_id in ids:
            pipe.hgetall(progress_key(task_id))
        return pipe.execute()

    answers = (_safely(ask) if ids else None) or []
    found = {task_id: Stored.from_hash(answer) for task_id, answer in zip(ids, answers, strict=False)}
    return {task_id: stored for task_id, stored in found.items() if stored}


def announce(task_id: UUID | str, rev: int) -> None:
    """Tell who watches that the task's row changed; they read it again."""
    announce_many([(task_id, rev)])


def announce_line(task_id: UUID | str) -> None:
    """Tell who follows its history that a line was added."""
    _safely(lambda client: client.publish(progress_channel(task_id), json.dumps({"id": str(task_id), "line": True})))


def announce_many(changes: Iterable[tuple[UUID | str, int]]) -> None:
    """`announce()` for many tasks, in one round trip; or in two, when it is cheaper to ask who listens."""
    hints = {progress_channel(task_id): (task_id, rev) for task_id, rev in changes}

    def tell(client: redis.Redis) -> None:
        heard = _heard(client, hints) if len(hints) > MANY else hints
        pipe = client.pipeline(transaction=False)
        for channel in heard:
            task_id, rev = hints[channel]
            pipe.publish(channel, json.dumps({"id": str(task_id), "rev": rev}))
        pipe.execute()

    if hints:
        _safely(tell)


def _heard(client: redis.Redis, channels: Iterable[str]) -> list[str]:
    """Which of these channels anybody listens to."""
    listened = {as_text(channel) for channel in client.pubsub_channels(progress_channel("*"))}
    return [channel for channel in channels if channel in listened]


def _safely(action: Callable[[redis.Redis], T]) -> T | None:
    """As try_redis, and a refusal by Redis itself (out of memory, read-only) is logged as well."""
    try:
        return try_redis(action)
    except redis.RedisError as error:
        logger.warning("Redis refused progress: %s", error)
        return None


def _clean(name: str, value: Any) -> Any:
    if name in {"message", "stage", "unit"}:
        text = "" if value is None else str(value)
        return text if len(text) <= TEXT_LIMIT else text[: TEXT_LIMIT - 1] + "…"
    if name == "stages":
        return _clean_stages(value)
    number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return value if number else None


def _clean_stages(value: Any) -> list[list[Any]]:
    """Pairs of a name and the second at which it began; what is none is left out."""
    pairs = [pair for pair in value if isinstance(pair, list) and len(pair) == 2] if isinstance(value, list) else []  # noqa: PLR2004 pairs
    return [[_clean("stage", name), _clean("began", began)] for name, began in pairs[-MOST_STAGES:]]
