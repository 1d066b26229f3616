"""The workers and the schedulers, under a supervisor that starts again whatever died."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import time
from collections.abc import Callable
from typing import Any

import psutil

from tests.processes import Process, manage
from tests.servers import is_gone

from .house import House

__all__ = ["SLOTS", "Crew"]

SLOTS = 2
"""Of each worker."""
YOUNG = 20.0
"""Seconds in which a process may still be on its way up, when it needs both servers."""
STOP = 60.0
"""Seconds in which a worker told to stop must have ended."""


class Crew:
    """Its processes die with the thread that started them: tend it from the main thread only."""

    def __init__(self, house: House, workers: int, schedulers: int) -> None:
        self._house = house
        rqworker = manage("rqworker", "--concurrency", str(SLOTS))
        self._commands = {f"worker-{number}": rqworker for number in range(1, workers + 1)}
        rqscheduler = manage("rqscheduler", "--interval", "1")
        self._commands |= {f"scheduler-{number}": rqscheduler for number in range(1, schedulers + 1)}
        self._running: dict[str, Process] = {}
        self._started: dict[str, float] = {}
        self._killed: set[int] = set()
        self._frozen: dict[str, list[psutil.Process]] = {}
        self._dismissed = False
        self.size = workers
        self.deaths: list[str] = []
        """Of processes that nobody killed."""

    def tend(self) -> None:
        """Start what does not run, until all have been told to stop."""
        for name, command in () if self._dismissed else self._commands.items():
            running = self._running.get(name)
            status = running.popen.poll() if running else None
            if running is not None and status is None:
                continue
            if running is not None and running.pid not in self._killed:
                self.deaths.append(f"{name} ended by itself with {status}")
            self._started[name] = time.monotonic()
            self._running[name] = Process(command, log=self._house.logs / f"{name}.log", **self._house.environment)

    def at_work(self) -> dict[str, list[psutil.Process]]:
        """The workers that have slots and are not frozen, with these."""
        names = [name for name in self._running if name.startswith("worker") and name not in self._frozen]
        found = {name: self._slots(name) for name in names}
        return {name: slots for name, slots in found.items() if slots}

    def schedulers(self) -> list[str]:
        return sorted(name for name in self._running if name.startswith("scheduler"))

    def excuse_the_young(self) -> None:
        """A server goes down: who is just starting may say so and end."""
        young = [name for name, at in self._started.items() if time.monotonic() - at < YOUNG]
        self._killed |= {self._running[name].pid for name in young}

    def kill9(self, name: str) -> bool:
        """SIGKILL that process alone: its slots have to notice by themselves. False: it was dead."""
        process = self._running[name].popen
        if process.poll() is not None:
            return False
        self._killed.add(process.pid)
        process.kill()
        process.wait()
        return True

    def freeze(self, name: str) -> None:
        """SIGSTOP a worker and its slots, as a container that is paused."""
        family = [psutil.Process(self._running[name].pid), *self._slots(name)]
        self._frozen[name] = family
        _each(family, psutil.Process.suspend)

    def thaw(self) -> None:
        """Let the frozen go on."""
        for family in self._frozen.values():
            _each(family, psutil.Process.resume)
        self._frozen.clear()

    def stop(self) -> list[str]:
        """SIGTERM to all; what did not end well."""
        self._dismissed = True
        self.thaw()
        for process in self._running.values():
            process.popen.send_signal(signal.SIGTERM)
        return [trouble for name, process in self._running.items() if (trouble := _ending(name, process))]

    def end(self) -> None:
        """No process of ours is left after this, whatever happened before."""
        self.thaw()
        for process in self._running.values():
            process.kill9()
        _each(self.strays(), psutil.Process.kill)

    def strays(self) -> list[psutil.Process]:
        """Whatever was started for this run and still lives: the folder of its marks is in its environment."""
        marks = str(self._house.marks)
        return [process for process in psutil.process_iter() if _folder_of(process) == marks and not is_gone(process)]

    def _slots(self, name: str) -> list[psutil.Process]:
        with contextlib.suppress(psutil.NoSuchProcess):
            children = psutil.Process(self._running[name].pid).children()
            return [child for child in children if not is_gone(child)]
        return []


def _folder_of(process: psutil.Process) -> str | None:
    try:
        folder: str | None = process.environ().get("SOAK_MARKS")
    except psutil.Error:
        return None
    return folder


def _each(family: list[psutil.Process], action: Callable[[psutil.Process], Any]) -> None:
    for process in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            action(process)


def _ending(name: str, process: Process) -> str:
    try:
        status = process.popen.wait(STOP)
    except subprocess.TimeoutExpired:
        return f"{name} did not stop within {STOP:g} s of SIGTERM"
    return f"{name} stopped with {status}" if status else ""
