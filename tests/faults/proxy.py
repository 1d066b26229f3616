"""A bad network: a TCP proxy that loses packets, takes its time, stalls, and hangs up.

TCP never lets a byte fall: what a real network loses is sent again, until somebody gives up. So bytes in
a black hole wait here until it is healed, and a lost packet is a stall. What a reboot or a firewall forgets
is a half-open connection: silence, and a reset for whoever speaks.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

__all__ = ["Proxy"]

T = TypeVar("T")
CHUNK = 65536
FIRST_RETRY = 0.2
"""Seconds after which TCP sends a lost packet again; each further loss doubles them."""
RESET = struct.pack("ii", 1, 0)
"""SO_LINGER for an end without a goodbye."""

Pair = tuple[asyncio.StreamWriter, asyncio.StreamWriter]
"""The ways to the client and to the server."""


class Proxy:
    """Listens on a port of 127.0.0.1 and passes on to `target`: another port there, or a unix socket."""

    def __init__(self, target: int | Path, *, port: int = 0, seed: int = 0) -> None:
        self._target = target
        self._random = random.Random(seed)
        self._pairs: set[Pair] = set()
        self._forgotten: set[Pair] = set()
        self._asking: set[Pair] = set()
        """Those whose client was the last to speak."""
        self._latency = self._loss = 0.0
        self._room: int | None = None
        self.held = self.lost = self.resets = 0
        """Pieces and knocks that waited in the black hole, packets lost, connections that were reset."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._open = self._do(_event())
        self._server = self._do(asyncio.start_server(self._serve, "127.0.0.1", port))
        self.port: int = self._server.sockets[0].getsockname()[1]

    @property
    def connections(self) -> int:
        """How many there are now, half open ones not counted."""
        return len(self._pairs - self._forgotten)

    # What can be made to happen.

    @contextmanager
    def black_hole(self) -> Iterator[None]:
        """Nothing comes through and nothing is refused; what was said arrives when it is over."""
        self._loop.call_soon_threadsafe(self._open.clear)
        try:
            yield
        finally:
            self._loop.call_soon_threadsafe(self._open.set)

    @contextmanager
    def slow(self, *, latency: float, loss: float) -> Iterator[None]:
        """Every piece takes so many seconds, and so large a part of them is lost and sent again."""
        self._latency, self._loss = latency, loss
        try:
            yield
        finally:
            self._latency = self._loss = 0.0

    def forget_connections(self, *, probed: bool = False) -> int:
        """Leave all connections half open; how many.

        With `probed`, whoever waits for an answer just now is reset: TCP's own probes (keepalive), which no
        proxy sees, find that out within half a minute.
        """
        return self._do(self._forget(probed))

    def cut_after(self, count: int) -> None:
        """Reset every connection once so many more bytes have gone to the server, and from then on none."""
        self._room = count

    def close(self) -> None:
        self._do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    # In the proxy's thread.

    def _do(self, what: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(what, self._loop).result(10)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._come_through()  # who knocks at a black hole hears nothing
            there, back = await self._connect()
        except (OSError, asyncio.CancelledError):
            _reset(writer)
            return
        pair = writer, back
        self._pairs.add(pair)
        ways = [self._carry(reader, back, pair, to_server=True), self._carry(there, writer, pair, to_server=False)]
        with contextlib.suppress(asyncio.CancelledError):  # the end of it all
            await asyncio.gather(*ways)
        self._pairs.discard(pair)
        self._asking.discard(pair)
        for way in pair:
            way.transport.abort()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if isinstance(self._target, Path):
            return await asyncio.open_unix_connection(self._target)
        return await asyncio.open_connection("127.0.0.1", self._target)

    async def _carry(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, pair: Pair, *, to_server: bool
    ) -> None:
        with contextlib.suppress(OSError):
            while piece := await reader.read(CHUNK):
                (self._asking.add if to_server else self._asking.discard)(pair)
                if pair in self._forgotten or (to_server and self._is_cut(piece)):
                    self._hang_up(pair)
                    return
                await self._weather()
                writer.write(piece)
                await writer.drain()
        if pair not in self._forgotten:
            await self._open.wait()  # a goodbye is a packet as well
            writer.close()

    async def _come_through(self) -> None:
        if not self._open.is_set():
            self.held += 1
            await self._open.wait()

    async def _weather(self) -> None:
        await self._come_through()
        if self._latency:
            await asyncio.sleep(self._latency)
        wait = FIRST_RETRY
        while self._random.random() < self._loss:
            self.lost += 1
            await asyncio.sleep(wait)
            wait *= 2

    def _is_cut(self, piece: bytes) -> bool:
        if self._room is None:
            return False
        self._room -= len(piece)
        if self._room >= 0:
            return False
        self._room = None
        return True

    def _hang_up(self, pair: Pair) -> None:
        self.resets += 1
        for way in pair:
            _reset(way)

    async def _forget(self, probed: bool) -> int:
        pairs = self._pairs - self._forgotten
        self._forgotten |= pairs
        for pair in pairs:
            if probed and pair in self._asking:
                self._hang_up(pair)
            else:
                pair[1].transport.abort()
        return len(pairs)

    async def _end(self) -> None:
        self._open.set()
        self._server.close()
        for pair in list(self._pairs):
            self._hang_up(pair)
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for other in others:
            other.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        for _ in range(3):
            await asyncio.sleep(0)  # an aborted transport closes its socket in the loop's next turn


async def _event() -> asyncio.Event:
    event = asyncio.Event()
    event.set()
    return event


def _reset(way: asyncio.StreamWriter) -> None:
    connected = way.get_extra_info("socket")
    if connected is not None and connected.family == socket.AF_INET:
        with contextlib.suppress(OSError):
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    way.transport.abort()
