"""The workers and the scheduler of a drill, under a supervisor that starts again whatever died."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from .servers import end_with_parent, is_gone, kill_family

__all__ = ["SCHEDULER", "SLOTS", "WORKERS", "Crew"]

WORKERS = 3
SLOTS = 2
"""Of each worker."""
SCHEDULER = "scheduler"
AGAIN = 1.0
"""Seconds after which a dead process is started again, as a service manager does."""
SETTLED = 4.0
"""Seconds after which a process that lives has started."""
STOP = 30.0
"""Seconds in which a process told to stop must have ended."""


class Crew:
    """Its processes die with the thread that started them: use it from one thread only."""

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        worker = [sys.executable, "-m", "django", "rqworker", "--concurrency", str(SLOTS)]
        self._commands = {f"worker-{number}": worker for number in range(1, WORKERS + 1)}
        self._commands[SCHEDULER] = [sys.executable, "-m", "django", "rqscheduler", "--interval", "1"]
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._born: dict[str, float] = {}
        self._due: dict[str, float] = {}
        self._killed: set[int] = set()
        self._frozen: list[psutil.Process] = []
        self.deaths: list[str] = []
        """Of processes that nobody killed."""

    def tend(self) -> None:
        """Start what does not run, a moment after it died."""
        for name, command in self._commands.items():
            running = self._running.get(name)
            if running is not None and running.poll() is not None:
                if running.pid not in self._killed:
                    self.deaths.append(f"{name} ended by itself with {running.returncode}")
                del self._running[name]
                self._due[name] = time.monotonic() + AGAIN
            if name not in self._running and time.monotonic() >= self._due.get(name, 0):
                self._running[name] = self._start(name, command)
                self._born[name] = time.monotonic()

    def workers(self) -> dict[str, int]:
        """The living workers, each with its process id."""
        return {name: one.pid for name, one in self._running.items() if name != SCHEDULER and one.poll() is None}

    def pid(self, name: str) -> int:
        """The process of that name; 0 while there is none."""
        running = self._running.get(name)
        return running.pid if running and running.poll() is None else 0

    def is_settled(self, name: str) -> bool:
        """Whether it has lived long enough to have started."""
        return bool(self.pid(name)) and time.monotonic() > self._born[name] + SETTLED

    def last_words(self) -> str:
        """The ends of all logs."""
        return "\n".join(path.read_text(errors="replace")[-500:] for path in sorted(self._logs.iterdir()))

    def slots(self, name: str) -> list[int]:
        """The living slots of a worker."""
        with contextlib.suppress(psutil.NoSuchProcess):
            children = psutil.Process(self.pid(name) or -1).children() if self.pid(name) else []
            return [child.pid for child in children if not is_gone(child)]
        return []

    def kill9(self, name: str) -> bool:
        """SIGKILL that process alone: its slots have to notice by themselves."""
        pid = self.pid(name)
        if pid:
            self._killed.add(pid)
            self._running[name].kill()
            self._running[name].wait()
        return bool(pid)

    def freeze(self, name: str) -> None:
        """SIGSTOP a worker and its slots, as a machine that is suspended or a container that is paused."""
        self._frozen = [psutil.Process(pid) for pid in (self.pid(name), *self.slots(name))]
        _each(self._frozen, psutil.Process.suspend)

    def thaw(self) -> None:
        _each(self._frozen, psutil.Process.resume)
        self._frozen = []

    def stop(self) -> list[str]:
        """SIGTERM to all; what did not end well."""
        self.thaw()
        for process in self._running.values():
            process.send_signal(signal.SIGTERM)
        troubles = [_ending(name, process) for name, process in self._running.items()]
        return [*self.deaths, *filter(None, troubles)]

    def end(self) -> None:
        """No process of ours is left after this, whatever happened before."""
        self.thaw()
        for process in self._running.values():
            kill_family(process.pid)
            process.wait()

    def _start(self, name: str, command: list[str]) -> subprocess.Popen[bytes]:
        with (self._logs / f"{name}.log").open("ab") as log:
            return subprocess.Popen(  # noqa: S603 our own commands
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the drill, which then stops them
                preexec_fn=end_with_parent(),  # noqa: PLW1509 one system call, no Python state
            )


def _each(processes: list[psutil.Process], action: Callable[[psutil.Process], Any]) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            action(process)


def _ending(name: str, process: subprocess.Popen[bytes]) -> str:
    try:
        status = process.wait(STOP)
    except subprocess.TimeoutExpired:
        return f"{name} did not stop within {STOP:g} s of SIGTERM"
    return f"{name} stopped with {status}" if status else ""
