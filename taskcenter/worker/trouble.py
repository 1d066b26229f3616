"""What a slot does while the database or Redis is away: say it once, and try again in a second."""

from __future__ import annotations

import logging
import time

__all__ = ["Trouble"]

logger = logging.getLogger("taskcenter")

REST = 1.0
"""Seconds between two tries."""


class Trouble:
    def __init__(self) -> None:
        self._away: set[str] = set()

    def rest(self, server: str, error: Exception) -> None:
        """It does not answer: say so if that is news, and wait."""
        if server not in self._away:
            logger.warning("%s does not answer, trying again: %s", server, str(error).strip())
        self._away.add(server)
        time.sleep(REST)

    def is_over(self, server: str) -> None:
        """It answers; say so if that is news."""
        if server in self._away:
            self._away.discard(server)
            logger.warning("%s answers again", server)
