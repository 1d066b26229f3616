"""What the tasks do; the same for every runner."""

from __future__ import annotations

import os
import time

__all__ = ["ended", "nap", "noop", "slow", "stamp", "whose"]


def noop(number: int) -> int:
    return number


def nap(number: int) -> int:
    """Ten milliseconds of waiting for something."""
    time.sleep(0.01)
    return number


def stamp(number: int) -> int:
    """Write down when the body began. The clock is the machine's, the same in every process."""
    now = time.monotonic()
    with open(os.environ["BENCH_STAMPS"], "a", encoding="ascii") as file:  # noqa: PTH123 the quickest way
        file.write(f"{number} {now!r}\n")
    return number


def ended(number: int) -> float:  # noqa: ARG001 all bodies take the same argument
    """When the body ended, in seconds since 1970."""
    return time.time()


def slow(number: int) -> float:  # noqa: ARG001 as above
    """As `ended`, after a fifth of a second."""
    time.sleep(0.2)
    return time.time()


def whose(number: int) -> int:  # noqa: ARG001 as above
    """Which process ran it."""
    return os.getpid()
