"""Real `manage.py` processes for the tests, which always end with the test that started them."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

from tests.servers import end_with_parent, kill_family

ROOT = Path(__file__).resolve().parents[1]
T = TypeVar("T")


def wait_for(condition: Callable[[], T], timeout: float = 20, what: str | Callable[[], str] = "") -> T:
    """The first true value of `condition()`; fails the test, saying what did not come, when time is up."""
    deadline = time.monotonic() + timeout
    while not (found := condition()):
        if time.monotonic() > deadline:
            said = what() if callable(what) else what or condition
            pytest.fail(f"Waited {timeout:g} s in vain until {said}; last answer: {found!r}.")
        time.sleep(0.02)
    return found


class Process:
    """One process in a group of its own; what it prints is kept in a file."""

    def __init__(self, command: list[str], *, log: Path, **environment: str) -> None:
        self.log = log
        self._name = " ".join(command)
        with log.open("ab") as out:
            self.popen = subprocess.Popen(
                command,
                cwd=ROOT,
                env={**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings", **environment},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=end_with_parent(),  # noqa: PLW1509 one system call, no Python state
            )

    @property
    def pid(self) -> int:
        return self.popen.pid

    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def wait_for_line(self, pattern: str, timeout: float = 20) -> re.Match[str]:
        """The first match of a regular expression in the output."""
        return self.wait_until(lambda: re.search(pattern, self.output()), f"it prints {pattern!r}", timeout)

    def wait_until(self, condition: Callable[[], T | None], what: str, timeout: float = 20) -> T:
        """The first true value of `condition()`; fails at once when the process ends before that."""
        deadline = time.monotonic() + timeout
        while True:
            ended = self.popen.poll()
            if found := condition():
                return found
            if ended is not None or time.monotonic() > deadline:
                why = f"ended with {ended}" if ended is not None else f"ran {timeout:g} s"
                pytest.fail(f"{self._name} {why}, in vain until {what}. It said:\n{self.output()[-3000:]}")
            time.sleep(0.02)

    def wait(self, timeout: float = 20) -> int:
        """Its exit code."""
        self.wait_until(lambda: self.popen.poll() is not None, "it ends", timeout)
        return int(self.popen.returncode)

    def stop(self, timeout: float = 20) -> int:
        """SIGTERM; its exit code."""
        self.popen.send_signal(signal.SIGTERM)
        return self.wait(timeout)

    def kill9(self) -> None:
        """End it and everything below it, in sessions of their own too, at once."""
        kill_family(self.pid)
        # Also when it has ended by itself: what it started may still be in its group.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.popen.wait()


def manage(*arguments: str) -> list[str]:
    """The command line of `manage.py` under this interpreter."""
    return [sys.executable, "manage.py", *arguments]
