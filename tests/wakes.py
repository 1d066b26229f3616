"""What this process has told Redis without waiting for the answer, and what it believes of it since."""

from __future__ import annotations

from contextlib import suppress

from taskcenter import pointers
from taskcenter.wire import UNREACHABLE

__all__ = ["forget_full_queues", "hear_out"]


def hear_out() -> None:
    """Wait until Redis has what was sent to it: only then can a test ask for it, or empty it."""
    for lines in list(pointers._idle.values()):
        for line in list(lines):
            if line._owed:
                with suppress(*UNREACHABLE):  # what a refusal means is not the business of who asks for order
                    line.hear()


def forget_full_queues() -> None:
    """Of the test before, which may have filled them within the last hundredth of a second."""
    pointers._full_until.clear()
