"""Ctrl-C and SIGTERM: heard at places where it is known what has been started, and never lost.

An exception out of the handler itself could come in the middle of a fork or of putting things away, and Python
throws away those that meet it in a callback.
"""

from __future__ import annotations

import signal
from types import FrameType

__all__ = ["check", "listen"]

_asked: list[int] = []


def listen() -> None:
    """From here on they only leave a note."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _hear)


def check() -> None:
    """Raise KeyboardInterrupt if one of them has come."""
    if _asked:
        raise KeyboardInterrupt


def _hear(number: int, _frame: FrameType | None) -> None:
    _asked.append(number)
