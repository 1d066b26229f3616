"""Tasks that tell of the process they run in, or fill it. Known only under `tests.worker_settings`."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from django.db import connection

from taskcenter import task
from taskcenter.context import TaskContext

from .book import book

_kept: list[bytes] = []


@task
def whoami() -> int:
    return os.getpid()


@task
def swell(megabytes: int) -> int:
    """Never give back so much memory."""
    _kept.append(b"x" * (megabytes * 1024 * 1024))
    return os.getpid()


@task(takes_context=True)
def hoard(context: TaskContext, megabytes: int) -> None:
    """Take so much memory, and never end."""
    book().begin(context.row.id, context.attempt)
    _kept.append(b"x" * (megabytes * 1024 * 1024))
    while True:
        time.sleep(60)


@task
def waits_allowed() -> list[str]:
    """How long a statement of a task may take, by the database's words or Django's."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT current_setting('statement_timeout'), current_setting('lock_timeout')")
            return list(cursor.fetchone())
    return [str(connection.settings_dict["OPTIONS"]["timeout"])]


@task
def leave_a_child(path: str) -> None:
    """Start a process, leave its number, and crash."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    Path(path).write_text(str(child.pid), encoding="ascii")
    os._exit(7)
