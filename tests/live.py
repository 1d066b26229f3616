"""For tests of live progress: a Redis that may go away, and waiting for what must come."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import pytest

from taskcenter import wire

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.servers import ValkeyServer

PATIENCE = 15.0


@pytest.fixture
def own_valkey(valkey: ValkeyServer, settings: Any) -> Iterator[ValkeyServer]:
    """A Valkey that the test may kill; the site's settings point to it."""
    settings.REDIS_URL = valkey.url
    settings.RQ_QUEUES = {"default": {"URL": valkey.url}}
    yield valkey
    # Whoever comes next shall not have to wait because we killed it.
    wire._breaker.reset()


@pytest.fixture
def no_redis(settings: Any) -> Iterator[None]:
    """Settings that point to where nobody answers."""
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    settings.RQ_QUEUES = {"default": {"URL": settings.REDIS_URL}}
    yield
    # As above.
    wire._breaker.reset()


def until(condition: Callable[[], Any], *, patience: float = PATIENCE) -> Any:
    """The first true value of `condition()`; fails when there is none in time."""
    deadline = time.monotonic() + patience
    while not (value := condition()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)
    return value


async def auntil(condition: Callable[[], Any], *, patience: float = PATIENCE) -> Any:
    """See until()."""
    deadline = time.monotonic() + patience
    while not (value := condition()):
        assert time.monotonic() < deadline, "waited in vain"
        await asyncio.sleep(0.01)
    return value
