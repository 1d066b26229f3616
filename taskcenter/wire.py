"""The wires to Redis: one client per need, and the name of every key and channel.

Redis only wakes and shows; nothing that matters is kept there. So whoever writes to it from a request
or from a running task does so through `try_redis`: half a second at most, no retries, and after one
failure five seconds in which nothing is even tried.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from datetime import datetime
from functools import cache
from typing import Any, TypeVar
from uuid import UUID

import redis
import redis.asyncio
from django.core.signals import setting_changed
from django.dispatch import receiver
from django.utils import timezone
from django_rq.connection_utils import get_redis_connection
from redis.backoff import NoBackoff
from redis.retry import Retry

from .conf import redis_queues
from .exceptions import ConfigurationError, UnknownQueue

__all__ = [
    "async_client",
    "away_since",
    "blocking_client",
    "first_queue",
    "notice_channel",
    "progress_channel",
    "progress_key",
    "quick_client",
    "redis_is_trusted",
    "try_redis",
    "watching_client",
]

logger = logging.getLogger("taskcenter")

TIMEOUT = 0.5
"""Seconds that a quick call may wait for Redis."""
WATCH_TIMEOUT = 2.0
"""Seconds that the parent of a worker's slots may wait for Redis."""
PAUSE = 5.0
"""Seconds in which nothing is tried after a quick call failed."""
BLOCK_LIMIT = 5
"""Seconds after which a blocking call that heard nothing counts as a broken connection."""

T = TypeVar("T")

UNREACHABLE = (redis.exceptions.RedisError, OSError)
"""Away, or there but refusing: a full Redis answers each write with an error."""


def progress_key(task_id: UUID | str) -> str:
    """The hash with a task's current progress."""
    return f"progress:{task_id}"


def progress_channel(task_id: UUID | str) -> str:
    """Where a task's progress and changes of state are published."""
    return f"progress:{task_id}"


def notice_channel(user_pk: Any) -> str:
    """Where a person's new notifications are published."""
    return f"notice:{user_pk}"


def first_queue() -> str:
    """The queue whose connection carries progress: "default" if there is one.

    Raises ConfigurationError when neither RQ_QUEUES nor REDIS_URL is set.
    """
    queues = redis_queues()
    if not queues:
        raise ConfigurationError("Set RQ_QUEUES or REDIS_URL, so that TaskCenter knows its queues.")
    return "default" if "default" in queues else next(iter(queues))


@cache
def quick_client(queue: str | None = None) -> redis.Redis:
    """The client for writes beside other work: short timeouts, no retries."""
    return _client(queue, socket_timeout=TIMEOUT, socket_connect_timeout=TIMEOUT)


def blocking_client(queue: str | None = None) -> redis.Redis:
    """A new client that may wait long for a pointer; the caller closes it."""
    return _client(queue, socket_timeout=BLOCK_LIMIT, socket_connect_timeout=5)


def watching_client(queue: str | None = None) -> redis.Redis:
    """A new client for a worker's parent, whose heartbeat must not wait for a Redis that hangs."""
    return _client(queue, socket_timeout=WATCH_TIMEOUT, socket_connect_timeout=WATCH_TIMEOUT)


def async_client(queue: str | None = None) -> redis.asyncio.Redis:
    """A new client for the running event loop; the caller closes it."""
    pool = _pool_of(queue)
    kwargs = {key: value for key, value in pool.connection_kwargs.items() if key in _SHARED_OPTIONS}
    kwargs.update(socket_timeout=None, socket_connect_timeout=5)
    return redis.asyncio.Redis(**_as_client_options(pool, kwargs))


_SHARED_OPTIONS = {"host", "port", "db", "username", "password", "path", "ssl_cert_reqs", "ssl_ca_certs"}


def _client(queue: str | None, **options: Any) -> redis.Redis:
    pool = _pool_of(queue)
    # A copy of the pool django-rq made, so that its sentinels and TLS options stay in force.
    kwargs = {**pool.connection_kwargs, **options, "retry": Retry(NoBackoff(), 0), "health_check_interval": 0}
    kwargs.pop("retry_on_timeout", None)
    own = type(pool)(connection_class=pool.connection_class, **kwargs) if not _is_sentinel(pool) else pool
    return redis.Redis(connection_pool=own)


def _as_client_options(pool: redis.ConnectionPool, kwargs: dict[str, Any]) -> dict[str, Any]:
    if "path" in kwargs:
        kwargs["unix_socket_path"] = kwargs.pop("path")
    if issubclass(pool.connection_class, redis.SSLConnection):
        kwargs["ssl"] = True
    return kwargs


def _is_sentinel(pool: redis.ConnectionPool) -> bool:
    return isinstance(pool, redis.sentinel.SentinelConnectionPool)


def _pool_of(queue: str | None) -> redis.ConnectionPool:
    name = queue or first_queue()
    try:
        config = redis_queues()[name]
    except KeyError:
        known = ", ".join(sorted(redis_queues()))
        raise UnknownQueue(f"There is no queue {name!r}; RQ_QUEUES names {known}.") from None
    pool: redis.ConnectionPool = get_redis_connection(config).connection_pool
    return pool


class _Breaker:
    """Remembers that Redis did not answer, so that the next caller does not wait for it too."""

    def __init__(self) -> None:
        self._again_at = 0.0
        self.since: datetime | None = None
        self._lock = threading.Lock()

    def allows(self) -> bool:
        return time.monotonic() >= self._again_at

    def trip(self, error: Exception) -> None:
        with self._lock:
            if self.allows():
                logger.warning("Redis does not answer, pausing for %g s: %s", PAUSE, error)
            self._again_at = time.monotonic() + PAUSE
            self.since = self.since or timezone.now()

    def answered(self) -> None:
        self.since = None

    def reset(self) -> None:
        self._again_at, self.since = 0.0, None


_breaker = _Breaker()


def redis_is_trusted() -> bool:
    """Whether Redis answered when last asked, or it is time to ask again."""
    return _breaker.allows()


def away_since() -> datetime | None:
    """Since when Redis has not answered this process; None when it did when last asked."""
    return _breaker.since


def try_redis(action: Callable[[redis.Redis], T], *, queue: str | None = None) -> T | None:
    """Do one short thing with Redis; None when it is away. Never raises for an outage."""
    if not _breaker.allows():
        return None
    try:
        answer = action(quick_client(queue))
    except UNREACHABLE as error:
        _breaker.trip(error)
        return None
    _breaker.answered()
    return answer


@receiver(setting_changed)
def _forget(*, setting: str, **_: Any) -> None:
    if setting in {"RQ_QUEUES", "REDIS_URL"}:
        quick_client.cache_clear()
        _breaker.reset()
