"""Processes as one group: what dies is started again, a few times; when the parent ends, all end."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

from .house import DemoError

RESTARTS = 3
"""How often one process may die young before the group gives up."""
YOUNG = 60.0
"""Seconds after which a process that dies counts as having been well."""
PATIENCE = 8.0
"""Seconds that processes get to end by themselves."""
TICK = 0.1
PR_SET_PDEATHSIG = 1


class AskedToStopError(Exception):
    """Somebody wants the group to end."""


@dataclass(slots=True)
class Member:
    name: str
    command: list[str]
    log: Path | None
    process: subprocess.Popen[bytes]
    restarts: int = 0
    born: float = field(default_factory=time.monotonic)

    def last_words(self) -> str:
        """The last line of its log."""
        lines = self.log.read_text(errors="replace").strip().splitlines() if self.log else []
        return lines[-1][:300] if lines else "it said nothing"


@dataclass(slots=True)
class Group:
    """Started in order, stopped in reverse order."""

    folder: Path
    env: dict[str, str]
    say: Callable[[str], None]
    asked_to_stop: Event = field(default_factory=Event)
    members: list[Member] = field(default_factory=list)

    def start(self, name: str, command: list[str]) -> Member:
        """Start one more, its output in `<name>.log`; it is watched from now on."""
        log = self.folder / f"{name}.log"
        log.write_bytes(b"")
        member = Member(name, command, log, self._spawn(command, log))
        self.members.append(member)
        return member

    def check(self) -> None:
        """Start again what died; raises DemoError when one of them dies over and over.

        Raises AskedToStopError once `asked_to_stop` is set.
        """
        if self.asked_to_stop.is_set():
            raise AskedToStopError
        for member in self.members:
            code = member.process.poll()
            if code is None:
                continue
            if time.monotonic() - member.born > YOUNG:
                member.restarts = 0
            if member.restarts >= RESTARTS:
                raise DemoError(f"The {member.name} keeps ending (code {code}): {member.last_words()}")
            self.say(f"The {member.name} ended (code {code}); starting it again. See {member.log}.")
            self._restart(member)

    def wait_until(self, ready: Callable[[], bool], seconds: float, what: str) -> None:
        """Wait while watching over the group; raises DemoError when it takes longer."""
        end = time.monotonic() + seconds
        while not ready():
            self.check()
            if time.monotonic() > end:
                raise DemoError(f"{what} did not happen within {seconds:g} seconds; see the logs in {self.folder}.")
            time.sleep(TICK)

    def run_in_front(self, command: list[str]) -> int:
        """Run one command on this terminal while watching over the group; its exit code."""
        process = self._spawn(command, None)
        try:
            while process.poll() is None:
                self.check()
                time.sleep(TICK)
        finally:
            end([process])
        return process.returncode

    def watch(self) -> None:
        """Watch until somebody asks to stop."""
        while True:
            self.check()
            time.sleep(TICK)

    def stop(self) -> None:
        """End all; the first one started last, because the others lean on it."""
        if self.members:
            end([member.process for member in self.members[1:]])
            end([self.members[0].process])
        self.members.clear()

    def _restart(self, member: Member) -> None:
        end([member.process])
        member.restarts += 1
        member.born = time.monotonic()
        member.process = self._spawn(member.command, member.log)

    def _spawn(self, command: list[str], log: Path | None) -> subprocess.Popen[bytes]:
        # A session of its own: Ctrl-C reaches this process alone, which then stops the others in order.
        with log.open("ab") if log else open(os.dup(1), "wb") as out:  # noqa: PTH123 it is a descriptor
            return subprocess.Popen(  # noqa: S603 our own commands
                command,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out if log else None,
                start_new_session=True,
                preexec_fn=_die_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509 no threads here
            )


def end(processes: list[subprocess.Popen[bytes]]) -> None:
    """Ask them to end, and after some patience make them, with all that they started."""
    for process in processes:
        if process.poll() is None:
            process.terminate()
    deadline = time.monotonic() + PATIENCE
    while any(process.poll() is None for process in processes) and time.monotonic() < deadline:
        time.sleep(TICK / 2)
    for process in processes:
        _kill_session(process.pid)
        process.wait()


def _kill_session(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        # Nobody is left of it.
        return


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
