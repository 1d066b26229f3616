"""Processes: started so that none outlives the benchmark, frozen and thawed, and asked what they cost."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import psutil

from benchmarks.environments import ROOT

__all__ = ["Process", "cpu_seconds", "end_with_parent", "family", "freeze", "memory", "thaw"]

MEGABYTE = 1_000_000
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


def end_with_parent(number: int = signal.SIGTERM) -> Callable[[], None] | None:
    """A `preexec_fn`: the kernel sends the child this signal when the benchmark is gone, however it went."""
    if _libc is None:
        return None
    pr_set_pdeathsig = 1
    return lambda: _libc.prctl(pr_set_pdeathsig, number)


class Process:
    """One process in a session of its own; what it prints is kept in a file."""

    def __init__(self, command: list[str], *, log: Path, environment: Mapping[str, str], talks: bool = False) -> None:
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
        self.log = log
        with log.open("ab") as out:
            self.popen = subprocess.Popen(
                command,
                cwd=log.parent,
                env={**kept, "PYTHONPATH": str(ROOT), **environment},
                stdin=subprocess.PIPE if talks else subprocess.DEVNULL,
                stdout=subprocess.PIPE if talks else out,
                stderr=out,
                text=True,
                start_new_session=True,  # Ctrl-C is for the benchmark, which then ends its processes
                preexec_fn=end_with_parent(),  # noqa: PLW1509 one system call, no Python state
            )

    @property
    def pid(self) -> int:
        return self.popen.pid

    def ended(self) -> bool:
        return self.popen.poll() is not None

    def last_words(self) -> str:
        """The last line it printed."""
        lines = [line.strip() for line in self.log.read_text(errors="replace").splitlines() if line.strip()]
        return lines[-1] if lines else "(silence)"

    def ask(self, do: str, **details: Any) -> dict[str, Any] | None:
        """Let one that talks do something; its answer, None when it dies of it."""
        pipe_in, pipe_out = self.popen.stdin, self.popen.stdout
        assert pipe_in is not None  # noqa: S101 it talks
        assert pipe_out is not None  # noqa: S101 as above
        pipe_in.write(json.dumps({"do": do, **details}) + "\n")
        pipe_in.flush()
        answer = pipe_out.readline()
        return json.loads(answer) if answer else None

    def stop(self, patience: float = 3) -> None:
        """Ask it to end, insist after so many seconds; afterwards nothing of its family is left."""
        members = family([self.pid])
        thaw(members)
        with contextlib.suppress(ProcessLookupError):
            self.popen.send_signal(signal.SIGTERM)
        psutil.wait_procs(members[:1], timeout=patience)
        for process in {*members, *family([self.pid])}:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.popen.wait()
        for stream in (self.popen.stdin, self.popen.stdout):
            if stream:
                with contextlib.suppress(OSError):
                    stream.close()


def family(pids: Iterable[int]) -> list[psutil.Process]:
    """These processes and everything below them, parents first."""
    found = []
    for pid in pids:
        with contextlib.suppress(psutil.NoSuchProcess):
            parent = psutil.Process(pid)
            found += [parent, *parent.children(recursive=True)]
    return found


def freeze(pids: Iterable[int]) -> list[psutil.Process]:
    """SIGSTOP whole families and wait until they stand still; the processes, for `thaw`."""
    members = family(pids)
    for process in members:
        process.suspend()
    deadline = time.monotonic() + 5
    while any(map(_runs, members)):
        if time.monotonic() > deadline:
            raise RuntimeError("A worker did not stop on SIGSTOP.")
        time.sleep(0.005)
    return members


def thaw(members: Iterable[psutil.Process]) -> None:
    """SIGCONT, children first: a parent that wakes must not find them still standing."""
    for process in reversed(list(members)):
        with contextlib.suppress(psutil.NoSuchProcess):
            process.resume()


def cpu_seconds(members: Iterable[psutil.Process]) -> float:
    """User and system time of these processes and of the children they have reaped."""
    total = 0.0
    for process in members:
        with contextlib.suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total


def memory(members: Iterable[psutil.Process]) -> tuple[float, float]:
    """RSS and PSS in MB: PSS shares what forks share, and so may be added up."""
    rss = pss = 0
    for process in members:
        with contextlib.suppress(psutil.NoSuchProcess):
            info = process.memory_full_info()
            rss, pss = rss + info.rss, pss + info.pss
    return rss / MEGABYTE, pss / MEGABYTE


def _runs(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.status() not in {psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE}
    return False
