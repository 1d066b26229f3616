"""Where a drill lives: a folder with a PostgreSQL, a Valkey and logs of its own. All of it goes at the end."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import django
import psycopg
import redis
from django.core.management import call_command
from django.db import connections

from . import interrupts, servers
from .ledger import VARIABLE, Ledger

__all__ = ["Stage", "stage"]

SETTINGS = "taskcenter.drill.settings"


@dataclass(frozen=True, slots=True)
class Stage:
    """Servers up, tables made; Django is set up by the time there is one."""

    directory: Path
    postgres: servers.PostgresServer
    valkey: servers.ValkeyServer
    ledger: Ledger

    @property
    def logs(self) -> Path:
        return self.directory / "logs"

    def redis(self) -> redis.Redis:
        return redis.Redis.from_url(self.valkey.url, socket_timeout=5)

    def remove(self, *, keep_logs: bool) -> None:
        """Remove the folder, or all of it but logs and ledger."""
        shutil.rmtree(self.directory / "servers" if keep_logs else self.directory, ignore_errors=True)


@contextmanager
def stage() -> Iterator[Stage]:
    """The servers end with the block; the folder stays for `remove()`, unless this fails."""
    directory = Path(tempfile.mkdtemp(prefix="tc-drill-"))
    directory.chmod(0o711)  # PostgreSQL's user passes through to its own
    with ExitStack() as stack:
        try:
            made = _start(stack, directory)
        except BaseException:
            stack.close()
            shutil.rmtree(directory, ignore_errors=True)
            raise
        stack.callback(connections.close_all)
        yield made


def _start(stack: ExitStack, directory: Path) -> Stage:
    (directory / "servers").mkdir(mode=0o711)
    (directory / "logs").mkdir()
    valkey = servers.start_valkey(directory / "servers" / "v")
    stack.callback(valkey.stop)
    interrupts.check()
    postgres = servers.start_postgres(directory / "servers" / "p")
    stack.callback(postgres.stop)
    interrupts.check()
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE drill")
    made = Stage(directory, postgres, valkey, Ledger(directory / "ledger.sqlite3"))
    made.ledger.open_anew()
    _set_up_django(made)
    interrupts.check()
    return made


def _set_up_django(made: Stage) -> None:
    os.environ |= {
        "DJANGO_SETTINGS_MODULE": SETTINGS,
        "TASKCENTER_DRILL_POSTGRES": str(made.directory / "servers" / "p"),
        "TASKCENTER_DRILL_REDIS": made.valkey.url,
        VARIABLE: str(made.ledger.path),
    }
    django.setup()
    for handler in logging.root.handlers:
        if isinstance(handler, logging.StreamHandler):  # what this process logs is not for the terminal either
            handler.setStream((made.logs / "drill.log").open("a"))
    call_command("migrate", verbosity=0, interactive=False)
