"""A process that holds many sockets; it reads what to do from its input, a JSON object a line.

It speaks the least of the protocol that will do, so that what is measured is the server: a frame is stamped when its
bytes are here, and looked into only as far as its time.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import struct
import sys
import time
from typing import Any

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
AT_ONCE = 50
"""Sockets opened together."""
PATIENCE = 120

_TOLD = re.compile(rb'"message": "(\d+\.\d+)"')


class Watcher(asyncio.Protocol):
    """One socket on one task."""

    def __init__(self, host: str, session: str, task: str) -> None:
        loop = asyncio.get_running_loop()
        self.is_watching, self.has_ended = loop.create_future(), loop.create_future()
        self.waits: list[float] = []
        self._hello = (
            f"GET /ws/taskcenter/ HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\nCookie: sessionid={session}\r\n\r\n"
        ).encode()
        self._subscribe = json.dumps({"type": "subscribe", "tasks": [{"id": task}]}).encode()
        self._data = b""
        self._is_open = False

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        transport.write(self._hello)

    def data_received(self, data: bytes) -> None:
        now = time.monotonic()
        self._data += data
        if not self._is_open:
            head, separator, self._data = self._data.partition(b"\r\n\r\n")
            self._is_open = bool(separator)
            if not separator:
                self._data = head
                return
            self.transport.write(_frame(1, self._subscribe))
        while (frame := self._next_frame()) is not None:
            self._hear(*frame, now)

    def connection_lost(self, error: Exception | None) -> None:
        for future in (self.is_watching, self.has_ended):
            if not future.done():
                future.set_exception(error or ConnectionError("The server closed a socket."))

    def _next_frame(self) -> tuple[int, bytes] | None:
        if len(self._data) < 2:
            return None
        opcode, length, begin = self._data[0] & 15, self._data[1] & 127, 2
        if length == 126:
            begin = 4
            length = struct.unpack("!H", self._data[2:4])[0] if len(self._data) >= 4 else 0x10000
        elif length == 127:
            begin = 10
            length = struct.unpack("!Q", self._data[2:10])[0] if len(self._data) >= 10 else 1 << 40
        if len(self._data) < begin + length:
            return None
        frame, self._data = self._data[begin : begin + length], self._data[begin + length :]
        return opcode, frame

    def _hear(self, opcode: int, frame: bytes, now: float) -> None:
        if opcode == 9:
            self.transport.write(_frame(10, frame))
        elif frame.startswith(b'{"type": "snapshot"') and not self.is_watching.done():
            self.is_watching.set_result(None)
        elif frame.startswith(b'{"type": "update"'):
            told = _TOLD.search(frame)
            if b'"final": true' in frame:
                self.has_ended.set_result(None)
            elif told:
                self.waits.append(1000 * (now - float(told[1])))


def _frame(opcode: int, payload: bytes) -> bytes:
    """From a client, so masked; with zeros, which change nothing."""
    size = len(payload)
    length = bytes([128 | size]) if size < 126 else struct.pack("!BH", 128 | 126, size)
    return bytes([128 | opcode]) + length + bytes(4) + payload


class Watchers:
    def __init__(self) -> None:
        self._all: list[Watcher] = []

    async def open(self, port: int, session: str, tasks: list[str]) -> dict[str, Any]:
        for at in range(0, len(tasks), AT_ONCE):
            await asyncio.gather(*(self._open(port, session, task) for task in tasks[at : at + AT_ONCE]))
        return {}

    async def hear_out(self) -> dict[str, Any]:
        await asyncio.wait_for(asyncio.gather(*(one.has_ended for one in self._all)), PATIENCE)
        return {"waits": [wait for one in self._all for wait in one.waits]}

    async def close(self) -> dict[str, Any]:
        for one in self._all:
            one.has_ended.cancel()
            one.transport.close()
        self._all = []
        return {}

    async def _open(self, port: int, session: str, task: str) -> None:
        host = "127.0.0.1"
        loop = asyncio.get_running_loop()
        _, watcher = await loop.create_connection(lambda: Watcher(f"{host}:{port}", session, task), host, port)
        self._all.append(watcher)
        await asyncio.wait_for(asyncio.shield(watcher.is_watching), PATIENCE)


async def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    watchers, loop = Watchers(), asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        details = json.loads(line)
        answers.write(json.dumps(await getattr(watchers, details.pop("do"))(**details)) + "\n")
        answers.flush()


if __name__ == "__main__":
    asyncio.run(main())
