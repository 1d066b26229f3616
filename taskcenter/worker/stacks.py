"""The stack of a running task, for a person who asks where it hangs.

    somebody asks ── an event ──▶ the parent sees it with its question for cancels (chores.py)
                                     │ signal
                                     ▼
    the slot       Python's faulthandler writes all stacks into a file that the parent has open too
                                     │
                                     ▼
    the parent     an event with the text, which the task's page shows

The handler is written in C and asks for no lock: it answers also from a loop in C that keeps Python's own.
"""

from __future__ import annotations

import contextlib
import faulthandler
import logging
import os
import signal
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from taskcenter import lifecycle

from .page import Attempt

__all__ = ["SIGNAL", "StackFile", "Stacks"]

logger = logging.getLogger("taskcenter")

SIGNAL: int = signal.SIGRTMIN + 7 if sys.platform == "linux" else signal.SIGUSR2
"""What asks a slot for its stacks. SIGUSR1 and, on Linux, SIGUSR2 are left to tasks."""
PATIENCE = 5.0
"""Seconds that a slot may take to answer."""
LIMIT = 32 * 1024
"""Characters of a dump that are kept: of the threads the task's own comes first."""

DEAF = "Its slot does not listen for the question: the task has taken over signal {number}."
SILENT = "Its slot did not answer within {seconds:g} seconds{state}."
STATES = {"T": ": it is stopped (SIGSTOP)", "D": ": it waits for a disk or another device (state D)"}


class StackFile:
    """One slot's file for its dumps, open here and in the slot; no name, no place on a disk where that can be."""

    def __init__(self) -> None:
        self._fd = _anonymous_file()

    def __del__(self) -> None:
        with contextlib.suppress(OSError):
            os.close(self._fd)

    def register(self) -> None:
        """In the slot: dump here from now on whenever asked."""
        faulthandler.register(SIGNAL, file=self._fd, all_threads=True)

    def empty(self) -> None:
        """In the parent, before it asks. The place of writing is one for both processes."""
        os.ftruncate(self._fd, 0)
        os.lseek(self._fd, 0, os.SEEK_SET)

    def size(self) -> int:
        return os.fstat(self._fd).st_size

    def read(self) -> str:
        return _task_first(os.pread(self._fd, 8 * LIMIT, 0).decode("utf-8", "backslashreplace").replace("\0", ""))


@dataclass(slots=True)
class _Question:
    attempt: Attempt
    pid: int
    file: StackFile
    asked: float = field(default_factory=time.monotonic)
    seen: int = 0
    """Bytes at the last look: a dump that no longer grows is whole."""

    def answer(self, now: float) -> tuple[str, str] | None:
        """Why there is no stack, and the stack; None: not yet."""
        size, before = self.file.size(), self.seen
        self.seen = size
        if size and size == before:
            return "", self.file.read()
        if now > self.asked + PATIENCE:
            return SILENT.format(seconds=PATIENCE, state=STATES.get(_state_of(self.pid), "")), self.file.read()
        return None


class Stacks:
    """Questions under way and answers not yet written, of one worker. Every call returns at once."""

    def __init__(self) -> None:
        self._questions: dict[Attempt, _Question] = {}
        self._answers: dict[Attempt, tuple[str, str]] = {}

    def ask(self, attempt: Attempt, pid: int, file: StackFile) -> None:
        """Have that slot dump its stacks, unless it was asked already."""
        if attempt in self._questions or attempt in self._answers:
            return
        if not _catches(pid):
            self._answers[attempt] = DEAF.format(number=int(SIGNAL)), ""  # the signal would end the slot
            return
        file.empty()
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, SIGNAL)
            self._questions[attempt] = _Question(attempt, pid, file)

    def look(self) -> bool:
        """Gather what has been dumped; whether there are answers to write."""
        now = time.monotonic()
        for question in list(self._questions.values()):
            answer = question.answer(now)
            if answer is not None:
                del self._questions[question.attempt]
                self._answers[question.attempt] = answer
        return bool(self._answers)

    def tell(self) -> None:
        """Write the answers; one that cannot be written now is kept."""
        for attempt, (trouble, stack) in list(self._answers.items()):
            lifecycle.answer_stack(*attempt, trouble=trouble, stack=stack)
            del self._answers[attempt]


def _anonymous_file() -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create("taskcenter-stack")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def _task_first(text: str) -> str:
    """The thread that runs the task before the slot's helper and what others the task has started."""
    threads = sorted(text.strip().split("\n\n"), key=lambda thread: "/worker/slot.py" not in thread)
    whole = "\n\n".join(threads)
    return whole if len(whole) <= LIMIT else f"{whole[:LIMIT]}\n… cut here"


def _catches(pid: int) -> bool:
    """Whether the process has a handler for our signal; where nobody can tell, yes."""
    mask = _status(pid).get("SigCgt")
    return mask is None or bool(int(mask, 16) >> (SIGNAL - 1) & 1)


def _state_of(pid: int) -> str:
    return _status(pid).get("State", "")[:1]


def _status(pid: int) -> dict[str, str]:
    """What the kernel says of a process; nothing where it says nothing."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return {}
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}
