"""Where a demo lives: a folder with its database, logs, key and password. One demo to a folder."""

from __future__ import annotations

import fcntl
import os
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FIRST_PORT = 8000
PORTS = 100


class DemoError(Exception):
    """The demo cannot go on; the message is one sentence for the person who started it."""


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Hold the folder; raises DemoError when another demo lives in it.

    The system frees the lock when its holder dies, however it dies.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "demo.lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            holder = lock.read().strip() or "unknown"
            raise DemoError(
                f"Another demo (process {holder}) runs in {folder}: stop it, or set DATA_DIR to another folder."
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def kept_secret(path: Path, length: int) -> str:
    """The secret kept in that file, made at the first asking; only its owner can read it."""
    if not path.exists():
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_urlsafe(length))
    return path.read_text().strip()


def free_port(first: int = FIRST_PORT) -> int:
    """The first port of 127.0.0.1 from there on that nobody uses; raises DemoError when there is none."""
    for port in range(first, min(first + PORTS, 65536)):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise DemoError(f"No free port from {first} on: end some other server, or choose one with --port.")


def readable_file(path: Path) -> Path:
    """That path, if it is a file that can be read; raises DemoError."""
    if not path.exists():
        raise DemoError(f"There is no file {path}.")
    if not path.is_file():
        raise DemoError(f"{path} is not a file.")
    if not os.access(path, os.R_OK):
        raise DemoError(f"{path} cannot be read: its permissions do not allow it.")
    return path.resolve()
