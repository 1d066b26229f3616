"""Outages: what does not answer is said once, asked again ever more rarely, and never stops the parent."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from django.db import DatabaseError, InterfaceError, connections

from taskcenter import wire

__all__ = ["DATABASE", "REDIS", "Outages"]

logger = logging.getLogger("taskcenter")

DATABASE = "The database"
REDIS = "Redis"
FIRST_PAUSE = 0.5
"""Seconds after a first failure; each further one doubles them, up to `wire.PAUSE`."""

EXPECTED = (DatabaseError, InterfaceError, *wire.UNREACHABLE)


class Outages:
    """Does chores that need a server. A chore that fails leaves that server's others alone for a while."""

    def __init__(self) -> None:
        self._failing: dict[str, set[str]] = {}
        self._pause: dict[str, float] = {}
        self._again_at: dict[str, float] = {}

    def attempt(self, server: str, chore: Callable[..., object], *arguments: object, at_once: bool = False) -> bool:
        """Do it unless the server is left alone just now (or `at_once`); whether it was done.

        Nothing a chore raises leaves here: the parent has slots to watch.
        """
        if not at_once and time.monotonic() < self._again_at.get(server, 0):
            return False
        name = getattr(chore, "__name__", "chore")
        try:
            chore(*arguments)
        except Exception as error:  # noqa: BLE001 a bug in a chore must not cost the tasks that run
            self._failed(server, name, error)
            return False
        self._succeeded(server, name)
        return True

    def _failed(self, server: str, name: str, error: Exception) -> None:
        if not self._failing.get(server):
            if isinstance(error, EXPECTED):
                logger.warning("%s does not answer the worker's parent, trying again: %s", server, str(error).strip())
            else:
                logger.error("A chore of the worker (%s) failed, trying again", name, exc_info=error)
        self._failing.setdefault(server, set()).add(name)
        pause = min(self._pause.get(server, 0) * 2 or FIRST_PAUSE, wire.PAUSE)
        # A Redis that hangs costs its whole time-out at each try.
        self._pause[server] = wire.PAUSE if server == REDIS else pause
        self._again_at[server] = time.monotonic() + self._pause[server]
        if server == DATABASE:
            connections.close_all()

    def _succeeded(self, server: str, name: str) -> None:
        self._pause[server] = 0
        failing = self._failing.get(server)
        if failing and name in failing:
            failing.discard(name)
            if not failing:
                logger.warning("%s answers the worker's parent again", server)
