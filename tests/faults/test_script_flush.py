"""Redis forgets the script that pushes pointers: a restart, a failover, SCRIPT FLUSH."""

from __future__ import annotations

import hashlib
import threading

from taskcenter.pointers import PUSH
from tests.faults.stack import Stack, require_fired, wait_until
from tests.ledger.tasks import mark

SCRIPT = hashlib.sha1(PUSH.encode(), usedforsecurity=False).hexdigest()


def test_the_next_push_brings_it_along(stack: Stack) -> None:
    before = stack.enqueue(mark)
    wait_until(stack.waiting_pointers, "it is pushed")
    with stack.redis() as client:
        require_fired(client.script_exists(SCRIPT) == [True], "the script was never there")
        client.script_flush()
        require_fired(client.script_exists(SCRIPT) == [False], "the script is still there")
        after = [stack.enqueue(mark, number) for number in range(3)]
        wait_until(lambda: stack.waiting_pointers() == 4, "each pointer is pushed")
        assert client.script_exists(SCRIPT) == [True], "each push brings the whole script"
    stack.worker()
    stack.wait_final(before, *after)
    stack.assert_completed([before, *after])


def test_flushes_without_end_lose_no_pointer(stack: Stack) -> None:
    """Every second push or so finds no script."""
    flushed = 0
    over = threading.Event()

    def flush() -> None:
        nonlocal flushed
        with stack.redis() as client:
            while not over.is_set():
                flushed += client.script_exists(SCRIPT) == [True]
                client.script_flush()

    thread = threading.Thread(target=flush)
    thread.start()
    try:
        ids = [stack.enqueue(mark, number) for number in range(100)]
    finally:
        over.set()
        thread.join()
    require_fired(flushed > 20, "the script was hardly ever there to be lost")
    wait_until(lambda: stack.waiting_pointers() == 100, "each pointer is pushed")
    stack.worker(concurrency=2)
    stack.wait_final(*ids)

    stack.assert_completed(ids)
    wait_until(lambda: not stack.waiting_pointers(), "no pointer outlives its task")
