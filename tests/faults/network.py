"""Stacks whose Redis, or one worker's database, stands behind a bad network."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from tests import servers
from tests.faults.proxy import Proxy
from tests.faults.stack import Stack

__all__ = ["database_behind", "redis_behind", "through"]


@contextmanager
def redis_behind(stack: Stack, *, seed: int = 0) -> Iterator[Proxy]:
    """Start the stack's Redis so that it is reached through the proxy alone."""
    valkey = servers.free_port()
    stack.start_valkey(port=valkey)
    proxy = Proxy(valkey, port=stack.port, seed=seed)
    try:
        yield proxy
    finally:
        proxy.close()


@contextmanager
def database_behind(*, seed: int = 0) -> Iterator[Proxy]:
    """A way to the test's PostgreSQL for those who are told of it, beside the direct one."""
    folder = unquote(urlsplit(os.environ["DATABASE_URL"]).netloc.rpartition("@")[2])
    proxy = Proxy(Path(folder) / ".s.PGSQL.5432", seed=seed)
    try:
        yield proxy
    finally:
        proxy.close()


def through(proxy: Proxy) -> dict[str, str]:
    """What a worker's environment needs to reach the database through the proxy."""
    direct = urlsplit(os.environ["DATABASE_URL"])
    return {"DATABASE_URL": urlunsplit(direct._replace(netloc=f"postgres@127.0.0.1:{proxy.port}"))}
