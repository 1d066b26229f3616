"""An ASGI server beside a stand's workers, and a process that holds as many sockets to it as are asked for."""

from __future__ import annotations

import resource
import socket
import time
from typing import Any, Self

from benchmarks.processes import cpu_seconds, family, memory
from benchmarks.servers import HOST
from benchmarks.stand import Stand, Stuck

__all__ = ["Audience"]


class Audience:
    """Use it in a `with`."""

    def __init__(self, stand: Stand) -> None:
        self._stand = stand
        self._port = _free_port()

    def __enter__(self) -> Self:
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # inherited: each socket is a file at both ends
        # As docs/operations.md advises.
        options = ["--lifespan", "off", "--log-level", "warning", "--ws-per-message-deflate", "false"]
        address = ["--host", HOST, "--port", str(self._port)]
        application = "benchmarks.projects.ours.asgi:application"
        self._server = self._stand.start("uvicorn", ["-m", "uvicorn", application, *address, *options])
        self._watchers = self._stand.start("watchers", ["-m", "benchmarks.projects.ours.watchers"], talks=True)
        self._wait_for_server()
        self._session = self._stand.ask("sign_in")["session"]
        return self

    def __exit__(self, *_: object) -> None:
        self._watchers.stop()
        self._server.stop()

    def open(self, tasks: list[str]) -> None:
        """A socket for each of these tasks; returns when all have their snapshots."""
        self._ask("open", port=self._port, session=self._session, tasks=tasks)

    def hear_out(self) -> list[float]:
        """Wait until all have heard the end of their task; milliseconds of each frame that told a time."""
        waits: list[float] = self._ask("hear_out")["waits"]
        return waits

    def close(self) -> None:
        self._ask("close")

    def memory(self) -> float:
        """RSS of the server in MB."""
        return memory(family([self._server.pid]))[0]

    def cpu(self) -> float:
        """CPU seconds that the server has used."""
        return cpu_seconds(family([self._server.pid]))

    def _ask(self, do: str, **details: Any) -> dict[str, Any]:
        answer = self._watchers.ask(do, **details)
        if answer is None:
            words = f"{self._watchers.last_words()} / {self._server.last_words()}"
            raise Stuck(f"Who watched ended: {words}")
        return answer

    def _wait_for_server(self) -> None:
        deadline = time.monotonic() + 60
        while not _answers(self._port):
            if self._server.ended() or time.monotonic() > deadline:
                raise Stuck(f"The ASGI server does not answer: {self._server.last_words()}")
            time.sleep(0.05)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0
