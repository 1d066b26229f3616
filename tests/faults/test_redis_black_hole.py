"""Redis accepts connections and never answers: packets dropped, not refused."""

from __future__ import annotations

import time

import psutil
import pytest

from taskcenter.models import Worker
from tests.faults.stack import BlackHole, Stack, require_fired, wait_until
from tests.ledger.tasks import hold, mark

PROMISE = 2.0
"""Seconds that 100 enqueues may take in all. This bound is the promise itself, not a guess about machines."""


def enqueue_hundred(stack: Stack) -> tuple[list[str], float]:
    begun = time.monotonic()
    task_ids = [stack.enqueue(mark, number) for number in range(100)]
    return task_ids, time.monotonic() - begun


def test_a_hundred_enqueues_take_under_two_seconds_and_run_later(bare_stack: Stack) -> None:
    hole = BlackHole(bare_stack.port)
    try:
        task_ids, seconds = enqueue_hundred(bare_stack)
        require_fired(hole.accepted, "nobody fell into the black hole")
    finally:
        hole.close()
    assert seconds < PROMISE

    bare_stack.start_valkey()
    bare_stack.worker(concurrency=2)
    bare_stack.wait_final(*task_ids)
    bare_stack.assert_completed(task_ids)


def test_a_worker_goes_on_living_and_working_while_redis_hangs(stack: Stack) -> None:
    """It neither misses its heartbeat nor waits for a pointer that cannot come."""
    worker = stack.worker()
    assert stack.valkey is not None
    server = psutil.Process(stack.valkey.pid)
    server.suspend()
    try:
        task_ids, seconds = enqueue_hundred(stack)
        held = stack.enqueue(hold)
        stack.wait_final(*task_ids)
        stack.wait_begun(held)
        [row] = worker.rows()
        require_fired(server.status() == psutil.STATUS_STOPPED, "Redis was not stopped")
        beats = 0
        for _ in range(3):
            seen = row.heartbeat_at
            wait_until(lambda at=seen: Worker.objects.get(id=row.id).heartbeat_at > at, "another heartbeat")
            row.refresh_from_db()
            beats += 1
        assert row.is_alive
        assert beats == 3
    finally:
        server.resume()
    assert seconds < PROMISE

    stack.book.open_gate(1)
    stack.wait_final(held)
    stack.assert_completed([*task_ids, held])
    assert [it.id for it in worker.rows()] == [row.id], "it was never taken for dead"


@pytest.mark.parametrize("close", [False, True], ids=["silent", "closing"])
def test_the_first_enqueue_alone_waits_for_redis(bare_stack: Stack, close: bool) -> None:
    hole = BlackHole(bare_stack.port)
    try:
        bare_stack.enqueue(mark)
        require_fired(hole.accepted, "nobody fell into the black hole")
        fallen = len(hole.accepted)
        if close:
            hole.close()
        for _ in range(10):
            bare_stack.enqueue(mark)
        assert len(hole.accepted) == fallen, "the circuit was not open"
    finally:
        hole.close()
