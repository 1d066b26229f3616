"""The order of things: house, database, processes, story, and the end of it all."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event

from django.conf import settings
from django.core.management import call_command
from django.db import DatabaseError, connection

from .group import AskedToStopError, Group
from .house import DemoError, free_port, kept_secret, only_one
from .valkey import start_valkey

STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
INTERRUPTED = 130
"""The exit code of a command that Ctrl-C broke off."""
WEB_START = 120
"""Seconds: a busy machine takes long to import everything."""

Say = Callable[[str], None]


def show(*, once: bool, file: Path | None, port: int, say: Say) -> int:
    """Run the demo; the exit code. Raises DemoError, and leaves no process behind however it ends."""
    folder = Path(settings.DATA_DIR)
    # WhiteNoise warns of a folder that is not there.
    Path(settings.STATIC_ROOT).mkdir(parents=True, exist_ok=True)
    with only_one(folder), _sockets() as sockets, _signals() as asked:
        migrate(say)
        group = Group(folder, _environment(folder), say, asked)
        try:
            url = start_all(group, sockets, free_port(port))
            return tell_story(group, url, once=once, file=file, say=say)
        except AskedToStopError:
            say("\nStopping…")
            return INTERRUPTED if once else 0
        finally:
            group.stop()


def migrate(say: Say) -> None:
    """Bring the database up to date; raises DemoError when it cannot be reached."""
    try:
        connection.ensure_connection()
        call_command("migrate", verbosity=0, interactive=False)
    except DatabaseError as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise DemoError(f"The database cannot be used: {first}") from error
    finally:
        connection.close()
    say("The database is ready.")


def start_all(group: Group, sockets: Path, port: int) -> str:
    """Redis, web, worker, scheduler; where the site answers."""
    if not group.env.get("REDIS_URL"):
        group.env["REDIS_URL"] = start_valkey(group, sockets)
    manage = [sys.executable, str(settings.BASE_DIR / "manage.py")]
    serve = [sys.executable, "-m", "uvicorn", "analysis.asgi:application", "--host", "127.0.0.1"]
    quiet = ["--log-level", "warning", "--timeout-graceful-shutdown", "3"]
    group.start("web", [*serve, "--port", str(port), *quiet])
    group.start("worker", [*manage, "rqworker", "analysis", "default"])
    group.start("scheduler", [*manage, "rqscheduler"])
    group.wait_until(lambda: _listens(port), WEB_START, "The start of the web server")
    return f"http://127.0.0.1:{port}/"


def tell_story(group: Group, url: str, *, once: bool, file: Path | None, say: Say) -> int:
    """The visitor's part; then serve on, unless it was for once."""
    command = [sys.executable, "-m", "analysis.demo.story", "--url", url]
    code = group.run_in_front([*command, "--file", str(file)] if file else command)
    if once:
        return code
    say(f"\nServing on {url} until you press Ctrl-C. Logs: {_short(group.folder)}/*.log")
    group.watch()
    return 0


def _environment(folder: Path) -> dict[str, str]:
    """What all processes share; a key of its own keeps people signed in from one demo to the next."""
    ours = {
        "DJANGO_SETTINGS_MODULE": os.environ.get("DJANGO_SETTINGS_MODULE", "analysis.settings"),
        "DATA_DIR": str(folder.resolve()),
        "SECRET_KEY": os.environ.get("SECRET_KEY") or kept_secret(folder / "secret-key", 50),
        "PYTHONPATH": os.pathsep.join(filter(None, [str(settings.BASE_DIR), os.environ.get("PYTHONPATH")])),
        "TASKCENTER_GRACE": os.environ.get("TASKCENTER_GRACE", "4"),
        "PYTHONUNBUFFERED": "1",
    }
    return {**os.environ, **ours}


@contextmanager
def _sockets() -> Iterator[Path]:
    """A folder with a short name: the path of a socket must not be longer than about 100 characters."""
    path = Path(tempfile.mkdtemp(prefix="taskcenter-"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextmanager
def _signals() -> Iterator[Event]:
    """Set by Ctrl-C, SIGTERM and a closed terminal.

    Nothing is raised from the handler: what is raised while a process is being started gets lost.
    """
    asked = Event()
    before = {number: signal.signal(number, lambda *_: asked.set()) for number in STOPS}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _short(path: Path) -> Path:
    """Relative to where the person stands, when it lies below."""
    here = Path.cwd()
    return path.resolve().relative_to(here) if path.resolve().is_relative_to(here) else path
