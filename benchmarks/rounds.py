"""All runners in turn, so that a busy minute of the machine meets all of them; then what only ours are asked."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
import psycopg
import redis

from benchmarks import measures
from benchmarks.databases import Database
from benchmarks.environments import CannotInstall, python_of
from benchmarks.measures import IN_ROUNDS, LIVE
from benchmarks.results import Numbers, Results
from benchmarks.runners import Runner
from benchmarks.stand import House, Stand, Stuck

__all__ = ["Bench", "install"]

FAILURES = (Stuck, OSError, RuntimeError, ValueError, psutil.Error, psycopg.Error, redis.RedisError)
"""What one runner's trouble looks like; the others go on."""

MEASURES: dict[str, Callable[[Stand], Numbers]] = {
    "latency": measures.latency.latency,
    "memory": measures.memory.memory,
    "statements": measures.statements.statements,
    "naps": lambda stand: measures.backlog.drain(stand, "nap", min(measures.backlog.NAPS, stand.runner.tasks)),
    "drain": lambda stand: measures.backlog.drain(stand, "noop", stand.runner.tasks),
    "enqueue": measures.backlog.enqueue,
    "overhead": measures.overhead.overhead,
    "frames": measures.frames.frames,
    "sockets": measures.sockets.sockets,
    "sqlite": measures.sqlite.sqlite,
    "held": measures.held.held,
}


def install(runners: Sequence[Runner], results: Results) -> dict[str, Path]:
    """The interpreter of each runner; one that cannot be installed is a failure and left out."""
    pythons = {}
    for runner in runners:
        try:
            pythons[runner.name] = python_of(runner.pins)
        except CannotInstall as error:
            _fail(results, runner, error)
    return pythons


@dataclass
class Bench:
    """One run: everything that its rounds share."""

    house: House
    runners: Sequence[Runner]
    pythons: dict[str, Path]
    rounds: int
    results: Results
    rows: int = measures.admin.ROWS
    """Tasks in the table whose admin pages are opened."""

    def side_by_side(self, chosen: Collection[str]) -> None:
        """Each runner in each round, the order reversed every other one; who fails is left out of further rounds."""
        wanted = [name for name in IN_ROUNDS if name in chosen]
        if wanted:
            self._repeat("", self.runners, wanted, self._postgres)

    def ours_alone(self, chosen: Collection[str]) -> None:
        """Watching, SQLite, how long a finished task is held back, the admin's pages: asked of TaskCenter alone."""
        ours = [runner for runner in self.runners if runner.project == "ours"]
        if (wanted := [name for name in LIVE if name in chosen]) and ours:
            # Batches change nothing about it, so one runner is enough.
            self._repeat("watching, ", ours[-1:], wanted, self._postgres)
        if "sqlite" in chosen and ours:
            self._repeat("SQLite, ", ours, ["sqlite"], self._sqlite)
        if "held" in chosen and ours:
            self.house.postgres.restart(measures.held.SETTING)
            self._repeat("held back, ", ours, ["held"], self._postgres)
        if "admin" in chosen and ours:
            self.house.postgres.restart()
            self._guarded(ours[-1], lambda: self._admin(ours[-1]))

    def _repeat(
        self, what: str, runners: Sequence[Runner], wanted: Sequence[str], database: Callable[[Runner], Database]
    ) -> None:
        for number in range(self.rounds):
            for runner in runners[:: -1 if number % 2 else 1]:
                if runner.name in self.pythons and runner.name not in self.results.failures:
                    _say(f"{what}round {number + 1} of {self.rounds}: {runner.name}")
                    self._guarded(runner, lambda r=runner, n=number: self._measure(r, wanted, n, database))  # type: ignore[misc]

    def _measure(self, runner: Runner, wanted: Sequence[str], number: int, make: Callable[[Runner], Database]) -> None:
        database = make(runner)
        try:
            with Stand(self.house, runner, database, self.pythons[runner.name]) as stand:
                for name in wanted:
                    numbers = MEASURES[name](stand)
                    self.results.add(runner.name, name, number, numbers)
                    _say(f"  {name}: " + ", ".join(f"{key} {value:.4g}" for key, value in numbers.items()))
        finally:
            database.close()

    def _admin(self, runner: Runner) -> None:
        """Once, however many rounds: filling takes minutes, and the pages are opened several times."""
        _say(f"admin: {self.rows:,} tasks")
        python = self.pythons[runner.name]
        database = self.house.databases.postgres(measures.admin.PROJECT, python)
        try:
            for page, numbers in measures.admin.admin(database, self.house.valkey, python, self.rows).items():
                self.results.add(page, "admin", 0, numbers)
        finally:
            database.close()

    def _postgres(self, runner: Runner) -> Database:
        return self.house.databases.postgres(runner.project, self.pythons[runner.name])

    def _sqlite(self, runner: Runner) -> Database:
        return self.house.databases.sqlite(runner.project, self.pythons[runner.name])

    def _guarded(self, runner: Runner, work: Callable[[], None]) -> None:
        try:
            work()
        except subprocess.CalledProcessError as error:
            lines = (error.stderr or b"").decode(errors="replace").strip().splitlines()
            _fail(self.results, runner, RuntimeError(f"{error.cmd[-3:]}: {lines[-1] if lines else 'no message'}"))
        except FAILURES as error:
            _fail(self.results, runner, error)


def _fail(results: Results, runner: Runner, error: Exception) -> None:
    results.failures[runner.name] = " ".join(str(error).split())[:500] or type(error).__name__
    _say(f"  {runner.name} failed: {results.failures[runner.name]}")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
