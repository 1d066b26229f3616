"""One runner ready to be measured: a fresh database, an empty Valkey, warm workers, and a client that enqueues."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import psutil

from benchmarks.databases import Database, Databases, PostgresDatabase
from benchmarks.processes import Process, cpu_seconds, family, freeze, thaw
from benchmarks.runners.runner import Runner
from benchmarks.servers import Postgres, Valkey

__all__ = ["House", "Stand", "Stuck"]

PATIENCE = 120.0
"""Seconds until a phase that does not end counts as failed."""


class Stuck(Exception):
    """A runner did not do what it should; says what, in one line."""


@dataclass
class House:
    """What all runners share."""

    postgres: Postgres
    valkey: Valkey
    databases: Databases
    directory: Path


class Stand:
    """Use it in a `with`: the warm-up is at its beginning, and nothing is left running at its end."""

    def __init__(self, house: House, runner: Runner, database: Database, python: Path) -> None:
        self.house, self.runner, self.database = house, runner, database
        self.stamps = house.directory / "stamps"
        self._python = python
        self._processes: list[Process] = []
        self._frozen: list[psutil.Process] = []
        self.looks = 0
        """Commands sent to Valkey by `done()`, which count for nobody."""

    def __enter__(self) -> Self:
        self.house.valkey.client.flushall()
        self.stamps.write_text("")
        try:
            self._processes = [self.start(f"worker{i}", list(it)) for i, it in enumerate(self.runner.workers)]
            self._client = self.start("client", ["-m", "benchmarks.projects.client", self.runner.project], talks=True)
            self._warm_up()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for process in (*self._processes, *([self._client] if hasattr(self, "_client") else [])):
            process.stop()

    # What the measures use.

    def ask(self, do: str, **details: Any) -> dict[str, Any]:
        """Let the client do something; its answer. Raises Stuck when it dies of it."""
        answer = self._client.ask(do, **details)
        if answer is None:
            raise Stuck(f"The client ended: {self._client.last_words()}")
        return answer

    def done(self) -> int:
        """How many tasks have a durable record of their success."""
        if self.runner.done.startswith("SELECT"):
            return int(self.database.rows(self.runner.done)[0][0])
        self.looks += 1
        command, key = self.runner.done.split()
        return int(self.house.valkey.client.execute_command(command, key))  # type: ignore[no-untyped-call]

    def wait_done(self, target: int, patience: float = PATIENCE) -> float:
        """Wait until so many are done; when that was seen (monotonic). Looks seldom, and often near the end."""
        begun, first = time.monotonic(), self.done()
        while True:
            asked = time.monotonic()
            found = self.done()
            seen = time.monotonic()
            if found >= target:
                return seen
            if seen - begun > patience:
                raise Stuck(f"{found - first} of {target - first} tasks after {patience:g} s. {self._last_words()}")
            if any(process.ended() for process in self._processes):
                raise Stuck(f"A worker ended: {self._last_words()}")
            rate = (found - first) / (seen - begun)
            expected = (target - found) / rate if rate else 0.05
            time.sleep(min(0.25, max(0.004, 4 * (seen - asked), expected / 4)))

    def worker_pids(self) -> list[int]:
        return [process.pid for process in self._processes]

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Workers stand still inside."""
        members = freeze(self.worker_pids())
        try:
            yield
        finally:
            thaw(members)

    def cpu(self) -> dict[str, float]:
        """CPU seconds used so far by workers, PostgreSQL and Valkey."""
        watcher = self.database.watcher_pid if isinstance(self.database, PostgresDatabase) else 0
        servers = [process for process in family([self.house.postgres.pid]) if process.pid != watcher]
        return {
            "worker": cpu_seconds(family(self.worker_pids())),
            "postgres": cpu_seconds(servers),
            "valkey": cpu_seconds(family([self.house.valkey.pid])),
        }

    # Its beginning.

    def start(self, name: str, arguments: list[str], *, talks: bool = False) -> Process:
        """A process of the runner's environment and project; who starts it stops it."""
        environment = {
            "DJANGO_SETTINGS_MODULE": f"benchmarks.projects.{self.runner.project}.settings",
            "BENCH_REDIS": self.house.valkey.url,
            "BENCH_STAMPS": str(self.stamps),
            **self.database.environment,
            **dict(self.runner.environment),
        }
        log = self.house.directory / f"{self.runner.name}-{name}.log"
        log.unlink(missing_ok=True)
        return Process([str(self._python), *arguments], log=log, environment=environment, talks=talks)

    def _warm_up(self) -> None:
        """No-ops until somebody works, then naps, so many that every worker gets some."""
        for kind, count in (("noop", 30), ("nap", 60)):
            target = self.done() + count
            self.ask("one_by_one", kind=kind, count=count)
            self.wait_done(target, patience=60)

    def _last_words(self) -> str:
        return "The workers' last words: " + " / ".join(process.last_words() for process in self._processes)
