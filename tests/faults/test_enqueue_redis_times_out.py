"""Redis takes the pointer and its answer never comes."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from collections.abc import Iterator

import pytest

from taskcenter import wire
from tests.faults.stack import Stack, wait_until
from tests.ledger.tasks import mark
from tests.servers import free_port


class Swallower:
    """A proxy that passes everything on, until it has seen a push: from then on no answer comes back."""

    def __init__(self, target: int) -> None:
        self.port = free_port()
        self.swallowed = 0
        self._target = target
        self._server = socket.create_server(("127.0.0.1", self.port))
        self._open: list[socket.socket] = [self._server]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client = self._server.accept()[0]
                server = socket.create_connection(("127.0.0.1", self._target))
                self._open += [client, server]
                threading.Thread(target=self._pass_on, args=(client, server), daemon=True).start()

    def _pass_on(self, client: socket.socket, server: socket.socket) -> None:
        deaf = False
        with contextlib.suppress(OSError, ValueError):
            while True:
                for ready in select.select([client, server], [], [])[0]:
                    data = ready.recv(65536)
                    if not data:
                        return
                    if ready is client:
                        deaf = deaf or b"EVAL" in data.upper()
                        server.sendall(data)
                    elif deaf:
                        self.swallowed += 1
                    else:
                        client.sendall(data)

    def close(self) -> None:
        for one in self._open:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()


@pytest.fixture
def swallower(stack: Stack) -> Iterator[Swallower]:
    proxy = Swallower(stack.port)
    direct = stack.settings.RQ_QUEUES
    with stack.redis() as client:  # the server knows the script, so that the very first push is accepted
        client.script_flush()
    stack.enqueue(mark)
    stack.settings.RQ_QUEUES = {name: {"URL": f"redis://127.0.0.1:{proxy.port}/0"} for name in direct}
    yield proxy
    proxy.close()
    stack.settings.RQ_QUEUES = direct
    # Whoever comes next shall not have to wait because we swallowed its answers.
    wire._breaker.reset()


def test_a_pointer_whose_answer_is_lost_wakes_for_a_task_that_runs_once(stack: Stack, swallower: Swallower) -> None:
    before = stack.waiting_pointers()
    task_id = stack.enqueue(mark)
    wait_until(lambda: swallower.swallowed, "an answer is swallowed")
    accepted = lambda: stack.waiting_pointers(heard=False) == before + 1  # noqa: E731 said in two lines
    wait_until(accepted, "Redis accepts the pointer")
    after = stack.enqueue(mark)
    assert not wire.redis_is_trusted(), "the next one hears of it, and nobody else waits for it"

    stack.worker(concurrency=2)
    stack.wait_final(task_id, after)
    stack.assert_completed([task_id, after])
    assert stack.book.begun(task_id) == stack.book.begun(after) == [1]
