"""Fresh databases: each runner of each round gets a copy of a migrated template of its own."""

from __future__ import annotations

import itertools
import shutil
import sqlite3
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from benchmarks.environments import ROOT
from benchmarks.servers import Postgres

__all__ = ["Database", "Databases", "PostgresDatabase", "SqliteDatabase"]


class Database(Protocol):
    """Where a runner keeps its rows."""

    @property
    def environment(self) -> Mapping[str, str]:
        """What tells the runner's project where it is."""

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """The answer to a query of the one who measures."""

    def close(self) -> None:
        """Drop it."""


class PostgresDatabase:
    def __init__(self, server: Postgres, name: str) -> None:
        self._server, self.name = server, name
        self.environment = address(server, name)
        self._connection = server.connect(name)
        self.watcher_pid = self._connection.info.backend_pid
        """The server process that works for the one who measures, and so counts for nobody."""

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        return list(self._connection.execute(query))

    def close(self) -> None:
        self._connection.close()
        self._server.execute("DROP DATABASE {name} WITH (FORCE)", name=self.name)


class SqliteDatabase:
    def __init__(self, path: Path) -> None:
        self._path = path
        self.environment = {"BENCH_SQLITE": str(path)}
        self._connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=20, isolation_level=None)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        return self._connection.execute(query).fetchall()

    def close(self) -> None:
        self._connection.close()
        for suffix in ("", "-wal", "-shm"):
            self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)


class Databases:
    """Makes them; a template is migrated once per project."""

    def __init__(self, server: Postgres, directory: Path) -> None:
        self._server, self._directory = server, directory
        self._templates: dict[str, str | Path] = {}
        self._numbers = itertools.count(1)

    def postgres(self, project: str, python: Path) -> PostgresDatabase:
        template, name = f"template_{project}", f"bench_{next(self._numbers)}"
        if template not in self._templates:
            self._server.execute("CREATE DATABASE {name} OWNER bench", name=template)
            _migrate(project, python, address(self._server, template))
            self._templates[template] = template
        self._server.execute("CREATE DATABASE {name} TEMPLATE {template} OWNER bench", name=name, template=template)
        self._server.execute("CHECKPOINT")  # so that everybody starts with the same disk to write
        return PostgresDatabase(self._server, name)

    def sqlite(self, project: str, python: Path) -> SqliteDatabase:
        template = self._directory / f"{project}.sqlite3"
        if not template.exists():
            _migrate(project, python, {"BENCH_SQLITE": str(template)})
        path = self._directory / f"bench_{next(self._numbers)}.sqlite3"
        shutil.copyfile(template, path)
        return SqliteDatabase(path)


def address(server: Postgres, name: str) -> dict[str, str]:
    """What tells a project to use this database of PostgreSQL."""
    return {"BENCH_POSTGRES": name, "BENCH_POSTGRES_PORT": str(server.port)}


def _migrate(project: str, python: Path, environment: Mapping[str, str]) -> None:
    settings = {"DJANGO_SETTINGS_MODULE": f"benchmarks.projects.{project}.settings", "PYTHONPATH": str(ROOT)}
    subprocess.run(
        [str(python), "-m", "django", "migrate", "--verbosity", "0"],
        check=True,
        capture_output=True,
        env={**settings, "BENCH_REDIS": "redis://127.0.0.1:1/0", **environment},
    )
