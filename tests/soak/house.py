"""Where a soak lives: a folder, a database and a Redis of its own, which go with it."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import django
import psycopg
from django.core.management import call_command
from django.db import connections

from tests import servers

__all__ = ["House", "house"]

SETTINGS = "tests.soak.settings"
DATABASE = "soak"


@dataclass(frozen=True, slots=True)
class House:
    """The folders of a run. Django is set up by the time there is one."""

    directory: Path
    redis: servers.ValkeyServer
    postgres: servers.PostgresServer | None

    @property
    def marks(self) -> Path:
        """Where the tasks leave their marks."""
        return self.directory / "marks"

    @property
    def logs(self) -> Path:
        return self.directory / "logs"

    @property
    def environment(self) -> dict[str, str]:
        """What the run's processes get beside this process's own environment."""
        return {"DJANGO_SETTINGS_MODULE": SETTINGS, "SOAK_MARKS": str(self.marks), "LOG_LEVEL": "WARNING"}

    def empty(self, *, keep_logs: bool) -> None:
        """Remove the folder, or all of it but logs and marks."""
        shutil.rmtree(self.directory / "servers" if keep_logs else self.directory, ignore_errors=True)


@contextmanager
def house(database: str) -> Iterator[House]:
    """Servers up, tables made; the servers end with the block, the folder stays for `empty()`."""
    directory = Path(tempfile.mkdtemp(prefix="tc-soak-"))
    directory.chmod(0o711)  # PostgreSQL's user passes through to its own
    for folder in ("marks", "logs", "servers"):
        (directory / folder).mkdir()
    with ExitStack() as stack:
        redis = servers.start_valkey(directory / "servers" / "v")
        stack.callback(redis.stop)
        url, postgres = f"sqlite:///{directory}/servers/{DATABASE}.sqlite3", None
        if database == "postgres":
            postgres = _start_postgres(stack, directory / "servers" / "p")
            url = servers.postgres_url(directory / "servers" / "p", DATABASE)
        _set_up_django(directory, url, redis.url)
        stack.callback(connections.close_all)
        yield House(directory, redis, postgres)


def _start_postgres(stack: ExitStack, directory: Path) -> servers.PostgresServer:
    server = servers.start_postgres(directory, fsync=False)
    stack.callback(server.stop)
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {DATABASE}")
    return server


def _set_up_django(directory: Path, database_url: str, redis_url: str) -> None:
    os.environ |= {
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "DATA_DIR": str(directory),
        "SECRET_KEY": "of the soak",
        "DJANGO_SETTINGS_MODULE": SETTINGS,
        "LOG_LEVEL": "WARNING",
    }
    django.setup()
    call_command("migrate", verbosity=0, interactive=False)
